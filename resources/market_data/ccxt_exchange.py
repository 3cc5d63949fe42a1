"""Candles of crypto exchanges through the real ccxt; needs no key, and never gets one.

Crypto trades around the clock: a session is a UTC day, there are no splits and no dividends, so
every basis is the raw one. `GuardedSession` judges the answers, since ccxt turns a web page or an
empty object into "no candles" and sorts errors by the host's name.
"""

import datetime as dt
from typing import Any, Final

import pandas as pd

from quant.core.clock import Clock, SystemClock
from quant.core.errors import SourceRefusedError, SourceUnavailableError, UsageError
from quant.market.bars import AssetClass
from quant.market.sources import MINUTES_PER_DAY, BarRequest, no_actions, no_bars, normalise_bars
from resources.market_data.http import SourceRules, SymbolRefusedError, VendorGate
from resources.market_data.vendor_series import each_symbol, joined, vendor_rows

# Binance allows 6,000 weight a minute and a candle request costs 2; this is a tenth of that.
RULES: Final = SourceRules(requests_per_minute=300)
CANDLES_PER_REQUEST: Final = 1000
TIMEFRAMES: Final = {None: "1d", 60: "1h", 120: "2h", 240: "4h", 360: "6h", 480: "8h", 720: "12h"}
CANDLE_FIELDS: Final = ("open", "high", "low", "close", "volume")


class CcxtSource:
    """`BarSource` over one exchange that ccxt knows."""

    def __init__(
        self,
        *,
        exchange_id: str = "binance",
        rules: SourceRules = RULES,
        base_url: str | None = None,
        clock: Clock | None = None,
        name: str = "",
    ) -> None:
        self.name = name or f"ccxt_{exchange_id}"
        self._exchange_id = exchange_id
        self._gate = VendorGate(source=self.name, rules=rules)
        self._base_url = base_url
        self._clock = clock or SystemClock()
        # Built here: the import of ccxt would use up the time limit of the first question.
        self._exchange = self._new_exchange()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Candles of every symbol (such as BTC/USDT) that the exchange trades."""
        if request.asset_class is not AssetClass.CRYPTO:
            raise SourceRefusedError(
                f"{self.name} trades crypto, not {request.asset_class.value}",
                remedy="ask another source",
            )
        exchange = self._with_markets()
        frame = self._timeframe(exchange, request.interval_minutes)
        frames = each_symbol(
            request.symbols, lambda symbol: self._bars_of(exchange, symbol, frame, request)
        )
        return joined(frames, nothing=no_bars(request))

    def actions(
        self,
        symbols: tuple[str, ...],  # noqa: ARG002 - the port's signature
        start: dt.date,  # noqa: ARG002
        end: dt.date,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Coins neither split nor pay dividends."""
        return no_actions()

    def _bars_of(self, exchange: Any, symbol: str, frame: str, request: BarRequest) -> pd.DataFrame:
        if symbol not in exchange.markets:
            raise SymbolRefusedError(
                f"{self.name} does not trade {symbol}", remedy="write it as BASE/QUOTE"
            )
        candles = self._candles(exchange, symbol, frame, request)
        try:
            opened = [dt.datetime.fromtimestamp(row[0] / 1000, tz=dt.UTC) for row in candles]
            daily = [moment.date() for moment in opened]
            columns: dict[str, Any] = {"stamp": daily if request.is_daily else opened}
            for place, field in enumerate(CANDLE_FIELDS, start=1):
                columns[field] = [row[place] for row in candles]
        except (TypeError, IndexError, ValueError, OverflowError):
            raise self._gate.unbelievable(f"candles of another shape for {symbol}") from None
        return normalise_bars(
            vendor_rows(symbol, columns),
            request=request,
            source=self.name,
            retrieved_at=self._clock.now(),
            currency=str(exchange.markets[symbol].get("quote") or "USD"),
        )

    def _candles(
        self, exchange: Any, symbol: str, frame: str, request: BarRequest
    ) -> list[list[Any]]:
        """Page by page from the first day until the range is over or nothing new comes."""
        exchange.session.start_call()
        step = (request.interval_minutes or MINUTES_PER_DAY) * 60_000
        since = _milliseconds(request.start)
        until = min(
            _milliseconds(request.end + dt.timedelta(days=1)),
            int(self._clock.now().timestamp() * 1000),
        )
        found: list[list[Any]] = []
        while since < until:
            page = self._call(
                exchange, "fetch_ohlcv", symbol, frame, since=since, limit=CANDLES_PER_REQUEST
            )
            answer = exchange.session.last_json
            is_list = _holds_a_list(answer) and not (isinstance(answer, list) and None in answer)
            if not page and not is_list:
                raise self._gate.unbelievable(f"no list of candles for {symbol}")
            stamps = [row[0] for row in page]
            if not all(isinstance(stamp, int) for stamp in stamps):
                raise self._gate.unbelievable(f"candles without a time for {symbol}")
            if not page or stamps[-1] < since:
                break
            found += page
            since = stamps[-1] + step
        return found

    def _timeframe(self, exchange: Any, minutes: int | None) -> str:
        frame = TIMEFRAMES.get(minutes, f"{minutes}m")
        if frame not in (exchange.timeframes or {}):
            raise SourceRefusedError(
                f"{self.name} has no candles of {minutes} minutes",
                remedy=f"ask for one of {', '.join(exchange.timeframes or {})}",
            )
        return frame

    def _with_markets(self) -> Any:
        """The exchange with its list of markets, which is read once."""
        if not self._exchange.markets:
            self._exchange.session.start_call()
            self._call(self._exchange, "load_markets")
            if not self._exchange.markets:
                raise self._gate.unbelievable("an empty list of markets")
        return self._exchange

    def _new_exchange(self) -> Any:
        import ccxt

        from resources.market_data.sdk_session import GuardedSession

        if self._exchange_id not in ccxt.exchanges:
            raise UsageError(
                f"{self._exchange_id!r} is not an exchange that ccxt knows",
                remedy="take a name from ccxt.exchanges, such as binance or kraken",
            )
        return getattr(ccxt, self._exchange_id)(
            {
                "session": GuardedSession(self._gate, redirect_to=self._base_url),
                # Our limiter counts; ccxt's would sleep without regard to the time left.
                "enableRateLimit": False,
                # Fewer and smaller questions before the first candle.
                "options": {
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "fetchCurrencies": False,
                },
                "has": {"fetchCurrencies": False},
                # As text: what is no number would come as an absent one otherwise.
                "number": str,
            }
        )

    def _call(self, exchange: Any, method: str, *values: Any, **options: Any) -> Any:
        """One ccxt call with its errors in our words; what the session raised passes through."""
        import ccxt

        try:
            return getattr(exchange, method)(*values, **options)
        # `from None`: the text of ccxt's errors holds whole URLs.
        except ccxt.BadSymbol:
            raise SymbolRefusedError(
                f"{self.name} does not know {values[0]}", remedy="write it as BASE/QUOTE"
            ) from None
        except (ccxt.OperationFailed, ccxt.NetworkError) as error:
            raise SourceUnavailableError(
                f"{self.name} failed ({type(error).__name__})", remedy="try later"
            ) from None
        except (ccxt.AuthenticationError, ccxt.BadRequest, ccxt.NotSupported) as error:
            raise SourceRefusedError(
                f"{self.name} refused ({type(error).__name__})", remedy="ask another source"
            ) from None
        except ccxt.BaseError as error:
            raise self._gate.unbelievable(f"what ccxt calls {type(error).__name__}") from None
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            raise self._gate.unbelievable("JSON of another shape") from None


def _milliseconds(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp() * 1000)


def _holds_a_list(answer: Any) -> bool:
    """Whether a list, possibly an empty one, stands anywhere in the answer."""
    if isinstance(answer, dict):
        return any(_holds_a_list(value) for value in answer.values())
    return isinstance(answer, list)
