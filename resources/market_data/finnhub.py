"""Finnhub's candles, splits and dividends; needs a key.

Finnhub divides daily stock prices by later splits and leaves intraday ones raw (so its
documentation), hence a raw daily bar is the candle times the splits that came after it.
"""

import datetime as dt
from typing import Any, Final

import pandas as pd
from pydantic import SecretStr

from quant.core.clock import Clock, SystemClock
from quant.core.errors import SourceRefusedError
from quant.market.bars import AssetClass, Basis
from quant.market.sources import (
    BarRequest,
    no_actions,
    no_bars,
    normalise_actions,
    normalise_bars,
)
from resources.market_data.http import JsonClient, SourceRules, VendorGate
from resources.market_data.vendor_series import (
    Splits,
    each_symbol,
    joined,
    split_ratio,
    undo_splits,
    vendor_rows,
)

BASE_URL: Final = "https://finnhub.io"
RULES: Final = SourceRules(requests_per_minute=60)
RESOLUTIONS: Final = {None: "D", 1: "1", 5: "5", 15: "15", 30: "30", 60: "60"}
# Its candles do not tell their currency; only where that is known beforehand can they be used.
SERVED: Final = frozenset({AssetClass.US_EQUITY, AssetClass.ETF, AssetClass.INDEX})
FIELDS: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


class FinnhubSource:
    """`BarSource` over Finnhub's candle endpoints, one request a symbol (two for raw daily)."""

    def __init__(
        self,
        *,
        key: SecretStr,
        rules: SourceRules = RULES,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
        name: str = "finnhub",
    ) -> None:
        self.name = name
        self._gate = VendorGate(source=name, rules=rules, secrets=(key,))
        # In a header rather than in the address, where proxies and logs would see it.
        headers = {"X-Finnhub-Token": key.get_secret_value()}
        self._client = JsonClient(self._gate, base_url=base_url, headers=headers)
        self._clock = clock or SystemClock()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Bars of every symbol that Finnhub has."""
        if request.asset_class not in SERVED:
            raise SourceRefusedError(
                f"{self.name} is not used for {request.asset_class.value}",
                remedy="ask another source",
            )
        if request.interval_minutes not in RESOLUTIONS:
            raise SourceRefusedError(
                f"{self.name} has no bars of {request.interval_minutes} minutes",
                remedy="ask for 1, 5, 15, 30 or 60 minutes, or for daily bars",
            )
        split_adjusted_daily = request.basis is Basis.SPLIT_ADJUSTED and request.is_daily
        if request.basis is not Basis.RAW and not split_adjusted_daily:
            raise SourceRefusedError(
                f"{self.name} does not serve these bars in basis {request.basis.value}",
                remedy="ask for basis raw",
            )
        frames = each_symbol(request.symbols, lambda symbol: self._bars_of(symbol, request))
        return joined(frames, nothing=no_bars(request))

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and dividends, two requests a symbol."""
        frames = each_symbol(symbols, lambda symbol: self._actions_of(symbol, start, end))
        return joined(frames, nothing=no_actions())

    def _bars_of(self, symbol: str, request: BarRequest) -> pd.DataFrame:
        candles = self._candles(symbol, request)
        try:
            if candles["s"] == "no_data":
                return no_bars(request)
            opened = [dt.datetime.fromtimestamp(second, tz=dt.UTC) for second in candles["t"]]
            # Daily candles are stamped within the UTC day of their session.
            sessions = [moment.date() for moment in opened]
            columns: dict[str, Any] = {"stamp": sessions if request.is_daily else opened}
            columns |= {field: candles[short] for field, short in FIELDS.items()}
            if candles["s"] != "ok" or {len(values) for values in columns.values()} != {
                len(opened)
            }:
                raise ValueError("not a whole set of candles")
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._gate.unbelievable(f"candles of another shape for {symbol}") from None
        rows = vendor_rows(symbol, columns)
        if request.basis is Basis.RAW and request.is_daily:
            rows = undo_splits(rows, self._splits(symbol, request.start), sessions=sessions)
        return normalise_bars(
            rows, request=request, source=self.name, retrieved_at=self._clock.now()
        )

    def _candles(self, symbol: str, request: BarRequest) -> Any:
        since = dt.datetime.combine(request.start, dt.time(), tzinfo=dt.UTC)
        until = dt.datetime.combine(request.end, dt.time(), tzinfo=dt.UTC) + dt.timedelta(days=2)
        return self._client.get(
            "/api/v1/stock/candle",
            {
                "symbol": symbol,
                "resolution": RESOLUTIONS[request.interval_minutes],
                "from": int(since.timestamp()),
                "to": int(until.timestamp()),
            },
        )

    def _splits(self, symbol: str, start: dt.date) -> Splits:
        """All splits since `start`, up to today and not only to the end of the range."""
        told = self._events("split", symbol, start, self._clock.now().date())
        try:
            return {
                dt.date.fromisoformat(split["date"]): split_ratio(
                    split["toFactor"], split["fromFactor"], source=self.name, symbol=symbol
                )
                for split in told
            }
        except (KeyError, TypeError, ValueError):
            raise self._gate.unbelievable(f"splits of another shape for {symbol}") from None

    def _actions_of(self, symbol: str, start: dt.date, end: dt.date) -> pd.DataFrame:
        splits = self._splits(symbol, start)
        found = [(symbol, day, "split", 1.0 / ratio) for day, ratio in splits.items()]
        try:
            for paid in self._events("dividend", symbol, start, end):
                day = dt.date.fromisoformat(paid["date"])
                found.append((symbol, day, "cash_dividend", float(paid["amount"])))
        except (KeyError, TypeError, ValueError):
            raise self._gate.unbelievable(f"dividends of another shape for {symbol}") from None
        return normalise_actions(found, source=self.name, start=start, end=end)

    def _events(self, kind: str, symbol: str, start: dt.date, end: dt.date) -> list[Any]:
        told = self._client.get(
            f"/api/v1/stock/{kind}",
            {"symbol": symbol, "from": start.isoformat(), "to": end.isoformat()},
        )
        if not isinstance(told, list):
            raise self._gate.unbelievable(f"no list of {kind}s for {symbol}")
        return told
