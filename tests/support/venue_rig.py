"""A broker adapter, the simulated venue it talks to, and the venue's own books as the judge."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.simulator.ctrader import ACCOUNT_ID
from apps.simulator.faults import Fault
from apps.simulator.records import SimAccount
from apps.simulator.server import Venue, VenueOptions, running
from quant.core.clock import SteppedClock
from quant.execution.broker import Broker, OrderKind, OrderTicket, TimeInForce
from quant.execution.orders import Side
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials

KEY, SECRET = "simulated-key", "simulated-secret"
ADAPTERS = ("alpaca", "binance", "ctrader")
SYMBOLS = {"alpaca": "AAPL", "binance": "BTC/USDT", "ctrader": "EURUSD"}
# Tests speak of half a unit; a currency is traded in lots of 100,000.
SCALES = {"ctrader": Decimal(100_000)}
# Faults of HTTP, or of a field, that a message of cTrader's cannot have.
NOT_OF_CTRADER = frozenset(
    {
        *(Fault.ERROR_AFTER, Fault.ERROR_BEFORE, Fault.DELAY, Fault.EXTRA_FIELD, Fault.BANNED),
        *(Fault.NAN_FIELD, Fault.UNKNOWN_WORD, Fault.REQUEST_DOUBLED, Fault.EXTERNAL_ORDER),
    }
)


@dataclass
class Rig:
    """One adapter against one venue."""

    adapter: str
    venue: Venue
    url: str
    clock: SteppedClock
    broker: Broker = field(init=False)
    # Tokens that the cTrader adapter asked to keep.
    saved: list[Any] = field(default_factory=list)

    @property
    def account(self) -> SimAccount:
        return self.venue.exchange.accounts[self.adapter]

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.adapter]

    @property
    def scale(self) -> Decimal:
        return SCALES.get(self.adapter, Decimal(1))

    def has(self, fault: Fault) -> bool:
        return self.adapter != "ctrader" or fault not in NOT_OF_CTRADER

    @property
    def market(self) -> Any:
        return self.venue.exchange.markets[self.symbol.replace("/", "")]

    def connect(self, *, key: str = KEY, secret: str = SECRET, **options: Any) -> Broker:
        """A fresh adapter, as after a restart of the trader."""
        from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions
        from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker

        told = {"environment": Environment.SIMULATED, "url": self.url, "read_timeout_s": 5.0}
        credentials = Credentials(key, secret)
        if self.adapter == "ctrader":
            self.broker = self._ctrader(credentials, told | options)
        elif self.adapter == "alpaca":
            self.broker = AlpacaBroker(credentials, AlpacaOptions(**(told | options)))
        else:
            self.broker = CcxtSpotBroker(credentials, CcxtOptions(**(told | options)))
            self.broker.connect()
        return self.broker

    def _ctrader(self, credentials: Credentials, options: dict[str, Any]) -> Broker:
        from resources.brokers.ctrader import CTraderBroker, CTraderOptions
        from resources.brokers.ctrader_wire import Tokens

        front = self.venue.ctrader
        return CTraderBroker(
            credentials,
            Tokens(front.access_token, front.refresh_token),
            self.saved.append,
            CTraderOptions(account_id=ACCOUNT_ID, **options),
            clock=self.clock,
        )

    def market_order(self, name: str, quantity: str = "0.5", **more: Any) -> OrderTicket:
        return OrderTicket(
            client_order_id=name,
            symbol=more.pop("symbol", self.symbol),
            side=more.pop("side", Side.BUY),
            quantity=Decimal(quantity) * self.scale,
            **more,
        )

    def limit_order(self, name: str, quantity: str, price: Decimal) -> OrderTicket:
        return OrderTicket(
            client_order_id=name,
            symbol=self.symbol,
            side=Side.BUY,
            quantity=Decimal(quantity) * self.scale,
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
def rig(adapter: str, *, log: Any = None, seed: int = 7, **options: Any) -> Iterator[Rig]:
    """A venue whose time stands still unless a test moves it."""
    clock = SteppedClock(dt.datetime.now(dt.UTC))
    venue = Venue(VenueOptions(seed=seed, **options), clock=clock, log=log)
    with running(venue, {adapter: 0}) as urls:
        made = Rig(adapter=adapter, venue=venue, url=urls[adapter], clock=clock)
        made.connect()
        yield made
