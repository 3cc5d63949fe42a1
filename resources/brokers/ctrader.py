"""cTrader behind the port: orders, cancels, deals, positions and the account's snapshot.

Belongs here: the port in cTrader's words. Does not belong here: connection, logins and errors
(`ctrader_wire`). cTrader keeps a position an order on hedged accounts: they are netted here by
symbol. Proved against our own simulator, which was written from the same documentation.
"""

import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from quant.core.clock import Clock, SystemClock
from quant.core.errors import DataError, OrderUnknownError, VenueUnavailableError
from quant.execution.broker import (
    Listing,
    OrderKind,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    TimeInForce,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venue_rules import VenueRules, require_allowed
from quant.execution.venues import Environment
from quant.market.symbols import shown
from resources.brokers.credentials import Credentials
from resources.brokers.ctrader_wire import VENUE, Tokens, Wire
from resources.brokers.once import RESEND_AFTER_S, SubmitOnce
from resources.brokers.rows import (
    ROW_ERRORS,
    listing,
    moment_of_ms,
    number,
    power_of_ten,
    reason_of,
    text,
)

# Volumes are hundredths of a unit.
VOLUME: Final = Decimal(100)
# The venue lists at most a week of orders or deals at once.
WINDOW: Final = dt.timedelta(days=7)
STATES: Final = {
    1: OrderState.WORKING,
    2: OrderState.FILLED,
    3: OrderState.REJECTED,
    4: OrderState.EXPIRED,
    5: OrderState.CANCELED,
}
KINDS: Final = {
    OrderKind.MARKET: 1,
    OrderKind.LIMIT: 2,
    OrderKind.STOP: 3,
    OrderKind.STOP_LIMIT: 6,
}
# Of deals: (partly) filled; rejected by the venue or its market, failed, missed.
TRADED: Final = (2, 3)
NOT_TRADED: Final = (4, 5, 6, 7)
IN_FORCE: Final = {TimeInForce.GTC: 2, TimeInForce.IOC: 3, TimeInForce.FOK: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class CTraderOptions:
    """The demo servers by default; a simulated venue needs its address."""

    account_id: int
    environment: Environment = Environment.PAPER
    url: str | None = None
    read_timeout_s: float = 12.0
    resend_after_s: float = RESEND_AFTER_S


class CTraderBroker:
    """`Broker` over one cTrader account."""

    def __init__(
        self,
        application: Credentials,
        tokens: Tokens,
        save_tokens: Callable[[Tokens], None],
        options: CTraderOptions,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self._clock = clock or SystemClock()
        self._wire = Wire(
            application,
            tokens,
            save_tokens,
            account_id=options.account_id,
            environment=options.environment,
            url=options.url,
            timeout_s=options.read_timeout_s,
        )
        self._once = SubmitOnce(resend_after_s=options.resend_after_s, looks_first=True)
        self._symbols: dict[str, int] = {}
        self._rules: dict[str, VenueRules] = {}
        self._names: dict[int, str] = {}
        self._currency = ""

    def __repr__(self) -> str:
        return f"CTraderBroker({self.name})"

    @property
    def name(self) -> str:
        """Venue and environment."""
        return f"{VENUE}-{self.options.environment}"

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        """See the port."""
        require_allowed(ticket, self.rules(ticket.symbol), reference_price=ticket.reference_price)
        return self._once.submit(
            ticket,
            find=lambda: self.find(ticket.client_order_id, symbol=ticket.symbol),
            send=lambda: self._send(ticket),
        )

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port; a cancel that comes too late answers with what the order became."""
        found = self.find(client_order_id, symbol=symbol)
        if found.state not in {OrderState.WORKING, OrderState.PARTIAL, OrderState.UNKNOWN}:
            return found
        with contextlib.suppress(OrderNotFoundError, OrderRejectedError):
            self._wire.ask(2108, expects=2126, changes=True, orderId=int(found.venue_order_id))
        return self.find(client_order_id, symbol=symbol)

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port; among the open orders, then among those of the last week."""
        for rows in (self._reconcile()["order"], self._recent_orders()):
            found = listing("order", rows, self._order)
            for order in found.rows:
                if order.client_order_id == client_order_id and order.symbol == symbol:
                    return order
            if any(row.client_order_id in {"", client_order_id} for row in found.unreadable):
                why = found.unreadable[0].reason
                raise VenueUnavailableError(
                    f"{self.name} listed an order that cannot be read: {why}"
                )
        raise OrderNotFoundError(f"{self.name} does not know order {client_order_id}")

    def open_orders(self) -> Listing[VenueOrder]:
        """See the port."""
        return listing("order", self._reconcile()["order"], self._order)

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        """See the port; week by week."""
        rows: dict[Any, Any] = {}
        start, now = _milliseconds(moment), _milliseconds(self._clock.now()) + 1
        step = int(WINDOW.total_seconds() * 1000)
        while start <= now:
            answer = self._wire.ask(
                2133, expects=2134, fromTimestamp=start, toTimestamp=min(start + step, now)
            )
            page, known = self._rows(answer, "deal", is_optional=True), len(rows)
            rows |= {_key(row, place): row for place, row in enumerate(page, start=known)}
            if answer.get("hasMore"):
                if len(rows) == known:
                    raise VenueUnavailableError(f"{self.name} has more deals than it lists")
                start = int(page[-1]["executionTimestamp"])
            else:
                start += step + 1
        if rows and not self._currency:
            self.account()
        return listing("fill", rows.values(), self._fill)

    def positions(self) -> Listing[VenuePosition]:
        """See the port; hedged positions of one symbol are netted."""
        found = listing("position", self._reconcile()["position"], self._position)
        netted: dict[str, VenuePosition] = {}
        for one in found.rows:
            netted[one.symbol] = _net(netted.get(one.symbol), one)
        return Listing(rows=tuple(netted.values()), unreadable=found.unreadable)

    def is_open(self) -> bool | None:
        """See the port; its messages tell no hours."""
        return None

    def account(self) -> VenueAccount:
        """See the port."""
        answer = self._wire.ask(2121, expects=2122)
        assets = self._rows(self._wire.ask(2112, expects=2113), "asset")
        try:
            trader = answer["trader"]
            names = {row["assetId"]: text(row["name"], "name") for row in assets}
            scale = power_of_ten(trader.get("moneyDigits", 2), "moneyDigits")
            self._currency = text(names.get(trader["depositAssetId"]), "depositAssetId")
            return VenueAccount(
                account_id=text(trader["ctidTraderAccountId"], "ctidTraderAccountId"),
                currency=self._currency,
                cash=number(trader["balance"], "balance") / scale,
                equity=None,
                buying_power=None,
                can_trade=trader.get("accessRights", 0) == 0,
            )
        except ROW_ERRORS as error:
            raise VenueUnavailableError(
                f"{self.name} answered with an account that cannot be read: {reason_of(error)}"
            ) from None

    def rules(self, symbol: str) -> VenueRules:
        """The venue's filters of `symbol`; `OrderRejectedError` when it is not traded."""
        if not self._symbols:
            rows = self._rows(self._wire.ask(2114, expects=2115), "symbol")
            self._symbols = {
                text(row["symbolName"], "symbolName"): int(row["symbolId"]) for row in rows
            }
        if symbol not in self._symbols:
            raise OrderRejectedError(f"{self.name} does not trade {symbol}", rule="symbol")
        if symbol not in self._rules:
            answer = self._wire.ask(2116, expects=2117, symbolId=[self._symbols[symbol]])
            self._rules[symbol] = _rules_of(symbol, self._rows(answer, "symbol")[0])
        return self._rules[symbol]

    def _send(self, ticket: OrderTicket) -> VenueOrder:
        fields: dict[str, Any] = {
            "symbolId": self._symbols[ticket.symbol],
            "orderType": KINDS[ticket.kind],
            "tradeSide": 1 if ticket.side is Side.BUY else 2,
            "volume": int(ticket.quantity * VOLUME),
            "clientOrderId": ticket.client_order_id,
        }
        if ticket.kind is not OrderKind.MARKET:
            if ticket.time_in_force not in IN_FORCE:
                raise OrderRejectedError("cTrader has no orders for the day", rule="time_in_force")
            fields["timeInForce"] = IN_FORCE[ticket.time_in_force]
        for name, price in (("limitPrice", ticket.limit_price), ("stopPrice", ticket.stop_price)):
            if price is not None:
                fields[name] = float(price)
        answer = self._wire.ask(2106, expects=2126, changes=True, **fields)
        try:
            order = self._order(answer["order"])
            echo = (order.client_order_id, order.symbol, order.side, order.quantity)
            if echo != (ticket.client_order_id, ticket.symbol, ticket.side, ticket.quantity):
                raise ValueError("the answer is about another order")
        except ROW_ERRORS as error:
            raise OrderUnknownError(
                f"{self.name} took order {ticket.client_order_id} or not: its answer cannot be "
                f"read: {reason_of(error)}",
                remedy="look the order up by its client order id",
            ) from None
        return order

    def _reconcile(self) -> dict[str, list[Any]]:
        """Open orders and positions; an empty list may be left out of the message."""
        answer = self._wire.ask(2124, expects=2125)
        return {name: self._rows(answer, name, is_optional=True) for name in ("order", "position")}

    def _recent_orders(self) -> list[Any]:
        now = self._clock.now()
        first, last = _milliseconds(now - WINDOW) + 1, _milliseconds(now) + 1
        answer = self._wire.ask(2175, expects=2176, fromTimestamp=first, toTimestamp=last)
        if answer.get("hasMore"):
            raise VenueUnavailableError(f"{self.name} has more orders of a week than it lists")
        return self._rows(answer, "order", is_optional=True)

    def _rows(self, answer: Any, name: str, *, is_optional: bool = False) -> list[Any]:
        rows = answer.get(name, [] if is_optional else None)
        if not isinstance(rows, list):
            raise VenueUnavailableError(f"{self.name} answered without its list of {name}s")
        return rows

    def _order(self, row: Any) -> VenueOrder:
        data, order_id = row["tradeData"], str(int(text(row["orderId"], "orderId")))
        filled = number(row.get("executedVolume", 0), "executedVolume") / VOLUME
        state = STATES.get(row["orderStatus"], OrderState.UNKNOWN)
        if state is OrderState.WORKING and filled > 0:
            state = OrderState.PARTIAL
        order = VenueOrder(
            # Orders by hand have no id of ours.
            client_order_id=text(
                row.get("clientOrderId") or f"ctrader-{order_id}", "clientOrderId"
            ),
            venue_order_id=order_id,
            symbol=self._symbol(data["symbolId"]),
            side=_side(data["tradeSide"]),
            quantity=number(data["volume"], "volume") / VOLUME,
            filled_quantity=filled,
            state=state,
            average_price=number(row["executionPrice"], "executionPrice") if filled > 0 else None,
            reason="" if row["orderStatus"] in STATES else f"unknown status {row['orderStatus']}",
        )
        self._names[int(order_id)] = order.client_order_id
        return order

    def _symbol(self, symbol_id: Any) -> str:
        if not self._symbols:
            with contextlib.suppress(OrderRejectedError):
                self.rules("")
        return {one: name for name, one in self._symbols.items()}[symbol_id]

    def _fill(self, row: Any) -> VenueFill | None:
        if row["dealStatus"] in NOT_TRADED:
            return None
        if row["dealStatus"] not in TRADED:
            raise DataError(f"field dealStatus: unknown: {shown(row['dealStatus'])}")
        scale = power_of_ten(row.get("moneyDigits", 2), "moneyDigits")
        order_id = int(text(row["orderId"], "orderId"))
        if order_id not in self._names:
            self._order(self._wire.ask(2181, expects=2182, orderId=order_id)["order"])
        return VenueFill(
            execution_id=text(row["dealId"], "dealId"),
            client_order_id=self._names[order_id],
            venue_order_id=str(order_id),
            symbol=self._symbol(row["symbolId"]),
            side=_side(row["tradeSide"]),
            quantity=number(row["filledVolume"], "filledVolume") / VOLUME,
            price=number(row["executionPrice"], "executionPrice"),
            fee_amount=-number(row.get("commission", 0), "commission") / scale,
            fee_currency=self._currency,
            event_time=moment_of_ms(row["executionTimestamp"], "executionTimestamp"),
        )

    def _position(self, row: Any) -> VenuePosition:
        data = row["tradeData"]
        return VenuePosition(
            symbol=self._symbol(data["symbolId"]),
            quantity=_side(data["tradeSide"]).sign * number(data["volume"], "volume") / VOLUME,
            average_price=number(row["price"], "price"),
        )


def _net(one: VenuePosition | None, other: VenuePosition) -> VenuePosition:
    """Two positions of one symbol; the mean price has a meaning on one side only."""
    if one is None:
        return other
    total = one.quantity + other.quantity
    price = None
    if one.quantity * other.quantity > 0 and one.average_price and other.average_price:
        cost = one.quantity * one.average_price + other.quantity * other.average_price
        price = cost / total
    return VenuePosition(symbol=one.symbol, quantity=total, average_price=price)


def _key(row: Any, place: int) -> str:
    """The deal's id; a row without one is kept under its place, to be reported."""
    return str(row.get("dealId", place)) if isinstance(row, dict) else str(place)


def _side(value: Any) -> Side:
    if isinstance(value, bool) or value not in (1, 2):
        raise DataError(f"field tradeSide: neither 1 (buy) nor 2 (sell): {shown(value)}")
    return Side.BUY if value == 1 else Side.SELL


def _rules_of(symbol: str, row: Any) -> VenueRules:
    try:
        return VenueRules(
            symbol=symbol,
            price_step=Decimal(1).scaleb(-int(row["digits"])),
            quantity_step=number(row["stepVolume"], "stepVolume") / VOLUME,
            quantity_min=number(row["minVolume"], "minVolume") / VOLUME,
            quantity_max=number(row["maxVolume"], "maxVolume") / VOLUME,
        )
    except ROW_ERRORS as error:
        raise VenueUnavailableError(
            f"ctrader's rules of {symbol} cannot be read: {reason_of(error)}"
        ) from None


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
