"""What each vendor answers for the same five sessions around Apple's split of 31 August 2020.

The raw closes are the exchange's; every vendor's answer is derived from them by that vendor's own
convention, so that all adapters must arrive at the same raw bars.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from quant.core.clock import SteppedClock
from quant.market.bars import AssetClass
from quant.market.sources import BarRequest, BarSource
from resources.market_data.http import SourceRules
from tests.loopback import Ask, Responder

NOW = dt.datetime(2020, 9, 3, 12, 0, tzinfo=dt.UTC)
KEY = SecretStr("canary-7f3a9c-key")
SECRET = SecretStr("canary-51be02-secret")
NEW_YORK = ZoneInfo("America/New_York")

SESSIONS = tuple(
    dt.date.fromisoformat(f"2020-{day}") for day in ("08-27", "08-28", "08-31", "09-01", "09-02")
)
SPLIT_DAY = dt.date(2020, 8, 31)
# open, high, low, close, volume as printed on the day.
RAW: tuple[tuple[Any, ...], ...] = (
    (508.57, 509.94, 495.33, 500.04, 38_888_096),
    (504.05, 505.77, 498.31, 499.23, 46_907_479),
    (127.58, 131.0, 126.0, 129.04, 225_702_688),
    (132.76, 134.8, 130.53, 134.18, 152_470_142),
    (137.59, 137.98, 127.0, 131.4, 200_119_000),
)
FIELDS = ("open", "high", "low", "close", "volume")
Bars = tuple[tuple[Any, ...], ...]


def with_close(value: object, *, at: int = 3) -> Bars:
    """The five bars with one close replaced."""
    bars = [list(bar) for bar in RAW]
    bars[at][3] = value
    return tuple(tuple(bar) for bar in bars)


def _split_adjusted(bars: Bars) -> Bars:
    adjusted = []
    for session, bar in zip(SESSIONS, bars, strict=True):
        factor = 4 if session < SPLIT_DAY else 1
        prices = [p / factor if isinstance(p, int | float) else p for p in bar[:4]]
        volume = bar[4] * factor if isinstance(bar[4], int | float) else bar[4]
        adjusted.append((*prices, volume))
    return tuple(adjusted)


def _second(day: dt.date, hour: int = 9, minute: int = 30) -> int:
    return int(dt.datetime.combine(day, dt.time(hour, minute), tzinfo=NEW_YORK).timestamp())


def yahoo(bars: Bars) -> Responder:
    columns = dict(zip(FIELDS, zip(*_split_adjusted(bars), strict=True), strict=True))
    # A dividend of 1 % of the price on the last session, told by the adjusted closes before it.
    full = [c * 0.99 if isinstance(c, float) else c for c in columns["close"][:4]]

    def respond(ask: Ask) -> Any:
        symbol = ask.path.rsplit("/", 1)[1]
        if symbol != "AAPL":
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return 404, {"chart": {"result": None, "error": error}}
        split = {"date": _second(SPLIT_DAY), "numerator": 4, "denominator": 1, "splitRatio": "4:1"}
        dividends = {
            "1": {"amount": 0.205, "date": _second(dt.date(2020, 8, 28))},
            "2": {"amount": 0.205, "date": _second(dt.date(2020, 9, 1))},
        }
        chart = {
            "meta": {
                "currency": "USD",
                "symbol": "AAPL",
                "exchangeTimezoneName": "America/New_York",
                "gmtoffset": -14400,
                "dataGranularity": "1d",
            },
            "timestamp": [_second(day) for day in SESSIONS],
            "events": {"splits": {str(split["date"]): split}, "dividends": dividends},
            "indicators": {
                "quote": [{name: list(values) for name, values in columns.items()}],
                "adjclose": [{"adjclose": [*full, columns["close"][4]]}],
            },
        }
        return {"chart": {"result": [chart], "error": None}}

    return respond


def alpha_vantage(bars: Bars) -> Responder:
    def respond(ask: Ask) -> Any:
        function, symbol = ask.query["function"], ask.query["symbol"]
        if ask.query.get("apikey") != KEY.get_secret_value():
            return {"Error Message": "the parameter apikey is invalid or missing."}
        if symbol != "AAPL":
            return {"Error Message": "Invalid API call. Please retry or visit the documentation."}
        if function == "SPLITS":
            data = [{"effective_date": "2020-08-31", "split_factor": "4.0000"}]
            return {"symbol": symbol, "data": data}
        if function == "DIVIDENDS":
            data = [
                {"ex_dividend_date": "2020-08-28", "amount": "0.82"},
                {"ex_dividend_date": "2020-09-01", "amount": "0.205"},
            ]
            return {"symbol": symbol, "data": data}
        return {
            "Meta Data": {"2. Symbol": symbol, "5. Time Zone": "US/Eastern"},
            "Time Series (Daily)": {
                day.isoformat(): {
                    f"{place}. {name}": None if value is None else str(value)
                    for place, (name, value) in enumerate(zip(FIELDS, bar, strict=True), start=1)
                }
                for day, bar in reversed(list(zip(SESSIONS, bars, strict=True)))
            },
        }

    return respond


def finnhub(bars: Bars) -> Responder:
    columns = [list(column) for column in zip(*_split_adjusted(bars), strict=True)]

    def respond(ask: Ask) -> Any:
        if ask.headers.get("x-finnhub-token") != KEY.get_secret_value():
            return 401, {"error": "Invalid API key"}
        known = ask.query["symbol"] == "AAPL"
        if ask.path.endswith("/split"):
            split = {"symbol": "AAPL", "date": "2020-08-31", "fromFactor": 1, "toFactor": 4}
            return [split] if known else []
        if ask.path.endswith("/dividend"):
            paid = [("2020-08-28", 0.82), ("2020-09-01", 0.205)]
            return [{"symbol": "AAPL", "date": day, "amount": a} for day, a in paid if known]
        if not known:
            return {"s": "no_data"}
        seconds = [
            int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp()) for day in SESSIONS
        ]
        return dict(zip("ohlcv", columns, strict=True)) | {"t": seconds, "s": "ok"}

    return respond


def alpaca(bars: Bars) -> Responder:
    def respond(ask: Ask) -> Any:
        keys = (ask.headers.get("apca-api-key-id"), ask.headers.get("apca-api-secret-key"))
        if keys != (KEY.get_secret_value(), SECRET.get_secret_value()):
            return 403, {"message": "forbidden."}
        if "AAPL" not in ask.query["symbols"].split(","):
            empty = "corporate_actions" if "corporate" in ask.path else "bars"
            return {empty: {}, "next_page_token": None}
        if ask.path == "/v1/corporate-actions":
            rates = {"new_rate": 4, "old_rate": 1}
            paid = [("2020-08-28", 0.82), ("2020-09-01", 0.205)]
            actions = {
                "forward_splits": [{"symbol": "AAPL", "ex_date": "2020-08-31", **rates}],
                "cash_dividends": [{"symbol": "AAPL", "ex_date": d, "rate": r} for d, r in paid],
            }
            return {"corporate_actions": actions, "next_page_token": None}
        told = bars if ask.query["adjustment"] == "raw" else _split_adjusted(bars)
        listed = [
            {"t": f"{day}T04:00:00Z", "n": 1, "vw": 1.0} | dict(zip("ohlcv", bar, strict=True))
            for day, bar in zip(SESSIONS, told, strict=True)
        ]
        # Two pages, so that the SDK's paging is part of every test.
        if ask.query.get("page_token") is None:
            return {"bars": {"AAPL": listed[:3]}, "next_page_token": "more"}
        return {"bars": {"AAPL": listed[3:]}, "next_page_token": None}

    return respond


def binance(bars: Bars) -> Responder:
    market = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissionSets": [["SPOT"]],
        "permissions": [],
        "filters": [],
    }

    def respond(ask: Ask) -> Any:
        if ask.path == "/api/v3/exchangeInfo":
            return {"timezone": "UTC", "rateLimits": [], "symbols": [market]}
        since = int(ask.query.get("startTime", 0))
        candles = []
        for day, bar in zip(SESSIONS, bars, strict=True):
            opened = int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp()) * 1000
            values = [None if value is None else str(value) for value in bar]
            if opened >= since:
                candles.append([opened, *values, opened + 86_399_999, "0", 1, "0", "0", "0"])
        return candles

    return respond


@dataclass(frozen=True)
class VendorCase:
    """One adapter with the server that speaks its vendor's protocol."""

    name: str
    respond: Callable[[Bars], Responder]
    build: Callable[[str, SourceRules], BarSource]
    symbol: str = "AAPL"
    asset_class: AssetClass = AssetClass.US_EQUITY
    unknown: str = "NOSUCH"

    def request(self, *symbols: str, **changes: Any) -> BarRequest:
        settings: dict[str, Any] = {
            "symbols": symbols or (self.symbol,),
            "start": SESSIONS[0],
            "end": SESSIONS[-1],
            "asset_class": self.asset_class,
        }
        return BarRequest(**(settings | changes))


def _yahoo(url: str, rules: SourceRules) -> BarSource:
    from resources.market_data.yfinance import YahooSource

    return YahooSource(rules=rules, base_url=url, clock=SteppedClock(NOW))


def _alpha_vantage(url: str, rules: SourceRules) -> BarSource:
    from resources.market_data.alpha_vantage import AlphaVantageSource

    return AlphaVantageSource(key=KEY, rules=rules, base_url=url, clock=SteppedClock(NOW))


def _finnhub(url: str, rules: SourceRules) -> BarSource:
    from resources.market_data.finnhub import FinnhubSource

    return FinnhubSource(key=KEY, rules=rules, base_url=url, clock=SteppedClock(NOW))


def _alpaca(url: str, rules: SourceRules) -> BarSource:
    from resources.market_data.alpaca import AlpacaSource

    return AlpacaSource(
        key_id=KEY, secret_key=SECRET, rules=rules, base_url=url, clock=SteppedClock(NOW)
    )


def _ccxt(url: str, rules: SourceRules) -> BarSource:
    from resources.market_data.ccxt_exchange import CcxtSource

    return CcxtSource(rules=rules, base_url=url, clock=SteppedClock(NOW))


VENDORS = {
    case.name: case
    for case in (
        VendorCase(name="yfinance", respond=yahoo, build=_yahoo),
        VendorCase(name="alpha_vantage", respond=alpha_vantage, build=_alpha_vantage),
        VendorCase(name="finnhub", respond=finnhub, build=_finnhub),
        VendorCase(name="alpaca", respond=alpaca, build=_alpaca),
        VendorCase(
            name="ccxt_binance",
            respond=binance,
            build=_ccxt,
            symbol="BTC/USDT",
            asset_class=AssetClass.CRYPTO,
            unknown="NO/SUCH",
        ),
    )
}
