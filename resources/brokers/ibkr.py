"""Interactive Brokers through the real ib_async, over a Gateway or TWS on this machine.

Belongs here: the port in ib_async's words. Orders are known by `orderRef`, which carries our id:
order ids are reissued when a Gateway restarts with its counter rolled back. Proved at the level of
ib_async's events (the real `IB` and `Wrapper`, with a simulated client below them); the socket
protocol and a real Gateway have not been met. One adapter belongs to one thread and its event loop.
"""

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from quant.core.errors import OrderUnknownError, UsageError, VenueUnavailableError
from quant.execution.broker import (
    Listing,
    OrderKind,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    VenueAccount,
    VenueAuthError,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venues import Environment
from resources.brokers.egress import is_loopback
from resources.brokers.once import RESEND_AFTER_S, SubmitOnce
from resources.brokers.rows import ROW_ERRORS, listing, number, reason_of, side, text

VENUE: Final = "ibkr"
# TWS and Gateway, as they are installed.
PORTS: Final = {Environment.PAPER: (4002, 7497), Environment.LIVE: (4001, 7496)}
# Paper accounts are numbered DU..., advisors' DF...
PAPER_ACCOUNT_PREFIX: Final = "D"

STATES: Final = {
    "PendingSubmit": OrderState.UNKNOWN,  # sent, and not a word from the venue
    "ApiPending": OrderState.UNKNOWN,
    "ApiUpdate": OrderState.WORKING,
    "PreSubmitted": OrderState.WORKING,
    "Submitted": OrderState.WORKING,
    "PendingCancel": OrderState.WORKING,
    "ValidationError": OrderState.WORKING,  # a warning: the order lives
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "ApiCancelled": OrderState.CANCELED,
    "Inactive": OrderState.REJECTED,
}
KINDS: Final = {
    OrderKind.MARKET: "MKT",
    OrderKind.LIMIT: "LMT",
    OrderKind.STOP: "STP",
    OrderKind.STOP_LIMIT: "STP LMT",
}
_LIVE: Final = frozenset({OrderState.WORKING, OrderState.PARTIAL, OrderState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class IbkrOptions:
    """Paper by default. `order_id_floor` is the highest order id ever used, from our records."""

    account_id: str
    environment: Environment = Environment.PAPER
    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 17
    order_id_floor: int = 0
    answer_timeout_s: float = 12.0
    resend_after_s: float = RESEND_AFTER_S

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise UsageError(
                f"a Gateway is reached on loopback, not at {self.host}",
                remedy="run the Gateway on this machine, or tunnel to it",
            )
        allowed = PORTS.get(self.environment)
        if allowed is not None and self.port not in allowed:
            raise UsageError(
                f"port {self.port} is not one of {self.environment} accounts",
                remedy=f"use {' or '.join(map(str, allowed))}",
            )
        is_paper_account = self.account_id.startswith(PAPER_ACCOUNT_PREFIX)
        if is_paper_account == (self.environment is Environment.LIVE):
            raise UsageError(
                f"account {self.account_id} is not a {self.environment} account",
                remedy="paper accounts begin with D, and no live account does",
            )


def connect(options: IbkrOptions) -> Any:
    """A connected `ib_async.IB`, or `VenueUnavailableError`."""
    from ib_async import IB

    ib = IB()
    try:
        ib.connect(
            options.host,
            options.port,
            clientId=options.client_id,
            timeout=options.answer_timeout_s,
            account=options.account_id,
        )
    except (OSError, TimeoutError) as error:
        raise VenueUnavailableError(
            f"no Gateway answers at port {options.port} ({type(error).__name__})",
            remedy="start it, log in, and allow API connections from this machine",
        ) from None
    return ib


class IbkrBroker:
    """`Broker` over one account and a connected `IB`."""

    def __init__(
        self,
        ib: Any,
        options: IbkrOptions,
        *,
        save_order_id: Callable[[int], None],
    ) -> None:
        self.options = options
        self._ib = ib
        self._save_order_id = save_order_id
        ib.RequestTimeout = options.answer_timeout_s
        ib.RaiseRequestErrors = True
        if options.account_id not in ib.client.getAccounts():
            raise VenueAuthError(
                f"the Gateway does not manage account {options.account_id}",
                remedy="log the Gateway in to that account",
            )
        # A Gateway that was restored from a backup counts from an id that is taken.
        ib.client.updateReqId(options.order_id_floor + 1)
        # ib_async logs every order and account row at INFO.
        logging.getLogger("ib_async").setLevel(logging.WARNING)
        self._once = SubmitOnce(resend_after_s=options.resend_after_s, looks_first=True)

    @property
    def name(self) -> str:
        """Venue and environment."""
        return f"{VENUE}-{self.options.environment}"

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        """See the port."""
        return self._once.submit(
            ticket,
            find=lambda: self.find(ticket.client_order_id, symbol=ticket.symbol),
            send=lambda: self._send(ticket),
        )

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port."""
        if self.find(client_order_id, symbol=symbol).state in _LIVE:
            for trade in self._open_trades():
                if trade.order.orderRef == client_order_id:
                    with self._connected(changes=True):
                        self._ib.cancelOrder(trade.order)
                    self._wait(trade.isDone, self.options.answer_timeout_s)
        return self.find(client_order_id, symbol=symbol)

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port; two live orders under one id are an alarm, not an answer."""
        trades = [*self._open_trades(), *self._completed_trades(), *self._ib.trades()]
        found = {
            self._order(trade).venue_order_id: self._order(trade)
            for trade in reversed(trades)
            if trade.order.orderRef == client_order_id and trade.contract.symbol == symbol
        }
        live = [order for order in found.values() if order.state in _LIVE]
        if len(live) > 1:
            raise OrderUnknownError(
                f"{self.name} has {len(live)} live orders under {client_order_id}",
                remedy="cancel all but one by hand, and trade nothing of this symbol until then",
            )
        if not found:
            raise OrderNotFoundError(f"{self.name} does not know order {client_order_id}")
        return live[0] if live else next(iter(found.values()))

    def open_orders(self) -> Listing[VenueOrder]:
        """See the port; of every client of the account."""
        rows = [trade for trade in self._open_trades() if not trade.isDone()]
        return listing("order", rows, self._order)

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        """See the port. The Gateway tells executions of today, and of a week at most."""
        with self._connected(changes=False):
            rows = self._ib.reqExecutions()
        found = listing("fill", rows, _fill)
        kept = sorted(
            (fill for fill in found.rows if fill.event_time >= moment.replace(microsecond=0)),
            key=lambda fill: fill.event_time,
        )
        return Listing(rows=tuple(kept), unreadable=found.unreadable)

    def positions(self) -> Listing[VenuePosition]:
        """See the port."""
        with self._connected(changes=False):
            rows = self._ib.reqPositions()
        mine = [row for row in rows if row.account == self.options.account_id]
        return listing("position", mine, _position)

    def is_open(self) -> bool | None:
        """See the port; its gateway tells no hours."""
        return None

    def account(self) -> VenueAccount:
        """See the port."""
        with self._connected(changes=False):
            self._ib.wrapper.acctSummary.clear()
            rows = self._ib.accountSummary(self.options.account_id)
        told = {row.tag: row for row in rows}
        try:
            cash = told["TotalCashValue"]
            return VenueAccount(
                account_id=self.options.account_id,
                currency=str(cash.currency),
                cash=number(cash.value, "TotalCashValue"),
                equity=number(told["NetLiquidation"].value, "NetLiquidation"),
                buying_power=number(told["BuyingPower"].value, "BuyingPower"),
                can_trade=True,
            )
        except ROW_ERRORS as error:
            raise VenueUnavailableError(
                f"{self.name} told an account that cannot be read: {reason_of(error)}"
            ) from None

    def _send(self, ticket: OrderTicket) -> VenueOrder:
        from ib_async import Order, Stock

        order = Order(
            action=ticket.side.value.upper(),
            totalQuantity=float(ticket.quantity),
            orderType=KINDS[ticket.kind],
            tif=ticket.time_in_force.value.upper(),
            orderRef=ticket.client_order_id,
            account=self.options.account_id,
        )
        if ticket.limit_price is not None:
            order.lmtPrice = float(ticket.limit_price)
        if ticket.stop_price is not None:
            order.auxPrice = float(ticket.stop_price)
        with self._connected(changes=False):
            # Kept before it is used: a crash after the send must not reissue it.
            order.orderId = self._ib.client.getReqId()
        self._save_order_id(order.orderId)
        with self._connected(changes=True):
            trade = self._ib.placeOrder(Stock(ticket.symbol, "SMART", "USD"), order)
        self._wait(
            lambda: STATES.get(trade.orderStatus.status) is not OrderState.UNKNOWN,
            self.options.answer_timeout_s,
        )
        return self._judge(trade, ticket)

    def _judge(self, trade: Any, ticket: OrderTicket) -> VenueOrder:
        status = trade.orderStatus.status
        codes = [entry.errorCode for entry in trade.log if entry.errorCode]
        if STATES.get(status) is OrderState.UNKNOWN:
            raise OrderUnknownError(
                f"{self.name} said nothing about order {ticket.client_order_id}",
                remedy="look the order up by its client order id",
            )
        if status in {"Cancelled", "ApiCancelled", "Inactive"} and codes:
            words = next(entry.message for entry in trade.log if entry.errorCode)
            raise OrderRejectedError(f"{self.name}: {words[:200]}", rule=str(codes[0]))
        return self._order(trade)

    def _open_trades(self) -> list[Any]:
        with self._connected(changes=False):
            return list(self._ib.reqAllOpenOrders())

    def _completed_trades(self) -> list[Any]:
        with self._connected(changes=False):
            return list(self._ib.reqCompletedOrders(False))

    @contextlib.contextmanager
    def _connected(self, *, changes: bool) -> Iterator[None]:
        from ib_async import RequestError

        try:
            yield
        except (TimeoutError, ConnectionError, RequestError) as error:
            kind = OrderUnknownError if changes else VenueUnavailableError
            raise kind(
                f"{self.name} did not answer ({type(error).__name__})",
                remedy="see that the Gateway runs and is logged in, then ask again",
            ) from None

    def _wait(self, is_told: Callable[[], bool], seconds: float) -> None:
        """Let the event loop run until `is_told`, the connection ends, or time is up."""
        ends_at = time.monotonic() + seconds
        while not is_told() and time.monotonic() < ends_at and self._ib.isConnected():
            self._ib.sleep(0.005)

    def _order(self, trade: Any) -> VenueOrder:
        order, status = trade.order, trade.orderStatus
        filled = number(status.filled, "filled") or _sum(f.execution.shares for f in trade.fills)
        state = STATES.get(status.status, OrderState.UNKNOWN)
        if status.status == "Filled" and not filled:
            filled = number(order.totalQuantity, "totalQuantity")
        if state is OrderState.WORKING and filled > 0:
            state = OrderState.PARTIAL
        average = number(status.avgFillPrice, "avgFillPrice")
        return VenueOrder(
            client_order_id=order.orderRef or f"ibkr-{order.permId}",
            # The permanent id; until the venue has told it, the order's own.
            venue_order_id=str(order.permId or status.permId or f"o{order.orderId}"),
            symbol=text(trade.contract.symbol, "symbol"),
            side=side(str(order.action).lower(), "action"),
            quantity=number(order.totalQuantity, "totalQuantity"),
            filled_quantity=filled,
            state=state,
            average_price=average if average > 0 else None,
            reason="" if status.status in STATES else f"unknown status {status.status[:40]}",
        )


def _sum(values: Iterable[Any]) -> Any:
    return sum((number(value, "shares") for value in values), number(0, "shares"))


def _fill(row: Any) -> VenueFill:
    told = row.execution
    fee = row.commissionReport
    return VenueFill(
        execution_id=text(told.execId, "execId"),
        client_order_id=told.orderRef or f"ibkr-{told.permId}",
        venue_order_id=str(told.permId),
        symbol=text(row.contract.symbol, "symbol"),
        side={"BOT": Side.BUY, "SLD": Side.SELL}[told.side],
        quantity=number(told.shares, "shares"),
        price=number(told.price, "price"),
        # Commissions come in a message of their own, which may not have come yet.
        fee_amount=number(fee.commission, "commission") if fee.execId else None,
        fee_currency=fee.currency,
        event_time=told.time,
    )


def _position(row: Any) -> VenuePosition | None:
    """None for what was held today and is no longer, which the Gateway goes on telling."""
    quantity = number(row.position, "position")
    if quantity == 0:
        return None
    return VenuePosition(
        symbol=text(row.contract.symbol, "symbol"),
        quantity=quantity,
        average_price=number(row.avgCost, "avgCost"),
    )
