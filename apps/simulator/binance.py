"""Binance's spot protocol: REST under /api/v3 and the user data stream of its WebSocket API.

Belongs here: paths, words, codes, weights and signatures, as ccxt 4.5 and Binance's documentation
have them. Does not belong here: what the venue decides (`exchange`).
"""

import hashlib
import hmac
import json
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

from apps.simulator.binance_words import (
    KINDS,
    fill_json,
    order_json,
    report_json,
    symbol_json,
    trade_json,
)
from apps.simulator.exchange import Exchange, VenueEvent
from apps.simulator.faults import Fault
from apps.simulator.fronts import MinuteBudget, Struck, milliseconds, text
from apps.simulator.http import Ask, Channel, Reply, json_reply
from apps.simulator.records import (
    RefusalKind,
    SimFill,
    SimOrder,
    SimRequest,
    VenueRefusal,
)
from apps.simulator.streams import StreamHub
from quant.execution.broker import TimeInForce
from quant.execution.orders import Side

ACCOUNT: Final = "binance"
RECV_WINDOW_MS: Final = 5000
# The venue's rule: younger than a second from the future, and not older than the window.
AHEAD_MS_MAX: Final = 1000
TRADES_PER_PAGE_MAX: Final = 1000

_REFUSALS: Final = {
    RefusalKind.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RefusalKind.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    RefusalKind.NO_FUNDS: (-2010, "Account has insufficient balance for requested action."),
    RefusalKind.BAD_REQUEST: (-1102, "Mandatory parameter was not sent, was empty or malformed."),
    RefusalKind.NOT_FOUND: (-2013, "Order does not exist."),
    RefusalKind.NOT_CANCELABLE: (-2011, "Unknown order sent."),
    RefusalKind.SUSPENDED: (-2010, "This account may not place or cancel orders."),
}
_FILTERS: Final = {
    "quantity_step": "LOT_SIZE",
    "quantity_min": "LOT_SIZE",
    "quantity_max": "LOT_SIZE",
    "price_step": "PRICE_FILTER",
    "price_min": "PRICE_FILTER",
    "price_max": "PRICE_FILTER",
    "notional_min": "NOTIONAL",
    "percent_band": "PERCENT_PRICE_BY_SIDE",
}
_WEIGHTS: Final = {
    "exchangeInfo": 20,
    "account": 20,
    "allOrders": 20,
    "myTrades": 20,
    **{"ping": 1, "time": 1, "account/apiRestrictions": 1},
}
# Looking an order up costs four times what sending or cancelling one does.
_WEIGHT_OF_ONE: Final = 4
_WEIGHT_OF_OPEN: Final = 6
_WEIGHT_OF_ALL_OPEN: Final = 80


def _weight_of(ask: Ask, place: str) -> int:
    is_read = ask.method == "GET"
    if place == "order":
        return _WEIGHT_OF_ONE if is_read else 1
    if place == "openOrders":
        by_symbol = _WEIGHT_OF_OPEN if "symbol=" in ask.raw_query else _WEIGHT_OF_ALL_OPEN
        return by_symbol if is_read else 1
    return _WEIGHTS.get(place, 2)


Route = Callable[[dict[str, str], Struck], Any]


class BinanceFront:
    """Binance's words for the exchange's one Binance account."""

    name = "binance"

    def __init__(
        self,
        exchange: Exchange,
        hub: StreamHub,
        *,
        key: str,
        secret: str,
        weight_per_minute: int | None,
        key_can_withdraw: bool = False,
        key_is_ip_bound: bool = True,
    ) -> None:
        self.exchange = exchange
        self.hub = hub
        self.account = exchange.accounts[ACCOUNT]
        self.key_can_withdraw = key_can_withdraw
        self.key_is_ip_bound = key_is_ip_bound
        self._key, self._secret = key, secret
        self._budget = MinuteBudget(weight_per_minute, exchange.clock.now)
        self._subscriptions = 0
        exchange.listeners.append(self._hear)

    def operation_of(self, ask: Ask) -> str:
        """By method and path."""
        place = ask.path.rsplit("/", 1)[-1]
        if place == "order":
            return {"POST": "submit", "DELETE": "cancel"}.get(ask.method, "query")
        if place == "openOrders" and ask.method == "DELETE":
            return "cancel"
        if place in {"openOrders", "allOrders", "myTrades"}:
            return "list"
        return "account" if place in {"account", "apiRestrictions"} else "market"

    def answer(self, ask: Ask, struck: Struck) -> Reply:
        """Check signature, clock and budget, then route."""
        place = ask.path.removeprefix("/api/v3/").removeprefix("/sapi/v1/")
        route, is_signed = self._routes().get(f"{ask.method} {place}", (None, False))
        if route is None:
            return self.error(404, -1000, f"the simulator has no {ask.method} {ask.path}")
        wait_s = self._budget.take(_weight_of(ask, place))
        if wait_s:
            wait = {"Retry-After": str(math.ceil(wait_s))}
            return self.error(429, -1003, "Too much request weight used.", **wait)
        asked = ask.body.decode() if ask.method == "POST" else ask.raw_query
        given = dict(parse_qsl(asked, keep_blank_values=True))
        if is_signed and (refused := self._refuse(ask, asked, given, struck)):
            return refused
        used = {"X-MBX-USED-WEIGHT-1M": str(self._budget.used)}
        try:
            return json_reply(route(given, struck), 200, **used)
        except VenueRefusal as refusal:
            return self._refusal(refusal, place, ask.method)
        except (ValueError, KeyError, InvalidOperation) as error:
            return self.error(400, -1102, f"Mandatory parameter malformed: {error}")

    def error(self, status: int, code: int, message: str, **headers: str) -> Reply:
        """Binance's form of an error."""
        by_status = {401: -2015, 418: -1003, 429: -1003, 504: -1007}
        told = code or by_status.get(status, -1000)
        return json_reply({"code": told, "msg": message}, status, **headers)

    def open_channel(self, channel: Channel) -> bool:
        """The WebSocket API."""
        if not channel.path.startswith("/ws-api/"):
            return False
        channel.on_text = lambda said: self._converse(channel, json.loads(said))
        return True

    def _routes(self) -> dict[str, tuple[Route, bool]]:
        return {
            "GET ping": (lambda _, __: {}, False),
            "GET time": (self._time, False),
            "GET exchangeInfo": (self._info, False),
            "GET ticker/24hr": (self._ticker, False),
            "GET ticker/price": (self._ticker, False),
            "GET depth": (self._depth, False),
            "GET account": (self._account_page, True),
            "GET account/apiRestrictions": (self._restrictions, True),
            "POST order": (self._submit, True),
            "POST order/test": (lambda _, __: {}, True),
            "GET order": (self._one, True),
            "DELETE order": (self._cancel, True),
            "GET openOrders": (self._open, True),
            "DELETE openOrders": (self._cancel_all, True),
            "GET allOrders": (self._all, True),
            "GET myTrades": (self._trades, True),
        }

    def _refuse(self, ask: Ask, asked: str, given: dict[str, str], struck: Struck) -> Reply | None:
        if ask.headers.get("x-mbx-apikey") != self._key:
            return self.error(401, -2015, "Invalid API-key, IP, or permissions for action.")
        unsigned, _, signature = asked.rpartition("&signature=")
        if not hmac.compare_digest(self._sign(unsigned), signature):
            return self.error(400, -1022, "Signature for this request is not valid.")
        age = self._now_ms(struck) - int(given.get("timestamp", "0"))
        window = int(given.get("recvWindow", RECV_WINDOW_MS))
        if not -AHEAD_MS_MAX < age <= window:
            return self.error(
                400, -1021, "Timestamp for this request is outside of the recvWindow."
            )
        return None

    def _refusal(self, refusal: VenueRefusal, place: str, method: str) -> Reply:
        if refusal.kind is RefusalKind.FILTER:
            return self.error(400, -1013, f"Filter failure: {_FILTERS[refusal.rule]}")
        code, words = _REFUSALS[refusal.kind]
        if place == "order" and method == "DELETE":
            code, words = _REFUSALS[RefusalKind.NOT_CANCELABLE]
        return self.error(400, code, words)

    def _sign(self, unsigned: str) -> str:
        return hmac.new(self._secret.encode(), unsigned.encode(), hashlib.sha256).hexdigest()

    def _now_ms(self, struck: Struck) -> int:
        skew = struck[Fault.CLOCK_SKEW].skew_ms if Fault.CLOCK_SKEW in struck else 0.0
        return milliseconds(self.exchange.clock.now()) + int(skew)

    def _time(self, _: dict[str, str], struck: Struck) -> Any:
        return {"serverTime": self._now_ms(struck)}

    def _info(self, _: dict[str, str], struck: Struck) -> Any:
        listed = (market.instrument for market in self.exchange.markets.values())
        coins = [one for one in listed if one.venue == ACCOUNT]
        return {
            "timezone": "UTC",
            "serverTime": self._now_ms(struck),
            "rateLimits": [],
            "symbols": [symbol_json(one) for one in coins],
        }

    def _ticker(self, given: dict[str, str], struck: Struck) -> Any:
        self.exchange.advance()
        market = self._market(given["symbol"])
        bid, ask = market.book.best(Side.BUY), market.book.best(Side.SELL)
        last = text(market.last_price)
        return {
            "symbol": given["symbol"],
            "lastPrice": last,
            "price": last,
            "bidPrice": text(bid or Decimal(0)),
            "askPrice": text(ask or Decimal(0)),
            "openPrice": text(market.instrument.start_price),
            "closeTime": self._now_ms(struck),
        }

    def _depth(self, given: dict[str, str], _: Struck) -> Any:
        self.exchange.advance()
        book = self._market(given["symbol"]).book
        levels = int(given.get("limit", "100"))
        sides = {"bids": Side.BUY, "asks": Side.SELL}
        told = {
            name: [[text(p), text(q)] for p, q in book.depth(side, levels=levels)]
            for name, side in sides.items()
        }
        return {"lastUpdateId": len(self.account.fills) + 1, **told}

    def _market(self, symbol: str) -> Any:
        if symbol not in self.exchange.markets:
            raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, symbol)
        return self.exchange.markets[symbol]

    def _account_page(self, _: dict[str, str], struck: Struck) -> Any:
        self.exchange.advance()
        names = sorted(self.account.balances)
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "canTrade": not self.account.is_suspended,
            "canWithdraw": self.key_can_withdraw,
            "canDeposit": True,
            "accountType": "SPOT",
            "uid": 1,
            "updateTime": self._now_ms(struck),
            "permissions": ["SPOT"],
            "balances": [
                {
                    "asset": name,
                    "free": text(self.account.free(name)),
                    "locked": text(self.account.reserved(name)),
                }
                for name in names
            ],
        }

    def _restrictions(self, _: dict[str, str], __: Struck) -> Any:
        return {
            "ipRestrict": self.key_is_ip_bound,
            "enableReading": True,
            "enableSpotAndMarginTrading": True,
            "enableWithdrawals": self.key_can_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
        }

    def _submit(self, given: dict[str, str], _: Struck) -> Any:
        kind = KINDS[given["type"]]
        in_force = TimeInForce(
            given.get("timeInForce", "IOC" if not kind.has_limit else "").lower()
        )
        request = SimRequest(
            client_id=given.get("newClientOrderId") or f"auto-{given['timestamp']}",
            symbol=given["symbol"],
            side=Side(given["side"].lower()),
            quantity=Decimal(given["quantity"]),
            kind=kind,
            limit=Decimal(given["price"]) if "price" in given else None,
            stop=Decimal(given["stopPrice"]) if "stopPrice" in given else None,
            time_in_force=in_force,
        )
        order = self.exchange.submit(ACCOUNT, request)
        return order_json(order) | {
            "transactTime": milliseconds(order.created_at),
            "fills": [fill_json(fill) for fill in order.fills],
        }

    def _one(self, given: dict[str, str], struck: Struck) -> Any:
        self.exchange.advance()
        order = self._order(given)
        lag = struck.get(Fault.READ_LAG)
        age_s = (self.exchange.clock.now() - order.created_at).total_seconds()
        if lag is not None and age_s * 1000 < lag.lag_ms:
            raise VenueRefusal(RefusalKind.NOT_FOUND, "not yet")
        return order_json(order)

    def _order(self, given: dict[str, str]) -> SimOrder:
        order = None
        if "orderId" in given:
            order = self.account.orders.get(int(given["orderId"]))
        elif "origClientOrderId" in given:
            order = self.account.find_by_client_id(given["origClientOrderId"])
        if order is None or order.request.symbol != given["symbol"]:
            raise VenueRefusal(RefusalKind.NOT_FOUND, "no such order")
        return order

    def _cancel(self, given: dict[str, str], struck: Struck) -> Any:
        order = self._order(given)
        if Fault.FILL_ON_CANCEL in struck:
            self.exchange.force_fill(order)
        done = self.exchange.cancel(ACCOUNT, order.order_id)
        return order_json(done) | {"origClientOrderId": done.request.client_id}

    def _open(self, given: dict[str, str], _: Struck) -> Any:
        self.exchange.advance()
        wanted = given.get("symbol")
        orders = self.account.open_orders()
        return [order_json(o) for o in orders if wanted in {None, o.request.symbol}]

    def _cancel_all(self, given: dict[str, str], struck: Struck) -> Any:
        rows = self._open(given, struck)
        for row in rows:
            self.exchange.cancel(ACCOUNT, row["orderId"])
        return [row | {"status": "CANCELED"} for row in rows]

    def _all(self, given: dict[str, str], _: Struck) -> Any:
        self.exchange.advance()
        size = min(int(given.get("limit", "500")), TRADES_PER_PAGE_MAX)
        first = int(given.get("orderId", "0"))
        since = int(given.get("startTime", "0"))
        rows = [
            order
            for order in self.account.orders.values()
            if order.request.symbol == given["symbol"]
            and order.order_id >= first
            and milliseconds(order.created_at) >= since
        ]
        return [order_json(order) for order in (rows[:size] if first else rows[-size:])]

    def _trades(self, given: dict[str, str], _: Struck) -> Any:
        self.exchange.advance()
        size = min(int(given.get("limit", "500")), TRADES_PER_PAGE_MAX)
        first = int(given.get("fromId", "0"))
        since = int(given.get("startTime", "0"))
        rows = [
            fill
            for fill in self.account.fills
            if self._symbol_of(fill) == given["symbol"]
            and fill.execution_id >= first
            and milliseconds(fill.time) >= since
        ]
        page = rows[:size] if first or since else rows[-size:]
        return [trade_json(fill, self.account.orders[fill.order_id]) for fill in page]

    def _symbol_of(self, fill: SimFill) -> str:
        return self.account.orders[fill.order_id].request.symbol

    def _converse(self, channel: Channel, said: dict[str, Any]) -> None:
        if said.get("method") != "userDataStream.subscribe.signature":
            answer = {"id": said.get("id"), "status": 400, "error": {"code": -1000, "msg": "?"}}
            channel.send(json.dumps(answer))
            return
        given = dict(said.get("params", {}))
        signature = str(given.pop("signature", ""))
        unsigned = "&".join(f"{name}={given[name]}" for name in sorted(given))
        if given.get("apiKey") != self._key or self._sign(unsigned) != signature:
            refused = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
            channel.send(json.dumps({"id": said.get("id"), "status": 401, "error": refused}))
            return
        told = {"id": said.get("id"), "status": 200, "result": {"subscriptionId": 0}}
        channel.send(json.dumps(told))
        self.hub.join(channel)

    def _hear(self, event: VenueEvent) -> None:
        if event.order.account == ACCOUNT and self.hub.channels:
            report = report_json(event)
            self.hub.publish(json.dumps({"subscriptionId": 0, "event": report}))
