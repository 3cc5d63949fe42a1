"""Every call that the simulator serves, made by the real SDKs with their own strict models."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from resources.brokers.egress import no_egress
from tests.support.venue_rig import KEY, SECRET, Rig, rig


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    with no_egress() as watch:
        yield
    assert watch.attempts == []


@pytest.fixture
def alpaca() -> Iterator[tuple[Rig, Any]]:
    """The SDK as anybody uses it: its models, its own session."""
    from resources.brokers.alpaca import _import_quietly

    _import_quietly()
    from alpaca.trading.client import TradingClient

    with rig("alpaca") as world:
        yield world, TradingClient(KEY, SECRET, url_override=world.url)


def order(kind: str, name: str, **more: Any) -> Any:
    from alpaca.trading import requests

    form = getattr(requests, f"{kind}OrderRequest")
    told = {"symbol": "AAPL", "qty": 2, "side": "buy", "time_in_force": "gtc"}
    return form(client_order_id=name, **(told | more))


def test_the_life_of_orders_through_alpacas_models(alpaca: tuple[Rig, Any]) -> None:
    from alpaca.trading.requests import GetOrdersRequest, ReplaceOrderRequest

    world, client = alpaca
    filled = client.submit_order(order("Market", "a"))
    assert (filled.status.value, filled.filled_qty) == ("filled", "2.0")
    resting = client.submit_order(order("Limit", "b", limit_price=150))
    stop = client.submit_order(order("Stop", "c", stop_price=230))
    both = client.submit_order(order("StopLimit", "d", stop_price=230, limit_price=231))
    assert [o.status.value for o in (resting, stop, both)] == ["new", "accepted", "accepted"]
    assert client.get_order_by_id(resting.id).client_order_id == "b"
    assert client.get_order_by_client_id("c").id == stop.id
    assert {o.client_order_id for o in client.get_orders()} == {"b", "c", "d"}
    asked = GetOrdersRequest(status="closed", symbols=["AAPL"], limit=1)
    assert [o.client_order_id for o in client.get_orders(asked)] == ["a"]

    changed = ReplaceOrderRequest(qty=3, limit_price=151, client_order_id="b2")
    new = client.replace_order_by_id(resting.id, changed)
    assert (new.replaces, new.qty, new.limit_price) == (resting.id, "3", "151.0")
    old = client.get_order_by_id(resting.id)
    assert (old.status.value, old.replaced_by) == ("replaced", new.id)
    assert client.cancel_order_by_id(new.id) is None
    assert {row.status for row in client.cancel_orders()} == {200}
    assert client.get_orders() == []
    assert world.orders_named("a") == 1


def test_positions_account_clock_and_assets_through_alpacas_models(
    alpaca: tuple[Rig, Any],
) -> None:
    from alpaca.trading.requests import GetCalendarRequest

    _, client = alpaca
    client.submit_order(order("Market", "a"))
    client.submit_order(order("Market", "b", symbol="KO", side="sell"))
    sides = {p.symbol: (p.qty, p.side.value) for p in client.get_all_positions()}
    assert sides == {"AAPL": ("2.0", "long"), "KO": ("-2.0", "short")}
    assert client.get_open_position("AAPL").qty == "2.0"
    assert client.close_position("AAPL").side.value == "sell"
    assert [row.symbol for row in client.close_all_positions(cancel_orders=True)] == ["KO"]
    assert client.get_all_positions() == []

    account = client.get_account()
    assert Decimal(account.cash) == Decimal(account.equity)
    assert client.get("/account/configurations") == {"suspend_trade": False, "no_shorting": False}
    client.patch("/account/configurations", {"suspend_trade": True})
    assert client.get_account().trade_suspended_by_user
    assert client.get_clock().is_open
    days = client.get_calendar(
        GetCalendarRequest(start=dt.date(2026, 3, 6), end=dt.date(2026, 3, 9))
    )
    assert [day.date for day in days] == [dt.date(2026, 3, 6), dt.date(2026, 3, 9)]
    assert {asset.symbol for asset in client.get_all_assets()} == {"AAPL", "KO", "MSFT", "SPY"}
    assert client.get_asset("KO").fractionable


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/positions/AAPL", 404), ("/orders/none", 404), ("/assets/NOPE", 404)],
)
def test_what_is_not_there_is_an_error_with_a_code(
    alpaca: tuple[Rig, Any], path: str, status: int
) -> None:
    from alpaca.common.exceptions import APIError

    _, client = alpaca
    with pytest.raises(APIError) as caught:
        client.get(path)
    assert caught.value.status_code == status
    assert caught.value.code == 40410000


def test_every_call_of_binances_protocol_through_ccxt() -> None:
    with rig("binance") as world:
        exchange = world.broker._exchange
        assert exchange.fetch_time() > 0
        ticker = exchange.fetch_ticker("BTC/USDT")
        book = exchange.fetch_order_book("BTC/USDT")
        assert Decimal(ticker["bid"]) == Decimal(str(book["bids"][0][0]))
        assert len(book["asks"]) == world.market.instrument.levels
        named = {"clientOrderId": "pmx-1"}
        exchange.create_order("BTC/USDT", "limit", "buy", "0.1", "50000", {**named, "test": True})
        assert world.account.orders == {}
        exchange.create_order("BTC/USDT", "limit", "buy", "0.1", "50000", named)
        stop = exchange.create_order(
            "BTC/USDT", "limit", "buy", "0.1", "66000", {"triggerPrice": "65000"}
        )
        assert (stop["status"], stop["triggerPrice"]) == ("open", "65000")
        assert len(exchange.fetch_open_orders("BTC/USDT")) == 2
        exchange.cancel_all_orders("BTC/USDT")
        assert {o["status"] for o in exchange.fetch_orders("BTC/USDT")} == {"canceled"}
        assert exchange.fetch_balance()["free"]["USDT"] == "1000000"


def test_the_venues_own_limits_are_kept() -> None:
    """200 requests a minute at Alpaca; the 201st has to wait, and a minute later it goes."""
    from apps.simulator.faults import FaultFile
    from quant.execution.broker import RateLimitedError

    with rig("alpaca", faults=FaultFile(alpaca_requests_per_minute=5)) as world:
        for _ in range(5):
            world.broker.account()
        with pytest.raises(RateLimitedError) as caught:
            world.broker.account()
        assert caught.value.retry_after_s == 60
        world.clock.step_to(world.clock.now() + dt.timedelta(seconds=60))
        assert world.connect().account().can_trade
