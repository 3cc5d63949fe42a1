"""Mean, standard deviation, skewness and kurtosis of price and return over trailing windows.

Definitions are pandas' (sample deviation, bias-corrected skewness and excess kurtosis). A window
of equal values has deviation zero and no skewness or kurtosis.
"""

from collections.abc import Sequence

from quant.features.bars import Bars
from quant.features.feature import Family, Feature, Unit
from quant.features.windows import WINDOWS_BARS, rolling_moments
from quant.market.panel import FloatArray


def close_moments(bars: Bars) -> Sequence[FloatArray]:
    """Four statistics of the close, window by window."""
    return _statistics(bars.field("close"))


def return_moments(bars: Bars) -> Sequence[FloatArray]:
    """Four statistics of the one-bar log return, window by window."""
    return _statistics(bars.log_return)


def _statistics(series: FloatArray) -> list[FloatArray]:
    result = []
    for moments in rolling_moments(series).values():
        result += [moments.mean, moments.deviation(), moments.skew(), moments.kurtosis()]
    return result


def _features(series: str, unit: Unit, first_bars: int) -> tuple[Feature, ...]:
    statistics = (
        ("mean", unit, "Mean"),
        ("std", unit, "Sample standard deviation"),
        ("skew", Unit.RATIO, "Skewness"),
        ("kurtosis", Unit.RATIO, "Excess kurtosis"),
    )
    return tuple(
        Feature(
            name=f"{series}_{statistic}_{window}_{of}",
            unit=of,
            subject="rolling",
            inputs=("close",),
            warm_up_bars=window - 1 + first_bars,
            description=f"{words} of the {series} over {window} bars.",
        )
        for window in WINDOWS_BARS
        for statistic, of, words in statistics
    )


FAMILIES = (
    Family(function=close_moments, features=_features("close", Unit.PRICE, 0)),
    Family(function=return_moments, features=_features("return", Unit.LOG, 1)),
)
