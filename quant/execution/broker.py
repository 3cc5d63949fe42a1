"""The broker port: what execution may ask of a venue, and the few ways in which it can fail.

Belongs here: the protocol, the values that cross it (exact, frozen, checked), and the errors,
sorted by what the caller must do next. Does not belong here: any vendor's words or transport (the
adapters in `resources.brokers`), or what the answers do to a book (`book`).

    VenueError (core)
        VenueUnavailableError     nothing was changed: safe to ask again later
            RateLimitedError      wait `retry_after_s` first; when banned, send nothing at all
        OrderUnknownError         something may have been done: look up by id, never send again
        OrderRejectedError        a definite no: record the reason; the same order will not pass
        OrderNotFoundError        the venue does not know the id: believe it after a grace period
        VenueAuthError            the key is refused: halt this venue and tell a person

A read whose answer cannot be believed is `VenueUnavailableError`: the caller keeps what it knew.
An answer to a submit or cancel that cannot be believed is `OrderUnknownError`.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

from quant.core.errors import DataError, OrderUnknownError, VenueError, VenueUnavailableError
from quant.execution.orders import Order, OrderState, Side

__all__ = [
    "Broker",
    "Listing",
    "OrderKind",
    "OrderNotFoundError",
    "OrderRejectedError",
    "OrderTicket",
    "OrderUnknownError",
    "RateLimitedError",
    "TimeInForce",
    "UnreadableRow",
    "VenueAccount",
    "VenueAuthError",
    "VenueError",
    "VenueFill",
    "VenueOrder",
    "VenuePosition",
    "VenueUnavailableError",
    "ticket_of",
]

# Binance's limit, the strictest of the venues that we speak to.
CLIENT_ORDER_ID_LENGTH_MAX: Final = 36

RowT_co = TypeVar("RowT_co", covariant=True)


class RateLimitedError(VenueUnavailableError):
    """The venue counts our calls; nothing was done."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float,
        is_banned: bool = False,
        stops_reads_only: bool = False,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy or f"call again after {retry_after_s:.3g} s")
        self.retry_after_s = retry_after_s
        self.is_banned = is_banned
        # Our own budget keeps what is left for orders; the venue was not asked and said nothing.
        self.stops_reads_only = stops_reads_only


class OrderRejectedError(VenueError):
    """The venue, or a rule of the venue that we checked first, said no; nothing rests there."""

    usual_remedy = "change the order or leave it: the same one will not pass"

    def __init__(self, message: str, *, rule: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.rule = rule


class OrderNotFoundError(VenueError):
    """The venue does not know the order; right after a submit that proves nothing."""

    usual_remedy = "look again after the grace period; send nothing in its place before"


class VenueAuthError(VenueError):
    """The venue refuses the key, or the key may do more than trading needs."""

    usual_remedy = "check the key, its permissions and its IPs; nothing is sent until then"


class OrderKind(StrEnum):
    """How an order meets the market."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"

    @property
    def has_limit(self) -> bool:
        """Whether a limit price belongs to it."""
        return self in {OrderKind.LIMIT, OrderKind.STOP_LIMIT}

    @property
    def has_stop(self) -> bool:
        """Whether a stop price belongs to it."""
        return self in {OrderKind.STOP, OrderKind.STOP_LIMIT}


class TimeInForce(StrEnum):
    """How long an order may rest."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """What is sent. `client_order_id` is ours, deterministic, and never reused."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    kind: OrderKind = OrderKind.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    # What it was decided at: lets a venue's filters judge a market order before it is sent.
    reference_price: Decimal | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.client_order_id) <= CLIENT_ORDER_ID_LENGTH_MAX:
            raise DataError(
                f"client_order_id must have 1 to {CLIENT_ORDER_ID_LENGTH_MAX} characters, "
                f"had {len(self.client_order_id)}"
            )
        _positive("quantity", self.quantity)
        for name, price, wanted in (
            ("limit_price", self.limit_price, self.kind.has_limit),
            ("stop_price", self.stop_price, self.kind.has_stop),
        ):
            if (price is not None) != wanted:
                verb = "needs a" if wanted else "takes no"
                raise DataError(f"a {self.kind} order {verb} {name}, was {price}")
            if price is not None:
                _positive(name, price)
        if self.reference_price is not None:
            _positive("reference_price", self.reference_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue tells it; `state` is UNKNOWN when its word for it is new to us."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    state: OrderState
    average_price: Decimal | None = None
    reason: str = ""
    # True when a submit found the order at the venue instead of sending it.
    is_adopted: bool = False

    def __post_init__(self) -> None:
        _positive("quantity", self.quantity)
        _finite("filled_quantity", self.filled_quantity)
        if self.filled_quantity < 0:
            raise DataError(f"filled_quantity must not be negative, was {self.filled_quantity}")
        if self.average_price is not None:
            _positive("average_price", self.average_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """One execution; `execution_id` is the venue's and tells a fill heard twice."""

    execution_id: str
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    # None when the venue tells fees elsewhere; never zero for not knowing.
    fee_amount: Decimal | None
    fee_currency: str
    event_time: dt.datetime

    def __post_init__(self) -> None:
        _positive("quantity", self.quantity)
        _positive("price", self.price)
        if self.fee_amount is not None:
            _finite("fee_amount", self.fee_amount)
        if self.event_time.tzinfo is None:
            raise DataError(f"event_time of fill {self.execution_id} must be aware")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """What the venue holds for us; short is negative."""

    symbol: str
    quantity: Decimal
    average_price: Decimal | None = None

    def __post_init__(self) -> None:
        _finite("quantity", self.quantity)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAccount:
    """The account behind the key. None means that the venue does not say, never zero."""

    account_id: str
    currency: str
    cash: Decimal
    equity: Decimal | None
    buying_power: Decimal | None
    can_trade: bool

    def __post_init__(self) -> None:
        _finite("cash", self.cash)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row that could not be read: kept and reported, so that it cannot hide the others."""

    what: str
    reason: str
    client_order_id: str = ""


# Without slots: a frozen generic with slots cannot be built as Listing[int](...) in Python 3.11.
@dataclass(frozen=True, kw_only=True)
class Listing(Generic[RowT_co]):
    """Every row that the venue has (all pages), and those that could not be read."""

    rows: tuple[RowT_co, ...]
    unreadable: tuple[UnreadableRow, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether absence from `rows` means absence at the venue."""
        return not self.unreadable


class Broker(Protocol):
    """A venue that accepts at most one order per `client_order_id`."""

    @property
    def name(self) -> str:
        """The venue and environment, such as alpaca-paper."""
        ...

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        """Hand the order over once; an id that was tried before is looked up, not sent.

        After a restart the adapter has forgotten what it tried: call `find` first. Raises
        `OrderUnknownError` when the outcome is open, `OrderRejectedError` when it is a definite no.
        """
        ...

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """Ask for the order's end and return what the venue then says, which may be a fill."""
        ...

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """The order by our id; `OrderNotFoundError` when the venue does not know it."""
        ...

    def open_orders(self) -> Listing[VenueOrder]:
        """Every order that can still trade, those of other people included."""
        ...

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        """Every execution at or after `moment`, oldest first."""
        ...

    def positions(self) -> Listing[VenuePosition]:
        """Everything held; absence means flat only when the listing is whole."""
        ...

    def account(self) -> VenueAccount:
        """Cash and permissions."""
        ...

    def is_open(self) -> bool | None:
        """Whether it trades now, by its own clock; None where it has none to ask."""
        ...


def ticket_of(order: Order, time_in_force: TimeInForce = TimeInForce.DAY) -> OrderTicket:
    """An order of the ledger, as it is sent."""
    return OrderTicket(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        kind=OrderKind.MARKET if order.limit_price is None else OrderKind.LIMIT,
        limit_price=order.limit_price,
        time_in_force=time_in_force,
        reference_price=order.reference_price,
    )


def _finite(name: str, value: Decimal) -> None:
    if not value.is_finite():
        raise DataError(f"{name} must be finite, was {value}")


def _positive(name: str, value: Decimal) -> None:
    _finite(name, value)
    if value <= 0:
        raise DataError(f"{name} must be positive, was {value}")
