"""Orders, fills and accounts as the simulated venue keeps them: the judge's own books.

Belongs here: the records and their arithmetic. Does not belong here: matching or rules (`exchange`)
or any protocol's words for them.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from apps.simulator.instruments import FeeTier
from quant.execution.broker import OrderKind, TimeInForce
from quant.execution.orders import Side

ZERO = Decimal(0)


class SimStatus(StrEnum):
    """Where an order is at the venue."""

    HELD = "held"  # accepted, but not in the book: closed, halted, or a stop that waits
    NEW = "new"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"


OPEN = frozenset({SimStatus.HELD, SimStatus.NEW, SimStatus.PARTIAL})


class IdRule(StrEnum):
    """How long a venue refuses an id that it has seen."""

    FOR_EVER = "for_ever"  # Alpaca
    WHILE_OPEN = "while_open"  # Binance: a filled order's id may be used again
    NEVER = "never"  # cTrader carries ids, and nothing says that it looks at them

    def forbids(self, *, is_open: bool) -> bool:
        """Whether a second order may not bear the id of one that is open, or no longer is."""
        return self is IdRule.FOR_EVER or (self is IdRule.WHILE_OPEN and is_open)


class RefusalKind(StrEnum):
    """Why the venue says no; each protocol has its own words."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    DUPLICATE_ID = "duplicate_id"
    NO_FUNDS = "no_funds"
    FILTER = "filter"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    NOT_CANCELABLE = "not_cancelable"
    SUSPENDED = "suspended"


class VenueRefusal(Exception):  # noqa: N818 - an answer of the venue, not an error of ours
    """The venue refuses a request."""

    def __init__(self, kind: RefusalKind, message: str, *, rule: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SimRequest:
    """An order as a client asks for it."""

    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    kind: OrderKind = OrderKind.MARKET
    limit: Decimal | None = None
    stop: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class SimFill:
    """One execution on a client's order."""

    execution_id: int
    order_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time: dt.datetime
    position_after: Decimal
    cumulative: Decimal


@dataclass(slots=True, kw_only=True)
class SimOrder:
    """A client's order; changes as it trades."""

    order_id: int
    account: str
    request: SimRequest
    created_at: dt.datetime
    updated_at: dt.datetime
    status: SimStatus = SimStatus.NEW
    is_triggered: bool = True
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    # Funds that the account cannot use while the order is open: (asset, amount).
    reserved: tuple[str, Decimal] = ("", ZERO)
    fills: list[SimFill] = field(default_factory=list)
    replaces: int | None = None
    replaced_by: int | None = None

    @property
    def left(self) -> Decimal:
        """What is still wanted."""
        return self.request.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.status in OPEN

    @property
    def average(self) -> Decimal | None:
        """The mean price of its fills."""
        return self.cost / self.filled if self.filled else None


@dataclass(slots=True, kw_only=True)
class SimAccount:
    """One client of the venue."""

    name: str
    cash_asset: str
    fees: Sequence[FeeTier]
    balances: dict[str, Decimal]
    can_short: bool
    id_rule: IdRule
    # Alpaca goes on working a market order that the book could not fill; Binance expires the rest.
    works_market_orders: bool
    is_suspended: bool = False
    volume: Decimal = ZERO
    entry_costs: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[int, SimOrder] = field(default_factory=dict)
    by_client_id: dict[str, list[int]] = field(default_factory=dict)
    fills: list[SimFill] = field(default_factory=list)
    open_ids: dict[int, None] = field(default_factory=dict)

    def balance(self, asset: str) -> Decimal:
        """What is held, reserved parts included."""
        return self.balances.get(asset, ZERO)

    def reserved(self, asset: str) -> Decimal:
        """What open orders hold back of `asset`."""
        held = (self.orders[one].reserved for one in self.open_ids)
        return sum((amount for name, amount in held if name == asset), ZERO)

    def free(self, asset: str) -> Decimal:
        """What a new order may use."""
        return self.balance(asset) - self.reserved(asset)

    def fee_tier(self) -> FeeTier:
        """The tier of the volume traded so far."""
        return [tier for tier in self.fees if tier.volume_from <= self.volume][-1]

    def open_orders(self) -> list[SimOrder]:
        """Orders that can still trade, the oldest first."""
        return [self.orders[one] for one in self.open_ids]

    def find_by_client_id(self, client_id: str) -> SimOrder | None:
        """The latest order of that id."""
        ids = self.by_client_id.get(client_id)
        return self.orders[ids[-1]] if ids else None
