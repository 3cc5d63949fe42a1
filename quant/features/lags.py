"""Yesterday's numbers: lagged prices and returns, longer returns, differences.

A lag counts the symbol's own bars, so a halt or a missing row does not shift it to another price.
"""

from collections.abc import Sequence

from quant.features.bars import Bars, lagged
from quant.features.feature import Family, Feature, Unit
from quant.market.panel import FloatArray

LAGS_BARS = (1, 5, 10, 20)


def lagged_closes(bars: Bars) -> Sequence[FloatArray]:
    """The close so many bars ago."""
    return [lagged(bars.field("close"), lag) for lag in LAGS_BARS]


def lagged_returns(bars: Bars) -> Sequence[FloatArray]:
    """The one-bar log return so many bars ago."""
    return [lagged(bars.log_return, lag) for lag in LAGS_BARS]


def span_returns(bars: Bars) -> Sequence[FloatArray]:
    """The log return over so many bars, up to now."""
    return [bars.log_close - lagged(bars.log_close, span) for span in LAGS_BARS]


def differences(bars: Bars) -> Sequence[FloatArray]:
    """First and second difference of the close, weekly difference, difference of the return."""
    close = bars.field("close")
    first = close - lagged(close, 1)
    second = first - lagged(first, 1)
    weekly = close - lagged(close, 5)
    return [first, second, weekly, bars.log_return - lagged(bars.log_return, 1)]


def _feature(name: str, unit: Unit, warm_up_bars: int, description: str) -> Feature:
    return Feature(
        name=name,
        unit=unit,
        subject="lags",
        inputs=("close",),
        warm_up_bars=warm_up_bars,
        description=description,
    )


FAMILIES = (
    Family(
        function=lagged_closes,
        features=tuple(
            _feature(f"close_lag_{k}_price", Unit.PRICE, k, f"Close {k} bars ago.")
            for k in LAGS_BARS
        ),
    ),
    Family(
        function=lagged_returns,
        features=tuple(
            _feature(f"return_lag_{k}_log", Unit.LOG, k + 1, f"One-bar log return {k} bars ago.")
            for k in LAGS_BARS
        ),
    ),
    Family(
        function=span_returns,
        features=tuple(
            _feature(f"return_{k}_log", Unit.LOG, k, f"Log return over the last {k} bars.")
            for k in LAGS_BARS
        ),
    ),
    Family(
        function=differences,
        features=(
            _feature("close_difference_1_price", Unit.PRICE, 1, "Change of the close."),
            _feature("close_second_difference_price", Unit.PRICE, 2, "Change of that change."),
            _feature("close_difference_5_price", Unit.PRICE, 5, "Change over five bars."),
            _feature("return_difference_1_log", Unit.LOG, 2, "Change of the one-bar log return."),
        ),
    ),
)
