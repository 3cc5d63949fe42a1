"""A broker adapter, the simulated venue it talks to, and the venue's own books as the judge."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.simulator.records import SimAccount
from apps.simulator.server import Venue, VenueOptions, running
from quant.core.clock import SteppedClock
from quant.execution.broker import Broker, OrderKind, OrderTicket, TimeInForce
from quant.execution.orders import Side
from resources.brokers.credentials import Credentials
from resources.brokers.egress import Environment

KEY, SECRET = "simulated-key", "simulated-secret"
ADAPTERS = ("alpaca", "binance")


@dataclass
class Rig:
    """One adapter against one venue."""

    adapter: str
    venue: Venue
    url: str
    clock: SteppedClock
    broker: Broker = field(init=False)

    @property
    def account(self) -> SimAccount:
        return self.venue.exchange.accounts[self.adapter]

    @property
    def symbol(self) -> str:
        return "AAPL" if self.adapter == "alpaca" else "BTC/USDT"

    @property
    def market(self) -> Any:
        return self.venue.exchange.markets["AAPL" if self.adapter == "alpaca" else "BTCUSDT"]

    def connect(self, *, key: str = KEY, secret: str = SECRET, **options: Any) -> Broker:
        """A fresh adapter, as after a restart of the trader."""
        from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions
        from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker

        told = {"environment": Environment.SIMULATED, "url": self.url, "read_timeout_s": 5.0}
        credentials = Credentials(key, secret)
        if self.adapter == "alpaca":
            self.broker = AlpacaBroker(credentials, AlpacaOptions(**(told | options)))
        else:
            self.broker = CcxtSpotBroker(credentials, CcxtOptions(**(told | options)))
            self.broker.connect()
        return self.broker

    def market_order(self, name: str, quantity: str = "0.5", **more: Any) -> OrderTicket:
        return OrderTicket(
            client_order_id=name,
            symbol=more.pop("symbol", self.symbol),
            side=more.pop("side", Side.BUY),
            quantity=Decimal(quantity),
            **more,
        )

    def limit_order(self, name: str, quantity: str, price: Decimal) -> OrderTicket:
        return OrderTicket(
            client_order_id=name,
            symbol=self.symbol,
            side=Side.BUY,
            quantity=Decimal(quantity),
            kind=OrderKind.LIMIT,
            limit_price=price,
            time_in_force=TimeInForce.GTC,
        )

    def resting(self, name: str, quantity: str = "0.5") -> OrderTicket:
        """A buy so far below the market that it rests."""
        price = self.market.instrument.start_price * Decimal("0.8")
        return self.limit_order(name, quantity, price.quantize(Decimal("0.01")))

    def orders_named(self, name: str) -> int:
        """How many orders the venue has ever taken under that id."""
        return len(self.account.by_client_id.get(name, []))

    def requests(self) -> int:
        return self.venue.log.counts["request"]


@contextmanager
def rig(adapter: str, **options: Any) -> Iterator[Rig]:
    """A venue whose time stands still unless a test moves it."""
    clock = SteppedClock(dt.datetime.now(dt.UTC))
    venue = Venue(VenueOptions(seed=7, **options), clock=clock)
    with running(venue, {adapter: 0}) as urls:
        made = Rig(adapter=adapter, venue=venue, url=urls[adapter], clock=clock)
        made.connect()
        yield made
