"""The line between client and venue: requests and answers that are late, lost, doubled or broken.

Belongs here: what a fault does to one request or one message. Does not belong here: what the venue
decides (`venue`), or when things happen to the client (`world`). What reaches the client is always
a value or an error of the broker port: adapters have turned the vendors' words into these.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from apps.simulation.faults import Fault
from apps.simulation.venue import SimVenue, Told
from quant.core.errors import OrderUnknownError, VenueUnavailableError
from quant.execution.broker import (
    Listing,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    UnreadableRow,
    VenueAuthError,
    VenueError,
    VenueFill,
    VenueOrder,
)
from quant.execution.commands import Cancel, Command, Find, ReadFills, Send, TakeSnapshot
from quant.execution.manager import Answer
from quant.execution.order_states import OrderState
from quant.execution.reconcile import VenueView

# Under the manager's grace time, as venues promise by their receive windows.
SLOW_S_MAX = 45.0
READ_LAG_S_MAX = 30.0
_NOTHING_DONE = frozenset(
    {
        Fault.REQUEST_LOST,
        Fault.REFUSED_BEFORE,
        Fault.RATE_LIMITED,
        Fault.BANNED,
        Fault.AUTH,
        Fault.CLOCK_DRIFT,
    }
)
_ON_ANY_REQUEST = (
    Fault.REQUEST_LOST,
    Fault.ACK_LOST,
    Fault.ERROR_AFTER,
    Fault.HUNG,
    Fault.REFUSED_BEFORE,
    Fault.SLOW,
    Fault.RATE_LIMITED,
    Fault.BANNED,
    Fault.AUTH,
    Fault.CLOCK_DRIFT,
)


class Client(Protocol):
    """Who hears answers and messages."""

    def answered(self, epoch: int, command: Command, answer: Answer) -> None:
        """To the process that asked; another one after a crash hears nothing of it."""
        ...

    def heard(self, message: VenueOrder | VenueFill) -> None:
        """The stream told something."""
        ...


Schedule = Callable[..., None]


class Line:
    """Carries commands to one venue and its words back."""

    def __init__(
        self,
        *,
        venue: SimVenue,
        shares: dict[Fault, float],
        draw: random.Random,
        later: Schedule,
        now: Callable[[], float],
    ) -> None:
        self.venue = venue
        self.struck: Counter[str] = Counter()
        self.client: Client | None = None
        self.is_calm = False
        self._shares = shares
        self._draw = draw
        self._later = later
        self._now = now
        self._banned_until = self._drifts_until = self._silent_until = 0.0

    def strikes(self, fault: Fault) -> bool:
        """Whether a fault happens now; counted when it does."""
        if self.is_calm or self._draw.random() >= self._shares[fault]:
            return False
        self.struck[fault.value] += 1
        return True

    def carry(self, epoch: int, command: Command) -> None:
        """A command leaves the client."""
        fault = next((one for one in _ON_ANY_REQUEST if self.strikes(one)), None)
        delay = self._draw.uniform(0.005, 0.2)
        if fault is Fault.SLOW:
            delay = self._draw.uniform(1.0, SLOW_S_MAX)
        name = type(command).__name__
        self._later(delay, f"arrives {name}", self._arrive, epoch, command, fault)

    def tell(self, told: Told) -> None:
        """The venue's stream: the fill and the report are two messages."""
        if self.strikes(Fault.STREAM_SILENT):
            self._silent_until = self._now() + self._draw.uniform(30, 600)
        if self._now() < self._silent_until and not self.is_calm:
            return
        for message in (told.fill, told.order):
            if message is not None:
                self._stream(message)

    def _stream(self, message: VenueOrder | VenueFill) -> None:
        if self.strikes(Fault.STREAM_DROPPED):
            return
        for _ in range(2 if self.strikes(Fault.STREAM_DOUBLED) else 1):
            delay = self._draw.uniform(0.005, 0.2)
            if self.strikes(Fault.STREAM_LATE):
                delay = self._draw.uniform(0.5, 60)
            assert self.client is not None
            self._later(delay, f"stream {type(message).__name__}", self.client.heard, message)

    def _arrive(self, epoch: int, command: Command, fault: Fault | None) -> None:
        error = self._refusal(fault)
        answer: Answer = error if error is not None else self._done(command)
        delay = self._draw.uniform(0.005, 0.2)
        if fault is Fault.HUNG:
            return
        if fault in {Fault.REQUEST_LOST, Fault.ACK_LOST, Fault.ERROR_AFTER}:
            answer = self._lost(command, fault)
            # A 5xx is as quick as an answer, and races with the stream; a time-out takes a while.
            if fault is not Fault.ERROR_AFTER:
                delay = self._draw.uniform(0.05, 8.0)
        assert self.client is not None
        name = type(command).__name__
        self._later(delay, f"answer {name}", self.client.answered, epoch, command, answer)

    def _refusal(self, fault: Fault | None) -> VenueError | None:
        """An error before anything was done."""
        now = self._now()
        if fault is Fault.BANNED:
            self._banned_until = now + self._draw.uniform(60, 300)
        if fault is Fault.CLOCK_DRIFT:
            self._drifts_until = now + self._draw.uniform(5, 60)
        if now < self._banned_until and not self.is_calm:
            return RateLimitedError("418", retry_after_s=self._banned_until - now, is_banned=True)
        if now < self._drifts_until and not self.is_calm:
            return VenueUnavailableError("the timestamp is outside the window")
        match fault:
            case Fault.RATE_LIMITED:
                return RateLimitedError("429", retry_after_s=self._draw.uniform(1, 20))
            case Fault.AUTH:
                return VenueAuthError("401")
            case Fault.REFUSED_BEFORE | Fault.REQUEST_LOST:
                return VenueUnavailableError("connection refused")
        return None

    def _lost(self, command: Command, fault: Fault) -> VenueError:
        if isinstance(command, Send | Cancel):
            return OrderUnknownError(f"no answer that could be believed ({fault.value})")
        return VenueUnavailableError(f"nothing could be read ({fault.value})")

    def _done(self, command: Command) -> Answer:
        now = self._now()
        try:
            match command:
                case Send():
                    return self._worded(self.venue.submit(command.ticket, now))
                case Cancel():
                    quick = self.strikes(Fault.FILL_ON_CANCEL)
                    return self.venue.cancel(command.client_order_id, now, fill_first=quick)
                case Find():
                    return self._found(command, now)
                case ReadFills():
                    return self._fills(command.since)
                case TakeSnapshot():
                    return self._view(command)
        except (OrderNotFoundError, OrderRejectedError) as error:
            return error

    def _worded(self, row: VenueOrder) -> VenueOrder:
        if not self.strikes(Fault.UNKNOWN_WORD):
            return row
        return VenueOrder(
            client_order_id=row.client_order_id,
            venue_order_id=row.venue_order_id,
            symbol=row.symbol,
            side=row.side,
            quantity=row.quantity,
            filled_quantity=row.filled_quantity,
            state=OrderState.UNKNOWN,
            average_price=row.average_price,
            reason="held_for_review",
        )

    def _found(self, command: Find, now: float) -> VenueOrder:
        known = self.venue.orders.get(command.client_order_id)
        is_new = bool(known) and now - known[-1].taken_at < READ_LAG_S_MAX  # type: ignore[index]
        if is_new and self.strikes(Fault.READ_LAG):
            raise OrderNotFoundError("not known yet")
        return self._worded(self.venue.find(command.client_order_id))

    def _fills(self, since: object) -> Listing[VenueFill]:
        rows = self.venue.fills_since(since)  # type: ignore[arg-type]
        if rows and self.strikes(Fault.UNREADABLE):
            lost = self._draw.randrange(len(rows))
            row = UnreadableRow(what=f"fill {rows[lost].execution_id}", reason="no price")
            return Listing(rows=rows[:lost] + rows[lost + 1 :], unreadable=(row,))
        return Listing(rows=rows)

    def _view(self, command: TakeSnapshot) -> VenueView:
        whole = not self.strikes(Fault.UNREADABLE)
        part = "" if whole else self._draw.choice(("orders", "positions", "account"))
        since = command.fills_since
        return VenueView(
            orders=None if part == "orders" else Listing(rows=self.venue.open_rows()),
            positions=None if part == "positions" else Listing(rows=self.venue.position_rows()),
            account=None if part == "account" else self.venue.account(),
            fills=None if since is None else self._fills(since),
        )
