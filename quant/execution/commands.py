"""What an order manager asks of the world: commands, the step that carries them, and its timing.

Belongs here: values only. Does not belong here: when a command is made (`manager`) or how it is
carried out (`apps.trader.order_desk`, or a simulated world).
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from quant.core.policy import Policy
from quant.execution.book import BookPolicy
from quant.execution.broker import OrderTicket, TimeInForce, ticket_of
from quant.execution.event_base import Event
from quant.execution.gates import CostsOf
from quant.execution.limits import NO_LIMITS, LimitData, TradeLimitsPolicy
from quant.execution.orders import Order
from quant.execution.venue_rules import VenueRules


class ManagerPolicy(Policy):
    """When the manager asks again, and when it believes an absence; all in seconds."""

    # A request that got no answer for so long is unknown.
    answer_timeout_s: float = 10.0
    # Venues were seen to need up to 30 s before a new order can be found, and a request may be on
    # its way for its receive window; within this time "not found" proves nothing.
    grace_s: float = 90.0
    lookup_every_s: float = 5.0
    # A stream may be silent while its socket is open: open orders are asked for so often.
    poll_every_s: float = 60.0
    snapshot_every_s: float = 300.0
    # A sum that the venue tells waits so long for the executions that explain it.
    infer_after_s: float = 5.0
    not_found_min: int = 2
    sends_max: int = 3
    # A venue without a trading day refuses orders for the day: there they rest until they are
    # cancelled, which the end of the session does.
    time_in_force: TimeInForce = TimeInForce.DAY
    auth_failures_max: int = 2
    cash_tolerance: Decimal | None = None
    # What a fill is charged when the venue does not say: never zero for not knowing.
    untold_fee_bps: Decimal = Decimal(10)


@dataclass(frozen=True, slots=True)
class Send:
    """Hand this order to the venue; `number` counts its sendings."""

    order: Order
    number: int
    time_in_force: TimeInForce = TimeInForce.DAY

    @property
    def ticket(self) -> OrderTicket:
        """The order in the words of the broker port."""
        return ticket_of(self.order, self.time_in_force)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to end an order."""

    client_order_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Find:
    """Look an order up by its id."""

    client_order_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class ReadFills:
    """Read executions at or after `since`."""

    since: dt.datetime


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Read the whole account, and executions since `fills_since` where an order can have any."""

    fills_since: dt.datetime | None


Command = Send | Cancel | Find | ReadFills | TakeSnapshot


@dataclass(slots=True)
class Step:
    """What to record, all in one commit, and what to do when that is on disk."""

    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the gates need that no event tells."""

    book_policy: BookPolicy
    costs_of: CostsOf
    rules_of: Callable[[str], VenueRules] | None = None
    limits: TradeLimitsPolicy = NO_LIMITS
    limit_data: LimitData | None = None
    splits: Mapping[str, Fraction] = field(default_factory=dict)
    price_collar_bps: Decimal | None = None
