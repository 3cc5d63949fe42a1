"""When volatility last changed for good: cumulated squares against a straight line.

Belongs here: the test of Inclan and Tiao (1994) with the correction for fat tails of Sanso, Arago
and Carrion (2004), for many series at once. Does not belong here: what a change means for a model.
A missing return is left out. A series with fewer than `OBSERVATIONS_MIN` known returns, or one that
does not vary, has no break: p-value 1.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from quant.market.panel import FloatArray

OBSERVATIONS_MIN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarianceBreak:
    """Per series: the likeliest place, as sessions before the end of the window, and its doubt."""

    sessions_ago: np.ndarray[Any, np.dtype[np.int64]]
    statistic: FloatArray
    p_value: FloatArray


def variance_break(returns: FloatArray) -> VarianceBreak:
    """Rows of `returns` are series. `sessions_ago` counts the returns after the break.

    Under no change the statistic is the largest excursion of a Brownian bridge, whose law is that
    of Kolmogorov: 1.358 is exceeded in one series of twenty.
    """
    if returns.shape[1] < OBSERVATIONS_MIN:
        nothing = np.zeros(len(returns))
        return VarianceBreak(
            sessions_ago=nothing.astype(np.int64), statistic=nothing, p_value=_beyond(nothing)
        )
    known = np.isfinite(returns)
    count = known.sum(axis=1).astype(float)
    safe = np.maximum(count, 1.0)
    mean = np.where(known, returns, 0.0).sum(axis=1) / safe
    squares = np.where(known, returns - mean[:, None], 0.0) ** 2
    variance = squares.sum(axis=1) / safe
    spread = np.where(known, (squares - variance[:, None]) ** 2, 0.0).sum(axis=1)
    path = np.cumsum(squares - np.where(known, variance[:, None], 0.0), axis=1)
    place = np.abs(path).argmax(axis=1)
    furthest = np.abs(np.take_along_axis(path, place[:, None], axis=1)[:, 0])
    can_tell = (count >= OBSERVATIONS_MIN) & (spread > 0)
    statistic = np.where(can_tell, furthest / np.sqrt(np.where(can_tell, spread, 1.0)), 0.0)
    return VarianceBreak(
        sessions_ago=(returns.shape[1] - 1 - place).astype(np.int64),
        statistic=statistic,
        p_value=_beyond(statistic),
    )


def _beyond(statistic: FloatArray) -> FloatArray:
    from scipy.special import kolmogorov

    p_value: FloatArray = kolmogorov(statistic)
    return p_value
