"""Yahoo's daily and intraday bars, splits and dividends, without a key.

Speaks the chart endpoint that the yfinance package speaks, but through `JsonClient`: the package
goes out through a curl session of its own, with its own retries, a cookie store on disk and no
limit on time or size, and answers most failures with an empty frame and a log line. Here a failure
is a typed error, and the address can be a loopback server.

Yahoo has divided every price by later splits, whatever is asked. The chart is therefore always read
up to today: a raw price needs the splits that came after the range.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from quant.core.clock import Clock, SystemClock
from quant.core.errors import SourceRefusedError
from quant.market.bars import PRICE_COLUMNS, Basis
from quant.market.sources import (
    BarRequest,
    no_actions,
    no_bars,
    normalise_actions,
    normalise_bars,
)
from resources.market_data.http import JsonClient, SourceRules, SymbolRefusedError, VendorGate
from resources.market_data.vendor_series import (
    Splits,
    each_symbol,
    joined,
    shares_after,
    split_ratio,
    undo_splits,
    vendor_rows,
)

BASE_URL: Final = "https://query2.finance.yahoo.com"
INTERVALS: Final = {None: "1d", 1: "1m", 2: "2m", 5: "5m", 15: "15m", 30: "30m", 60: "60m"}
# London, Johannesburg and Tel Aviv quote in hundredths; upper case would make pounds of pence.
MINOR_UNITS: Final = {"GBp": "GBX", "ZAc": "ZAC"}
# Yahoo answers 429 to clients that do not look like a browser.
USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"


class YahooSource:
    """`BarSource` over Yahoo's chart endpoint, one request a symbol."""

    def __init__(
        self,
        *,
        rules: SourceRules | None = None,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
        name: str = "yfinance",
    ) -> None:
        self.name = name
        self._gate = VendorGate(source=name, rules=rules or SourceRules())
        self._client = JsonClient(self._gate, base_url=base_url, headers={"User-Agent": USER_AGENT})
        self._clock = clock or SystemClock()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Bars of every symbol that Yahoo has, in the basis that was asked."""
        if request.interval_minutes not in INTERVALS:
            raise SourceRefusedError(
                f"{self.name} has no bars of {request.interval_minutes} minutes",
                remedy="ask for 1, 2, 5, 15, 30 or 60 minutes, or for daily bars",
            )
        if request.basis is Basis.TOTAL_RETURN and not request.is_daily:
            raise SourceRefusedError(
                f"{self.name} adjusts only daily bars for dividends", remedy="ask for basis raw"
            )
        frames = each_symbol(request.symbols, lambda symbol: self._bars_of(symbol, request))
        return joined(frames, nothing=no_bars(request))

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and dividends; the amounts as they were paid, before any later split."""
        frames = each_symbol(symbols, lambda symbol: self._actions_of(symbol, start, end))
        return joined(frames, nothing=no_actions())

    def _bars_of(self, symbol: str, request: BarRequest) -> pd.DataFrame:
        chart = self._chart(symbol, request.start, INTERVALS[request.interval_minutes])
        if not chart.get("timestamp"):
            return no_bars(request)
        try:
            rows = self._rows(symbol, chart, request)
            told = str(chart["meta"]["currency"])
            currency = MINOR_UNITS.get(told, told)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
            raise self._gate.unbelievable(f"a chart of another shape for {symbol}") from None
        return normalise_bars(
            rows,
            request=request,
            source=self.name,
            retrieved_at=self._clock.now(),
            currency=currency,
        )

    def _rows(self, symbol: str, chart: Mapping[str, Any], request: BarRequest) -> pd.DataFrame:
        opened = [dt.datetime.fromtimestamp(s, tz=_zone(chart)) for s in chart["timestamp"]]
        quote_ = chart["indicators"]["quote"][0]
        rows = vendor_rows(
            symbol,
            {
                "stamp": [moment.date() for moment in opened] if request.is_daily else opened,
                **{name: quote_[name] for name in (*PRICE_COLUMNS, "volume")},
            },
        )
        if len(rows) != len(opened):
            raise ValueError("the lists differ in length")
        match request.basis:
            case Basis.RAW:
                sessions = [moment.date() for moment in opened]
                return undo_splits(rows, self._splits(symbol, chart), sessions=sessions)
            case Basis.SPLIT_ADJUSTED:
                return rows
            case Basis.TOTAL_RETURN:
                return _scaled(rows, chart["indicators"]["adjclose"][0]["adjclose"])

    def _actions_of(self, symbol: str, start: dt.date, end: dt.date) -> pd.DataFrame:
        chart = self._chart(symbol, start, "1d")
        try:
            splits = self._splits(symbol, chart)
            found = [(symbol, day, "split", 1.0 / ratio) for day, ratio in splits.items()]
            for event in _events(chart, "dividends"):
                day = _day(event, chart)
                paid = float(event["amount"]) * shares_after(day, splits)
                found.append((symbol, day, "cash_dividend", paid))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise self._gate.unbelievable(f"events of another shape for {symbol}") from None
        return normalise_actions(found, source=self.name, start=start, end=end)

    def _splits(self, symbol: str, chart: Mapping[str, Any]) -> Splits:
        return {
            _day(event, chart): split_ratio(
                event["numerator"], event["denominator"], source=self.name, symbol=symbol
            )
            for event in _events(chart, "splits")
        }

    def _chart(self, symbol: str, start: dt.date, interval: str) -> Mapping[str, Any]:
        since = dt.datetime.combine(start, dt.time(), tzinfo=dt.UTC) - dt.timedelta(days=1)
        answer = self._client.get(
            f"/v8/finance/chart/{quote(symbol, safe='')}",
            {
                "period1": int(since.timestamp()),
                "period2": int(self._clock.now().timestamp()),
                "interval": interval,
                "events": "div,splits",
            },
        )
        try:
            told = answer["chart"]
            if told.get("error"):
                raise SymbolRefusedError(
                    f"{self.name}: {self._gate.redacted(str(told['error']['description']))}",
                    remedy="check the symbol's spelling at Yahoo",
                )
            chart = told["result"][0]
            # A chart without its header cannot be placed in time.
            _zone(chart)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise self._gate.unbelievable(f"a chart of another shape for {symbol}") from None
        return chart  # type: ignore[no-any-return]


def _zone(chart: Mapping[str, Any]) -> ZoneInfo:
    try:
        return ZoneInfo(chart["meta"]["exchangeTimezoneName"])
    except ZoneInfoNotFoundError as error:
        raise ValueError("no such time zone") from error


def _events(chart: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return list(((chart.get("events") or {}).get(kind) or {}).values())


def _day(event: Mapping[str, Any], chart: Mapping[str, Any]) -> dt.date:
    return dt.datetime.fromtimestamp(event["date"], tz=_zone(chart)).date()


def _scaled(rows: pd.DataFrame, adjusted: list[Any]) -> pd.DataFrame:
    """All four prices by the ratio that Yahoo gives for the close."""
    scaled = rows.copy()
    for column in PRICE_COLUMNS:
        scaled[column] = pd.Series(
            [
                price if None in (price, close, full) or not close else price * full / close
                for price, close, full in zip(rows[column], rows["close"], adjusted, strict=True)
            ],
            index=rows.index,
            dtype=object,
        )
    return scaled
