"""The port for bars: what a caller asks of any source, and what every source promises in return.

Belongs here: the request, the protocol, and the two helpers through which every adapter's rows pass
(`normalise_bars`, `refuse_unbelievable`). Does not belong here: a vendor's protocol, HTTP, files,
failover (all in `resources.market_data`), or whether a believable bar is a good one (`quality`).
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final, Protocol

import pandas as pd

from quant.core.errors import UsageError
from quant.market.bars import AssetClass, Basis

# Long enough for every ticker, pair and option root that the sources use; the character set admits
# BTC/USDT, ^GSPC, ES=F, BRK-B and BINANCE:BTCUSDT, and the lookahead refuses a path such as "..".
SYMBOL_LENGTH_MAX: Final = 40
SYMBOL_PATTERN: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9^][A-Za-z0-9.\-_/=^:]*")

MINUTES_PER_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRequest:
    """Bars of some symbols over a closed range of sessions; `interval_minutes` None means daily."""

    symbols: tuple[str, ...]
    start: dt.date
    end: dt.date
    basis: Basis = Basis.RAW
    asset_class: AssetClass = AssetClass.US_EQUITY
    interval_minutes: int | None = None

    def __post_init__(self) -> None:
        _require_symbols(self.symbols)
        if isinstance(self.start, dt.datetime) or isinstance(self.end, dt.datetime):
            raise UsageError(
                "start and end are sessions (dates), not moments", remedy="use .date()"
            )
        if self.start > self.end:
            raise UsageError(
                f"the range starts on {self.start}, after its end {self.end}",
                remedy="swap the two dates",
            )
        minutes = self.interval_minutes
        if minutes is not None and not 1 <= minutes < MINUTES_PER_DAY:
            raise UsageError(
                f"a bar of {minutes} minutes is not intraday",
                remedy=f"ask for 1 to {MINUTES_PER_DAY - 1} minutes, or for daily bars",
            )

    @property
    def is_daily(self) -> bool:
        """Whether one bar is one session."""
        return self.interval_minutes is None


class BarSource(Protocol):
    """Delivers bars and corporate actions.

    A source answers only for the symbols it has, with an empty frame (columns in place) when it has
    none of them. It raises `SourceUnavailableError` when asking again may help,
    `SourceRefusedError` when it will not, and `SourceAnswerError` when an answer came that cannot
    be believed. `session` and `ex_session` hold `datetime.date`; times are aware and in UTC.
    """

    @property
    def name(self) -> str:
        """The word under which its rows and its failures are recorded."""
        ...

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Rows of DAILY_BAR_COLUMNS, or INTRADAY_BAR_COLUMNS where an interval is asked."""
        ...

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and cash dividends with their ex-session in the range, as ACTION_COLUMNS."""
        ...


def _require_symbols(symbols: tuple[str, ...]) -> None:
    if not symbols:
        raise UsageError("no symbol was asked for", remedy="name at least one symbol")
    if len(set(symbols)) != len(symbols):
        raise UsageError("a symbol is asked for twice", remedy="name each symbol once")
    for symbol in symbols:
        if len(symbol) > SYMBOL_LENGTH_MAX or not SYMBOL_PATTERN.fullmatch(symbol):
            raise UsageError(
                f"{symbol[:SYMBOL_LENGTH_MAX]!r} is not a symbol",
                remedy=f"use at most {SYMBOL_LENGTH_MAX} letters, digits and . - _ / = ^ :",
            )
