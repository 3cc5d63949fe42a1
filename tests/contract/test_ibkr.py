"""Interactive Brokers at ib_async's events: its real IB and Wrapper over a simulated client."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from apps.simulator.exchange import Exchange
from apps.simulator.faults import Fault, FaultPlan
from apps.simulator.ibkr import ACCOUNT, ACCOUNT_ID, SimulatedClient, ibkr_exchange
from quant.core.clock import SteppedClock
from quant.core.errors import OrderUnknownError, UsageError, VenueUnavailableError
from quant.execution.broker import (
    OrderKind,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    TimeInForce,
    VenueAuthError,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venues import Environment
from resources.brokers.ibkr import STATES, IbkrBroker, IbkrOptions, connect


@dataclass
class World:
    exchange: Exchange
    plan: FaultPlan
    order_ids: list[int] = field(default_factory=list)
    client: Any = None

    def start(self, **options: Any) -> IbkrBroker:
        """A fresh session, as after a restart of trader and Gateway."""
        from ib_async import IB

        ib = IB()
        self.client = SimulatedClient(ib.wrapper, self.exchange, self.plan, client_id=17)
        ib.client = self.client
        told = {"account_id": ACCOUNT_ID, "answer_timeout_s": 0.3} | options
        return IbkrBroker(ib, IbkrOptions(**told), save_order_id=self.order_ids.append)

    def named(self, name: str) -> int:
        return len(self.exchange.accounts[ACCOUNT].by_client_id.get(name, []))


@pytest.fixture
def world() -> World:
    clock = SteppedClock(dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC))
    return World(ibkr_exchange(seed=7, clock=clock), FaultPlan(seed=7))


def ticket(name: str, quantity: str = "5", limit: str | None = None, **more: Any) -> OrderTicket:
    return OrderTicket(
        client_order_id=name,
        symbol=more.pop("symbol", "AAPL"),
        side=more.pop("side", Side.BUY),
        quantity=Decimal(quantity),
        kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce.DAY if limit is None else TimeInForce.GTC,
    )


def test_an_order_fills_and_everything_adds_up(world: World) -> None:
    broker = world.start()
    start = world.exchange.clock.now()
    cash = broker.account().cash
    order = broker.submit(ticket("pmx-1"))
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, 5)
    (fill,) = broker.fills_since(start).rows
    assert (fill.client_order_id, fill.quantity, fill.side) == ("pmx-1", 5, Side.BUY)
    assert fill.fee_amount == pytest.approx(fill.quantity * fill.price / 10_000)
    assert [(p.symbol, p.quantity) for p in broker.positions().rows] == [("AAPL", 5)]
    assert broker.account().cash == cash - fill.quantity * fill.price - fill.fee_amount


def test_a_resting_order_is_found_listed_and_canceled(world: World) -> None:
    broker = world.start()
    assert broker.submit(ticket("pmx-1", limit="100")).state is OrderState.WORKING
    assert [o.client_order_id for o in broker.open_orders().rows] == ["pmx-1"]
    assert broker.cancel("pmx-1", symbol="AAPL").state is OrderState.CANCELED
    assert broker.open_orders().rows == ()


def test_a_partial_fill_is_told(world: World) -> None:
    broker = world.start()
    best = world.exchange.markets["AAPL"].book.best(Side.SELL)
    order = broker.submit(ticket("pmx-1", "300", str(best)))
    assert (order.state, order.filled_quantity) == (OrderState.PARTIAL, 200)


def test_a_cancel_that_a_fill_overtakes_tells_the_fill(world: World) -> None:
    broker = world.start()
    broker.submit(ticket("pmx-1", limit="100"))
    world.plan.add(Fault.FILL_ON_CANCEL, on=("cancel",))
    assert broker.cancel("pmx-1", symbol="AAPL").state is OrderState.FILLED


@pytest.mark.parametrize("fault", [Fault.ACK_LOST, Fault.ACK_HUNG])
@pytest.mark.parametrize("limit", [None, "100"])
def test_a_lost_acknowledgement_is_unknown_then_adopted_after_a_restart(
    world: World, fault: Fault, limit: str | None
) -> None:
    """orderRef finds it, whether it has filled or rests; the venue itself looks at no id."""
    broker = world.start()
    world.plan.add(fault, on=("submit",), times_max=1)
    with pytest.raises(OrderUnknownError):
        broker.submit(ticket("pmx-1", limit=limit))
    again = world.start().submit(ticket("pmx-1", limit=limit))
    assert again.is_adopted
    assert again.state is (OrderState.FILLED if limit is None else OrderState.WORKING)
    assert world.named("pmx-1") == 1


def test_an_order_that_never_arrived_is_not_found_and_may_be_sent(world: World) -> None:
    world.plan.add(Fault.REQUEST_LOST, on=("submit",), times_max=1)
    with pytest.raises(OrderUnknownError):
        world.start().submit(ticket("pmx-1"))
    broker = world.start()
    with pytest.raises(OrderNotFoundError):
        broker.find("pmx-1", symbol="AAPL")
    assert broker.submit(ticket("pmx-1")).state is OrderState.FILLED
    assert world.named("pmx-1") == 1


def test_a_rejection_carries_the_venues_words_and_code(world: World) -> None:
    with pytest.raises(OrderRejectedError, match="is free") as caught:
        world.start().submit(ticket("pmx-1", "50000"))
    assert caught.value.rule == "201"


def test_order_ids_go_on_where_they_stood_when_the_gateway_rolled_back(world: World) -> None:
    """The id is kept before it is used, and a fresh Gateway that begins at 1 is lifted above it."""
    world.start().submit(ticket("pmx-1", limit="100"))
    world.start(order_id_floor=max(world.order_ids)).submit(ticket("pmx-2", limit="100"))
    assert len(set(world.order_ids)) == 2
    assert world.order_ids == sorted(world.order_ids)


def test_two_live_orders_under_one_id_are_an_alarm(world: World) -> None:
    """A fork that public issues tell of: the survivor filled hours later."""
    broker = world.start()
    broker.submit(ticket("pmx-1", limit="100"))
    order = world.exchange.accounts[ACCOUNT].find_by_client_id("pmx-1")
    world.exchange.submit(ACCOUNT, order.request)
    with pytest.raises(OrderUnknownError, match="2 live orders"):
        broker.find("pmx-1", symbol="AAPL")


def test_a_gateway_that_has_gone_is_unavailable_and_nothing_is_flat(world: World) -> None:
    broker = world.start()
    broker.submit(ticket("pmx-1"))
    world.client.is_up = False
    for ask in (broker.positions, broker.account, broker.open_orders):
        with pytest.raises(VenueUnavailableError):
            ask()


def test_an_account_that_the_gateway_does_not_manage_is_refused(world: World) -> None:
    with pytest.raises(VenueAuthError, match="DU7"):
        world.start(account_id="DU7")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"account_id": "U123"}, "not a paper account"),
        ({"account_id": "DU1", "port": 4001}, "port 4001"),
        ({"account_id": "DU1", "port": 7496}, "port 7496"),
        ({"account_id": "DU1", "host": "192.0.2.1"}, "loopback"),
        ({"account_id": "DU1", "environment": Environment.LIVE, "port": 4001}, "not a live"),
    ],
)
def test_paper_reaches_no_live_gateway(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        IbkrOptions(**options)


def test_no_gateway_is_unavailable() -> None:
    options = IbkrOptions(
        account_id="DU1", environment=Environment.SIMULATED, port=1, answer_timeout_s=0.5
    )
    with pytest.raises(VenueUnavailableError, match="no Gateway"):
        connect(options)


def test_every_status_of_ib_async_is_known() -> None:
    from ib_async import OrderStatus

    words = {v for n, v in vars(OrderStatus).items() if n[0].isupper() and isinstance(v, str)}
    assert words == set(STATES)
