"""Alpha Vantage's raw daily bars, splits and dividends; needs a key.

The vendor reports most failures with status 200 and one sentence under `Note`, `Information` or
`Error Message`. Its key travels in the address, so no address may reach a message or a log.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from pydantic import SecretStr

from quant.core.clock import Clock, SystemClock
from quant.core.errors import SourceRefusedError, SourceUnavailableError
from quant.market.bars import AssetClass, Basis
from quant.market.sources import (
    BarRequest,
    no_actions,
    no_bars,
    normalise_actions,
    normalise_bars,
)
from resources.market_data.http import JsonClient, SourceRules, SymbolRefusedError, VendorGate
from resources.market_data.vendor_series import each_symbol, joined, split_ratio, vendor_rows

BASE_URL: Final = "https://www.alphavantage.co"
# The free plan: 5 requests a minute (and 25 a day, which the vendor counts).
RULES: Final = SourceRules(requests_per_minute=5)
SERIES: Final = "Time Series (Daily)"
FIELDS: Final = {
    "open": "1. open",
    "high": "2. high",
    "low": "3. low",
    "close": "4. close",
    "volume": "5. volume",
}
# Its bars do not tell their currency; only where that is known beforehand can they be used.
SERVED: Final = frozenset({AssetClass.US_EQUITY, AssetClass.ETF, AssetClass.INDEX})
# The short answer holds the last 100 sessions; 130 calendar days never hold more than that.
COMPACT_DAYS: Final = 130
# Words that tell a used-up allowance from a function that the plan does not include.
ALLOWANCE_WORDS: Final = ("rate limit", "call frequency", "requests per", "spreading out")


class AlphaVantageSource:
    """`BarSource` over Alpha Vantage's query endpoint, one request a symbol."""

    def __init__(
        self,
        *,
        key: SecretStr,
        rules: SourceRules = RULES,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
        name: str = "alpha_vantage",
    ) -> None:
        self.name = name
        self._key = key
        self._gate = VendorGate(source=name, rules=rules, secrets=(key,))
        self._client = JsonClient(self._gate, base_url=base_url)
        self._clock = clock or SystemClock()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Raw daily bars of every symbol that the vendor has."""
        if not request.is_daily or request.basis is not Basis.RAW:
            raise SourceRefusedError(
                f"{self.name} is used for raw daily bars only", remedy="ask another source"
            )
        if request.asset_class not in SERVED:
            raise SourceRefusedError(
                f"{self.name} is not used for {request.asset_class.value}",
                remedy="ask another source",
            )
        frames = each_symbol(request.symbols, lambda symbol: self._bars_of(symbol, request))
        return joined(frames, nothing=no_bars(request))

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and dividends, two requests a symbol."""
        frames = each_symbol(symbols, lambda symbol: self._actions_of(symbol, start, end))
        return joined(frames, nothing=no_actions())

    def _bars_of(self, symbol: str, request: BarRequest) -> pd.DataFrame:
        age_days = (self._clock.now().date() - request.start).days
        size = "compact" if age_days <= COMPACT_DAYS else "full"
        answer = self._ask("TIME_SERIES_DAILY", symbol, outputsize=size)
        try:
            series = answer[SERIES]
            columns: dict[str, list[Any]] = {
                "stamp": [dt.date.fromisoformat(day) for day in series]
            }
            for field, label in FIELDS.items():
                columns[field] = [bar[label] for bar in series.values()]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._gate.unbelievable(f"a series of another shape for {symbol}") from None
        return normalise_bars(
            vendor_rows(symbol, columns),
            request=request,
            source=self.name,
            retrieved_at=self._clock.now(),
        )

    def _actions_of(self, symbol: str, start: dt.date, end: dt.date) -> pd.DataFrame:
        splits = self._ask("SPLITS", symbol)
        dividends = self._ask("DIVIDENDS", symbol)
        try:
            found = [
                (
                    symbol,
                    dt.date.fromisoformat(split["effective_date"]),
                    "split",
                    1.0 / split_ratio(split["split_factor"], 1, source=self.name, symbol=symbol),
                )
                for split in splits["data"]
            ]
            for paid in dividends["data"]:
                day = dt.date.fromisoformat(paid["ex_dividend_date"])
                found.append((symbol, day, "cash_dividend", float(paid["amount"])))
        except (KeyError, TypeError, ValueError):
            raise self._gate.unbelievable(f"actions of another shape for {symbol}") from None
        return normalise_actions(found, source=self.name, start=start, end=end)

    def _ask(self, function: str, symbol: str, **more: str) -> Mapping[str, Any]:
        parameters = {"function": function, "symbol": symbol, **more}
        answer = self._client.get("/query", parameters | {"apikey": self._key.get_secret_value()})
        if not isinstance(answer, dict):
            raise self._gate.unbelievable(f"no object for {symbol}")
        self._raise_complaint(answer, symbol)
        return answer

    def _raise_complaint(self, answer: Mapping[str, Any], symbol: str) -> None:
        if "Error Message" in answer:
            words = str(answer["Error Message"])
            wrong_key = "apikey" in words.lower().replace(" ", "")
            kind = SourceRefusedError if wrong_key else SymbolRefusedError
            raise kind(
                f"{self.name} refused {symbol}: {self._gate.redacted(words)}",
                remedy="check the key" if wrong_key else "check the symbol's spelling",
            )
        words = str(answer.get("Note") or answer.get("Information") or "")
        if not words:
            return
        if any(sign in words.lower() for sign in ALLOWANCE_WORDS):
            raise SourceUnavailableError(
                f"{self.name}: {self._gate.redacted(words)}",
                remedy="wait until the allowance is renewed, or lower requests_per_minute",
            )
        raise SourceRefusedError(
            f"{self.name}: {self._gate.redacted(words)}", remedy="ask another source"
        )
