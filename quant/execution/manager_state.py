"""What the order manager knows: a fold over the ledger's events of one book, and nothing else.

Belongs here: state that a restart derives again, so that its hash is the same however often that
happens. Does not belong here: decisions (`manager`), timers, or anything that no event says.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from quant.core.identity import content_hash
from quant.execution.actions import ActionKind
from quant.execution.book import Book, apply, split_quantity
from quant.execution.broker_events import (
    AlarmRaised,
    BreakerChanged,
    CancelRequested,
    FillReversed,
    ReconciliationRecorded,
    ReplaceRequested,
)
from quant.execution.control import Control
from quant.execution.event_base import Event
from quant.execution.events import (
    ActionApplied,
    BookOpened,
    FillRecorded,
    IntentRecorded,
    MarkRecorded,
    ModeChanged,
    OrderSent,
    OrderStateChanged,
    RefusalRecorded,
    SessionClosed,
    SessionOpened,
    SubjectKind,
    VerdictRecorded,
)
from quant.execution.order_life import ZERO, OrderLife
from quant.execution.orders import Intent


@dataclass(slots=True)
class ManagerState:
    """One book with its orders, its control and what was found out about its venue."""

    name: str
    book: Book | None = None
    lives: dict[str, OrderLife] = field(default_factory=dict)
    # All orders of a decision, in the order of sending.
    lineages: dict[str, list[OrderLife]] = field(default_factory=dict)
    # The open ones among them, in the order of sending.
    open: dict[str, OrderLife] = field(default_factory=dict)
    pending: dict[str, Intent] = field(default_factory=dict)
    control: Control = field(default_factory=Control)
    verdicts: dict[tuple[SubjectKind, str], VerdictRecorded] = field(default_factory=dict)
    sent_in: Counter[dt.date] = field(default_factory=Counter)
    # The earliest decision among the orders of each session: no execution can be older.
    decided_at: dict[dt.date, dt.datetime] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    is_readable: bool = True
    reconciliations: int = 0
    alarms: dict[str, AlarmRaised] = field(default_factory=dict)
    # Shares by strategy and symbol: the third voice of a reconciliation.
    strategy_shares: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Fold one event; those of other books change nothing."""
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def _sent(self, event: OrderSent) -> None:
        order = event.order
        if order.book != self.name:
            return
        life = OrderLife(order)
        self.lives[order.client_order_id] = self.open[order.client_order_id] = life
        self.lineages.setdefault(order.decision_id, []).append(life)
        self.pending.pop(order.decision_id, None)
        self.sent_in[order.valid_session] += order.attempt == 0
        decided_at = self.decided_at.get(order.valid_session, order.as_of)
        self.decided_at[order.valid_session] = min(decided_at, order.as_of)

    def _move(self, event: OrderStateChanged) -> None:
        life = self.lives.get(event.client_order_id)
        if life is None:
            return
        life.move(event)
        if life.is_open:
            self.open[event.client_order_id] = life
        else:
            self.open.pop(event.client_order_id, None)

    def _fill(self, event: FillRecorded) -> None:
        fill = event.fill
        if fill.book != self.name:
            return
        self.book = apply(self.book, event)
        key = (fill.strategy, fill.symbol)
        held = self.strategy_shares.get(key, ZERO)
        self.strategy_shares[key] = held + fill.change
        if fill.client_order_id in self.lives:
            self.lives[fill.client_order_id].fill(fill)

    def _reverse(self, event: FillReversed) -> None:
        if event.book != self.name:
            return
        self.book = apply(self.book, event)
        life = self.lives[event.client_order_id]
        life.reverse(event)
        self.strategy_shares[life.order.strategy, event.symbol] -= event.side.sign * event.quantity

    def _intent(self, event: IntentRecorded) -> None:
        if event.intent.book == self.name:
            self.pending[event.intent.decision_id] = event.intent

    def _refusal(self, event: RefusalRecorded) -> None:
        if event.refusal.book == self.name:
            self.pending.pop(event.refusal.decision_id, None)
            # An order that was to replace another is refused in the decision's name, too.
            for life in self.lineages.get(event.refusal.decision_id, ()):
                life.replacement = None

    def _cancel(self, event: CancelRequested) -> None:
        if event.client_order_id in self.lives:
            self.lives[event.client_order_id].cancels = event.number

    def _replace(self, event: ReplaceRequested) -> None:
        if event.client_order_id in self.lives:
            life = self.lives[event.client_order_id]
            life.replacement, life.replacements = event, event.number

    def _alarm(self, event: AlarmRaised) -> None:
        if event.book == self.name:
            self.alarms[event.key] = event

    def _verdict(self, event: VerdictRecorded) -> None:
        key = (event.subject_kind, event.subject)
        before = self.verdicts.get(key)
        # An old session judged again today is no news.
        if before is None or event.session >= before.session:
            self.verdicts[key] = event

    def _reconciled(self, event: ReconciliationRecorded) -> None:
        if event.book != self.name:
            return
        self.held, self.external = dict(event.held), dict(event.external)
        self.is_readable, self.reconciliations = event.is_readable, event.sequence

    def _controlled(self, event: Event) -> None:
        self.control.take(event)

    def _money(self, event: Event) -> None:
        if isinstance(event, BookOpened) and event.book != self.name:
            return
        self.book = apply(self.book, event)
        if (
            isinstance(event, ActionApplied)
            and event.book == self.name
            and event.action is ActionKind.SPLIT
        ):
            for key, shares in self.strategy_shares.items():
                if key[1] == event.symbol and shares:
                    self.strategy_shares[key] = split_quantity(shares, event.value)

    def verdict(self, kind: SubjectKind, subject: str) -> VerdictRecorded | None:
        """The verdict in force; None where nobody judged."""
        return self.verdicts.get((kind, subject))

    def fills_since(self) -> dt.datetime | None:
        """Since when an execution may be missing here: of the last session, or of an open order."""
        if not self.decided_at:
            return None
        moments = [self.decided_at[max(self.decided_at)]]
        moments += [life.order.as_of for life in self.open.values()]
        return min(moments)

    def open_in(self, symbol: str) -> list[OrderLife]:
        """Orders in a symbol that the venue may still act on."""
        return [life for life in self.open.values() if life.order.symbol == symbol]

    def state_hash(self) -> str:
        """Equal for equal states, however often and in what pieces the events were delivered."""
        orders = {
            key: [
                *(life.state, life.moves, life.sends, life.filled, life.notional, life.fees),
                *(life.venue_order_id, life.cancels, life.replacements, sorted(life.executions)),
            ]
            for key, life in self.lives.items()
        }
        return content_hash(
            {
                "book": self.book,
                "orders": orders,
                "pending": sorted(self.pending),
                "modes": self.control.modes,
                "breakers": [one.key for one in self.control.tripped(self.name)],
                "held": self.held,
                "external": self.external,
                "is_readable": self.is_readable,
                "alarms": sorted(self.alarms),
                "shares": {" ".join(key): value for key, value in self.strategy_shares.items()},
            }
        )


_FOLDS: Final[Mapping[type[Event], Callable[[ManagerState, Any], None]]] = {
    OrderSent: ManagerState._sent,
    OrderStateChanged: ManagerState._move,
    FillRecorded: ManagerState._fill,
    FillReversed: ManagerState._reverse,
    IntentRecorded: ManagerState._intent,
    RefusalRecorded: ManagerState._refusal,
    VerdictRecorded: ManagerState._verdict,
    CancelRequested: ManagerState._cancel,
    ReplaceRequested: ManagerState._replace,
    AlarmRaised: ManagerState._alarm,
    ReconciliationRecorded: ManagerState._reconciled,
    ModeChanged: ManagerState._controlled,
    BreakerChanged: ManagerState._controlled,
    BookOpened: ManagerState._money,
    ActionApplied: ManagerState._money,
    MarkRecorded: ManagerState._money,
    SessionOpened: ManagerState._money,
    SessionClosed: ManagerState._money,
}


def state_from(events: Iterable[Event], name: str) -> ManagerState:
    """The state of the book `name` after these events."""
    state = ManagerState(name=name)
    for event in events:
        state.take(event)
    return state
