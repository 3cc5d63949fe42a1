"""A simulated client below the real ib_async: its `IB` and `Wrapper` are driven by our exchange.

Belongs here: the calls that our adapter makes of `ib_async.Client`, answered with the wrapper's own
callbacks, one turn of the event loop later, as the network would. Does not belong here: sockets:
the encoding of messages is ib_async's and is not exercised.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from apps.simulator.exchange import Exchange, VenueEvent
from apps.simulator.faults import Fault, FaultPlan
from apps.simulator.instruments import STOCKS, FeeTier
from apps.simulator.records import (
    IdRule,
    SimAccount,
    SimFill,
    SimOrder,
    SimRequest,
    SimStatus,
    VenueRefusal,
)
from quant.core.clock import Clock
from quant.execution.broker import OrderKind, TimeInForce
from quant.execution.orders import Side

ACCOUNT: Final = "ibkr"
ACCOUNT_ID: Final = "DU0000001"
_PERM: Final = 900_000
_STATUS: Final = {
    SimStatus.HELD: "PreSubmitted",
    SimStatus.NEW: "Submitted",
    SimStatus.PARTIAL: "Submitted",
    SimStatus.FILLED: "Filled",
    SimStatus.CANCELED: "Cancelled",
    SimStatus.EXPIRED: "Cancelled",
    SimStatus.REPLACED: "Cancelled",
}
_KINDS: Final = {
    "MKT": OrderKind.MARKET,
    "LMT": OrderKind.LIMIT,
    "STP": OrderKind.STOP,
    "STP LMT": OrderKind.STOP_LIMIT,
}


def ibkr_exchange(*, seed: int, clock: Clock) -> Exchange:
    """An exchange with one account of stocks; a commission of 1 basis point."""
    account = SimAccount(
        name=ACCOUNT,
        cash_asset="USD",
        fees=(FeeTier(volume_from=Decimal(0), maker_bps=Decimal(1), taker_bps=Decimal(1)),),
        balances={"USD": Decimal(1_000_000)},
        can_short=True,
        id_rule=IdRule.NEVER,
        works_market_orders=True,
    )
    stocks = [dataclasses.replace(stock, venue=ACCOUNT) for stock in STOCKS]
    return Exchange(instruments=stocks, accounts=[account], seed=seed, clock=clock)


class SimulatedClient:
    """What `IB` needs of its client, over an exchange that outlives it."""

    def __init__(
        self, wrapper: Any, exchange: Exchange, plan: FaultPlan, *, client_id: int
    ) -> None:
        self.wrapper = wrapper
        self.exchange = exchange
        self.plan = plan
        self.is_up = True
        self.host, self.port = "127.0.0.1", 0
        self.next_id = 1
        self.clientId = wrapper.clientId = client_id
        wrapper.accounts = [ACCOUNT_ID]
        self._ours: dict[int, SimOrder] = {}
        exchange.listeners.append(self._hear)

    def isConnected(self) -> bool:  # noqa: N802 - ib_async's name
        """Whether the Gateway is there."""
        return self.is_up

    isReady = isConnected  # noqa: N815

    def connectionStats(self) -> Any:  # noqa: N802
        """Nothing went over a wire."""
        from ib_async import ConnectionStats

        return ConnectionStats(0.0, 0.0, 0, 0, 0, 0)

    def disconnect(self) -> None:
        """The session's end; the exchange goes on."""
        self.is_up = False

    def getAccounts(self) -> list[str]:  # noqa: N802
        """The accounts that the Gateway manages."""
        return [ACCOUNT_ID]

    def getReqId(self) -> int:  # noqa: N802
        """The next id."""
        self._require()
        self.next_id += 1
        return self.next_id - 1

    def updateReqId(self, least: int) -> None:  # noqa: N802
        """Never below `least`."""
        self.next_id = max(self.next_id, least)

    def placeOrder(self, order_id: int, contract: Any, order: Any) -> None:  # noqa: N802
        """Take an order in; what is said about it comes a turn later, or never."""
        self._require()
        struck = {r.fault for r in self.plan.choose(ACCOUNT, "submit", self.exchange.clock.now())}
        if Fault.REQUEST_LOST in struck:
            self.is_up = False
            return
        try:
            taken = self.exchange.submit(ACCOUNT, _request(contract, order))
        except VenueRefusal as refusal:
            words = str(refusal)
            self._later(lambda: self.wrapper.error(order_id, 201, f"Order rejected: {words}", ""))
            return
        taken_id = taken.order_id
        self._ours[taken_id] = taken
        order.permId = _PERM + taken_id
        if Fault.ACK_LOST in struck:
            self.is_up = False
        elif Fault.ACK_HUNG not in struck:
            self._later(lambda: self._tell(order_id, taken))

    def cancelOrder(self, order_id: int, *_: Any) -> None:  # noqa: N802
        """End an order of ours."""
        self._require()
        trade = self.wrapper.trades[self.clientId, order_id]
        taken = self.exchange.accounts[ACCOUNT].orders[trade.order.permId - _PERM]
        struck = {r.fault for r in self.plan.choose(ACCOUNT, "cancel", self.exchange.clock.now())}
        if Fault.FILL_ON_CANCEL in struck:
            self.exchange.force_fill(taken)
        if taken.is_open:
            self.exchange.cancel(ACCOUNT, taken.order_id)
        self._later(lambda: self._tell(order_id, taken))

    def reqAllOpenOrders(self) -> None:  # noqa: N802
        """Every open order of the account."""
        self._require()
        self.exchange.advance()
        orders = self.exchange.accounts[ACCOUNT].open_orders()

        def answer() -> None:
            for one in orders:
                contract, order = _told(one, self.clientId)
                order.orderId = self._id_of(one)
                state = _state(one)
                self.wrapper.openOrder(order.orderId, contract, order, state)
                self._status(order.orderId, one)
            self.wrapper.openOrderEnd()

        self._later(answer)

    def reqCompletedOrders(self, _: bool) -> None:  # noqa: N802
        """Every order that has ended."""
        self._require()
        orders = self.exchange.accounts[ACCOUNT].orders.values()
        ended = [one for one in orders if not one.is_open]

        def answer() -> None:
            for one in ended:
                contract, order = _told(one, self.clientId)
                order.filledQuantity = float(one.filled)
                self.wrapper.completedOrder(contract, order, _state(one))
            self.wrapper.completedOrdersEnd()

        self._later(answer)

    def reqExecutions(self, req_id: int, _: Any) -> None:  # noqa: N802
        """Every execution, then its commission."""
        self._require()
        fills = list(self.exchange.accounts[ACCOUNT].fills)

        def answer() -> None:
            for fill in fills:
                self._execution(req_id, fill)
            self.wrapper.execDetailsEnd(req_id)

        self._later(answer)

    def reqPositions(self) -> None:  # noqa: N802
        """What is held."""
        self._require()
        account = self.exchange.accounts[ACCOUNT]

        def answer() -> None:
            for name in self.exchange.markets:
                held = account.balance(name)
                cost = float(account.entry_costs.get(name, 0))
                self.wrapper.position(ACCOUNT_ID, _contract(name), float(held), cost)
            self.wrapper.positionEnd()

        self._later(answer)

    def reqAccountSummary(self, req_id: int, *_: Any) -> None:  # noqa: N802
        """Cash and what it is worth."""
        self._require()
        account = self.exchange.accounts[ACCOUNT]
        cash = account.balance("USD")
        held = (account.balance(n) * m.last_price for n, m in self.exchange.markets.items())
        told = {
            "TotalCashValue": cash,
            "NetLiquidation": cash + sum(held),
            "BuyingPower": account.free("USD"),
        }

        def answer() -> None:
            for tag, value in told.items():
                self.wrapper.accountSummary(req_id, ACCOUNT_ID, tag, str(value), "USD")
            self.wrapper.accountSummaryEnd(req_id)

        self._later(answer)

    def _hear(self, event: VenueEvent) -> None:
        """Fills that come by themselves."""
        if event.fill is not None and self.is_up and event.order.order_id in self._ours:
            fill, order = event.fill, event.order
            self._later(lambda: self._execution(-1, fill))
            self._later(lambda: self._status(self._id_of(order), order))

    def _tell(self, order_id: int, taken: SimOrder) -> None:
        contract, order = _told(taken, self.clientId)
        order.orderId = order_id
        self.wrapper.openOrder(order_id, contract, order, _state(taken))
        self._status(order_id, taken)

    def _id_of(self, taken: SimOrder) -> int:
        """The order id under which this session knows the order; 0 for other people's."""
        for (_, order_id), trade in _keyed(self.wrapper.trades):
            if trade.order.permId == _PERM + taken.order_id:
                return order_id
        return 0

    def _status(self, order_id: int, taken: SimOrder) -> None:
        self.wrapper.orderStatus(
            order_id,
            _STATUS[taken.status],
            float(taken.filled),
            float(taken.left),
            float(taken.average or 0),
            _PERM + taken.order_id,
            0,
            float(taken.fills[-1].price) if taken.fills else 0.0,
            self.clientId,
            "",
        )

    def _execution(self, req_id: int, fill: SimFill) -> None:
        from ib_async import CommissionReport, Execution

        order = self.exchange.accounts[ACCOUNT].orders[fill.order_id]
        name = f"sim.{fill.execution_id:08d}.01"
        execution = Execution(
            execId=name,
            time=fill.time,
            acctNumber=ACCOUNT_ID,
            side="BOT" if order.request.side is Side.BUY else "SLD",
            shares=float(fill.quantity),
            price=float(fill.price),
            permId=_PERM + order.order_id,
            clientId=self.clientId,
            orderId=self._id_of(order),
            cumQty=float(fill.cumulative),
            orderRef=order.request.client_id,
        )
        self.wrapper.execDetails(req_id, _contract(order.request.symbol), execution)
        fee = CommissionReport(execId=name, commission=float(fill.fee), currency="USD")
        self.wrapper.commissionReport(fee)

    def _require(self) -> None:
        if not self.is_up:
            raise ConnectionError("Not connected")

    def _later(self, act: Callable[[], None]) -> None:
        from ib_async import util

        loop: asyncio.AbstractEventLoop = util.getLoop()  # type: ignore[no-untyped-call]
        loop.call_soon(act)


def _keyed(trades: dict[Any, Any]) -> list[tuple[tuple[int, int], Any]]:
    return [(key, trade) for key, trade in trades.items() if isinstance(key, tuple)]


def _contract(symbol: str) -> Any:
    from ib_async import Contract

    return Contract(
        secType="STK",
        conId=1 + sorted(stock.symbol for stock in STOCKS).index(symbol),
        symbol=symbol,
        exchange="SMART",
        currency="USD",
    )


def _state(taken: SimOrder) -> Any:
    from ib_async import OrderState

    return OrderState(status=_STATUS[taken.status])


def _told(taken: SimOrder, client_id: int) -> tuple[Any, Any]:
    from ib_async import Order

    request = taken.request
    order = Order(
        clientId=client_id,
        permId=_PERM + taken.order_id,
        action=request.side.value.upper(),
        totalQuantity=float(request.quantity),
        orderType=next(word for word, kind in _KINDS.items() if kind is request.kind),
        tif=request.time_in_force.value.upper(),
        orderRef=request.client_id,
        account=ACCOUNT_ID,
    )
    return _contract(request.symbol), order


def _request(contract: Any, order: Any) -> SimRequest:
    kind = _KINDS[order.orderType]
    return SimRequest(
        client_id=order.orderRef,
        symbol=contract.symbol,
        side=Side(order.action.lower()),
        quantity=Decimal(repr(order.totalQuantity)),
        kind=kind,
        limit=Decimal(repr(order.lmtPrice)) if kind.has_limit else None,
        stop=Decimal(repr(order.auxPrice)) if kind.has_stop else None,
        time_in_force=TimeInForce(order.tif.lower()),
    )
