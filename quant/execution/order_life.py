"""One order's life as the events tell it: state, fills, what may still happen at worst.

Belongs here: the fold of one order's events. Does not belong here: deciding what to record
(`manager`), or when anything was asked of a venue (that is no fact of the ledger).
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from quant.execution.broker_events import FillReversed, ReplaceRequested
from quant.execution.events import OrderStateChanged
from quant.execution.order_states import OPEN_STATES, OrderState
from quant.execution.orders import Fill, Order

ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Inferred:
    """The part of an inferred fill that no real execution has explained yet."""

    fill_id: str
    quantity: Decimal
    notional: Decimal
    fee: Decimal
    reversals: int = 0


@dataclass(slots=True)
class OrderLife:
    """An order, and everything that was recorded about it."""

    order: Order
    state: OrderState = OrderState.SENT
    moves: int = 0
    sends: int = 1
    fills: int = 0
    venue_order_id: str = ""
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    fees: Decimal = ZERO
    executions: set[str] = field(default_factory=set)
    inferred: list[Inferred] = field(default_factory=list)
    cancels: int = 0
    replacements: int = 0
    replacement: ReplaceRequested | None = None

    @property
    def is_open(self) -> bool:
        """Whether the venue may still act on it."""
        return self.state in OPEN_STATES

    @property
    def rest(self) -> Decimal:
        """What may still be filled at worst; nothing once it has ended."""
        return max(ZERO, self.order.quantity - self.filled) if self.is_open else ZERO

    @property
    def signed_rest(self) -> Decimal:
        """What the rest would do to a position."""
        return self.order.side.sign * self.rest

    @property
    def inferred_quantity(self) -> Decimal:
        """Filled, as far as only the venue's sum says so."""
        return sum((one.quantity for one in self.inferred), start=ZERO)

    def move(self, event: OrderStateChanged) -> None:
        """It changed its state."""
        self.state = event.after
        self.moves = event.sequence
        self.venue_order_id = event.venue_order_id or self.venue_order_id
        if event.after is OrderState.SENT:
            self.sends += 1

    def fill(self, fill: Fill) -> None:
        """It traded."""
        self.fills += 1
        self.filled += fill.quantity
        self.notional += fill.notional
        self.fees += fill.fee_amount
        if fill.is_inferred:
            self.inferred.append(
                Inferred(
                    fill_id=fill.fill_id,
                    quantity=fill.quantity,
                    notional=fill.notional,
                    fee=fill.fee_amount,
                )
            )
        elif fill.execution_id:
            self.executions.add(fill.execution_id)

    def reverse(self, event: FillReversed) -> None:
        """A part of what was inferred is taken back."""
        self.filled -= event.quantity
        self.notional -= event.notional
        self.fees -= event.fee_amount
        for one in self.inferred:
            if one.fill_id == event.fill_id:
                one.quantity -= event.quantity
                one.notional -= event.notional
                one.fee -= event.fee_amount
                one.reversals = event.sequence
        self.inferred = [one for one in self.inferred if one.quantity > 0]
