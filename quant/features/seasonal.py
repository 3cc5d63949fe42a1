"""Seasonal decomposition that knows only the past.

The classic decomposition centres its moving average on the bar it describes and averages seasons
over the whole sample; both look ahead. Here, for every bar, with period p and k cycles:

    smooth    mean of the last p log closes
    swing     log close less smooth
    phase     mean of the swings p, 2p, ..., kp bars ago (the same phase, earlier cycles only)
    seasonal  phase less its mean over the last p bars, so that a season sums to zero
    trend     smooth plus that mean, which corrects the lag of a one-sided average
    residual  log close less trend less seasonal

The three parts add up to the log close. A straight line plus a stable season is recovered exactly.
Periods count bars, so a holiday shifts the phase of a weekly season by one bar; the calendar
features tell the true weekday.
"""

from collections.abc import Sequence

from quant.features.bars import Bars, lagged
from quant.features.feature import Family, Feature, Unit
from quant.features.windows import rolling_mean
from quant.market.panel import FloatArray

# Period and cycles in bars: a trading week and month over about a quarter and a year, and the
# trading year over three. More cycles would steady the season and lengthen the warm-up.
SEASONS = ((5, 12), (21, 12), (252, 3))


def decompose(bars: Bars, *, period: int, cycles: int) -> Sequence[FloatArray]:
    """Trend, seasonal part and residual of the log close."""
    log_close = bars.log_close
    smooth = rolling_mean(log_close, period)
    swing = log_close - smooth
    phase = lagged(swing, period)
    for cycle in range(2, cycles + 1):
        phase += lagged(swing, cycle * period)
    phase /= cycles
    level = rolling_mean(phase, period)
    trend = smooth + level
    seasonal = phase - level
    return [trend, seasonal, log_close - trend - seasonal]


def _family(period: int, cycles: int) -> Family:
    return Family(
        function=decompose,
        parameters={"period": period, "cycles": cycles},
        features=tuple(
            Feature(
                name=f"season_{period}_{part}_log",
                unit=Unit.LOG,
                subject="seasonal",
                inputs=("close",),
                warm_up_bars=(cycles + 2) * period - 2,
                description=f"{part.capitalize()} of the log close, period {period} bars, "
                f"{cycles} earlier cycles.",
            )
            for part in ("trend", "seasonal", "residual")
        ),
    )


FAMILIES = tuple(_family(period, cycles) for period, cycles in SEASONS)
