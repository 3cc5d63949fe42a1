"""What execution needs from a venue: one port, what it answers, and what can go wrong.

Belongs here: the protocol that every broker fulfils, its answers as values, and the one table from
errors to what the caller does next. Does not belong here: any vendor's words.

An adapter raises the `VenueError` whose class says what to do. Whatever it cannot read is unknown:
an answer without an id, or with another client id than was sent, is `OrderUnknownError` and never
an order that was not filled. SDKs' own retries are off, since a re-sent order can be a second one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from quant.core.errors import (
    OrderDuplicateError,
    OrderRejectedError,
    OrderUnknownError,
    VenueAuthError,
    VenueError,
    VenueFatalError,
    VenueRateLimitedError,
    VenueUnavailableError,
)
from quant.execution.order_states import OrderState
from quant.execution.orders import Order, Side


class Trouble(StrEnum):
    """Why a call to a venue brought no answer, by what the caller does next."""

    NOTHING_SENT = "nothing_sent"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    FATAL = "fatal"


# Most special first; a venue's error of no known kind may have done anything, so it is unknown.
TROUBLES: Final[Mapping[type[VenueError], Trouble]] = {
    VenueUnavailableError: Trouble.NOTHING_SENT,
    OrderUnknownError: Trouble.UNKNOWN,
    OrderDuplicateError: Trouble.DUPLICATE,
    OrderRejectedError: Trouble.REJECTED,
    VenueRateLimitedError: Trouble.RATE_LIMITED,
    VenueAuthError: Trouble.AUTH,
    VenueFatalError: Trouble.FATAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that brought no answer."""

    trouble: Trouble
    reason: str = ""
    retry_after_s: float = 0.0
    is_ban: bool = False


def failure_of(error: Exception) -> Failure:
    """What `error` asks of the caller; what nobody classified counts as unknown."""
    kinds = (trouble for kind, trouble in TROUBLES.items() if isinstance(error, kind))
    return Failure(
        trouble=next(kinds, Trouble.UNKNOWN),
        reason=str(error),
        retry_after_s=getattr(error, "retry_after_s", 0.0),
        is_ban=getattr(error, "is_ban", False),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One trade of an order, as the venue tells it; `execution_id` makes it one."""

    execution_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee_amount: Decimal
    event_time: dt.datetime

    def is_believable(self) -> bool:
        """Whether its numbers can be money: finite and positive, and a fee that is no gift."""
        numbers = (self.quantity, self.price, self.fee_amount)
        if not all(one.is_finite() for one in numbers):
            return False
        return self.quantity > 0 and self.price > 0 and self.fee_amount >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as the venue has it. `filled_quantity` is its sum, of which `executions` may lack
    some; `filled_notional` and `fee_amount` are sums too, where the venue tells them."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    state: OrderState
    filled_quantity: Decimal
    event_time: dt.datetime
    filled_notional: Decimal | None = None
    fee_amount: Decimal | None = None
    executions: tuple[Execution, ...] = ()
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the venue may still fill it."""
        return self.state in {OrderState.WORKING, OrderState.PARTIAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSnapshot:
    """The account as the venue tells it; None is what could not be read, and never nothing.

    `orders` are all open ones and every one of today; a page that came back full is not the end,
    so an adapter pages until the venue says so. `quarantined` names rows that could not be read.
    """

    orders: tuple[OrderReport, ...] | None
    positions: Mapping[str, Decimal] | None
    cash: Decimal | None = None
    quarantined: tuple[str, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether every part came and every row could be read."""
        return self.orders is not None and self.positions is not None and not self.quarantined


UNREADABLE: Final = VenueSnapshot(orders=None, positions=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """What a venue asks of an order's numbers, per symbol; None asks nothing."""

    price_tick: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    min_notional: Decimal | None = None
    # A limit price may lie at most so far from the reference, as factors of it.
    percent_price_up: Decimal | None = None
    percent_price_down: Decimal | None = None
    # Some venues let the rest of a position be sold below their minimum.
    closing_is_exempt: bool = False


class Broker(Protocol):
    """Accepts an order at most once per `client_order_id`, as far as the venue lets it."""

    name: str

    def submit(self, order: Order) -> OrderReport:
        """Hand the order over; the report echoes its id."""
        ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for its end; that this returns does not mean that it ended."""
        ...

    def find(self, client_order_id: str) -> OrderReport | None:
        """Look among open orders, closed ones and executions; None where the venue has none."""
        ...

    def snapshot(self) -> VenueSnapshot:
        """The whole account."""
        ...

    def rules(self, symbol: str) -> VenueRules:
        """What the venue asks of orders in `symbol`."""
        ...
