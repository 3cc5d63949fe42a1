"""Features of 500 symbols x 2,500 days against a plain loop that produces the same values.

The rival is what a careful person writes without this product: for each symbol one call of each
TA-Lib function, identical in options, and for the rest TA-Lib's SMA, VAR and STDDEV where they
apply, numpy's sliding windows for skewness and kurtosis, slices for lags and numpy's logarithms for
the range volatilities. Dates are computed once and copied to every symbol. It assumes complete
bars: it handles no gaps, and leaves TA-Lib's zeros in the warm-up of candle patterns.

Both sides fill an array of the same shape, in chunks of symbols, since all values at once are
2.5 GB in double precision; float64 stays because stored features are compared to the bit. Before
the clock starts, both sides' values are compared on one chunk.
"""

import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from quant.features import CATALOGUE, US_EQUITIES, Catalogue, compute_features
from quant.features.calendar import SessionList
from quant.features.seasonal import SEASONS
from quant.features.volatility import VOLATILITY_WINDOWS_BARS
from quant.features.windows import WINDOWS_BARS
from quant.market.panel import BarPanel, FloatArray

SYMBOLS = 500
SESSIONS = 2500
CHUNK_SYMBOLS = 50
LIMIT_RATIO = 1.3

Row = dict[str, FloatArray]


def run(*, symbols: int = SYMBOLS, sessions: int = SESSIONS) -> list[dict[str, object]]:
    """Ratios of time, product over rival: all features, and those of TA-Lib alone."""
    indicators = Catalogue(
        families=tuple(family for family in CATALOGUE.families if "call" in family.parameters)
    )
    return [
        _compare("features", CATALOGUE, symbols, sessions),
        _compare("features_talib", indicators, symbols, sessions),
    ]


def _compare(name: str, catalogue: Catalogue, symbols: int, sessions: int) -> dict[str, object]:
    _require_same_values(catalogue, sessions)
    product = rival = 0.0
    for index, chunk in enumerate(_chunks(symbols, sessions)):
        calls = [
            lambda chunk=chunk: compute_features(chunk, catalogue=catalogue).values,
            lambda chunk=chunk: plain_loop(chunk, catalogue),
        ]
        # Who goes first alternates, so that neither always meets the colder cache.
        order = (0, 1) if index % 2 == 0 else (1, 0)
        spent = [0.0, 0.0]
        for which in order:
            spent[which] = _seconds(calls[which])
        product, rival = product + spent[0], rival + spent[1]
    ratio = product / rival
    return {
        "name": name,
        "ratio": round(ratio, 3),
        "limit": LIMIT_RATIO,
        "holds": ratio <= LIMIT_RATIO,
        "features": len(catalogue.names()),
        "symbols": symbols,
        "sessions": sessions,
        "product_s": round(product, 2),
        "rival_s": round(rival, 2),
    }


def _seconds(call: Callable[[], FloatArray]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _require_same_values(catalogue: Catalogue, sessions: int) -> None:
    """The rival must compute the same things, or its time means nothing.

    A whole chunk, so that the machine has handed over the memory before the clock starts: on a
    virtual machine the first touch of a page costs more than filling it.
    """
    panel = synthetic(CHUNK_SYMBOLS, sessions, seed=SYMBOLS)
    ours, theirs = compute_features(panel, catalogue=catalogue).values, plain_loop(panel, catalogue)
    for index, feature in enumerate(catalogue.features()):
        late = slice(feature.warm_up_bars, None)
        np.testing.assert_allclose(
            ours[index, :, late], theirs[index, :, late], rtol=1e-4, atol=1e-6, err_msg=feature.name
        )


def _chunks(symbols: int, sessions: int) -> Iterator[BarPanel]:
    for first in range(0, symbols, CHUNK_SYMBOLS):
        yield synthetic(min(CHUNK_SYMBOLS, symbols - first), sessions, seed=first)


def synthetic(symbols: int, sessions: int, *, seed: int) -> BarPanel:
    """Coherent random bars on planned sessions."""
    rng = np.random.default_rng(seed)
    shape = (symbols, sessions)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.015, shape), axis=1))
    open_ = close * np.exp(rng.normal(0, 0.007, shape))
    return BarPanel(
        symbols=tuple(f"S{seed + index:03d}" for index in range(symbols)),
        sessions=np.busday_offset(
            np.datetime64("2013-01-02"), np.arange(sessions), holidays=US_EQUITIES.closures
        ),
        open=open_,
        high=np.maximum(open_, close) * np.exp(rng.exponential(0.004, shape)),
        low=np.minimum(open_, close) * np.exp(-rng.exponential(0.004, shape)),
        close=close,
        volume=rng.integers(10**5, 10**7, shape).astype(float),
    )


def plain_loop(panel: BarPanel, catalogue: Catalogue) -> FloatArray:
    """The rival: symbol by symbol, call by call."""
    names = catalogue.names()
    place = {name: index for index, name in enumerate(names)}
    values = np.empty((len(names), len(panel.symbols), len(panel.sessions)))
    has_plain = any("call" not in family.parameters for family in catalogue.families)
    dates = _dates(panel) if has_plain else {}
    for row in range(len(panel.symbols)):
        bars = {
            field: getattr(panel, field)[row]
            for field in ("open", "high", "low", "close", "volume")
        }
        for family in catalogue.families:
            parameters = family.parameters
            if "call" in parameters:
                answer = getattr(talib, str(parameters["call"]))(
                    *(bars[field] for field in parameters["inputs"]),  # type: ignore[attr-defined]
                    **parameters["options"],  # type: ignore[arg-type]
                )
                parts = answer if isinstance(answer, (tuple, list)) else (answer,)
                for feature, part in zip(family.features, parts, strict=True):
                    values[place[feature.name], row] = part
        if has_plain:
            plain = (_lags, _moments, _volatility, _seasons, _volume)
            for results in (dates, *(function(bars) for function in plain)):
                for name, result in results.items():
                    values[place[name], row] = result
    return values


def _dates(panel: BarPanel) -> Row:
    days = SessionList(sessions=panel.sessions, calendar=US_EQUITIES)
    return {
        feature.name: result
        for family in CATALOGUE.families
        if family.on_sessions
        for feature, result in zip(family.features, family.function(days), strict=True)
    }


def _shift(series: FloatArray, bars: int) -> FloatArray:
    result = np.full(len(series), np.nan)
    result[bars:] = series[:-bars]
    return result


def _returns(bars: Row) -> FloatArray:
    logs = np.log(bars["close"])
    return logs - _shift(logs, 1)


def _lags(bars: Row) -> Row:
    close, returns = bars["close"], _returns(bars)
    logs = np.log(close)
    result = {}
    for k in (1, 5, 10, 20):
        result[f"close_lag_{k}_price"] = _shift(close, k)
        result[f"return_lag_{k}_log"] = _shift(returns, k)
        result[f"return_{k}_log"] = logs - _shift(logs, k)
    change = close - _shift(close, 1)
    result["close_difference_1_price"] = change
    result["close_second_difference_price"] = change - _shift(change, 1)
    result["close_difference_5_price"] = close - _shift(close, 5)
    result["return_difference_1_log"] = returns - _shift(returns, 1)
    return result


def _moments(bars: Row) -> Row:
    result = {}
    for name, unit, series in (
        ("close", "price", bars["close"]),
        ("return", "log", _returns(bars)),
    ):
        for n in WINDOWS_BARS:
            result[f"{name}_mean_{n}_{unit}"] = talib.SMA(series, timeperiod=n)
            deviation = talib.STDDEV(series, timeperiod=n, nbdev=1.0)
            result[f"{name}_std_{n}_{unit}"] = deviation * np.sqrt(n / (n - 1))
            skew, kurtosis = _shape(series, n)
            result[f"{name}_skew_{n}_ratio"] = skew
            result[f"{name}_kurtosis_{n}_ratio"] = kurtosis
    return result


def _shape(series: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    windows = sliding_window_view(series, n)
    deviations = windows - windows.mean(axis=1, keepdims=True)
    squares = deviations * deviations
    second = squares.mean(axis=1)
    third = (squares * deviations).mean(axis=1)
    fourth = (squares * squares).mean(axis=1)
    skew, kurtosis = np.full(len(series), np.nan), np.full(len(series), np.nan)
    skew[n - 1 :] = np.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5
    excess = (n + 1) * fourth / second**2 - 3 * (n - 1)
    kurtosis[n - 1 :] = (n - 1) / ((n - 2) * (n - 3)) * excess
    return skew, kurtosis


def _volatility(bars: Row) -> Row:
    open_, high, low, close = bars["open"], bars["high"], bars["low"], bars["close"]
    body = np.log(close / open_)
    spread = np.log(high / low)
    overnight = np.log(open_ / _shift(close, 1))
    returns = _returns(bars)
    satchell = np.log(high / close) * np.log(high / open_)
    satchell += np.log(low / close) * np.log(low / open_)
    terms = {
        "parkinson": spread**2 / (4 * np.log(2)),
        "garman_klass": 0.5 * spread**2 - (2 * np.log(2) - 1) * body**2,
        "rogers_satchell": satchell,
    }
    result = {}
    for n in VOLATILITY_WINDOWS_BARS:
        bessel = n / (n - 1)
        for name, term in terms.items():
            result[f"volatility_{name}_{n}_annual"] = np.sqrt(252 * talib.SMA(term, timeperiod=n))
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        variance = bessel * (
            talib.VAR(overnight, timeperiod=n) + k * talib.VAR(body, timeperiod=n)
        ) + (1 - k) * talib.SMA(satchell, timeperiod=n)
        result[f"volatility_yang_zhang_{n}_annual"] = np.sqrt(252 * variance)
        plain = np.sqrt(252 * bessel * talib.VAR(returns, timeperiod=n))
        result[f"volatility_close_to_close_{n}_annual"] = plain
    return result


def _seasons(bars: Row) -> Row:
    logs = np.log(bars["close"])
    result = {}
    for period, cycles in SEASONS:
        smooth = talib.SMA(logs, timeperiod=period)
        swing = logs - smooth
        phase = _shift(swing, period)
        for cycle in range(2, cycles + 1):
            phase = phase + _shift(swing, cycle * period)
        phase = phase / cycles
        level = talib.SMA(phase, timeperiod=period)
        trend, seasonal = smooth + level, phase - level
        result[f"season_{period}_trend_log"] = trend
        result[f"season_{period}_seasonal_log"] = seasonal
        result[f"season_{period}_residual_log"] = logs - trend - seasonal
    return result


def _volume(bars: Row) -> Row:
    average = talib.SMA(bars["volume"], timeperiod=20)
    return {"volume_sma_20_shares": average, "volume_to_sma_20_ratio": bars["volume"] / average}


if __name__ == "__main__":
    print(json.dumps({"bench": "features", "rows": run()}))
