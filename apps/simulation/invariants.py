"""What must hold at every event, whatever goes wrong: the judge of a simulated world.

Belongs here: the invariants of an order's life, kept from journal records and from what leaves the
client, with arithmetic of their own. Does not belong here: causing anything. The numbers are those
of docs/execution.md. What an adapter promises (no secret leaves it) is judged by the adapters'
tests, and the budget of calls by those of their limiters; here: nothing is called before its time.
"""

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from quant.execution.book import postings_of
from quant.execution.broker_events import Alarm, AlarmRaised, FillReversed
from quant.execution.commands import Cancel, Command, Send
from quant.execution.event_base import Event
from quant.execution.events import (
    BookOpened,
    FillRecorded,
    IntentRecorded,
    Mode,
    OrderSent,
    OrderStateChanged,
    Outcome,
    RefusalRecorded,
    VerdictRecorded,
)
from quant.execution.manager_state import ManagerState
from quant.execution.order_states import LEGAL_MOVES, OPEN_STATES, OrderState
from quant.execution.orders import Order, Side

ZERO = Decimal(0)


@dataclass(slots=True)
class ViolationError(Exception):
    """An invariant is broken."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"invariant {self.number}: {self.what}"


@dataclass(slots=True)
class Judge:
    """Keeps its own account of every record, and a mirror of the state that they fold to."""

    mirror: ManagerState
    session: dt.date | None = None
    checks: int = 0
    states: dict[str, OrderState] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    lineages: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    moves: Counter[str] = field(default_factory=Counter)
    filled: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    positions: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    cash: Decimal = ZERO
    intents: dict[str, Decimal] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    overfilled: set[str] = field(default_factory=set)
    verdicts: dict[str, Outcome] = field(default_factory=dict)
    sends: Counter[str] = field(default_factory=Counter)
    _owed: list[str] = field(default_factory=list)
    # What this process was told: no call but cancels before, and none at all when banned.
    quiet_until: float = 0.0
    is_banned: bool = False

    def record(self, event: Event) -> None:
        """One record of the journal, in order."""
        self.checks += 1
        self._balance(event)
        self.mirror.take(event)
        match event:
            case BookOpened():
                self.cash = event.initial_cash
            case OrderSent():
                self._sent(event.order)
            case OrderStateChanged():
                self._moved(event)
            case FillRecorded():
                self._fill(event)
            case FillReversed():
                self.filled[event.client_order_id] -= event.quantity
                self._trade(event.symbol, -event.side.sign * event.quantity)
                self.cash += event.side.sign * event.notional + event.fee_amount
            case AlarmRaised(alarm=Alarm.OVERFILL):
                self.overfilled.add(event.subject)
            case IntentRecorded():
                self.intents[event.intent.decision_id] = abs(event.intent.quantity)
            case RefusalRecorded():
                self._refused(event.refusal.decision_id)
            case VerdictRecorded():
                self.verdicts[event.subject] = event.outcome

    def commit_ended(self) -> None:
        """A commit is whole: an overfill in it must have cried out in it."""
        for key in self._owed:
            if key not in self.overfilled:
                raise ViolationError(1, f"order {key} is overfilled without an alarm")
        self._owed.clear()
        book = self.mirror.book
        if book is not None and book.cash != self.cash:
            raise ViolationError(
                2, f"the book has {book.cash} in cash, its fills sum to {self.cash}"
            )

    def leaves(self, command: Command, now: float) -> None:
        """A command leaves the client for the venue."""
        self.checks += 1
        if now < self.quiet_until and (self.is_banned or not isinstance(command, Cancel)):
            raise ViolationError(
                9, f"{type(command).__name__} left {self.quiet_until - now:.3f} s early"
            )
        if isinstance(command, Send):
            self._leaves(command)

    def restarted(self) -> None:
        """A new process has been told nothing yet."""
        self.quiet_until, self.is_banned = 0.0, False

    def told_to_wait(self, until: float, *, is_banned: bool, now: float) -> None:
        """The venue asked for silence."""
        self.is_banned = is_banned or (self.is_banned and now < self.quiet_until)
        self.quiet_until = max(self.quiet_until, until)

    def _sent(self, order: Order) -> None:
        key = order.client_order_id
        if key in self.orders:
            raise ViolationError(3, f"order {key} is recorded as sent twice")
        self._require_reasons(order)
        if order.attempt == 0:
            self._decide(order.decision_id)
        if order.decision_id in self.ended:
            raise ViolationError(10, f"decision {order.decision_id} goes on after its refusal")
        lineage = self.lineages[order.decision_id]
        if any(self.states[one] in OPEN_STATES for one in lineage):
            raise ViolationError(3, f"decision {order.decision_id} has two live orders")
        done = sum((self.filled[one] for one in lineage), start=ZERO)
        if done + order.quantity > self.intents[order.decision_id]:
            raise ViolationError(1, f"decision {order.decision_id} would trade more than it wanted")
        lineage.append(key)
        self.orders[key], self.states[key] = order, OrderState.SENT
        self._require_cover(order)

    def _require_reasons(self, order: Order) -> None:
        if order.decision_id not in self.intents:
            raise ViolationError(4, f"order {order.client_order_id} has no intent on record")
        if self.verdicts.get(order.strategy) is not Outcome.PASS:
            raise ViolationError(4, f"order {order.client_order_id} has no passing verdict")
        if order.valid_session != self.session:
            raise ViolationError(8, f"order of {order.valid_session} is sent in {self.session}")

    def _require_cover(self, order: Order) -> None:
        """What is unknown closes its symbol, and all that may still be bought is covered."""
        for key, life in self.mirror.open.items():
            # What is merely sent may be of the same batch, which was judged together.
            if life.order.symbol == order.symbol and self.states[key] is OrderState.UNKNOWN:
                raise ViolationError(13, f"{order.symbol} is traded while {key} is unknown")
        if order.side is Side.SELL:
            return
        worst = ZERO
        for key, life in self.mirror.open.items():
            if life.order.side is Side.BUY:
                rest = max(ZERO, life.order.quantity - self.filled[key])
                worst += rest * life.order.reference_price
        if worst > self.cash:
            raise ViolationError(13, f"buys may cost {worst}, and the book has {self.cash}")

    def _leaves(self, command: Send) -> None:
        key, order = command.order.client_order_id, command.order
        if key not in self.orders:
            raise ViolationError(4, f"order {key} leaves before it is on record")
        self.sends[key] += 1
        if self.sends[key] > 1 and command.number == 1:
            raise ViolationError(3, f"order {key} leaves twice as the first sending")
        if order.valid_session != self.session:
            raise ViolationError(8, f"order {key} leaves outside its session")
        mode = self.mirror.control.mode(self.mirror.name)
        held = self.positions[order.symbol]
        reduces = held * order.signed_quantity < 0 and order.quantity <= abs(held)
        if mode is Mode.NORMAL or (mode is Mode.REDUCE and reduces):
            return
        raise ViolationError(7, f"order {key} leaves in mode {mode} with {held} held")

    def _refused(self, decision_id: str) -> None:
        """Instead of an order; or, once, instead of an order that was to replace another."""
        if decision_id not in self.lineages:
            self._decide(decision_id)
        elif decision_id in self.ended:
            raise ViolationError(10, f"the lineage of {decision_id} was ended twice")
        else:
            self.ended.add(decision_id)

    def _decide(self, decision_id: str) -> None:
        """An intent becomes an order or a refusal, once."""
        if decision_id in self.judged:
            raise ViolationError(10, f"decision {decision_id} was judged twice")
        self.judged.add(decision_id)

    def _moved(self, event: OrderStateChanged) -> None:
        key = event.client_order_id
        if self.states.get(key) is not event.before:
            raise ViolationError(5, f"order {key} was {self.states.get(key)}, not {event.before}")
        if event.after not in LEGAL_MOVES[event.before]:
            raise ViolationError(5, f"order {key} went from {event.before} to {event.after}")
        self.moves[key] += 1
        if self.moves[key] != event.sequence:
            raise ViolationError(
                10, f"order {key}: record {event.sequence} of {self.moves[key]} moves"
            )
        if event.after is OrderState.FILLED and self.filled[key] < self.orders[key].quantity:
            raise ViolationError(5, f"order {key} is filled with {self.filled[key]}")
        self.states[key] = event.after

    def _fill(self, event: FillRecorded) -> None:
        fill = event.fill
        key = fill.client_order_id
        if key not in self.orders:
            raise ViolationError(4, f"fill {fill.fill_id} has no order")
        self.filled[key] += fill.quantity
        self._trade(fill.symbol, fill.side.sign * fill.quantity - fill.fee_quantity)
        self.cash -= fill.side.sign * fill.notional + fill.fee_amount
        if self.filled[key] > self.orders[key].quantity:
            self._owed.append(key)

    def _trade(self, symbol: str, signed: Decimal) -> None:
        self.positions[symbol] += signed
        book = self.mirror.book
        if book is None or book.quantity(symbol) != self.positions[symbol]:
            raise ViolationError(2, f"{symbol}: the fills sum to {self.positions[symbol]}")

    def _balance(self, event: Event) -> None:
        if isinstance(event, FillRecorded | FillReversed):
            lines = postings_of(self.mirror.book, event)
            if sum((line.amount for line in lines), start=ZERO) != 0:
                raise ViolationError(6, f"the entry of {event.key} does not balance")
