"""What every broker adapter must do, driven through its real SDK against the simulated venue.

The venue's own books are the judge of what was really ordered. Nothing may leave loopback.
"""

import datetime as dt
import logging
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from apps.simulator.faults import Fault
from quant.core.errors import OrderUnknownError, PmxError, VenueUnavailableError
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
)
from quant.execution.orders import OrderState, Side
from resources.brokers.egress import no_egress
from tests.support.venue_rig import ADAPTERS, Rig, rig

# What the venue does before it goes wrong: it has the order, and we do not know.
AMBIGUOUS = (
    (Fault.ACK_LOST, {}),
    (Fault.ERROR_AFTER, {"status": 504}),
    (Fault.ERROR_AFTER, {"status": 500, "code": -1006}),
    (Fault.ERROR_AFTER, {"status": 502}),
    (Fault.ERROR_AFTER, {"status": 503, "code": -1008}),
    (Fault.PAGE, {}),
    (Fault.EMPTY, {}),
    (Fault.TRUNCATED, {}),
    (Fault.CUT, {}),
    (Fault.EMPTY_OBJECT, {}),
    (Fault.EMPTY_LIST, {}),
    (Fault.NULL_FIELD, {}),
    (Fault.NAN_FIELD, {}),
)
BELIEVABLE = (Fault.ANSWER_DOUBLED, Fault.EXTRA_FIELD, Fault.DELAY)
UNBELIEVABLE = (Fault.PAGE, Fault.EMPTY, Fault.TRUNCATED, Fault.CUT, Fault.EMPTY_OBJECT)


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Nothing even tries to leave this machine."""
    with no_egress() as watch:
        yield
    assert watch.attempts == []


@pytest.fixture(params=ADAPTERS)
def world(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig(request.param) as made:
        yield made


def test_an_order_is_submitted_once_and_filled(world: Rig) -> None:
    order = world.broker.submit(world.market_order("pmx-1"))
    assert (order.client_order_id, order.state) == ("pmx-1", OrderState.FILLED)
    half = Decimal("0.5") * world.scale
    assert (order.quantity, order.filled_quantity) == (half, half)
    assert order.average_price == world.account.find_by_client_id("pmx-1").average
    assert not order.is_adopted
    assert world.orders_named("pmx-1") == 1


def test_submitting_again_adopts_what_is_there_also_when_it_has_filled(world: Rig) -> None:
    """Binance would take a used id again; the adapter looks before it sends."""
    first = world.broker.submit(world.market_order("pmx-1"))
    again = world.broker.submit(world.market_order("pmx-1"))
    assert again.is_adopted
    assert again.venue_order_id == first.venue_order_id
    assert world.orders_named("pmx-1") == 1


def test_after_a_restart_an_open_order_of_the_same_id_is_adopted(world: Rig) -> None:
    """A fresh adapter remembers nothing; the venue's "duplicate" is an order found, not a no."""
    world.broker.submit(world.resting("pmx-1"))
    world.connect()
    again = world.broker.submit(world.resting("pmx-1"))
    assert again.is_adopted
    assert again.state is OrderState.WORKING
    assert world.orders_named("pmx-1") == 1


def test_an_id_that_stands_for_another_order_is_refused(world: Rig) -> None:
    world.broker.submit(world.market_order("pmx-1", "0.5"))
    with pytest.raises(OrderRejectedError, match="another order"):
        world.broker.submit(world.market_order("pmx-1", "0.25"))


def test_an_order_larger_than_what_is_offered_fills_in_part_and_goes_on(world: Rig) -> None:
    """The first level holds one size; the rest waits, and time brings it."""
    market = world.market
    size = market.instrument.level_size
    best = market.book.best(Side.SELL)
    order = world.broker.submit(world.limit_order("pmx-1", str(size * 2 / world.scale), best))
    assert (order.state, order.filled_quantity) == (OrderState.PARTIAL, size)
    assert [o.client_order_id for o in world.broker.open_orders().rows] == ["pmx-1"]
    told = world.broker.find("pmx-1", symbol=world.symbol)
    assert told.filled_quantity == size
    canceled = world.broker.cancel("pmx-1", symbol=world.symbol)
    assert (canceled.state, canceled.filled_quantity) == (OrderState.CANCELED, size)


def test_a_resting_order_is_listed_found_and_canceled(world: Rig) -> None:
    order = world.broker.submit(world.resting("pmx-1"))
    assert order.state is OrderState.WORKING
    listed = world.broker.open_orders()
    assert listed.is_whole
    assert [o.client_order_id for o in listed.rows] == ["pmx-1"]
    assert world.broker.cancel("pmx-1", symbol=world.symbol).state is OrderState.CANCELED
    assert world.broker.open_orders().rows == ()


def test_canceling_twice_tells_the_end_and_is_no_error(world: Rig) -> None:
    world.broker.submit(world.resting("pmx-1"))
    for _ in range(2):
        assert world.broker.cancel("pmx-1", symbol=world.symbol).state is OrderState.CANCELED


def test_a_cancel_that_a_fill_overtakes_tells_the_fill(world: Rig) -> None:
    """The venue's refusal to cancel leads to a question, never to a second order."""
    world.broker.submit(world.resting("pmx-1"))
    world.venue.plan.add(Fault.FILL_ON_CANCEL, on=("cancel",))
    assert world.broker.cancel("pmx-1", symbol=world.symbol).state is OrderState.FILLED
    assert world.orders_named("pmx-1") == 1


@pytest.mark.parametrize(("fault", "settings"), AMBIGUOUS)
def test_an_ambiguous_answer_is_unknown_then_found_and_never_a_second_order(
    world: Rig, fault: Fault, settings: dict[str, int]
) -> None:
    """Both ways: the order has filled before anybody looks, and it rests."""
    if not world.has(fault) or (fault is Fault.NULL_FIELD and world.adapter == "ctrader"):
        pytest.skip("a message of this protocol cannot go wrong like that")
    world.venue.plan.add(fault, on=("submit",), **settings)
    # ccxt works a filled order's missing quantity out from its fills, which is sound.
    filled = world.market_order("pmx-1") if fault is not Fault.NULL_FIELD else None
    tickets = [one for one in (filled, world.resting("pmx-2")) if one is not None]
    for ticket in tickets:
        with pytest.raises(OrderUnknownError):
            world.broker.submit(ticket)
    assert world.venue.plan.struck[fault] == len(tickets)
    for ticket in tickets:
        name = ticket.client_order_id
        state = OrderState.FILLED if name == "pmx-1" else OrderState.WORKING
        assert world.broker.find(name, symbol=world.symbol).state is state
        assert world.broker.submit(ticket).is_adopted
        assert world.orders_named(name) == 1


@pytest.mark.parametrize("fault", [Fault.ACK_LOST, Fault.PAGE, Fault.TRUNCATED, Fault.CUT])
def test_a_cancel_without_an_answer_is_unknown_and_the_order_tells_its_end(
    world: Rig, fault: Fault
) -> None:
    """Alpaca answers a cancel with nothing at all, so only what a status says can be believed."""
    if world.adapter == "alpaca" and fault in {Fault.TRUNCATED, Fault.CUT}:
        pytest.skip("an empty answer has no half")
    world.broker.submit(world.resting("pmx-1"))
    world.venue.plan.add(fault, on=("cancel",), times_max=1)
    with pytest.raises(OrderUnknownError):
        world.broker.cancel("pmx-1", symbol=world.symbol)
    assert world.broker.find("pmx-1", symbol=world.symbol).state is OrderState.CANCELED
    assert world.broker.cancel("pmx-1", symbol=world.symbol).state is OrderState.CANCELED


@pytest.mark.parametrize("fault", UNBELIEVABLE)
def test_a_question_without_a_believable_answer_is_not_a_not_found(
    world: Rig, fault: Fault
) -> None:
    """Only the venue's own word makes an order unknown to it."""
    world.broker.submit(world.market_order("pmx-1"))
    world.venue.plan.add(fault, on=("query", "list"))
    with pytest.raises(VenueUnavailableError):
        world.broker.find("pmx-1", symbol=world.symbol)
    with pytest.raises(OrderUnknownError):
        world.broker.submit(world.market_order("pmx-1"))
    assert world.orders_named("pmx-1") == 1


def test_a_venue_that_says_nothing_is_unknown_within_the_time_limit(world: Rig) -> None:
    world.connect(read_timeout_s=1.0)
    world.venue.plan.add(Fault.ACK_HUNG, on=("submit",), times_max=1)
    started = time.monotonic()
    with pytest.raises(OrderUnknownError, match="did not answer"):
        world.broker.submit(world.market_order("pmx-1"))
    assert time.monotonic() - started < 3
    assert world.broker.submit(world.market_order("pmx-1")).is_adopted
    assert world.orders_named("pmx-1") == 1


@pytest.mark.parametrize("fault", BELIEVABLE)
def test_an_odd_but_whole_answer_is_believed(world: Rig, fault: Fault) -> None:
    if not world.has(fault):
        pytest.skip("a message of this protocol cannot be odd like that")
    world.venue.plan.add(fault)
    for name in ("pmx-1", "pmx-2"):
        assert world.broker.submit(world.market_order(name)).client_order_id == name
        assert world.broker.find(name, symbol=world.symbol).state is OrderState.FILLED
    assert world.orders_named("pmx-1") == world.orders_named("pmx-2") == 1


def test_a_state_that_we_do_not_know_is_unknown_and_not_an_end(world: Rig) -> None:
    if not world.has(Fault.UNKNOWN_WORD):
        pytest.skip("this protocol's states are numbers; see test_ctrader.py")
    world.venue.plan.add(Fault.UNKNOWN_WORD, on=("submit", "list"))
    order = world.broker.submit(world.resting("pmx-1"))
    assert order.state is OrderState.UNKNOWN
    assert "surprising_status" in order.reason
    assert [o.state for o in world.broker.open_orders().rows] == [OrderState.UNKNOWN]


def test_a_request_that_the_venue_gets_twice_is_one_resting_order(world: Rig) -> None:
    if not world.has(Fault.REQUEST_DOUBLED):
        pytest.skip("a stream carries no message twice")
    world.venue.plan.add(Fault.REQUEST_DOUBLED, on=("submit",))
    world.broker.submit(world.resting("pmx-1"))
    assert world.orders_named("pmx-1") == 1


def test_a_lost_request_is_sent_again_only_after_the_grace_period(world: Rig) -> None:
    world.connect(resend_after_s=0.3)
    world.venue.plan.add(Fault.REQUEST_LOST, on=("submit",), times_max=1)
    with pytest.raises(OrderUnknownError):
        world.broker.submit(world.market_order("pmx-1"))
    with pytest.raises(OrderNotFoundError):
        world.broker.find("pmx-1", symbol=world.symbol)
    with pytest.raises(OrderUnknownError, match="does not know it yet"):
        world.broker.submit(world.market_order("pmx-1"))
    assert world.orders_named("pmx-1") == 0
    time.sleep(0.3)
    assert world.broker.submit(world.market_order("pmx-1")).state is OrderState.FILLED
    assert world.orders_named("pmx-1") == 1


def test_an_order_that_cannot_be_seen_yet_is_not_sent_again(world: Rig) -> None:
    """Venues have been seen to find an order only seconds after they took it."""
    world.venue.plan.add(Fault.ACK_LOST, on=("submit",), times_max=1)
    world.venue.plan.add(Fault.READ_LAG, on=("query",), lag_ms=5000)
    with pytest.raises(OrderUnknownError):
        world.broker.submit(world.market_order("pmx-1"))
    with pytest.raises(OrderUnknownError, match="does not know it yet"):
        world.broker.submit(world.market_order("pmx-1"))
    world.clock.step_to(world.clock.now() + dt.timedelta(seconds=6))
    assert world.broker.submit(world.market_order("pmx-1")).is_adopted
    assert world.orders_named("pmx-1") == 1


def test_a_venue_that_nobody_serves_is_unavailable_and_the_order_may_be_sent_later(
    world: Rig,
) -> None:
    """Nothing can have arrived, so this is the one failure that needs no look."""
    from tests.loopback import refusing_address

    if world.adapter == "ctrader":
        pytest.skip("no session of requests; see test_ctrader.py")
    session = world.broker._session
    guard = session.guard
    session.guard = type(guard)(guard.venue, guard.environment, refusing_address())
    session.close()
    with pytest.raises(VenueUnavailableError):
        world.broker.submit(world.market_order("pmx-1"))
    session.guard = guard
    assert world.broker.submit(world.market_order("pmx-1")).state is OrderState.FILLED
    assert world.orders_named("pmx-1") == 1


def test_an_order_beyond_the_account_is_rejected_with_the_venues_reason(world: Rig) -> None:
    enough = {"alpaca": "6000", "binance": "100", "ctrader": "12"}[world.adapter]
    with pytest.raises(OrderRejectedError, match=r"insufficient|NOT_ENOUGH_MONEY"):
        world.broker.submit(world.market_order("pmx-1", enough))
    assert world.orders_named("pmx-1") == 0


def test_an_unknown_symbol_is_rejected(world: Rig) -> None:
    with pytest.raises(OrderRejectedError):
        world.broker.submit(world.market_order("pmx-1", symbol="NOPE/USDT"))


def test_a_price_off_the_grid_is_rejected_and_not_rounded(world: Rig) -> None:
    """ccxt alone would have sent 100.02 for 100.019."""
    price = world.market.instrument.start_price * Decimal("0.8")
    price += world.market.instrument.rules.price_step / 10
    world.broker.submit(world.market_order("pmx-0"))
    before = world.requests()
    with pytest.raises(OrderRejectedError, match="price_step"):
        world.broker.submit(world.limit_order("pmx-1", "0.5", price))
    # The rule is checked here: nothing was sent.
    assert world.requests() == before
    assert world.orders_named("pmx-1") == 0


def test_a_wait_that_the_venue_asks_for_is_kept(world: Rig) -> None:
    """While it lasts nothing leaves, not even a read."""
    world.venue.plan.add(Fault.RATE_LIMITED, on=("list",), retry_after_s=1.0, times_max=1)
    with pytest.raises(RateLimitedError) as caught:
        world.broker.open_orders()
    assert caught.value.retry_after_s == 1.0
    before = world.requests()
    with pytest.raises(RateLimitedError):
        world.broker.submit(world.market_order("pmx-1"))
    assert world.requests() == before
    time.sleep(1.0)
    assert world.broker.submit(world.market_order("pmx-1")).state is OrderState.FILLED


def test_a_ban_is_told_apart_where_the_venue_tells_it(world: Rig) -> None:
    if not world.has(Fault.BANNED):
        pytest.skip("this venue does not ban")
    world.venue.plan.add(Fault.BANNED, retry_after_s=120)
    with pytest.raises(RateLimitedError) as caught:
        world.broker.account()
    assert caught.value.retry_after_s == 120
    assert caught.value.is_banned == (world.adapter == "binance")


def test_a_key_that_is_revoked_after_a_success_is_an_auth_error(world: Rig) -> None:
    """ccxt calls this DDoSProtection, which bots read as "try again"."""
    world.broker.account()
    world.venue.plan.add(Fault.AUTH_REVOKED)
    for ask in (world.broker.account, world.broker.positions, world.broker.open_orders):
        with pytest.raises(VenueAuthError):
            ask()
    with pytest.raises(VenueAuthError):
        world.broker.submit(world.market_order("pmx-1"))


def test_credentials_stand_in_no_error_no_repr_and_no_log(
    world: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries through every failure that carries a vendor's text."""
    canaries = ("canary-key-7f3a", "canary-secret-91bd")
    caplog.set_level(logging.DEBUG)
    said: list[str] = [repr(world.broker)]
    with pytest.raises(VenueAuthError) as refused:
        world.connect(key=canaries[0], secret=canaries[1]).account()
    said += [str(refused.value), repr(refused.value), refused.value.remedy]
    for fault in (Fault.ACK_LOST, Fault.ERROR_BEFORE, Fault.PAGE, Fault.AUTH_REVOKED):
        world.venue.plan.clear()
        world.venue.plan.add(fault)
        try:
            world.connect(key=canaries[0], secret=canaries[1])
            world.broker.submit(world.market_order("pmx-1"))
        except PmxError as error:
            said += [str(error), repr(error), error.remedy]
    assert len(said) >= 8
    everything = "\n".join([*said, caplog.text])
    assert [one for one in canaries if one in everything] == []


def test_positions_cash_and_fills_reconcile_with_the_venue(world: Rig) -> None:
    """What the fills say is what the venue holds, fees in coin included."""
    start = world.clock.now()
    before = world.broker.account().cash
    for place, side in enumerate((Side.BUY, Side.BUY, Side.SELL)):
        world.broker.submit(world.market_order(f"pmx-{place}", "0.2", side=side))
    fills = world.broker.fills_since(start)
    assert fills.is_whole
    assert [fill.client_order_id for fill in fills.rows] == ["pmx-0", "pmx-1", "pmx-2"]
    assert len({fill.execution_id for fill in fills.rows}) == 3
    coin_fees = sum(f.fee_amount for f in fills.rows if f.fee_currency == "BTC")
    held = sum(f.side.sign * f.quantity for f in fills.rows) - coin_fees
    positions = world.broker.positions()
    assert [(p.symbol, p.quantity) for p in positions.rows] == [(world.symbol, held)]
    spent = sum(f.side.sign * f.quantity * f.price for f in fills.rows)
    cash_fees = sum(
        (f.fee_amount or Decimal(0)) for f in fills.rows if f.fee_currency in {"USD", "USDT"}
    )
    assert world.broker.account().cash == before - spent - cash_fees


def test_fills_before_the_moment_are_left_out(world: Rig) -> None:
    world.broker.submit(world.market_order("pmx-0", "0.2"))
    world.clock.step_to(world.clock.now() + dt.timedelta(seconds=2))
    moment = world.clock.now()
    world.broker.submit(world.market_order("pmx-1", "0.2"))
    assert [f.client_order_id for f in world.broker.fills_since(moment).rows] == ["pmx-1"]


def test_orders_of_other_people_are_listed_under_their_own_id(world: Rig) -> None:
    if not world.has(Fault.EXTERNAL_ORDER):
        pytest.skip("nobody trades this account by hand")
    world.venue.plan.add(Fault.EXTERNAL_ORDER, on=("list",), times_max=1)
    start = world.clock.now()
    world.broker.open_orders()
    fills = world.broker.fills_since(start)
    assert [fill.client_order_id for fill in fills.rows] == ["manual-0"]


def test_one_bad_row_is_reported_and_hides_no_other(world: Rig) -> None:
    for place in range(3):
        world.broker.submit(world.resting(f"pmx-{place}"))
    world.venue.plan.add(Fault.NULL_FIELD, on=("list",))
    listed = world.broker.open_orders()
    assert not listed.is_whole
    assert len(listed.rows) == 2
    assert [row.client_order_id for row in listed.unreadable] == ["pmx-0"]
    assert listed.unreadable[0].reason


@pytest.mark.parametrize("fault", UNBELIEVABLE)
def test_an_unreadable_answer_is_never_flat_and_never_empty(world: Rig, fault: Fault) -> None:
    world.broker.submit(world.resting("pmx-1"))
    world.venue.plan.add(fault, on=("list", "account"))
    asks = (
        world.broker.open_orders,
        world.broker.positions,
        world.broker.account,
        lambda: world.broker.fills_since(world.clock.now()),
    )
    for ask in asks:
        with pytest.raises(VenueUnavailableError):
            ask()


def test_more_orders_and_fills_than_fit_a_page_are_all_listed(world: Rig) -> None:
    """Alpaca lists 50 unless asked, 500 at most; its activities come by the hundred."""
    from apps.simulator.records import SimRequest

    start = world.clock.now()
    symbol = world.market.instrument.symbol
    price = world.resting("x").limit_price
    for place in range(520):
        world.venue.exchange.submit(
            world.adapter,
            SimRequest(
                client_id=f"pmx-{place}",
                symbol=symbol,
                side=Side.BUY,
                quantity=Decimal("0.01") * world.scale,
                kind=world.resting("x").kind,
                limit=price,
                time_in_force=world.resting("x").time_in_force,
            ),
        )
        world.clock.step_to(world.clock.now() + dt.timedelta(microseconds=10 * (place % 2)))
    listed = world.broker.open_orders()
    assert len({order.client_order_id for order in listed.rows}) == 520
    for order in list(world.account.open_orders())[:230]:
        world.venue.exchange.force_fill(order)
        world.clock.step_to(world.clock.now() + dt.timedelta(milliseconds=1))
    fills = world.broker.fills_since(start).rows
    assert len({fill.execution_id for fill in fills}) == len(fills) == 230


def test_a_clock_that_steps_is_measured_again_once_and_the_order_goes_out_once(
    world: Rig,
) -> None:
    world.venue.plan.add(Fault.CLOCK_SKEW, skew_ms=60_000)
    order = world.broker.submit(world.market_order("pmx-1"))
    assert order.state is OrderState.FILLED
    assert world.orders_named("pmx-1") == 1


def test_a_key_that_may_withdraw_is_refused_before_any_order() -> None:
    with rig("binance") as world:
        world.venue.binance.key_can_withdraw = True
        with pytest.raises(VenueAuthError, match="withdraw"):
            world.connect()
        world.venue.binance.key_can_withdraw = False
        world.venue.binance.key_is_ip_bound = False
        with pytest.raises(VenueAuthError, match="every address"):
            world.connect()


def test_a_suspended_account_says_that_it_cannot_trade(world: Rig) -> None:
    assert world.broker.account().can_trade
    world.account.is_suspended = True
    assert not world.broker.account().can_trade
    with pytest.raises(OrderRejectedError):
        world.broker.submit(world.market_order("pmx-1"))


@pytest.mark.parametrize("adapter", ["alpaca", "binance"])
def test_a_connection_that_idled_is_not_used_for_an_order(adapter: str) -> None:
    """A server that closes it at that moment would leave the order's end open for 45 s."""
    with rig(adapter) as world:
        session = world.broker._session
        world.broker.account()
        adapters = session.adapters.values()
        used = [pool for one in adapters for pool in one.poolmanager.pools._container.values()]
        session._used_at -= 60
        world.broker.submit(world.market_order("pmx-1"))
        kept = [pool for one in adapters for pool in one.poolmanager.pools._container.values()]
        assert len(used) == len(kept) == 1
        assert used[0] is not kept[0]
