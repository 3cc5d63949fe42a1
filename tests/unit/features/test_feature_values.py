"""Values against references written another way: pandas, plain loops, published formulas."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from quant.features import compute_features
from quant.market.panel import BarPanel


@pytest.fixture(scope="module")
def got(sample_panel: BarPanel) -> pd.DataFrame:
    """All of Apple's features, by session."""
    row = sample_panel.symbols.index("AAPL")
    result = compute_features(sample_panel)
    return pd.DataFrame(
        result.values[:, row].T, columns=list(result.names), index=pd.DatetimeIndex(result.sessions)
    )


def same(left: pd.Series, right: pd.Series, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    """Equal to rounding, and missing at the same places."""
    assert_allclose(left.to_numpy(), right.to_numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_lags_and_returns_are_shifts(got: pd.DataFrame, apple: pd.DataFrame, k: int) -> None:
    """B1: pandas shifts by rows, and Apple has no gap here."""
    log_close = np.log(apple["close"])
    same(got[f"close_lag_{k}_price"], apple["close"].shift(k))
    same(got[f"return_lag_{k}_log"], log_close.diff().shift(k))
    same(got[f"return_{k}_log"], log_close.diff(k))


def test_differences_are_those_of_pandas(got: pd.DataFrame, apple: pd.DataFrame) -> None:
    """B1: first, second and weekly difference."""
    close = apple["close"]
    same(got["close_difference_1_price"], close.diff())
    same(got["close_second_difference_price"], close.diff().diff())
    same(got["close_difference_5_price"], close.diff(5))
    same(got["return_difference_1_log"], np.log(close).diff().diff())


@pytest.mark.parametrize("window", [5, 10, 20, 60])
@pytest.mark.parametrize("series", ["close", "return"])
def test_rolling_statistics_are_those_of_pandas(
    got: pd.DataFrame, apple: pd.DataFrame, series: str, window: int
) -> None:
    """B1. The reference computes each window afresh: pandas' online kurtosis drifts."""
    values = apple["close"] if series == "close" else np.log(apple["close"]).diff()
    unit = "price" if series == "close" else "log"
    rolling = values.rolling(window)
    same(got[f"{series}_mean_{window}_{unit}"], rolling.mean(), atol=1e-14)
    same(got[f"{series}_std_{window}_{unit}"], rolling.std(), rtol=1e-8)
    tail = slice(-300, None)
    for name, statistic in (("skew", pd.Series.skew), ("kurtosis", pd.Series.kurt)):
        expected = values[-400:].rolling(window).apply(statistic)
        same(got[f"{series}_{name}_{window}_ratio"][tail], expected[tail], rtol=1e-7, atol=1e-9)


def test_moments_survive_a_large_offset_that_defeats_power_sums() -> None:
    """A series of 1e9 plus a small wave keeps the wave's skewness to six digits."""
    from quant.features.windows import rolling_moments

    wave = np.random.default_rng(3).exponential(1.0, (1, 200))
    plain, lifted = rolling_moments(wave)[60], rolling_moments(wave + 1e9)[60]
    assert_allclose(lifted.skew()[0, 59:], plain.skew()[0, 59:], rtol=1e-5)
    assert_allclose(lifted.kurtosis()[0, 59:], plain.kurtosis()[0, 59:], rtol=1e-4, atol=1e-4)


def _terms(bars: pd.DataFrame) -> pd.DataFrame:
    o, h, low, c = (bars[name] for name in ("open", "high", "low", "close"))
    return pd.DataFrame(
        {
            "parkinson": np.log(h / low) ** 2 / (4 * np.log(2)),
            "garman_klass": 0.5 * np.log(h / low) ** 2 - (2 * np.log(2) - 1) * np.log(c / o) ** 2,
            "rogers_satchell": np.log(h / c) * np.log(h / o) + np.log(low / c) * np.log(low / o),
        }
    )


@pytest.mark.parametrize("window", [10, 20, 60])
def test_volatility_estimators_follow_their_papers(
    got: pd.DataFrame, apple: pd.DataFrame, window: int
) -> None:
    """B2: each from its formula, in pandas."""
    terms = _terms(apple)
    for name in terms:
        expected = np.sqrt(252 * terms[name].rolling(window).mean())
        same(got[f"volatility_{name}_{window}_annual"], expected, rtol=1e-8)
    overnight = np.log(apple["open"] / apple["close"].shift(1)).rolling(window).var()
    body = np.log(apple["close"] / apple["open"]).rolling(window).var()
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    mixed = overnight + k * body + (1 - k) * terms["rogers_satchell"].rolling(window).mean()
    same(got[f"volatility_yang_zhang_{window}_annual"], np.sqrt(252 * mixed), rtol=1e-8)
    plain = np.log(apple["close"]).diff().rolling(window).std() * np.sqrt(252)
    same(got[f"volatility_close_to_close_{window}_annual"], plain, rtol=1e-8)


def test_parkinson_by_hand() -> None:
    """Every bar spans 100 to 110: ln(1.1) = 0.0953102, variance 0.0953102^2 / 2.7725887."""
    ones = np.ones((1, 10))
    panel = BarPanel(
        symbols=("X",),
        sessions=np.busday_offset("2020-01-06", np.arange(10)),
        open=100 * ones,
        high=110 * ones,
        low=100 * ones,
        close=105 * ones,
        volume=ones,
    )
    value = compute_features(panel, names=["volatility_parkinson_10_annual"]).values[0, 0, -1]
    assert value == pytest.approx(np.sqrt(252 * 0.0953101798**2 / 2.77258872), rel=1e-9)


def _recursive(series: pd.Series, start: int, seed: float, alpha: float) -> pd.Series:
    """x[t] = x[t-1] + alpha (value - x[t-1]), from `seed` at `start`, written as a loop."""
    result = pd.Series(np.nan, index=series.index)
    result.iloc[start] = seed
    for t in range(start + 1, len(series)):
        result.iloc[t] = result.iloc[t - 1] + alpha * (series.iloc[t] - result.iloc[t - 1])
    return result


def _ema(series: pd.Series, bars: int) -> pd.Series:
    first = int(np.argmax(series.notna()))
    seed = series.iloc[first : first + bars].mean()
    return _recursive(series, first + bars - 1, seed, 2 / (bars + 1))


@pytest.mark.parametrize("bars", [9, 21, 50, 200])
def test_ema_is_seeded_with_a_simple_average(
    got: pd.DataFrame, apple: pd.DataFrame, bars: int
) -> None:
    """B2: TA-Lib's convention; pandas' `ewm` starts with the first value instead."""
    same(got[f"ema_{bars}_price"], _ema(apple["close"], bars))


def _wilder(series: pd.Series, bars: int) -> pd.Series:
    """Wilder's average of a series whose first value is missing."""
    return _recursive(series, bars, series.iloc[1 : bars + 1].mean(), 1 / bars)


def test_rsi_is_wilders(got: pd.DataFrame, apple: pd.DataFrame) -> None:
    """B2: average gain over average move."""
    change = apple["close"].diff()
    gain, loss = _wilder(change.clip(lower=0), 14), _wilder((-change).clip(lower=0), 14)
    same(got["rsi_14_percent"], 100 * gain / (gain + loss))


def _true_range(bars: pd.DataFrame) -> pd.Series:
    before = bars["close"].shift(1)
    high, low = np.maximum(bars["high"], before), np.minimum(bars["low"], before)
    return (high - low).where(before.notna())


def test_atr_is_wilders(got: pd.DataFrame, apple: pd.DataFrame) -> None:
    """B2: Wilder's average of the true range."""
    same(got["true_range_price"], _true_range(apple))
    same(got["atr_14_price"], _wilder(_true_range(apple), 14))


def test_macd_is_a_difference_of_averages_that_begin_together(
    got: pd.DataFrame, apple: pd.DataFrame
) -> None:
    """B2: TA-Lib starts the fast average so that both have their first value at bar 25."""
    close = apple["close"]
    slow = _ema(close, 26)
    fast = _recursive(close, 25, close.iloc[14:26].mean(), 2 / 13)
    signal = _ema(fast - slow, 9)
    macd = (fast - slow).where(signal.notna())
    same(got["macd_12_26_9_price"], macd, atol=1e-10)
    same(got["macd_12_26_9_signal_price"], signal, atol=1e-10)
    same(got["macd_12_26_9_histogram_price"], macd - signal, atol=1e-10)


def test_bollinger_bands_are_two_population_deviations(
    got: pd.DataFrame, apple: pd.DataFrame
) -> None:
    """B2: mean and population deviation over 20 bars."""
    rolling = apple["close"].rolling(20)
    same(got["bollinger_20_middle_price"], rolling.mean())
    same(got["bollinger_20_upper_price"], rolling.mean() + 2 * rolling.std(ddof=0), rtol=1e-7)
    same(got["bollinger_20_lower_price"], rolling.mean() - 2 * rolling.std(ddof=0), rtol=1e-7)


def test_stochastic_roc_and_volume_ratio(got: pd.DataFrame, apple: pd.DataFrame) -> None:
    """B2: plain window formulas."""
    low, high = apple["low"].rolling(14).min(), apple["high"].rolling(14).max()
    slow_k = (100 * (apple["close"] - low) / (high - low)).rolling(3).mean()
    slow_d = slow_k.rolling(3).mean()
    same(got["stochastic_14_3_slow_k_percent"], slow_k.where(slow_d.notna()), atol=1e-9)
    same(got["stochastic_14_3_slow_d_percent"], slow_d, atol=1e-9)
    same(got["roc_10_percent"], 100 * apple["close"].pct_change(10), atol=1e-10)
    average = apple["volume"].rolling(20).mean()
    same(got["volume_sma_20_shares"], average)
    same(got["volume_to_sma_20_ratio"], apple["volume"] / average)
    same(got["donchian_20_upper_price"], apple["high"].rolling(20).max())


def test_adx_is_wilders(got: pd.DataFrame, apple: pd.DataFrame) -> None:
    """B2: TA-Lib seeds the sums of movement with 13 bars and the average of DX with 14 values."""
    up, down = apple["high"].diff(), -apple["low"].diff()
    plus, minus = up.where((up > down) & (up > 0), 0.0), down.where((down > up) & (down > 0), 0.0)

    def summed(series: pd.Series) -> pd.Series:
        return 14 * _recursive(series, 13, series.iloc[1:14].sum() / 14, 1 / 14)

    spread = summed(_true_range(apple))
    plus_di, minus_di = 100 * summed(plus) / spread, 100 * summed(minus) / spread
    dx = (100 * (plus_di - minus_di).abs() / (plus_di + minus_di)).iloc[14:]
    adx = _recursive(dx, 13, dx.iloc[:14].mean(), 1 / 14).reindex(apple.index)
    same(got["adx_14_percent"], adx, atol=1e-9)


Formula = Callable[[pd.DataFrame], pd.Series]


def _typical(b: pd.DataFrame) -> pd.Series:
    return (b["high"] + b["low"] + b["close"]) / 3


def _flow(b: pd.DataFrame) -> pd.Series:
    place = (2 * b["close"] - b["low"] - b["high"]) / (b["high"] - b["low"])
    return (place * b["volume"]).fillna(0)


def _weighted(series: pd.Series, bars: int) -> pd.Series:
    weights = np.arange(1, bars + 1)
    return series.rolling(bars).apply(lambda x: x @ weights / weights.sum(), raw=True)


def _next_on_the_line(series: pd.Series, bars: int) -> pd.Series:
    steps = np.arange(bars)
    return series.rolling(bars).apply(lambda x: np.polyval(np.polyfit(steps, x, 1), bars), raw=True)


def _path(b: pd.DataFrame, bars: int) -> pd.Series:
    return b["close"].diff().abs().rolling(bars).sum()


def _mean_deviation(series: pd.Series, bars: int) -> pd.Series:
    return series.rolling(bars).apply(lambda x: np.abs(x - x.mean()).mean(), raw=True)


def _span(b: pd.DataFrame, bars: int) -> pd.Series:
    return b["high"].rolling(bars).max() - b["low"].rolling(bars).min()


FORMULAS: dict[str, Formula] = {
    "sma_50_price": lambda b: b["close"].rolling(50).mean(),
    "wma_20_price": lambda b: _weighted(b["close"], 20),
    "vwma_20_price": lambda b: (
        (b["close"] * b["volume"]).rolling(20).sum() / b["volume"].rolling(20).sum()
    ),
    "max_252_price": lambda b: b["close"].rolling(252).max(),
    "typical_price": _typical,
    "tsf_14_price": lambda b: _next_on_the_line(b["close"], 14),
    "forecast_oscillator_5_percent": lambda b: (
        100 * (1 - _next_on_the_line(b["close"], 5).shift(1) / b["close"])
    ),
    "dpo_20_price": lambda b: b["close"].shift(11) - b["close"].rolling(20).mean(),
    "momentum_10_price": lambda b: b["close"].diff(10),
    "rocp_252_ratio": lambda b: b["close"].pct_change(252),
    "coppock_percent": lambda b: _weighted(
        100 * (b["close"].pct_change(11) + b["close"].pct_change(14)), 10
    ),
    "efficiency_10_ratio": lambda b: b["close"].diff(10).abs() / _path(b, 10),
    "vhf_28_ratio": lambda b: (
        (b["close"].rolling(28).max() - b["close"].rolling(28).min()) / _path(b, 28)
    ),
    "balance_of_power_ratio": lambda b: (b["close"] - b["open"]) / (b["high"] - b["low"]),
    "qstick_10_price": lambda b: (b["close"] - b["open"]).rolling(10).mean(),
    "williams_r_14_percent": lambda b: (
        -100 * (b["high"].rolling(14).max() - b["close"]) / _span(b, 14)
    ),
    "cci_14_index": lambda b: (
        (_typical(b) - _typical(b).rolling(14).mean()) / (0.015 * _mean_deviation(_typical(b), 14))
    ),
    "vortex_14_plus_ratio": lambda b: (
        (b["high"] - b["low"].shift()).abs().rolling(14).sum() / _true_range(b).rolling(14).sum()
    ),
    "adr_14_price": lambda b: (b["high"] - b["low"]).rolling(14).mean(),
    "mean_deviation_14_price": lambda b: _mean_deviation(b["close"], 14),
    "median_31_price": lambda b: b["close"].rolling(31).median(),
    "relative_volume_20_ratio": lambda b: b["volume"] / b["volume"].rolling(20).mean().shift(1),
    "chaikin_ad_shares": lambda b: _flow(b).cumsum(),
    "chaikin_flow_20_ratio": lambda b: _flow(b).rolling(20).sum() / b["volume"].rolling(20).sum(),
    "vwap_since_start_price": lambda b: (_typical(b) * b["volume"]).cumsum() / b["volume"].cumsum(),
    "close_volume_30_ratio": lambda b: b["close"].rolling(30).corr(b["volume"]),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_indicators_are_what_their_descriptions_say(
    got: pd.DataFrame, apple: pd.DataFrame, name: str
) -> None:
    """B2: a formula in pandas beside each; warm-up may be longer than the formula needs."""
    expected = FORMULAS[name](apple).where(got[name].notna())
    assert got[name].notna().sum() > 1900
    same(got[name], expected, rtol=1e-7, atol=1e-9)


def test_an_engulfing_candle_is_seen_the_day_it_closes() -> None:
    """After quiet bars a small black body is swallowed by a long white one: +100, that very day."""
    count = 20
    open_, close = np.full((1, count), 100.0), np.full((1, count), 100.5)
    open_[0, -2], close[0, -2] = 100.4, 99.9
    open_[0, -1], close[0, -1] = 99.5, 102.0
    panel = BarPanel(
        symbols=("X",),
        sessions=np.busday_offset("2020-01-06", np.arange(count)),
        open=open_,
        high=np.maximum(open_, close) + 0.1,
        low=np.minimum(open_, close) - 0.1,
        close=close,
        volume=np.ones((1, count)),
    )
    scores = compute_features(panel, names=["candle_engulfing_score"]).values[0, 0]
    assert scores[-1] == 100
    assert np.nansum(np.abs(scores[:-1])) == 0
