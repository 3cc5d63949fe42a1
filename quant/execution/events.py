"""The kinds of event a ledger knows, as frozen values with a key that makes each one happen once.

Belongs here: the vocabulary of the journal. `codec` turns events into plain dictionaries and back,
`resources.ledger` stores them, `book` says what they do to money.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.execution.actions import ActionKind
from quant.execution.broker_events import (
    AlarmRaised,
    BreakerChanged,
    CancelRequested,
    FillReversed,
    ReconciliationRecorded,
    ReplaceRequested,
)
from quant.execution.event_base import Event
from quant.execution.orders import (
    Fill,
    Intent,
    Order,
    OrderState,
    Refusal,
    is_legal,
    require_finite,
    require_positive,
)
from quant.market.bars import Basis

__all__ = [
    "EVENT_TYPES",
    "EVERY_BOOK",
    "ActionApplied",
    "BookKind",
    "BookOpened",
    "Event",
    "FillRecorded",
    "IntentRecorded",
    "MarkRecorded",
    "Mode",
    "ModeChanged",
    "OrderSent",
    "OrderStateChanged",
    "Outcome",
    "RefusalRecorded",
    "SessionClosed",
    "SessionOpened",
    "SubjectKind",
    "TrialRegistered",
    "VerdictRecorded",
]

# A mode with this scope holds for every book.
EVERY_BOOK: Final = "*"


class BookKind(StrEnum):
    """Books of different kinds never share money."""

    PAPER = "paper"
    LIVE = "live"
    BACKTEST = "backtest"


class Mode(StrEnum):
    """What a book may send, from everything to nothing."""

    NORMAL = "normal"
    REDUCE = "reduce"
    PAUSE = "pause"
    EMERGENCY = "emergency"


class SubjectKind(StrEnum):
    """What a verdict is about."""

    STRATEGY = "strategy"
    MODEL = "model"


class Outcome(StrEnum):
    """A verdict's decision; only PASS lets money move."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOpened(Event):
    """A book starts with its cash; its price basis decides which corporate actions it takes."""

    kind: ClassVar[str] = "book_opened"
    book: str
    book_kind: BookKind
    currency: str
    initial_cash: Decimal
    price_basis: Basis = Basis.RAW

    def __post_init__(self) -> None:
        require_positive(self, "initial_cash")
        if self.book in {"", EVERY_BOOK}:
            raise DataError(f"a book needs a name of its own, was {self.book!r}")

    @property
    def key(self) -> str:
        """One opening a book."""
        return f"book:{self.book}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """The trader begins a session of a book."""

    kind: ClassVar[str] = "session_opened"
    book: str
    session: dt.date
    run_id: str
    code_version: str

    @property
    def key(self) -> str:
        """One opening a book and session."""
        return f"session_opened:{self.book}:{self.session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Event):
    """The trader is done with a session; nothing is sent for it or an earlier one any more."""

    kind: ClassVar[str] = "session_closed"
    book: str
    session: dt.date
    sent: int
    filled: int
    expired: int
    refused: int

    @property
    def key(self) -> str:
        """One close a book and session."""
        return f"session_closed:{self.book}:{self.session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRecorded(Event):
    """Governance judged a strategy or a model; the trader reads the latest before it sends."""

    kind: ClassVar[str] = "verdict_recorded"
    subject_kind: SubjectKind
    subject: str
    outcome: Outcome
    reason: str
    session: dt.date
    run_id: str
    snapshot_id: str
    code_version: str
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict_id(self) -> str:
        """The same judgement on the same evidence of the same session is one verdict."""
        identity = [self.subject_kind, self.subject, self.session, self.outcome, self.reason]
        return "v-" + content_hash([*identity, self.evidence, self.code_version])

    @property
    def key(self) -> str:
        """One record a verdict."""
        return f"verdict:{self.verdict_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded(Event):
    """A strategy's wish, durable before anything is sent."""

    kind: ClassVar[str] = "intent_recorded"
    intent: Intent

    @property
    def key(self) -> str:
        """One wish a decision and book: a second run of the same decision adds nothing."""
        return f"intent:{self.intent.book}:{self.intent.decision_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSent(Event):
    """Recorded before the order leaves, so that a crash can never forget it."""

    kind: ClassVar[str] = "order_sent"
    order: Order

    @property
    def key(self) -> str:
        """One sending a client order id."""
        return f"sent:{self.order.client_order_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStateChanged(Event):
    """An order moved; `sequence` counts its moves."""

    kind: ClassVar[str] = "order_state_changed"
    book: str
    decision_id: str
    client_order_id: str
    sequence: int
    before: OrderState
    after: OrderState
    reason: str = ""
    venue_order_id: str = ""

    def __post_init__(self) -> None:
        if not is_legal(self.before, self.after):
            raise DataError(
                f"order {self.client_order_id} cannot move from {self.before} to {self.after}"
            )

    @property
    def key(self) -> str:
        """One move an order and sequence number."""
        return f"state:{self.client_order_id}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRecorded(Event):
    """Money and shares changed hands."""

    kind: ClassVar[str] = "fill_recorded"
    fill: Fill

    @property
    def key(self) -> str:
        """One record a fill id."""
        return f"fill:{self.fill.fill_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRecorded(Event):
    """A gate said no."""

    kind: ClassVar[str] = "refusal_recorded"
    refusal: Refusal

    @property
    def key(self) -> str:
        """One record a refusal id."""
        return f"refusal:{self.refusal.refusal_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged(Event):
    """A person or a breaker changed what a book, or every book, may send."""

    kind: ClassVar[str] = "mode_changed"
    scope: str
    mode: Mode
    reason: str
    changed_by: str
    changed_at: dt.datetime

    def __post_init__(self) -> None:
        if self.changed_at.tzinfo is None:
            raise DataError(f"changed_at must be aware, was {self.changed_at}")

    @property
    def key(self) -> str:
        """One change a moment: modes come and go, so the moment is part of it."""
        moment = self.changed_at.astimezone(dt.UTC).isoformat()
        return f"mode:{self.scope}:{self.mode}:{moment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRegistered(Event):
    """A backtest or tuning run of a hypothesis family counts itself before it knows its result."""

    kind: ClassVar[str] = "trial_registered"
    trial_id: str
    family: str
    description: str
    parameters_hash: str
    run_id: str
    code_version: str

    @property
    def key(self) -> str:
        """One count a trial."""
        return f"trial:{self.trial_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionApplied(Event):
    """A split or dividend reached a book, before anything was traded in its session."""

    kind: ClassVar[str] = "action_applied"
    book: str
    symbol: str
    ex_session: dt.date
    action: ActionKind
    value: Decimal
    row_hash: str
    run_id: str

    def __post_init__(self) -> None:
        require_positive(self, "value")

    @property
    def key(self) -> str:
        """One application a book, symbol, day and kind: a corrected value is not a second split."""
        return f"action:{self.book}:{self.symbol}:{self.ex_session}:{self.action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRecorded(Event):
    """A book's worth after a session, with the price of everything it held."""

    kind: ClassVar[str] = "mark_recorded"
    book: str
    session: dt.date
    equity: Decimal
    cash: Decimal
    prices: Mapping[str, Decimal]
    # Held symbols whose price is an older one: unknown today, and never taken for zero.
    stale: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_finite(self, "equity", "cash")

    @property
    def key(self) -> str:
        """One mark a book and session."""
        return f"mark:{self.book}:{self.session}"


EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    BookOpened,
    SessionOpened,
    SessionClosed,
    VerdictRecorded,
    IntentRecorded,
    OrderSent,
    OrderStateChanged,
    FillRecorded,
    RefusalRecorded,
    ModeChanged,
    TrialRegistered,
    ActionApplied,
    MarkRecorded,
    FillReversed,
    CancelRequested,
    ReplaceRequested,
    AlarmRaised,
    BreakerChanged,
    ReconciliationRecorded,
)
