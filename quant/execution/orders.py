"""Intents, orders, fills and refusals: the values between a decision and money.

Belongs here: these values, each checked at construction. Does not belong here: the moves that an
order can make (`order_states`), how it is matched (`paper`), what it does to a book (`book`), or
where it is recorded (`resources.ledger`).
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from quant.core.errors import DataError
from quant.core.identity import HASH_LENGTH, client_order_id, content_hash
from quant.execution.order_states import LEGAL_MOVES, OPEN_STATES, OrderState, is_legal

__all__ = [
    "LEGAL_MOVES",
    "OPEN_STATES",
    "Fill",
    "Intent",
    "LedgerHead",
    "Order",
    "OrderState",
    "Refusal",
    "Side",
    "Traced",
    "execution_fill_id",
    "fill_id",
    "is_legal",
    "require_finite",
    "require_positive",
    "trace_of",
]


class Side(StrEnum):
    """The direction of a trade."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """What the side does to a position."""
        return 1 if self is Side.BUY else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """Where a record comes from: carried unchanged from the decision to its last fill."""

    decision_id: str
    book: str
    strategy: str
    symbol: str
    session: dt.date  # the session after which it was decided
    as_of: dt.datetime
    run_id: str
    snapshot_id: str
    code_version: str

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None:
            raise DataError(f"as_of of {self.decision_id} must be aware, was {self.as_of}")
        for name in ("decision_id", "book", "strategy", "symbol"):
            if not getattr(self, name):
                raise DataError(f"{type(self).__name__} needs a {name}")


def trace_of(record: Traced) -> dict[str, Any]:
    """The shared fields of `record`, to be handed to the next record of its life."""
    return {item.name: getattr(record, item.name) for item in fields(Traced)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """The last record that a decision could have seen."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(Traced):
    """What a strategy wants, and everything the wish was computed from; `quantity` is signed."""

    valid_session: dt.date  # the only session in which it may be sent
    quantity: Decimal
    target_weight: Decimal
    reference_price: Decimal
    equity: Decimal
    ledger_head: LedgerHead
    models: tuple[str, ...] = ()
    # Why the position must be left, whatever its signal says; empty for a signal's own wish.
    exit_reason: str = ""
    # Where the target's policy put the position, and what it did to its weight; empty for an exit.
    barbell_bucket: str = ""
    barbell_multiplier: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        # A slotted dataclass is rebuilt by its decorator, so the short form of super() would miss.
        Traced.__post_init__(self)
        require_finite(self, "quantity", "target_weight", "equity", "barbell_multiplier")
        require_positive(self, "reference_price")
        if self.quantity == 0:
            raise DataError(f"intent {self.decision_id} wants nothing: its quantity is zero")
        if self.valid_session <= self.session:
            raise DataError(
                f"intent {self.decision_id} must be valid after its session {self.session}, "
                f"was {self.valid_session}"
            )

    @property
    def side(self) -> Side:
        """The direction of the wish."""
        return Side.BUY if self.quantity > 0 else Side.SELL

    @property
    def client_order_id(self) -> str:
        """The one order this intent can become."""
        return client_order_id(book=self.book, decision=self.decision_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Traced):
    """What is sent; `client_order_id` makes sending it twice harmless."""

    client_order_id: str
    valid_session: dt.date
    side: Side
    quantity: Decimal
    reference_price: Decimal  # what it was decided at; an unresolved order is reserved at it
    # The price factor of splits between decision and session, by which the quantity was divided.
    split_ratio: str = "1/1"
    # None is an order at the market.
    limit_price: Decimal | None = None
    # Counts the orders of one intent: each replaces the one before, and they share its quantity.
    attempt: int = 0

    def __post_init__(self) -> None:
        Traced.__post_init__(self)
        require_positive(self, "quantity", "reference_price")
        if self.limit_price is not None:
            require_positive(self, "limit_price")

    @property
    def signed_quantity(self) -> Decimal:
        """What the order does to a position."""
        return self.side.sign * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Traced):
    """What was traded, and the raw row that gave the price. Amounts are in the book's currency."""

    fill_id: str
    client_order_id: str
    sequence: int
    side: Side
    quantity: Decimal
    price: Decimal
    notional: Decimal
    reference_price: Decimal
    price_row_hash: str
    event_time: dt.datetime
    spread_amount: Decimal
    slippage_amount: Decimal
    impact_amount: Decimal
    fee_amount: Decimal
    costs_hash: str
    # The venue's own name of the execution; a fill is inferred where the venue only tells a sum.
    execution_id: str = ""
    is_inferred: bool = False
    # What the venue kept of the asset itself: part of `fee_amount`, and never in the position.
    fee_quantity: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        Traced.__post_init__(self)
        require_positive(self, "quantity", "price", "reference_price")
        require_finite(self, "notional", "fee_amount", "fee_quantity")
        if self.event_time.tzinfo is None:
            raise DataError(f"event_time of {self.fill_id} must be aware, was {self.event_time}")
        if self.notional < 0 or self.fee_amount < 0 or self.fee_quantity < 0:
            raise DataError(f"fill {self.fill_id} has a negative notional or fee")
        if self.fee_quantity >= self.quantity:
            raise DataError(f"fill {self.fill_id} costs all that it trades")

    @property
    def change(self) -> Decimal:
        """What the position gains, or loses: a fee in kind never comes into it."""
        return self.side.sign * self.quantity - self.fee_quantity

    @property
    def paid(self) -> Decimal:
        """Money for the position itself: a fee in kind is part of the notional, and no cash."""
        in_kind = self.fee_amount if self.fee_quantity else Decimal(0)
        return self.side.sign * self.notional - in_kind

    @property
    def is_told(self) -> bool:
        """Whether a venue told it; otherwise the paper engine made it from a bar."""
        return bool(self.execution_id) or self.is_inferred


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal(Traced):
    """A gate said no: as much a result as a trade, and recorded like one."""

    gate: str
    reason: str
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def refusal_id(self) -> str:
        """One decision is refused once by one gate in one book."""
        identity = {"book": self.book, "decision": self.decision_id, "gate": self.gate}
        return "r-" + content_hash(identity)


def fill_id(*, order: str, sequence: int) -> str:
    """Deterministic, so that the same fill heard twice is one fill."""
    return "f-" + content_hash({"client_order_id": order, "sequence": sequence})


def execution_fill_id(*, order: str, execution: str) -> str:
    """The fill that an execution of a venue is: the same one however often it is heard."""
    return "f-" + hashlib.sha256(f"{order}\n{execution}".encode()).hexdigest()[:HASH_LENGTH]


def require_finite(record: object, *names: str) -> None:
    """Refuse NaN and infinity by field name: a NaN passes every limit it is compared with."""
    for name in names:
        value = getattr(record, name)
        if not value.is_finite():
            raise DataError(f"{type(record).__name__}.{name} must be finite, was {value}")


def require_positive(record: object, *names: str) -> None:
    """Refuse zero, negative and non-finite values by field name."""
    require_finite(record, *names)
    for name in names:
        if getattr(record, name) <= 0:
            kind = type(record).__name__
            raise DataError(f"{kind}.{name} must be positive, was {getattr(record, name)}")
