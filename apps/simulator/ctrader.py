"""cTrader's Open API in its JSON form, one message a WebSocket frame.

Belongs here: the messages that our adapter uses, numbered as in Spotware's OpenApiModelMessages:
both logins, token refresh, symbols, orders, deals, reconcile, trader. Does not belong here: what
the venue decides (`exchange`). Written from the documentation; no real server was compared.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from apps.simulator.eventlog import EventLog
from apps.simulator.exchange import Exchange
from apps.simulator.faults import Fault, FaultPlan
from apps.simulator.fronts import Struck, milliseconds, moment_text
from apps.simulator.http import Ask, Channel, Reply, json_reply
from apps.simulator.records import (
    RefusalKind,
    SimFill,
    SimOrder,
    SimRequest,
    SimStatus,
    VenueRefusal,
)
from quant.execution.broker import OrderKind, TimeInForce
from quant.execution.orders import Side

ACCOUNT: Final = "ctrader"
ACCOUNT_ID: Final = 4242
DEALS_PER_PAGE: Final = 100

_STATUS: Final = {
    SimStatus.HELD: 1,
    SimStatus.NEW: 1,
    SimStatus.PARTIAL: 1,
    SimStatus.FILLED: 2,
    SimStatus.EXPIRED: 4,
    SimStatus.CANCELED: 5,
    SimStatus.REPLACED: 5,
}
_KINDS: Final = {
    1: OrderKind.MARKET,
    2: OrderKind.LIMIT,
    3: OrderKind.STOP,
    6: OrderKind.STOP_LIMIT,
}
_IN_FORCE: Final = {2: TimeInForce.GTC, 3: TimeInForce.IOC, 4: TimeInForce.FOK}
_REFUSALS: Final = {
    RefusalKind.UNKNOWN_SYMBOL: "SYMBOL_NOT_FOUND",
    RefusalKind.DUPLICATE_ID: "ALREADY_EXISTS",
    RefusalKind.NO_FUNDS: "NOT_ENOUGH_MONEY",
    RefusalKind.FILTER: "TRADING_BAD_VOLUME",
    RefusalKind.BAD_REQUEST: "INVALID_REQUEST",
    RefusalKind.NOT_FOUND: "ORDER_NOT_FOUND",
    RefusalKind.NOT_CANCELABLE: "ORDER_NOT_FOUND",
    RefusalKind.SUSPENDED: "TRADING_DISABLED",
}
_OPERATIONS: Final = {
    2106: "submit",
    2108: "cancel",
    2124: "list",
    2133: "list",
    2175: "query",
    2181: "query",
    2121: "account",
}
# Faults that a message can meet; those of HTTP alone mean nothing here.
_BROKEN: Final = {
    Fault.PAGE: "<html></html>",
    Fault.EMPTY: "",
    Fault.EMPTY_OBJECT: "{}",
    Fault.EMPTY_LIST: "[]",
}


class CTraderFront:
    """cTrader's words for the exchange's one cTrader account."""

    name = "ctrader"

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        log: EventLog,
        *,
        client_id: str,
        client_secret: str,
    ) -> None:
        self.exchange = exchange
        self.plan = plan
        self.log = log
        self.account = exchange.accounts[ACCOUNT]
        self.access_token = "access-1"
        self.refresh_token = "refresh-1"
        self.refreshes = 0
        self._client = (client_id, client_secret)
        listed = (m.instrument for m in exchange.markets.values())
        symbols = [one.symbol for one in listed if one.venue == ACCOUNT]
        self._symbols = dict(enumerate(symbols, start=1))

    def operation_of(self, ask: Ask) -> str:
        """Plain HTTP has no meaning here."""
        del ask
        return "market"

    def answer(self, ask: Ask, struck: Struck) -> Reply:
        """Nothing but the stream is served."""
        del ask, struck
        return self.error(404, 0, "this port speaks cTrader's Open API over WebSocket")

    def error(self, status: int, code: int, message: str, **headers: str) -> Reply:
        """For HTTP requests that went to the wrong port."""
        del code
        return json_reply({"message": message}, status, **headers)

    def open_channel(self, channel: Channel) -> bool:
        """Every channel begins as a stranger."""
        session = _Session(self, channel)
        channel.on_text = session.hear
        return True

    def refresh(self, given: str) -> dict[str, Any]:
        """New tokens for an old one, which works once."""
        if given != self.refresh_token:
            raise _ToldError("ACCESS_DENIED", "the refresh token was used already")
        self.refreshes += 1
        self.access_token = f"access-{self.refreshes + 1}"
        self.refresh_token = f"refresh-{self.refreshes + 1}"
        return {
            "accessToken": self.access_token,
            "refreshToken": self.refresh_token,
            "tokenType": "bearer",
            "expiresIn": 2_628_000,
        }

    def trade(self, kind: int, payload: dict[str, Any], struck: Struck) -> tuple[int, Any]:
        """The answer to a message of a logged-in account."""
        self.exchange.advance()
        table: dict[int, Callable[[dict[str, Any], Struck], tuple[int, Any]]] = {
            2106: self._submit,
            2108: self._cancel,
            2112: self._assets,
            2114: self._symbol_list,
            2116: self._symbol_details,
            2121: self._trader,
            2124: self._reconcile,
            2133: self._deals,
            2175: self._orders,
            2181: self._details,
        }
        if kind not in table:
            raise _ToldError("UNSUPPORTED_MESSAGE", f"the simulator has no message {kind}")
        return table[kind](payload, struck)

    def _submit(self, payload: dict[str, Any], _: Struck) -> tuple[int, Any]:
        kind = _KINDS[payload["orderType"]]
        request = SimRequest(
            client_id=payload.get("clientOrderId") or f"auto-{len(self.account.orders)}",
            symbol=self._symbols.get(payload["symbolId"], ""),
            side=Side.BUY if payload["tradeSide"] == 1 else Side.SELL,
            quantity=Decimal(payload["volume"]) / 100,
            kind=kind,
            limit=_number(payload.get("limitPrice")),
            stop=_number(payload.get("stopPrice")),
            time_in_force=_IN_FORCE[payload.get("timeInForce", 2 if kind.has_limit else 3)],
        )
        order = self.exchange.submit(ACCOUNT, request)
        types = {SimStatus.FILLED: 3, SimStatus.PARTIAL: 11, SimStatus.EXPIRED: 6}
        return 2126, {
            "ctidTraderAccountId": ACCOUNT_ID,
            "executionType": types.get(order.status, 2),
            "order": self.order_json(order),
        }

    def _cancel(self, payload: dict[str, Any], struck: Struck) -> tuple[int, Any]:
        order = self.exchange.order(ACCOUNT, payload["orderId"])
        if Fault.FILL_ON_CANCEL in struck:
            self.exchange.force_fill(order)
        self.exchange.cancel(ACCOUNT, order.order_id)
        return 2126, {
            "ctidTraderAccountId": ACCOUNT_ID,
            "executionType": 5,
            "order": self.order_json(order),
        }

    def _assets(self, _: dict[str, Any], __: Struck) -> tuple[int, Any]:
        return 2113, {"asset": [{"assetId": 1, "name": "USD", "digits": 2}]}

    def _symbol_list(self, _: dict[str, Any], __: Struck) -> tuple[int, Any]:
        rows = [
            {"symbolId": number, "symbolName": name, "enabled": True}
            for number, name in self._symbols.items()
        ]
        return 2115, {"ctidTraderAccountId": ACCOUNT_ID, "symbol": rows}

    def _symbol_details(self, payload: dict[str, Any], _: Struck) -> tuple[int, Any]:
        rows = []
        for number in payload["symbolId"]:
            rules = self.exchange.markets[self._symbols[number]].instrument.rules
            rows.append(
                {
                    "symbolId": number,
                    "digits": 5,
                    "minVolume": int((rules.quantity_min or 0) * 100),
                    "maxVolume": int((rules.quantity_max or 0) * 100),
                    "stepVolume": int((rules.quantity_step or 0) * 100),
                }
            )
        return 2117, {"ctidTraderAccountId": ACCOUNT_ID, "symbol": rows}

    def _trader(self, _: dict[str, Any], __: Struck) -> tuple[int, Any]:
        trader = {
            "ctidTraderAccountId": ACCOUNT_ID,
            "balance": int(self.account.balance("USD") * 100),
            "moneyDigits": 2,
            "depositAssetId": 1,
            "accessRights": 2 if self.account.is_suspended else 0,
        }
        return 2122, {"ctidTraderAccountId": ACCOUNT_ID, "trader": trader}

    def _reconcile(self, _: dict[str, Any], struck: Struck) -> tuple[int, Any]:
        positions = []
        for number, name in self._symbols.items():
            base = self.exchange.markets[name].instrument.base
            held = self.account.balance(base)
            if held:
                data = {"symbolId": number, "volume": int(abs(held) * 100)}
                positions.append(
                    {
                        "positionId": number,
                        "tradeData": data | {"tradeSide": 1 if held > 0 else 2},
                        "positionStatus": 1,
                        "price": float(self.account.entry_costs[base]),
                    }
                )
        orders = [self.order_json(order) for order in self.account.open_orders()]
        if Fault.NULL_FIELD in struck and orders:
            orders[0]["tradeData"]["volume"] = None
        return 2125, {"position": positions, "order": orders}

    def _orders(self, payload: dict[str, Any], struck: Struck) -> tuple[int, Any]:
        lag = struck.get(Fault.READ_LAG)
        now = milliseconds(self.exchange.clock.now())
        first, last = payload["fromTimestamp"], payload["toTimestamp"]
        rows = [
            self.order_json(order)
            for order in self.account.orders.values()
            if first <= milliseconds(order.created_at) <= last
            and (lag is None or now - milliseconds(order.created_at) >= lag.lag_ms)
        ]
        return 2176, {"order": rows, "hasMore": False}

    def _details(self, payload: dict[str, Any], _: Struck) -> tuple[int, Any]:
        order = self.exchange.order(ACCOUNT, payload["orderId"])
        return 2182, {"order": self.order_json(order), "deal": []}

    def _deals(self, payload: dict[str, Any], _: Struck) -> tuple[int, Any]:
        first, last = payload["fromTimestamp"], payload["toTimestamp"]
        rows = [f for f in self.account.fills if first <= milliseconds(f.time) <= last]
        page = [self._deal(fill) for fill in rows[:DEALS_PER_PAGE]]
        return 2134, {"deal": page, "hasMore": len(rows) > DEALS_PER_PAGE}

    def _deal(self, fill: SimFill) -> dict[str, Any]:
        order = self.account.orders[fill.order_id]
        told = self.order_json(order)["tradeData"]
        return {
            "dealId": fill.execution_id,
            "orderId": order.order_id,
            "positionId": told["symbolId"],
            "volume": int(order.request.quantity * 100),
            "filledVolume": int(fill.quantity * 100),
            "symbolId": told["symbolId"],
            "tradeSide": told["tradeSide"],
            "executionTimestamp": milliseconds(fill.time),
            "executionPrice": float(fill.price),
            "dealStatus": 2,
            "commission": -int(fill.fee * 100),
            "moneyDigits": 2,
        }

    def order_json(self, order: SimOrder) -> dict[str, Any]:
        """The order as cTrader tells it: volumes in hundredths."""
        request = order.request
        number = next(n for n, name in self._symbols.items() if name == request.symbol)
        told: dict[str, Any] = {
            "orderId": order.order_id,
            "tradeData": {
                "symbolId": number,
                "volume": int(request.quantity * 100),
                "tradeSide": 1 if request.side is Side.BUY else 2,
                "openTimestamp": milliseconds(order.created_at),
            },
            "orderType": next(n for n, kind in _KINDS.items() if kind is request.kind),
            "orderStatus": _STATUS[order.status],
            "executedVolume": int(order.filled * 100),
            "clientOrderId": request.client_id,
            "utcLastUpdateTimestamp": milliseconds(order.updated_at),
        }
        if order.average is not None:
            told["executionPrice"] = float(order.average)
        return told


class _ToldError(Exception):
    """An error that the client is told."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class _Session:
    """One connection: a stranger, then an application, then an account."""

    def __init__(self, front: CTraderFront, channel: Channel) -> None:
        self.front = front
        self.channel = channel
        self.is_application = False
        self.is_account = False

    def hear(self, text: str) -> None:
        """One message from the client."""
        said = json.loads(text, parse_float=Decimal)
        kind, payload = said.get("payloadType"), said.get("payload", {})
        if kind == 51:
            return
        operation = _OPERATIONS.get(kind, "market")
        now = self.front.exchange.clock.now()
        struck = {r.fault: r for r in self.front.plan.choose(ACCOUNT, operation, now)}
        moment = moment_text(now)
        fields = {"venue": ACCOUNT, "operation": operation, "faults": sorted(struck)}
        self.front.log.write("request", moment, message=kind, **fields)
        if Fault.REQUEST_LOST in struck or Fault.OUTAGE in struck:
            self.channel.close()
            return
        told, answer = self._safely(kind, payload, struck)
        self._send(said.get("clientMsgId"), told, answer, struck)

    def _safely(self, kind: int, payload: Any, struck: Struck) -> tuple[int, Any]:
        try:
            if Fault.RATE_LIMITED in struck:
                raise _ToldError("REQUEST_FREQUENCY_EXCEEDED", "too many requests")
            if Fault.AUTH_REVOKED in struck:
                raise _ToldError("ACCOUNT_NOT_AUTHORIZED", "the account is not authorized")
            return self._answer(kind, payload, struck)
        except _ToldError as error:
            return 2142, {"errorCode": error.code, "description": str(error)}
        except VenueRefusal as refusal:
            told = {"errorCode": _REFUSALS[refusal.kind], "description": str(refusal)}
            return (2132 if kind in {2106, 2108} else 2142), told
        except (KeyError, ValueError, TypeError) as error:
            return 2142, {"errorCode": "INVALID_REQUEST", "description": repr(error)}

    def _answer(self, kind: int, payload: Any, struck: Struck) -> tuple[int, Any]:
        front = self.front
        match kind:
            case 2100:
                if (payload["clientId"], payload["clientSecret"]) != front._client:
                    raise _ToldError("CH_CLIENT_AUTH_FAILURE", "wrong client credentials")
                self.is_application = True
                return 2101, {}
            case 2173 if self.is_application:
                return 2174, front.refresh(payload["refreshToken"])
            case 2102 if self.is_application:
                if payload["accessToken"] != front.access_token:
                    raise _ToldError("CH_ACCESS_TOKEN_INVALID", "the access token is invalid")
                self.is_account = True
                return 2103, {"ctidTraderAccountId": ACCOUNT_ID}
        if not self.is_account or payload.get("ctidTraderAccountId") != ACCOUNT_ID:
            raise _ToldError("ACCOUNT_NOT_AUTHORIZED", "log in first")
        return front.trade(kind, payload, struck)

    def _send(self, name: Any, kind: int, payload: Any, struck: Struck) -> None:
        text = json.dumps({"clientMsgId": name, "payloadType": kind, "payload": payload})
        if Fault.ACK_LOST in struck or Fault.CUT in struck:
            self.channel.close()
            return
        if Fault.ACK_HUNG in struck:
            return
        for fault, broken in _BROKEN.items():
            if fault in struck:
                text = broken
        if Fault.TRUNCATED in struck:
            text = text[: len(text) // 2]
        for _ in range(2 if Fault.ANSWER_DOUBLED in struck else 1):
            self.channel.send(text)


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
