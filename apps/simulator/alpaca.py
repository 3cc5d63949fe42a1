"""Alpaca's trading protocol: REST under /v2 and the stream of trade updates.

Belongs here: paths, words and codes, as alpaca-py 0.44 and Alpaca's documentation have them.
Bracket, trailing and multi-leg orders and notional amounts are refused as unsupported. Does not
belong here: what the venue decides (`exchange`).
"""

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from apps.simulator.alpaca_words import AlpacaWords
from apps.simulator.exchange import Exchange, VenueEvent
from apps.simulator.faults import Fault
from apps.simulator.fronts import MinuteBudget, Struck, moment_text, text
from apps.simulator.http import Ask, Channel, Reply, json_reply
from apps.simulator.records import (
    RefusalKind,
    SimOrder,
    SimRequest,
    VenueRefusal,
)
from apps.simulator.streams import StreamHub
from quant.core.identity import seed_of
from quant.execution.broker import OrderKind, TimeInForce
from quant.execution.orders import Side

ACCOUNT: Final = "alpaca"
ORDERS_PER_PAGE: Final = 50
ORDERS_PER_PAGE_MAX: Final = 500
FILLS_PER_PAGE_MAX: Final = 100

# HTTP status and code; the code of a duplicate id is not documented, so clients match the words.
_REFUSALS: Final = {
    RefusalKind.UNKNOWN_SYMBOL: (422, 42210000, "asset not found"),
    RefusalKind.DUPLICATE_ID: (422, 40010001, "client_order_id must be unique"),
    RefusalKind.NO_FUNDS: (403, 40310000, "insufficient buying power"),
    RefusalKind.FILTER: (422, 42210000, "invalid order"),
    RefusalKind.BAD_REQUEST: (422, 40010001, "invalid parameters"),
    RefusalKind.NOT_FOUND: (404, 40410000, "order not found"),
    RefusalKind.NOT_CANCELABLE: (422, 42210000, "order is not cancelable"),
    RefusalKind.SUSPENDED: (403, 40310000, "new orders are rejected by user request"),
}
_EVENTS: Final = {"expired": "expired", "canceled": "canceled", "replaced": "replaced"}


class AlpacaFront:
    """Alpaca's words for the exchange's one Alpaca account."""

    name = "alpaca"

    def __init__(
        self,
        exchange: Exchange,
        hub: StreamHub,
        *,
        key_id: str,
        secret: str,
        requests_per_minute: int | None,
    ) -> None:
        self.exchange = exchange
        self.hub = hub
        self.account = exchange.accounts[ACCOUNT]
        self._credentials = (key_id, secret)
        self._budget = MinuteBudget(requests_per_minute, exchange.clock.now)
        self.words = AlpacaWords(exchange, self.account)
        exchange.listeners.append(self._hear)

    def operation_of(self, ask: Ask) -> str:
        """By method and path."""
        parts = ask.path.strip("/").split("/")
        place = parts[1] if len(parts) > 1 else ""
        if place == "orders":
            by_method = {"POST": "submit", "DELETE": "cancel", "PATCH": "replace"}
            return by_method.get(ask.method, "query" if len(parts) > 2 else "list")
        if place == "orders:by_client_order_id":
            return "query"
        if place in {"positions", "account"}:
            if ask.method == "DELETE":
                return "cancel"
            return "account" if len(parts) == 2 else "list"
        return "market"

    def answer(self, ask: Ask, struck: Struck) -> Reply:
        """Check the key and the budget, then route."""
        given = (ask.headers.get("apca-api-key-id"), ask.headers.get("apca-api-secret-key"))
        if given != self._credentials:
            return json_reply({"message": "unauthorized."}, 401)
        wait_s = self._budget.take(1)
        if wait_s:
            return self.error(
                429, 42910000, "too many requests", **{"Retry-After": str(math.ceil(wait_s))}
            )
        route = self._route(ask)
        if route is None:
            return self.error(404, 40410000, f"the simulator has no {ask.method} {ask.path}")
        try:
            return route(ask, struck)
        except VenueRefusal as refusal:
            status, code, words = _REFUSALS[refusal.kind]
            return self.error(status, code, f"{words}: {refusal}")
        except (ValueError, KeyError, TypeError, InvalidOperation) as error:
            return self.error(422, 40010001, f"request body format is invalid ({error})")

    def error(self, status: int, code: int, message: str, **headers: str) -> Reply:
        """Alpaca's form of an error; a 401 carries no code."""
        if status == 401:
            return json_reply({"message": "unauthorized."}, 401)
        return json_reply({"code": code or 50010000, "message": message}, status, **headers)

    def open_channel(self, channel: Channel) -> bool:
        """The stream lives at /stream."""
        if channel.path != "/stream":
            return False
        channel.on_text = lambda said: self._converse(channel, json.loads(said))
        return True

    def _route(self, ask: Ask) -> Callable[[Ask, Struck], Reply] | None:
        version, _, rest = ask.path.strip("/").partition("/")
        if version != "v2":
            return None
        head, _, tail = rest.partition("/")
        key = f"{ask.method} {head}{'/' if tail else ''}"
        exact = {"GET account/activities/FILL": self._fills}
        table: dict[str, Callable[[Ask, Struck], Reply]] = {
            "POST orders": self._submit,
            "GET orders": self._list,
            "GET orders/": self._one,
            "GET orders:by_client_order_id": self._by_client_id,
            "PATCH orders/": self._replace,
            "DELETE orders/": self._cancel,
            "DELETE orders": self._cancel_all,
            "GET positions": self._positions,
            "GET positions/": self._position,
            "GET account": self._account_page,
            "GET account/": self._configuration,
            "PATCH account/": self._configure,
            "DELETE positions": self._close_all,
            "DELETE positions/": self._close,
            "GET clock": self._clock,
            "GET calendar": self._calendar,
            "GET assets": self._assets,
            "GET assets/": self._asset,
        }
        return exact.get(f"{ask.method} {rest}") or table.get(key)

    def _submit(self, ask: Ask, _: Struck) -> Reply:
        wish = json.loads(ask.body, parse_float=Decimal)
        for unsupported in ("notional", "legs", "trail_price", "trail_percent", "take_profit"):
            if wish.get(unsupported) is not None:
                raise VenueRefusal(
                    RefusalKind.BAD_REQUEST, f"the simulator does not support {unsupported}"
                )
        return json_reply(self.words.order_json(self.exchange.submit(ACCOUNT, _request_of(wish))))

    def _list(self, ask: Ask, _: Struck) -> Reply:
        query = ask.query
        status, limit = query.get("status", "open"), int(query.get("limit", ORDERS_PER_PAGE))
        if limit > ORDERS_PER_PAGE_MAX:
            raise VenueRefusal(RefusalKind.BAD_REQUEST, f"limit is {ORDERS_PER_PAGE_MAX} at most")
        self.exchange.advance()
        rows = [o for o in self.account.orders.values() if status == "all" or _is(o, status)]
        symbols = set(query["symbols"].split(",")) if query.get("symbols") else None
        rows = [o for o in rows if symbols is None or o.request.symbol in symbols]
        if after := query.get("after"):
            rows = [o for o in rows if o.created_at > _moment(after)]
        if until := query.get("until"):
            rows = [o for o in rows if o.created_at < _moment(until)]
        if query.get("direction", "desc") == "desc":
            rows.reverse()
        return json_reply([self.words.order_json(order) for order in rows[:limit]])

    def _one(self, ask: Ask, struck: Struck) -> Reply:
        self.exchange.advance()
        order = self._order(ask.path.rsplit("/", 1)[1])
        self._require_visible(order, struck)
        return json_reply(self.words.order_json(order))

    def _by_client_id(self, ask: Ask, struck: Struck) -> Reply:
        self.exchange.advance()
        order = self.account.find_by_client_id(ask.query.get("client_order_id", ""))
        if order is None:
            raise VenueRefusal(RefusalKind.NOT_FOUND, "no order has that client_order_id")
        self._require_visible(order, struck)
        return json_reply(self.words.order_json(order))

    def _require_visible(self, order: SimOrder, struck: Struck) -> None:
        lag = struck.get(Fault.READ_LAG)
        age = self.exchange.clock.now() - order.created_at
        if lag is not None and age < dt.timedelta(milliseconds=lag.lag_ms):
            raise VenueRefusal(RefusalKind.NOT_FOUND, "not yet")

    def _replace(self, ask: Ask, _: Struck) -> Reply:
        old = self._order(ask.path.rsplit("/", 1)[1])
        change = json.loads(ask.body, parse_float=Decimal)
        was = old.request
        new = SimRequest(
            client_id=str(
                change.get("client_order_id") or uuid.UUID(int=self.words.seed_of(old) + 1)
            ),
            symbol=was.symbol,
            side=was.side,
            quantity=Decimal(str(change.get("qty", was.quantity))),
            kind=was.kind,
            limit=_number(change.get("limit_price")) or was.limit,
            stop=_number(change.get("stop_price")) or was.stop,
            time_in_force=TimeInForce(change.get("time_in_force", was.time_in_force)),
        )
        return json_reply(self.words.order_json(self.exchange.replace(ACCOUNT, old.order_id, new)))

    def _cancel(self, ask: Ask, struck: Struck) -> Reply:
        order = self._order(ask.path.rsplit("/", 1)[1])
        if Fault.FILL_ON_CANCEL in struck:
            self.exchange.force_fill(order)
        self.exchange.cancel(ACCOUNT, order.order_id)
        return Reply(status=204)

    def _cancel_all(self, _: Ask, __: Struck) -> Reply:
        self.exchange.advance()
        rows = []
        for order in self.account.open_orders():
            self.exchange.cancel(ACCOUNT, order.order_id)
            rows.append({"id": self.words.uuid_of(order), "status": 200})
        return json_reply(rows, 207)

    def _positions(self, _: Ask, __: Struck) -> Reply:
        self.exchange.advance()
        held = [symbol for symbol in self.words.stocks() if self.account.balance(symbol) != 0]
        return json_reply([self.words.position_json(symbol) for symbol in held])

    def _position(self, ask: Ask, _: Struck) -> Reply:
        self.exchange.advance()
        symbol = ask.path.rsplit("/", 1)[1]
        if self.account.balance(symbol) == 0:
            return self.error(404, 40410000, "position does not exist")
        return json_reply(self.words.position_json(symbol))

    def _account_page(self, _: Ask, __: Struck) -> Reply:
        self.exchange.advance()
        cash = self.account.balance("USD")
        held = sum((self.words.value(symbol) for symbol in self.words.stocks()), Decimal(0))
        equity = cash + held
        free = self.account.free("USD")
        page = dict.fromkeys(("cash", "non_marginable_buying_power"), text(cash))
        page |= dict.fromkeys(("equity", "last_equity", "portfolio_value"), text(equity))
        page |= dict.fromkeys(("buying_power", "regt_buying_power"), text(free))
        flags = dict.fromkeys(("trading_blocked", "account_blocked", "transfers_blocked"), False)
        return json_reply(
            {
                "id": str(uuid.UUID(int=seed_of(self.exchange.seed, "account"))),
                "account_number": "SIM0000001",
                "status": "ACTIVE",
                "currency": "USD",
                "multiplier": "1",
                "shorting_enabled": True,
                "trade_suspended_by_user": self.account.is_suspended,
                **page,
                **flags,
            }
        )

    def _configuration(self, _: Ask, __: Struck) -> Reply:
        return json_reply({"suspend_trade": self.account.is_suspended, "no_shorting": False})

    def _configure(self, ask: Ask, struck: Struck) -> Reply:
        self.account.is_suspended = bool(json.loads(ask.body).get("suspend_trade", False))
        return self._configuration(ask, struck)

    def _fills(self, ask: Ask, _: Struck) -> Reply:
        """Oldest first; `page_token` is the id of the last row of the page before."""
        self.exchange.advance()
        size = min(int(ask.query.get("page_size", FILLS_PER_PAGE_MAX)), FILLS_PER_PAGE_MAX)
        rows = self.account.fills
        if after := ask.query.get("after"):
            rows = [fill for fill in rows if fill.time > _moment(after)]
        if token := ask.query.get("page_token"):
            rows = [fill for fill in rows if self.words.activity_id(fill) > token]
        return json_reply([self.words.activity(fill) for fill in rows[:size]])

    def _clock(self, _: Ask, __: Struck) -> Reply:
        now = self.exchange.clock.now()
        hours = next(iter(self.exchange.markets.values())).instrument.hours
        later = now + dt.timedelta(days=1)
        opens = hours.next_change(now, to_open=True) if hours else later
        closes = hours.next_change(now, to_open=False) if hours else later
        return json_reply(
            {
                "timestamp": moment_text(now),
                "is_open": hours is None or hours.is_open(now),
                "next_open": moment_text(opens),
                "next_close": moment_text(closes),
            }
        )

    def _close_all(self, _: Ask, __: Struck) -> Reply:
        self.exchange.advance()
        held = [symbol for symbol in self.words.stocks() if self.account.balance(symbol)]
        rows = [{"symbol": one, "status": 200, "body": self._close_one(one)} for one in held]
        return json_reply(rows, 207)

    def _close(self, ask: Ask, _: Struck) -> Reply:
        self.exchange.advance()
        symbol = ask.path.rsplit("/", 1)[1]
        if self.account.balance(symbol) == 0:
            return self.error(404, 40410000, "position does not exist")
        return json_reply(self._close_one(symbol, _number(ask.query.get("qty"))))

    def _close_one(self, symbol: str, quantity: Decimal | None = None) -> dict[str, Any]:
        held = self.account.balance(symbol)
        request = SimRequest(
            client_id=f"close-{symbol}-{len(self.account.orders)}",
            symbol=symbol,
            side=Side.SELL if held > 0 else Side.BUY,
            quantity=quantity or abs(held),
        )
        return self.words.order_json(self.exchange.submit(ACCOUNT, request))

    def _calendar(self, ask: Ask, _: Struck) -> Reply:
        """Weekdays; the simulator has no holidays. Times are New York's, as Alpaca tells them."""
        today = self.exchange.clock.now().date()
        first = dt.date.fromisoformat(ask.query.get("start", today.isoformat())[:10])
        last = dt.date.fromisoformat(ask.query.get("end", today.isoformat())[:10])
        days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
        rows = [
            {"date": day.isoformat(), "open": "09:30", "close": "16:00"}
            for day in days
            if day.weekday() < 5
        ]
        return json_reply(rows)

    def _assets(self, _: Ask, __: Struck) -> Reply:
        return json_reply([self.words.asset_json(symbol) for symbol in self.words.stocks()])

    def _asset(self, ask: Ask, _: Struck) -> Reply:
        symbol = ask.path.rsplit("/", 1)[1]
        if symbol not in self.words.stocks():
            return self.error(404, 40410000, f"asset not found for {symbol}")
        return json_reply(self.words.asset_json(symbol))

    def _order(self, name: str) -> SimOrder:
        if name not in self.words.ids:
            raise VenueRefusal(RefusalKind.NOT_FOUND, f"order not found: {name}")
        return self.exchange.order(ACCOUNT, self.words.ids[name])

    def _converse(self, channel: Channel, said: dict[str, Any]) -> None:
        if said.get("action") == "authenticate":
            data = said.get("data", {})
            is_known = (data.get("key_id"), data.get("secret_key")) == self._credentials
            status = "authorized" if is_known else "unauthorized"
            answer = {"status": status, "action": "authenticate"}
            channel.send(json.dumps({"stream": "authorization", "data": answer}))
            channel.on_text = (
                (lambda text: self._listen(channel, json.loads(text)))
                if is_known
                else channel.on_text
            )

    def _listen(self, channel: Channel, said: dict[str, Any]) -> None:
        if said.get("action") == "listen":
            streams = said.get("data", {}).get("streams", [])
            channel.send(json.dumps({"stream": "listening", "data": {"streams": streams}}))
            self.hub.join(channel)

    def _hear(self, event: VenueEvent) -> None:
        if event.order.account != ACCOUNT or not self.hub.channels:
            return
        kind = _EVENTS.get(event.kind, event.kind)
        if event.kind == "fill" and event.order.left:
            kind = "partial_fill"
        data: dict[str, Any] = {
            "event": kind,
            "timestamp": moment_text(event.time),
            "order": self.words.order_json(event.order),
        }
        if event.fill is not None:
            data |= {
                "execution_id": str(uuid.UUID(int=event.fill.execution_id)),
                "price": text(event.fill.price),
                "qty": text(event.fill.quantity),
                "position_qty": text(event.fill.position_after),
            }
        self.hub.publish(json.dumps({"stream": "trade_updates", "data": data}))


def _request_of(wish: dict[str, Any]) -> SimRequest:
    return SimRequest(
        client_id=str(wish.get("client_order_id") or uuid.uuid5(uuid.NAMESPACE_OID, str(wish))),
        symbol=wish["symbol"],
        side=Side(wish["side"]),
        quantity=Decimal(str(wish["qty"])),
        kind=OrderKind(wish["type"]),
        limit=_number(wish.get("limit_price")),
        stop=_number(wish.get("stop_price")),
        time_in_force=TimeInForce(wish["time_in_force"]),
    )


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _moment(value: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _is(order: SimOrder, status: str) -> bool:
    return order.is_open == (status == "open")
