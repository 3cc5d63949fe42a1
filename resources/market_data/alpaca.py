"""Alpaca's stock bars and corporate actions through the real alpaca-py; needs a key pair.

The SDK is kept on a short lead: its retries (three, 3 s apart, deaf to Retry-After) are off, its
missing timeout and everything else about the wire is `GuardedSession`'s, and its data models are
bypassed (`raw_data`), since they refuse a null close for the whole answer and accept NaN.
"""

import datetime as dt
import warnings
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import SecretStr

from quant.core.clock import Clock, SystemClock
from quant.core.errors import SourceRefusedError
from quant.market.bars import AssetClass, Basis
from quant.market.sources import (
    BarRequest,
    no_bars,
    normalise_actions,
    normalise_bars,
)
from resources.market_data.http import SourceRules, VendorGate
from resources.market_data.vendor_series import split_ratio, vendor_rows

RULES: Final = SourceRules(requests_per_minute=200)
SERVED: Final = frozenset({AssetClass.US_EQUITY, AssetClass.ETF})
FIELDS: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
ADJUSTMENTS: Final = {
    Basis.RAW: "raw",
    Basis.SPLIT_ADJUSTED: "split",
    Basis.TOTAL_RETURN: "all",
}
NEW_YORK: Final = ZoneInfo("America/New_York")
# What the SDK raises when whole JSON has another shape than it expects.
SHAPE_ERRORS: Final = (AttributeError, KeyError, TypeError, ValueError)


class AlpacaSource:
    """`BarSource` over alpaca-py, many symbols in one request."""

    def __init__(
        self,
        *,
        key_id: SecretStr,
        secret_key: SecretStr,
        rules: SourceRules = RULES,
        base_url: str | None = None,
        feed: str = "iex",
        clock: Clock | None = None,
        name: str = "alpaca",
    ) -> None:
        self.name = name
        self._key_id = key_id
        self._secret_key = secret_key
        self._gate = VendorGate(source=name, rules=rules, secrets=(key_id, secret_key))
        self._base_url = base_url
        self._feed = feed
        self._clock = clock or SystemClock()
        # Here rather than at the first question, whose time limit the import would use up.
        _load_sdk()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Bars of every symbol that Alpaca has."""
        if request.asset_class not in SERVED:
            raise SourceRefusedError(
                f"{self.name} is not used for {request.asset_class.value}",
                remedy="ask another source",
            )
        answer = self._bars_by_symbol(request)
        try:
            found = [self._rows(symbol, bars, request) for symbol, bars in answer.items() if bars]
        except SHAPE_ERRORS:
            raise self._gate.unbelievable("bars of another shape") from None
        if not found:
            return no_bars(request)
        return normalise_bars(
            pd.concat(found, ignore_index=True),
            request=request,
            source=self.name,
            retrieved_at=self._clock.now(),
        )

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and cash dividends of all symbols in one request."""
        answer = self._actions_by_kind(symbols, start, end)
        try:
            found = [
                (
                    str(split["symbol"]),
                    dt.date.fromisoformat(split["ex_date"]),
                    "split",
                    1.0 / self._ratio(split),
                )
                for kind in ("forward_splits", "reverse_splits")
                for split in answer.get(kind) or []
            ]
            for paid in answer.get("cash_dividends") or []:
                day = dt.date.fromisoformat(paid["ex_date"])
                found.append((str(paid["symbol"]), day, "cash_dividend", float(paid["rate"])))
        except SHAPE_ERRORS:
            raise self._gate.unbelievable("corporate actions of another shape") from None
        asked = [action for action in found if action[0] in symbols]
        return normalise_actions(asked, source=self.name, start=start, end=end)

    def _ratio(self, split: dict[str, Any]) -> float:
        return split_ratio(
            split["new_rate"], split["old_rate"], source=self.name, symbol=str(split["symbol"])
        )

    def _rows(self, symbol: str, bars: list[dict[str, Any]], request: BarRequest) -> pd.DataFrame:
        opened = [dt.datetime.fromisoformat(bar["t"]) for bar in bars]
        # A daily bar is stamped with midnight in New York.
        days = [moment.astimezone(NEW_YORK).date() for moment in opened]
        columns: dict[str, list[Any]] = {"stamp": list(days if request.is_daily else opened)}
        for field, short in FIELDS.items():
            columns[field] = [bar[short] for bar in bars]
        return vendor_rows(symbol, columns)

    def _bars_by_symbol(self, request: BarRequest) -> dict[str, Any]:
        from alpaca.data.enums import Adjustment, DataFeed
        from alpaca.data.historical import StockHistoricalDataClient
        from alpaca.data.requests import StockBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

        minutes = request.interval_minutes
        if minutes is None:
            frame = TimeFrame(1, TimeFrameUnit.Day)
        elif minutes < 60:
            frame = TimeFrame(minutes, TimeFrameUnit.Minute)
        elif minutes % 60 == 0:
            frame = TimeFrame(minutes // 60, TimeFrameUnit.Hour)
        else:
            raise SourceRefusedError(
                f"{self.name} has no bars of {minutes} minutes", remedy="ask for whole hours"
            )
        question = StockBarsRequest(
            symbol_or_symbols=list(request.symbols),
            timeframe=frame,
            start=dt.datetime.combine(request.start, dt.time(), tzinfo=NEW_YORK),
            end=dt.datetime.combine(request.end, dt.time.max, tzinfo=NEW_YORK),
            adjustment=Adjustment(ADJUSTMENTS[request.basis]),
            feed=DataFeed(self._feed),
        )
        client = self._guarded(StockHistoricalDataClient)
        try:
            return dict(client.get_stock_bars(question))
        except SHAPE_ERRORS:
            raise self._gate.unbelievable("bars of another shape") from None

    def _actions_by_kind(
        self, symbols: tuple[str, ...], start: dt.date, end: dt.date
    ) -> dict[str, Any]:
        from alpaca.data.enums import CorporateActionsType
        from alpaca.data.historical.corporate_actions import CorporateActionsClient
        from alpaca.data.requests import CorporateActionsRequest

        question = CorporateActionsRequest(
            symbols=list(symbols),
            types=[
                CorporateActionsType.FORWARD_SPLIT,
                CorporateActionsType.REVERSE_SPLIT,
                CorporateActionsType.CASH_DIVIDEND,
            ],
            start=start,
            end=end,
            # The SDK takes a limit for the whole answer; without one it follows every page.
            limit=None,
        )
        client = self._guarded(CorporateActionsClient)
        try:
            return dict(client.get_corporate_actions(question))
        except SHAPE_ERRORS:
            raise self._gate.unbelievable("corporate actions of another shape") from None

    def _guarded(self, client_class: Any) -> Any:
        """A client whose every request is ours; cheap, so that each call has its own."""
        from resources.market_data.sdk_session import GuardedSession

        client = client_class(
            api_key=self._key_id.get_secret_value(),
            secret_key=self._secret_key.get_secret_value(),
            url_override=self._base_url,
            raw_data=True,
        )
        client._retry = 0
        client._retry_codes = []
        client._session = GuardedSession(self._gate)
        return client


def _load_sdk() -> None:
    """Import alpaca-py, silencing the one complaint of its own imports that we cannot act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="websockets.legacy is deprecated", category=DeprecationWarning
        )
        import alpaca.data.historical  # noqa: F401
