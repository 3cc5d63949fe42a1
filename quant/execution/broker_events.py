"""Events that only a venue of its own brings: corrections, requests, alarms, reconciliations.

Belongs here: what the order manager records besides the vocabulary of every book (`events`).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from quant.core.errors import DataError
from quant.execution.event_base import Event
from quant.execution.orders import Side, require_finite, require_positive


class Alarm(StrEnum):
    """What a person must look at; the symbol or the book is held until it is settled."""

    OVERFILL = "overfill"
    FILL_AFTER_REJECTION = "fill_after_rejection"
    CONFLICTING_REPORT = "conflicting_report"
    BAD_EXECUTION = "bad_execution"
    EXTERNAL_ORDER = "external_order"
    ORPHAN_ORDER = "orphan_order"
    VANISHED = "vanished"
    VENUE_HALTED = "venue_halted"


class Breaker(StrEnum):
    """What may stop trading by itself; a tripped one stays tripped until a person resets it."""

    DAILY_LOSS = "daily_loss"
    WEEKLY_LOSS = "weekly_loss"
    MODEL_ACCURACY = "model_accuracy"
    DATA_QUALITY = "data_quality"
    LATENCY = "latency"
    API_ERRORS = "api_errors"
    SLIPPAGE = "slippage"
    SPREAD = "spread"
    STALE_QUOTE = "stale_quote"
    VENUE_AUTH = "venue_auth"
    VENUE_FATAL = "venue_fatal"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReversed(Event):
    """A part of an inferred fill is taken back, since the real execution has come."""

    kind: ClassVar[str] = "fill_reversed"
    book: str
    symbol: str
    decision_id: str
    client_order_id: str
    fill_id: str
    sequence: int
    side: Side
    quantity: Decimal
    notional: Decimal
    fee_amount: Decimal

    def __post_init__(self) -> None:
        require_positive(self, "quantity")
        require_finite(self, "notional", "fee_amount")

    @property
    def key(self) -> str:
        """One record a fill and reversal."""
        return f"fill_reversed:{self.fill_id}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Event):
    """Somebody wants an order gone; it is gone when the venue says so."""

    kind: ClassVar[str] = "cancel_requested"
    book: str
    decision_id: str
    client_order_id: str
    number: int
    reason: str

    @property
    def key(self) -> str:
        """One record an order and request."""
        return f"cancel:{self.client_order_id}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRequested(Event):
    """An order shall end and another of the same intent follow; `quantity` is their sum."""

    kind: ClassVar[str] = "replace_requested"
    book: str
    decision_id: str
    client_order_id: str
    number: int
    quantity: Decimal
    limit_price: Decimal | None
    reason: str

    def __post_init__(self) -> None:
        require_positive(self, "quantity")

    @property
    def key(self) -> str:
        """One record an order and request."""
        return f"replace:{self.client_order_id}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRaised(Event):
    """Something happened that no rule of ours allows, and a person must know."""

    kind: ClassVar[str] = "alarm_raised"
    book: str
    alarm: Alarm
    subject: str
    symbol: str
    message: str

    @property
    def key(self) -> str:
        """One alarm a subject: it does not ring again for what it has said."""
        return f"alarm:{self.book}:{self.alarm}:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChanged(Event):
    """A breaker tripped, or a person reset it."""

    kind: ClassVar[str] = "breaker_changed"
    book: str
    breaker: Breaker
    is_tripped: bool
    reason: str
    changed_by: str
    sequence: int
    changed_at: dt.datetime | None = None

    def __post_init__(self) -> None:
        if self.changed_at is not None and self.changed_at.tzinfo is None:
            raise DataError(f"changed_at must be aware, was {self.changed_at}")

    @property
    def key(self) -> str:
        """One record a change: the sequence counts the changes of one breaker in one book."""
        return f"breaker:{self.book}:{self.breaker}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRecorded(Event):
    """Venue, ledger and strategies were compared, and what follows for sending.

    `held` names symbols that nothing is sent for, with the reason; the symbol `*` holds the book.
    """

    kind: ClassVar[str] = "reconciliation_recorded"
    book: str
    sequence: int
    is_readable: bool
    held: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Recorded when the outcome differs from the one before, so that a repeat adds nothing."""
        return f"reconciliation:{self.book}:{self.sequence}"
