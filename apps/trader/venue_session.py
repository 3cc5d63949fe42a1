"""A session of a book at a venue: the order manager sends and waits; the night after closes it.

Belongs here: how a session there begins, how long it lasts and when it is over. Does not belong
here: carrying out what the manager wants (`order_desk`), or which venue it is (`venues`). Whatever
happens to this process, the same call goes on: what was sent is in the ledger before it leaves.
"""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.trader.order_desk import OrderDesk
from apps.trader.session_events import (
    PriceOf,
    TradeSummary,
    closing_events,
    idle,
    opening_events,
    require_in_order,
    split_ratios,
    told_again,
)
from quant.core.errors import StateError, VenueUnavailableError
from quant.execution.actions import CorporateAction
from quant.execution.book import BookPolicy
from quant.execution.broker import Broker
from quant.execution.commands import Surroundings
from quant.execution.events import EVERY_BOOK, BookKind, BookOpened, RefusalRecorded
from quant.execution.gates import CostsOf
from quant.execution.limits import NO_LIMITS, LimitData, TradeLimitsPolicy
from quant.execution.manager_state import state_from
from quant.execution.order_life import OrderLife
from quant.execution.orders import Intent, Refusal, trace_of
from quant.execution.venues import VenuePolicy
from quant.market.bars import Basis
from resources.ledger import Ledger

# So often what is due is done; a person's switch is heard as often.
TICK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSession:
    """One session's fixed surroundings."""

    ledger: Ledger
    book: str
    session: dt.date
    venue: VenuePolicy
    broker: Broker
    policy: BookPolicy
    costs_of: CostsOf
    limits: TradeLimitsPolicy = NO_LIMITS
    limit_data: LimitData | None = None
    actions: Sequence[CorporateAction] = ()
    run_id: str = ""
    code_version: str = ""
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def trade(
        self, *, seconds: float, on_step: Callable[[int, int], None] = lambda _done, _all: None
    ) -> OrderDesk:
        """Send what is pending and wait until every order has ended, at most so long.

        `on_step` hears how many of the session's orders have ended, of how many. Orders that are
        open when the time is over are cancelled; the desk that comes back knows how all ended.
        """
        desk = self._begin()
        self._read_account(desk)
        deadline = self.monotonic() + seconds
        self._offer(desk)
        while not self._is_over(desk) and self.monotonic() < deadline:
            self._tick(desk, on_step)
            self._offer(desk)
        desk.end_session()
        deadline = self.monotonic() + self.venue.end_timeout_s
        while desk.manager.state.open and self.monotonic() < deadline:
            self._tick(desk, on_step)
        # The last word is the account's: what differs is held from here on.
        desk.run(lambda: desk.manager.ask_snapshot(now=desk.now))
        return desk

    def orders(self, desk: OrderDesk) -> list[OrderLife]:
        """The session's orders in the order of their sending."""
        lives = desk.manager.state.lives.values()
        return [life for life in lives if life.order.valid_session == self.session]

    def _begin(self) -> OrderDesk:
        with self.ledger.turn():
            before = self.ledger.book(self.book)
            if before.closed_session is not None and self.session <= before.closed_session:
                raise StateError(
                    f"session {self.session} of book {self.book} is closed",
                    remedy="an order is sent in its own session or never; run `pmx nightly` to "
                    "decide the next",
                )
            require_in_order(before, self.session)
            opening = opening_events(
                before,
                self.session,
                self.actions,
                run_id=self.run_id,
                code_version=self.code_version,
            )
            self.ledger.append_all(opening)
            state = state_from(self.ledger.events(), self.book)
        return OrderDesk(
            state,
            broker=self.broker,
            ledger=self.ledger,
            policy=self.venue.manager_policy(),
            monotonic=self.monotonic,
        )

    def _read_account(self, desk: OrderDesk) -> None:
        """Nothing is judged before the account was read once: what is there is not known."""
        deadline = self.monotonic() + self.venue.first_reading_timeout_s
        desk.run()
        while not desk.manager.has_read_account:
            if self.monotonic() >= deadline:
                raise VenueUnavailableError(
                    f"{self.venue.label} did not tell its account within "
                    f"{self.venue.first_reading_timeout_s:g} s; nothing was sent",
                    remedy="look with `pmx broker check`, then run the same command again",
                )
            self.sleep(TICK_S)
            desk.tick()
        held = desk.manager.state.held
        if EVERY_BOOK in held:
            raise StateError(
                f"book {self.book} is held: {held[EVERY_BOOK]}; nothing was sent",
                remedy="make ledger and account agree (docs/execution.md), then run it again",
            )

    def _offer(self, desk: OrderDesk) -> None:
        pending = self._pending(desk)
        # Also where nothing is pending the session has to be open, once: what a session that died
        # had recorded and the venue never got may be sent again in its own session only.
        if not pending and desk.manager.open_session == self.session:
            return
        around = Surroundings(
            book_policy=self.policy,
            costs_of=self.costs_of,
            limits=self.limits,
            limit_data=self.limit_data,
            splits=split_ratios(self.ledger, self.book, pending),
            price_collar_bps=self.venue.price_collar_bps,
        )
        desk.offer(self.session, around)

    def _pending(self, desk: OrderDesk) -> list[Intent]:
        wishes = desk.manager.state.pending.values()
        return [one for one in wishes if one.valid_session <= self.session]

    def _is_over(self, desk: OrderDesk) -> bool:
        return not desk.manager.state.open and not self._pending(desk)

    def _tick(self, desk: OrderDesk, on_step: Callable[[int, int], None]) -> None:
        self.sleep(TICK_S)
        desk.tick()
        orders = self.orders(desk)
        on_step(sum(not life.is_open for life in orders), len(orders))


def open_book(ledger: Ledger, book: str, broker: Broker, venue: VenuePolicy) -> BookOpened | None:
    """Open the book with the account's cash, once; the account has to be flat for that."""
    with ledger.turn():
        if book in ledger.books():
            return None
    account, positions, orders = broker.account(), broker.positions(), broker.open_orders()
    if not (positions.is_whole and orders.is_whole):
        raise VenueUnavailableError(
            f"{venue.label} told something that cannot be read, so book {book} was not opened",
            remedy="look with `pmx broker check`, then run it again",
        )
    if positions.rows or orders.rows:
        raise StateError(
            f"book {book} cannot begin with what {venue.label} already holds: "
            f"{len(positions.rows)} positions and {len(orders.rows)} open orders",
            remedy="close them at the venue or use another account: a book owns what it traded "
            "and nothing else",
        )
    opened = BookOpened(
        book=book,
        book_kind=BookKind.PAPER,
        currency=account.currency,
        initial_cash=account.cash,
        # A venue counts shares as they are, so splits and dividends meet the book.
        price_basis=Basis.RAW,
    )
    with ledger.turn():
        ledger.append_all([opened])
    return opened


def close_session(
    ledger: Ledger,
    book: str,
    session: dt.date,
    *,
    venue: str,
    price_of: PriceOf,
    actions: Sequence[CorporateAction],
    run_id: str,
    code_version: str,
) -> TradeSummary:
    """Value the book after a session at its venue; what nobody sent in time is refused.

    An order whose end is not known keeps the session open, and with it the night.
    """
    before = ledger.book(book)
    if ledger.damage:
        return idle(ledger, book, session, note=f"the ledger is damaged: {ledger.damage}")
    if before.closed_session is not None and session <= before.closed_session:
        return told_again(ledger, book, session)
    require_in_order(before, session)
    still_open = ledger.open_orders(book)
    if still_open:
        names = ", ".join(sorted({one.order.symbol for one in still_open}))
        raise StateError(
            f"{len(still_open)} orders of book {book} are still open at {venue}: {names}",
            remedy=f"run `pmx trade --session {session}`: it asks what became of them",
        )
    late = [one for one in ledger.pending_intents(book) if one.valid_session <= session]
    ledger.append_all(
        [
            *opening_events(before, session, actions, run_id=run_id, code_version=code_version),
            *(
                RefusalRecorded(
                    refusal=Refusal(
                        **trace_of(intent),
                        gate="window",
                        reason=f"nobody sent it in session {intent.valid_session}: "
                        "`pmx trade` did not run",
                        numbers={"valid_session": str(intent.valid_session)},
                    )
                )
                for intent in late
            ),
        ]
    )
    ledger.append_all(closing_events(ledger, book, session, price_of))
    return told_again(ledger, book, session)
