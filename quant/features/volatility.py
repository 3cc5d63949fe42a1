"""Volatility from open, high, low and close, annualised at 252 sessions.

Sources: Parkinson (1980), Garman and Klass (1980), Rogers and Satchell (1991), Yang and Zhang
(2000), all in the Journal of Business but the third (Annals of Applied Probability). The first two
assume no drift, the first three no overnight gap; only Yang-Zhang allows both. A bar that has only
a close gives none of them but the close-to-close estimate.
"""

from collections.abc import Sequence

import numpy as np

from quant.features.bars import Bars, lagged
from quant.features.feature import Family, Feature, Unit
from quant.features.windows import rolling_mean, rolling_moments
from quant.market.panel import FloatArray

SESSIONS_PER_YEAR = 252
VOLATILITY_WINDOWS_BARS = (10, 20, 60)


def close_to_close(bars: Bars) -> Sequence[FloatArray]:
    """Sample deviation of the log return."""
    moments = rolling_moments(bars.log_return, higher=False)
    return [_annual(moments[window].variance()) for window in VOLATILITY_WINDOWS_BARS]


def parkinson(bars: Bars) -> Sequence[FloatArray]:
    """From the range of high and low."""
    spread = np.log(bars.field("high") / bars.field("low"))
    return _averages(spread * spread / (4 * np.log(2)))


def garman_klass(bars: Bars) -> Sequence[FloatArray]:
    """From range and body."""
    open_, high, low, close = bars.select(("open", "high", "low", "close"))
    spread, body = np.log(high / low), np.log(close / open_)
    return _averages(0.5 * spread * spread - (2 * np.log(2) - 1) * body * body)


def rogers_satchell(bars: Bars) -> Sequence[FloatArray]:
    """Free of drift."""
    return _averages(_rogers_satchell_term(bars))


def yang_zhang(bars: Bars) -> Sequence[FloatArray]:
    """Overnight and body variance and Rogers-Satchell, weighted for least variance."""
    open_, close = bars.select(("open", "close"))
    overnight = rolling_moments(np.log(open_ / lagged(close, 1)), higher=False)
    body = rolling_moments(np.log(close / open_), higher=False)
    term = _rogers_satchell_term(bars)
    result = []
    for n in VOLATILITY_WINDOWS_BARS:
        # Yang and Zhang's equation 8 with alpha = 1.34, their recommendation.
        weight = 0.34 / (1.34 + (n + 1) / (n - 1))
        mixed = weight * body[n].variance() + (1 - weight) * rolling_mean(term, n)
        result.append(_annual(overnight[n].variance() + mixed))
    return result


def _rogers_satchell_term(bars: Bars) -> FloatArray:
    open_, high, low, close = bars.select(("open", "high", "low", "close"))
    up = np.log(high / close) * np.log(high / open_)
    down = np.log(low / close) * np.log(low / open_)
    term: FloatArray = up + down
    return term


def _averages(variance: FloatArray) -> list[FloatArray]:
    return [_annual(rolling_mean(variance, window)) for window in VOLATILITY_WINDOWS_BARS]


def _annual(variance: FloatArray) -> FloatArray:
    # A bar whose high is below its close can make an average negative: that has no root, so NaN.
    result: FloatArray = np.sqrt(variance * SESSIONS_PER_YEAR)
    return result


def _features(name: str, inputs: tuple[str, ...], first_bars: int) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            name=f"volatility_{name}_{window}_annual",
            unit=Unit.ANNUAL,
            subject="volatility",
            inputs=inputs,
            warm_up_bars=window - 1 + first_bars,
            description=f"{name.replace('_', ' ').capitalize()} volatility over {window} bars.",
        )
        for window in VOLATILITY_WINDOWS_BARS
    )


_OHLC = ("open", "high", "low", "close")

FAMILIES = (
    Family(function=close_to_close, features=_features("close_to_close", ("close",), 1)),
    Family(function=parkinson, features=_features("parkinson", ("high", "low"), 0)),
    Family(function=garman_klass, features=_features("garman_klass", _OHLC, 0)),
    Family(function=rogers_satchell, features=_features("rogers_satchell", _OHLC, 0)),
    Family(function=yang_zhang, features=_features("yang_zhang", _OHLC, 1)),
)
