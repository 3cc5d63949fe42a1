"""What the simulated venue lists, and when it is open.

Belongs here: symbols, filters, hours, fee tiers, as values. Does not belong here: prices in motion
(`market`) or accounts (`exchange`).
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from quant.core.errors import DataError
from quant.execution.venue_rules import VenueRules


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHours:
    """Open from `opens` to `closes` UTC on weekdays."""

    opens: dt.time
    closes: dt.time

    def is_open(self, moment: dt.datetime) -> bool:
        """Whether the venue trades at `moment`."""
        return moment.weekday() < 5 and self.opens <= moment.time() < self.closes

    def next_change(self, moment: dt.datetime, *, to_open: bool) -> dt.datetime:
        """When it opens (or closes) next, strictly after `moment`."""
        bell = self.opens if to_open else self.closes
        day = moment.date()
        while True:
            found = dt.datetime.combine(day, bell, tzinfo=dt.UTC)
            if found > moment and found.weekday() < 5:
                return found
            day += dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTier:
    """What is charged from a traded volume on, in basis points."""

    volume_from: Decimal
    maker_bps: Decimal
    taker_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One symbol, its grid, and how its simulated market looks and moves."""

    # The protocol, and with it the account, that lists it.
    venue: str
    symbol: str
    base: str
    quote: str
    start_price: Decimal
    rules: VenueRules
    # The house quotes this much at each of its levels.
    level_size: Decimal
    levels: int = 5
    # Per step of the market; a step is `market.STEP_MS`.
    move_bps: float = 1.0
    # Trading one level's size moves the price by this much for good.
    impact_bps: float = 0.5
    # Chance that somebody else takes liquidity in a step, which fills resting orders in part.
    taker_share: float = 0.3
    hours: TradingHours | None = None

    def __post_init__(self) -> None:
        if self.start_price <= 0 or self.level_size <= 0 or self.levels < 1:
            raise DataError(f"instrument {self.symbol} needs a price, a size and a level")

    @property
    def is_crypto(self) -> bool:
        """Crypto is bought with a quote balance, stock with the account's cash."""
        return self.base != self.symbol

    def is_open(self, moment: dt.datetime) -> bool:
        """Without hours, always."""
        return self.hours is None or self.hours.is_open(moment)


def stock(symbol: str, price: str, *, hours: TradingHours | None = None) -> Instrument:
    """A US stock: cents, whole and fractional shares."""
    return Instrument(
        venue="alpaca",
        symbol=symbol,
        base=symbol,
        quote="USD",
        start_price=Decimal(price),
        level_size=Decimal(200),
        hours=hours,
        rules=VenueRules(
            symbol=symbol,
            price_step=Decimal("0.01"),
            quantity_step=Decimal("0.000000001"),
            notional_min=Decimal(1),
        ),
    )


def coin(base: str, price: str, *, step: str, level: str) -> Instrument:
    """A Binance spot pair against USDT."""
    return Instrument(
        venue="binance",
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        start_price=Decimal(price),
        level_size=Decimal(level),
        rules=VenueRules(
            symbol=f"{base}USDT",
            price_step=Decimal("0.01"),
            price_min=Decimal("0.01"),
            price_max=Decimal(1_000_000),
            quantity_step=Decimal(step),
            quantity_min=Decimal(step),
            quantity_max=Decimal(9000),
            notional_min=Decimal(5),
            percent_band=Decimal("0.5"),
        ),
    )


def currency(base: str, price: str) -> Instrument:
    """A currency pair against the dollar, traded in hundredths of a unit."""
    return Instrument(
        venue="ctrader",
        symbol=f"{base}USD",
        base=base,
        quote="USD",
        start_price=Decimal(price),
        level_size=Decimal(100_000),
        move_bps=0.3,
        rules=VenueRules(
            symbol=f"{base}USD",
            price_step=Decimal("0.00001"),
            quantity_step=Decimal(1000),
            quantity_min=Decimal(1000),
            quantity_max=Decimal(10_000_000),
        ),
    )


# Round prices of no particular day.
STOCKS: Final = (
    stock("AAPL", "190.00"),
    stock("MSFT", "410.00"),
    stock("SPY", "500.00"),
    stock("KO", "60.00"),
)
COINS: Final = (
    coin("BTC", "60000.00", step="0.00001", level="0.5"),
    coin("ETH", "3000.00", step="0.0001", level="8"),
    coin("SOL", "150.00", step="0.001", level="150"),
)

CURRENCIES: Final = (currency("EUR", "1.10000"), currency("GBP", "1.25000"))

# Alpaca charges no commission on stocks; Binance's first tiers as its fee page has them.
STOCK_FEES: Final = (FeeTier(volume_from=Decimal(0), maker_bps=Decimal(0), taker_bps=Decimal(0)),)
COIN_FEES: Final = (
    FeeTier(volume_from=Decimal(0), maker_bps=Decimal(10), taker_bps=Decimal(10)),
    FeeTier(volume_from=Decimal(1_000_000), maker_bps=Decimal(9), taker_bps=Decimal(10)),
    FeeTier(volume_from=Decimal(5_000_000), maker_bps=Decimal(8), taker_bps=Decimal(10)),
)
