"""Whether one forecast beats another by more than chance: the test of Diebold and Mariano (1995).

Belongs here: the statistic on a series of loss differences, with the correction of Harvey,
Leybourne and Newbold (1997) for few forecasts. Does not belong here: losses (`scoring`). Forecasts
of many symbols for one day share that day's shock, so their differences are averaged over symbols
first and the test is on the series of days; otherwise a hundred symbols would count as a hundred
days.
"""

import math
from dataclasses import dataclass

import numpy as np

from quant.core.errors import DataError
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LossComparison:
    """Negative `mean_difference` and `statistic` say that the first forecast lost less."""

    mean_difference: float
    statistic: float
    p_value: float
    observations: int


def diebold_mariano(first: FloatArray, second: FloatArray, *, overlap: int = 1) -> LossComparison:
    """Compare the losses of two forecasts of the same outcomes, oldest first.

    `overlap` is how many forecasts at a time look at a common outcome: the horizon where one is
    made every session, one where each horizon is over before the next forecast. Differences that
    far apart are taken as independent. A pair with a missing loss is left out. The p-value is
    two-sided, of Student's t with one degree of freedom less than observations. Where the estimated
    variance is not positive (it can be for overlapping forecasts), it is that of Bartlett's
    weights, which never is negative.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise DataError(f"losses must be two equal series, were {first.shape} and {second.shape}")
    if overlap < 1:
        raise DataError(f"overlap must be at least 1, was {overlap}")
    difference = first - second
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count <= overlap + 1:
        raise DataError(f"{count} pairs of losses are too few for an overlap of {overlap}")
    mean = float(difference.mean())
    variance = _long_run_variance(difference - mean, overlap)
    statistic = 0.0
    if variance > 0:
        small = (count + 1 - 2 * overlap + overlap * (overlap - 1) / count) / count
        statistic = mean / math.sqrt(variance / count) * math.sqrt(max(small, 0.0))
    return LossComparison(
        mean_difference=mean,
        statistic=statistic,
        p_value=_two_sided(statistic, count - 1),
        observations=count,
    )


def _long_run_variance(centred: FloatArray, overlap: int) -> float:
    count = len(centred)
    covariances = [float(centred[lag:] @ centred[: count - lag]) / count for lag in range(overlap)]
    plain = covariances[0] + 2.0 * sum(covariances[1:])
    if plain > 0:
        return plain
    return covariances[0] + 2.0 * sum(
        (1.0 - lag / overlap) * covariances[lag] for lag in range(1, overlap)
    )


def _two_sided(statistic: float, degrees_of_freedom: int) -> float:
    from scipy.special import stdtr

    return float(2.0 * stdtr(degrees_of_freedom, -abs(statistic)))
