"""The simulated venue keeps its own books right: conservation, fees, sessions, seeds."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.simulator.instruments import COINS, STOCKS, FeeTier, TradingHours
from apps.simulator.records import (
    RefusalKind,
    SimAccount,
    SimOrder,
    SimRequest,
    SimStatus,
    VenueRefusal,
)
from apps.simulator.server import Venue, VenueOptions
from quant.core.clock import SteppedClock
from quant.execution.broker import OrderKind, TimeInForce
from quant.execution.orders import Side

START = dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)  # a Monday


def venue(seed: int = 3, **options: object) -> Venue:
    return Venue(VenueOptions(seed=seed, **options), clock=SteppedClock(START))


def request(
    name: str, side: Side, quantity: str, limit: str | None = None, **more: object
) -> SimRequest:
    return SimRequest(
        client_id=name,
        symbol=more.pop("symbol", "BTCUSDT"),
        side=side,
        quantity=Decimal(quantity),
        kind=more.pop("kind", OrderKind.MARKET if limit is None else OrderKind.LIMIT),
        limit=None if limit is None else Decimal(limit),
        time_in_force=more.pop("tif", TimeInForce.IOC if limit is None else TimeInForce.GTC),
        **more,
    )


def wait(one: Venue, seconds: float) -> None:
    one.clock.step_to(one.clock.now() + dt.timedelta(seconds=seconds))
    one.exchange.advance()


def account(one: Venue, name: str = "binance") -> SimAccount:
    return one.exchange.accounts[name]


def test_a_buy_pays_its_fee_in_coin_and_a_sale_in_cash() -> None:
    """10 basis points of 1 BTC at about 60,000, by hand."""
    one = venue()
    bought = one.exchange.submit("binance", request("a", Side.BUY, "0.5"))
    assert account(one).balance("BTC") == Decimal("0.5") * Decimal("0.999")
    assert account(one).balance("USDT") == Decimal(1_000_000) - bought.cost
    cash = account(one).balance("USDT")
    sold = one.exchange.submit("binance", request("b", Side.SELL, "0.2"))
    assert account(one).balance("USDT") == cash + sold.cost * Decimal("0.999")


def test_more_volume_reaches_a_cheaper_tier() -> None:
    tiers = (
        FeeTier(volume_from=Decimal(0), maker_bps=Decimal(10), taker_bps=Decimal(10)),
        FeeTier(volume_from=Decimal(20_000), maker_bps=Decimal(1), taker_bps=Decimal(2)),
    )
    one = venue()
    account(one).fees = tiers
    one.exchange.submit("binance", request("a", Side.BUY, "0.4"))
    second = one.exchange.submit("binance", request("b", Side.BUY, "0.1"))
    assert second.fills[0].fee == Decimal("0.1") * Decimal("0.0002")


def test_a_large_order_walks_the_book_and_moves_the_price() -> None:
    """The price moves for good: compared with the same market in which nobody bought."""
    one, untouched = venue(), venue()
    before = one.exchange.markets["BTCUSDT"].book.best(Side.SELL)
    order = one.exchange.submit("binance", request("a", Side.BUY, "1.8"))
    prices = [fill.price for fill in order.fills]
    assert prices == sorted(prices)
    assert len(set(prices)) == 4
    assert prices[0] == before
    for each in (one, untouched):
        wait(each, 0.2)
    asks = [each.exchange.markets["BTCUSDT"].book.best(Side.SELL) for each in (one, untouched)]
    assert asks[0] > asks[1]


def test_a_stop_waits_until_the_price_has_reached_it() -> None:
    one = venue()
    last = one.exchange.markets["BTCUSDT"].last_price
    stop = request("a", Side.BUY, "0.1", kind=OrderKind.STOP, stop=last + 40)
    order = one.exchange.submit("binance", stop)
    assert order.status is SimStatus.HELD
    for _ in range(3000):
        if order.status is not SimStatus.HELD:
            break
        wait(one, 0.1)
    assert order.status is SimStatus.FILLED
    assert order.average >= last + 40 - 20


def test_a_closed_venue_holds_orders_until_the_bell_and_ends_those_of_the_day() -> None:
    hours = TradingHours(opens=dt.time(14, 30), closes=dt.time(21, 0))
    one = venue(instruments=tuple(replace(stock, hours=hours) for stock in STOCKS))
    one.clock.step_to(START + dt.timedelta(hours=10))
    held = one.exchange.submit(
        "alpaca", request("a", Side.BUY, "3", symbol="AAPL", tif=TimeInForce.DAY)
    )
    resting = one.exchange.submit(
        "alpaca", request("b", Side.BUY, "3", "100", symbol="AAPL", tif=TimeInForce.DAY)
    )
    assert held.status is SimStatus.HELD
    one.clock.step_to(dt.datetime(2026, 3, 3, 14, 31, tzinfo=dt.UTC))
    one.exchange.advance()
    assert (held.status, resting.status) == (SimStatus.FILLED, SimStatus.NEW)
    one.clock.step_to(dt.datetime(2026, 3, 3, 21, 0, tzinfo=dt.UTC))
    one.exchange.advance()
    assert resting.status is SimStatus.EXPIRED
    assert not account(one, "alpaca").open_ids


@pytest.mark.parametrize(("given_id", "kind"), [("a", RefusalKind.DUPLICATE_ID), ("b", None)])
def test_binance_takes_an_id_again_once_its_order_is_filled(
    given_id: str, kind: RefusalKind | None
) -> None:
    """Its documentation says so; Alpaca remembers an id for ever."""
    one = venue()
    one.exchange.submit("binance", request("a", Side.BUY, "0.01", "40000"))
    one.exchange.submit("binance", request("b", Side.BUY, "0.01"))
    if kind is None:
        one.exchange.submit("binance", request(given_id, Side.BUY, "0.01"))
        assert len(account(one).by_client_id["b"]) == 2
    else:
        with pytest.raises(VenueRefusal) as refused:
            one.exchange.submit("binance", request(given_id, Side.BUY, "0.01"))
        assert refused.value.kind is kind
    one.exchange.submit("alpaca", request("c", Side.BUY, "1", symbol="AAPL"))
    with pytest.raises(VenueRefusal):
        one.exchange.submit("alpaca", request("c", Side.BUY, "1", symbol="AAPL"))


def test_a_replacement_carries_what_was_filled_and_ends_the_old_order() -> None:
    one = venue()
    best = one.exchange.markets["AAPL"].book.best(Side.SELL)
    old = one.exchange.submit("alpaca", request("a", Side.BUY, "300", str(best), symbol="AAPL"))
    assert old.filled == 200
    new = one.exchange.replace(
        "alpaca", old.order_id, request("b", Side.BUY, "250", "150", symbol="AAPL")
    )
    assert old.status is SimStatus.REPLACED
    assert (new.replaces, old.replaced_by) == (old.order_id, new.order_id)
    assert old.filled + new.request.quantity == 250


STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(Side)),
        st.integers(1, 4000),
        st.one_of(st.none(), st.integers(-40, 40)),
        st.sampled_from([0.0, 0.1, 1.0]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 50))
def test_money_and_coins_are_conserved_whatever_is_sent(
    steps: list[tuple[Side, int, int | None, float, bool]], seed: int
) -> None:
    """Balances are the sum of fills and fees; nothing reserved stays behind; no book is crossed."""
    one = venue(seed)
    orders: list[SimOrder] = []
    kinds: set[RefusalKind] = set()
    for place, (side, thousandths, ticks, pause, is_canceled) in enumerate(steps):
        quantity = str(Decimal(thousandths) / 1000)
        last = one.exchange.markets["BTCUSDT"].last_price
        limit = None if ticks is None else str(last + ticks)
        try:
            order = one.exchange.submit("binance", request(f"o{place}", side, quantity, limit))
        except VenueRefusal as refused:
            kinds.add(refused.kind)
            continue
        orders.append(order)
        if is_canceled and order.is_open:
            one.exchange.cancel("binance", order.order_id)
        wait(one, pause)
        book = one.exchange.markets["BTCUSDT"].book
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid < ask
    assert kinds <= {RefusalKind.NO_FUNDS, RefusalKind.FILTER}
    held = account(one)
    cash, coins = Decimal(1_000_000), Decimal(0)
    for order in orders:
        assert order.filled == sum((f.quantity for f in order.fills), Decimal(0))
        assert order.filled <= order.request.quantity
        assert (order.left == 0) == (order.status is SimStatus.FILLED)
        assert order.is_open == (order.order_id in held.open_ids)
        for fill in order.fills:
            cash -= order.request.side.sign * fill.price * fill.quantity
            coins += order.request.side.sign * fill.quantity
            cash -= fill.fee if fill.fee_asset == "USDT" else 0
            coins -= fill.fee if fill.fee_asset == "BTC" else 0
            if order.request.limit is not None:
                assert (order.request.limit - fill.price) * order.request.side.sign >= 0
    assert (held.balance("USDT"), held.balance("BTC")) == (cash, coins)
    assert cash >= 0
    assert coins >= 0
    for order in held.open_orders():
        one.exchange.cancel("binance", order.order_id)
    assert held.free("USDT") == held.balance("USDT")


def test_the_same_seed_is_the_same_market() -> None:
    def story(seed: int) -> list[str]:
        one = venue(seed)
        told = []
        for place in range(40):
            side = Side.SELL if place % 3 == 2 else Side.BUY
            order = one.exchange.submit("binance", request(f"o{place}", side, "0.7"))
            wait(one, 0.3)
            told.append(str(order.average))
        return told

    assert story(5) == story(5)
    assert story(5) != story(6)


def test_every_instrument_lists_a_market_on_its_own_grid() -> None:
    one = venue()
    for instrument in (*STOCKS, *COINS):
        book = one.exchange.markets[instrument.symbol].book
        for side in Side:
            for price, _ in book.depth(side):
                assert price % instrument.rules.price_step == 0
