"""Orders, fills, positions and assets in Alpaca's JSON.

Belongs here: words for what the exchange knows. Does not belong here: paths and codes (`alpaca`).
"""

import uuid
from decimal import Decimal
from typing import Any, Final

from apps.simulator.exchange import Exchange
from apps.simulator.fronts import moment_text, text
from apps.simulator.records import SimAccount, SimFill, SimOrder, SimStatus
from quant.core import identity

_STATUS: Final = {
    SimStatus.HELD: "accepted",
    SimStatus.NEW: "new",
    SimStatus.PARTIAL: "partially_filled",
    SimStatus.FILLED: "filled",
    SimStatus.CANCELED: "canceled",
    SimStatus.EXPIRED: "expired",
    SimStatus.REPLACED: "replaced",
}


class AlpacaWords:
    """How Alpaca tells what one account of the exchange has."""

    def __init__(self, exchange: Exchange, account: SimAccount) -> None:
        self.exchange = exchange
        self.account = account
        # The exchange's number by the id that a client was told.
        self.ids: dict[str, int] = {}
        # Hashed once: every answer carries ids of orders and assets.
        self._order_seed = identity.seed_of(exchange.seed, "order") << 64
        self._asset_ids = {
            name: str(uuid.UUID(int=identity.seed_of("asset", name))) for name in exchange.markets
        }

    def order_json(self, order: SimOrder) -> dict[str, Any]:
        """The order as Alpaca tells it: numbers as strings."""
        request = order.request
        updated = moment_text(order.updated_at)
        accounted = self.account.orders
        by = accounted.get(order.replaced_by) if order.replaced_by else None
        of = accounted.get(order.replaces) if order.replaces else None
        return {
            "id": self.uuid_of(order),
            "client_order_id": request.client_id,
            "created_at": moment_text(order.created_at),
            "updated_at": updated,
            "submitted_at": moment_text(order.created_at),
            "filled_at": updated if order.status is SimStatus.FILLED else None,
            "expired_at": updated if order.status is SimStatus.EXPIRED else None,
            "canceled_at": updated if order.status is SimStatus.CANCELED else None,
            "failed_at": None,
            "replaced_at": updated if order.status is SimStatus.REPLACED else None,
            "replaced_by": self.uuid_of(by) if by else None,
            "replaces": self.uuid_of(of) if of else None,
            "asset_id": self.asset_id(request.symbol),
            "symbol": request.symbol,
            "asset_class": "us_equity",
            "notional": None,
            "qty": text(request.quantity),
            "filled_qty": text(order.filled),
            "filled_avg_price": text(order.average) if order.average else None,
            "order_class": "",
            "order_type": request.kind.value,
            "type": request.kind.value,
            "side": request.side.value,
            "time_in_force": request.time_in_force.value,
            "limit_price": text(request.limit) if request.limit else None,
            "stop_price": text(request.stop) if request.stop else None,
            "status": _STATUS[order.status],
            "extended_hours": False,
            "legs": None,
            "trail_percent": None,
            "trail_price": None,
            "hwm": None,
        }

    def uuid_of(self, order: SimOrder) -> str:
        """The order's id in Alpaca's form."""
        name = str(uuid.UUID(int=self.seed_of(order)))
        self.ids[name] = order.order_id
        return name

    def seed_of(self, order: SimOrder) -> int:
        """What the order's id is made of, the same in every run."""
        return self._order_seed | (order.order_id << 8)

    def replacement_id(self, order: SimOrder) -> str:
        """The client id of a replacement that came without one."""
        return str(uuid.UUID(int=self.seed_of(order) + 1))

    def activity(self, fill: SimFill) -> dict[str, Any]:
        """A fill as the account's activities tell it."""
        order = self.account.orders[fill.order_id]
        return {
            "id": self.activity_id(fill),
            "activity_type": "FILL",
            "transaction_time": moment_text(fill.time),
            "type": "partial_fill" if fill.cumulative < order.request.quantity else "fill",
            "price": text(fill.price),
            "qty": text(fill.quantity),
            "side": order.request.side.value,
            "symbol": order.request.symbol,
            "leaves_qty": text(order.request.quantity - fill.cumulative),
            "order_id": self.uuid_of(order),
            "cum_qty": text(fill.cumulative),
            "order_status": _STATUS[order.status],
        }

    def activity_id(self, fill: SimFill) -> str:
        """Sorts by time, and ends in the execution's id."""
        stamp = fill.time.strftime("%Y%m%d%H%M%S%f")[:17]
        return f"{stamp}::{uuid.UUID(int=fill.execution_id)}"

    def position_json(self, symbol: str) -> dict[str, Any]:
        """What is held of one stock."""
        quantity = self.account.balance(symbol)
        cost = self.account.entry_costs[symbol]
        return {
            "asset_id": self.asset_id(symbol),
            "symbol": symbol,
            "exchange": "NASDAQ",
            "asset_class": "us_equity",
            "avg_entry_price": text(cost),
            "qty": text(quantity),
            "side": "long" if quantity > 0 else "short",
            "cost_basis": text(quantity * cost),
            "market_value": text(self.value(symbol)),
        }

    def asset_json(self, symbol: str) -> dict[str, Any]:
        """A stock that can be traded."""
        claims = ("tradable", "marginable", "shortable", "easy_to_borrow", "fractionable")
        return {
            "id": self.asset_id(symbol),
            "class": "us_equity",
            "exchange": "NASDAQ",
            "symbol": symbol,
            "status": "active",
            **dict.fromkeys(claims, True),
        }

    def asset_id(self, symbol: str) -> str:
        """The stock's id in Alpaca's form."""
        return self._asset_ids[symbol]

    def value(self, symbol: str) -> Decimal:
        """What is held of a stock, at its last price."""
        return self.account.balance(symbol) * self.exchange.markets[symbol].last_price

    def stocks(self) -> list[str]:
        """Every stock that is listed."""
        markets = self.exchange.markets.values()
        return [m.instrument.symbol for m in markets if m.instrument.venue == self.account.name]
