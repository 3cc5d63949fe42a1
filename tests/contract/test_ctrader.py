"""What cTrader alone does: logins, a refresh token that works once, netting, numbered states."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from apps.simulator.faults import Fault
from quant.core.errors import OrderUnknownError, UsageError, VenueUnavailableError
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
    VenuePosition,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials
from resources.brokers.ctrader import CTraderBroker, CTraderOptions, _net
from resources.brokers.ctrader_wire import CTraderError, Tokens, meaning
from resources.brokers.egress import no_egress
from tests.loopback import refusing_address
from tests.support.venue_rig import Rig, rig


@pytest.fixture
def world() -> Iterator[Rig]:
    with no_egress() as watch, rig("ctrader") as made:
        yield made
    assert watch.attempts == []


def test_a_stale_access_token_is_refreshed_and_the_new_ones_are_kept(world: Rig) -> None:
    """The refresh token works once: whoever does not keep the new one is locked out."""
    world.venue.ctrader.access_token = "access-of-tomorrow"
    world.broker._wire._tokens = Tokens("access-of-yesterday", "refresh-1")
    assert world.broker.account().can_trade
    assert [(t.access, t.refresh) for t in world.saved] == [("access-2", "refresh-2")]
    assert "access" not in repr(world.saved).replace("Tokens", "")
    world.broker.close()
    assert world.broker.account().can_trade
    assert world.venue.ctrader.refreshes == 1


def test_a_refresh_token_that_was_used_already_is_an_auth_error(world: Rig) -> None:
    world.broker._wire._tokens = Tokens("stale", "used-already")
    with pytest.raises(VenueAuthError, match="used already"):
        world.broker.account()
    assert world.saved == []


def test_an_id_that_the_venue_would_take_twice_is_looked_up_before_the_first_send(
    world: Rig,
) -> None:
    """Nothing says that cTrader looks at ids, so a restart must not send what is there."""
    world.broker.submit(world.market_order("pmx-1"))
    world.connect()
    assert world.broker.submit(world.market_order("pmx-1")).is_adopted
    assert world.orders_named("pmx-1") == 1


def test_a_connection_that_was_closed_is_opened_again(world: Rig) -> None:
    world.broker.account()
    world.broker._wire._spoke_at -= 60
    assert world.broker.account().can_trade


def test_a_venue_that_nobody_serves_is_unavailable(world: Rig) -> None:
    broker = CTraderBroker(
        Credentials("a", "b"),
        Tokens("c", "d"),
        world.saved.append,
        CTraderOptions(account_id=1, environment=Environment.SIMULATED, url=refusing_address()),
    )
    with pytest.raises(VenueUnavailableError, match="cannot be reached"):
        broker.account()


def test_a_live_address_is_not_taken_from_a_url() -> None:
    with pytest.raises(UsageError, match="its own address"):
        CTraderBroker(
            Credentials("a", "b"),
            Tokens("c", "d"),
            [].append,
            CTraderOptions(account_id=1, url="http://127.0.0.1:1"),
        )


def test_a_lost_cancel_is_unknown_and_the_order_tells_what_became_of_it(world: Rig) -> None:
    world.broker.submit(world.resting("pmx-1"))
    world.venue.plan.add(Fault.ACK_LOST, on=("cancel",), times_max=1)
    with pytest.raises(OrderUnknownError):
        world.broker.cancel("pmx-1", symbol="EURUSD")
    assert world.broker.find("pmx-1", symbol="EURUSD").state is OrderState.CANCELED


def test_a_short_position_is_negative_and_fills_say_the_deal(world: Rig) -> None:
    start = world.clock.now()
    world.broker.submit(world.market_order("pmx-1", "0.2", side=Side.SELL))
    assert [p.quantity for p in world.broker.positions().rows] == [Decimal(-20_000)]
    (fill,) = world.broker.fills_since(start).rows
    assert (fill.side, fill.fee_amount, fill.fee_currency) == (Side.SELL, 0, "USD")


@pytest.mark.parametrize(
    ("first", "second", "total", "price"),
    [
        (("3", "1.1"), ("1", "1.5"), "4", "1.2"),
        (("-3", "1.1"), ("-1", "1.5"), "-4", "1.2"),
        # A hedge has no mean price that would mean anything.
        (("3", "1.1"), ("-1", "1.5"), "2", None),
        (("3", "1.1"), ("-3", "1.5"), "0", None),
    ],
)
def test_hedged_positions_are_netted(
    first: tuple[str, str], second: tuple[str, str], total: str, price: str | None
) -> None:
    one, other = (
        VenuePosition(symbol="EURUSD", quantity=Decimal(q), average_price=Decimal(p))
        for q, p in (first, second)
    )
    netted = _net(one, other)
    assert netted.quantity == Decimal(total)
    assert netted.average_price == (None if price is None else Decimal(price))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"orderStatus": 9}, OrderState.UNKNOWN),
        ({"orderStatus": 1, "executedVolume": 100}, OrderState.PARTIAL),
        ({"orderStatus": 3}, OrderState.REJECTED),
        ({"orderStatus": 4}, OrderState.EXPIRED),
    ],
)
def test_numbered_states_are_read_and_new_ones_are_unknown(
    world: Rig, change: dict[str, Any], state: OrderState
) -> None:
    world.broker.submit(world.resting("pmx-1"))
    row = world.venue.ctrader.order_json(world.account.find_by_client_id("pmx-1"))
    row = json.loads(json.dumps(row | change | {"executionPrice": 1.1}), parse_float=Decimal)
    assert world.broker._order(row).state is state


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("CH_CLIENT_AUTH_FAILURE", VenueAuthError),
        ("REQUEST_FREQUENCY_EXCEEDED", RateLimitedError),
        ("SERVER_IS_UNDER_MAINTENANCE", VenueUnavailableError),
        ("ORDER_NOT_FOUND", OrderNotFoundError),
        ("MARKET_CLOSED", OrderRejectedError),
        ("SOMETHING_NEW", OrderRejectedError),
    ],
)
def test_what_ctraders_codes_mean(code: str, kind: type[Exception]) -> None:
    assert type(meaning(CTraderError(code, "words"))) is kind
