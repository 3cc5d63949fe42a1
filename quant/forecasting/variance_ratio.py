"""Whether returns look like a random walk: the variance ratio of Lo and MacKinlay (1988).

Belongs here: the statistic of many series at once. Does not belong here: what follows from it. A
missing return is left out and its neighbours are taken for consecutive; a series with fewer than
`OBSERVATIONS_MIN` known returns, or one that does not vary, has no ratio: NaN, and a p-value of 1.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from quant.market.panel import FloatArray

# Below this the normal approximation of the statistic is a guess (Lo and MacKinlay 1989, table 2).
OBSERVATIONS_MIN: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarianceRatio:
    """Per series: above one trends, below one returns to its mean; `p_value` is two-sided."""

    ratio: FloatArray
    statistic: FloatArray
    p_value: FloatArray


def variance_ratio(returns: FloatArray, *, sessions: int) -> VarianceRatio:
    """Rows of `returns` are series; `sessions` is how many returns are summed.

    Overlapping sums, both variances unbiased, and the statistic that stays right when volatility
    changes (equations 10, 14 and 18 of the paper).
    """
    if sessions < 2:
        raise ValueError(f"sessions must be at least 2, was {sessions}")
    ratio, statistic = (np.full(len(returns), np.nan) for _ in range(2))
    counts = np.isfinite(returns).sum(axis=1)
    for count in np.unique(counts[counts >= max(OBSERVATIONS_MIN, 2 * sessions)]):
        rows = np.flatnonzero(counts == count)
        known = returns[rows][np.isfinite(returns[rows])].reshape(len(rows), count)
        ratio[rows], statistic[rows] = _of_complete(known, sessions)
    return VarianceRatio(ratio=ratio, statistic=statistic, p_value=_two_sided(statistic))


def _of_complete(returns: FloatArray, q: int) -> tuple[FloatArray, FloatArray]:
    count = returns.shape[1]
    centred = returns - returns.mean(axis=1, keepdims=True)
    squares = centred * centred
    total = squares.sum(axis=1)
    walk = np.concatenate([np.zeros((len(returns), 1)), np.cumsum(centred, axis=1)], axis=1)
    long = walk[:, q:] - walk[:, :-q]
    degrees = q * (count - q + 1) * (1.0 - q / count)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (long * long).sum(axis=1) / degrees / (total / (count - 1))
        theta = np.zeros(len(returns))
        for lag in range(1, q):
            delta = (squares[:, lag:] * squares[:, :-lag]).sum(axis=1) / (total * total)
            theta += (2.0 * (q - lag) / q) ** 2 * delta
        return ratio, (ratio - 1.0) / np.sqrt(theta)


def _two_sided(statistic: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    p_value: FloatArray = 2.0 * ndtr(-np.abs(statistic))
    return np.where(np.isfinite(statistic), p_value, 1.0)
