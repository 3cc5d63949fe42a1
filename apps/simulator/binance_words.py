"""Orders, fills, reports and symbols in Binance's JSON.

Belongs here: words for what the exchange knows. Does not belong here: paths and codes (`binance`).
"""

from decimal import Decimal
from typing import Any, Final

from apps.simulator.exchange import VenueEvent
from apps.simulator.fronts import milliseconds, text
from apps.simulator.records import SimFill, SimOrder, SimStatus
from quant.execution.broker import OrderKind
from quant.execution.orders import Side

_STATUS: Final = {
    SimStatus.HELD: "NEW",
    SimStatus.NEW: "NEW",
    SimStatus.PARTIAL: "PARTIALLY_FILLED",
    SimStatus.FILLED: "FILLED",
    SimStatus.CANCELED: "CANCELED",
    SimStatus.EXPIRED: "EXPIRED",
    SimStatus.REPLACED: "CANCELED",
}
KINDS: Final = {
    "MARKET": OrderKind.MARKET,
    "LIMIT": OrderKind.LIMIT,
    "STOP_LOSS": OrderKind.STOP,
    "STOP_LOSS_LIMIT": OrderKind.STOP_LIMIT,
}


def order_json(order: SimOrder) -> dict[str, Any]:
    """The order as Binance tells it."""
    request = order.request
    kind = next(word for word, kind in KINDS.items() if kind is request.kind)
    return {
        "symbol": request.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": request.client_id,
        "price": text(request.limit or Decimal(0)),
        "origQty": text(request.quantity),
        "executedQty": text(order.filled),
        "cummulativeQuoteQty": text(order.cost),
        "status": _STATUS[order.status],
        "timeInForce": request.time_in_force.value.upper(),
        "type": kind,
        "side": request.side.value.upper(),
        "stopPrice": text(request.stop or Decimal(0)),
        "time": milliseconds(order.created_at),
        "updateTime": milliseconds(order.updated_at),
        "isWorking": order.is_open,
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }


def fill_json(fill: SimFill) -> dict[str, Any]:
    """A fill inside the answer to a new order."""
    return {
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.execution_id,
    }


def trade_json(fill: SimFill, order: SimOrder) -> dict[str, Any]:
    """A fill in the list of trades."""
    told = fill_json(fill)
    return told | {
        "symbol": order.request.symbol,
        "id": fill.execution_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "quoteQty": text(fill.price * fill.quantity),
        "time": milliseconds(fill.time),
        "isBuyer": order.request.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def report_json(event: VenueEvent) -> dict[str, Any]:
    """An executionReport, in Binance's one-letter words."""
    order, fill = event.order, event.fill
    told = order_json(order)
    words = {"new": "NEW", "fill": "TRADE", "expired": "EXPIRED"}
    return {
        "e": "executionReport",
        "E": milliseconds(event.time),
        "s": told["symbol"],
        "c": told["clientOrderId"],
        "S": told["side"],
        "o": told["type"],
        "f": told["timeInForce"],
        "q": told["origQty"],
        "p": told["price"],
        "P": told["stopPrice"],
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": words.get(event.kind, "CANCELED"),
        "X": told["status"],
        "r": "NONE",
        "i": order.order_id,
        "l": text(fill.quantity) if fill else "0",
        "z": told["executedQty"],
        "L": text(fill.price) if fill else "0",
        "n": text(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": milliseconds(event.time),
        "t": fill.execution_id if fill else -1,
        "w": order.is_open,
        "m": bool(fill and fill.is_maker),
        "O": told["time"],
        "Z": told["cummulativeQuoteQty"],
        "Y": text(fill.price * fill.quantity) if fill else "0",
        "Q": "0",
    }


def symbol_json(instrument: Any) -> dict[str, Any]:
    """A pair and its filters."""
    rules = instrument.rules
    lot = {
        "minQty": text(rules.quantity_min),
        "maxQty": text(rules.quantity_max),
        "stepSize": text(rules.quantity_step),
    }
    up, down = text(1 + rules.percent_band), text(1 - rules.percent_band)
    sides = ("bidMultiplier", "askMultiplier")
    band = {f"{side}{way}": value for side in sides for way, value in (("Up", up), ("Down", down))}
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": list(KINDS),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(rules.price_min),
                "maxPrice": text(rules.price_max),
                "tickSize": text(rules.price_step),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {
                "filterType": "NOTIONAL",
                "minNotional": text(rules.notional_min),
                "applyMinToMarket": True,
                "maxNotional": "9000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "PERCENT_PRICE_BY_SIDE", **band, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
    }
