"""A session's place between calm and wild, by what was known after it: for scores, not for trading.

Belongs here: three regimes of trailing volatility, each symbol against its own past two years.
Does not belong here: any forecast of a regime. A symbol with too little past has the regime
"unknown", which is kept apart and never mixed into another.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from quant.market.panel import FloatArray

REGIMES: Final = ("calm", "normal", "wild")
UNKNOWN: Final = "unknown"
# A month of returns gives the volatility; two years of them the scale, at least one year known.
VOLATILITY_SESSIONS: Final = 21
PAST_SESSIONS: Final = 504
PAST_SESSIONS_MIN: Final = 252

Labels = np.ndarray[Any, np.dtype[np.object_]]


def regimes_on(returns: FloatArray, places: Sequence[int]) -> Labels:
    """Regime of every row of `returns` after each column in `places`, (symbols, places).

    Calm is the lowest third of the past two years' monthly volatilities, wild the highest.
    """
    labels = np.full((len(returns), len(places)), UNKNOWN, dtype=object)
    if len(places) == 0:
        return labels
    first = max(min(places) + 1 - PAST_SESSIONS - VOLATILITY_SESSIONS, 0)
    volatility = _trailing_volatility(returns[:, first : max(places) + 1])
    for column, place in enumerate(places):
        end = place + 1 - first
        past = volatility[:, max(end - PAST_SESSIONS, 0) : end]
        now, known = past[:, -1:], np.isfinite(past)
        count = known.sum(axis=1)
        below = (known & (past < now)).sum(axis=1) / np.maximum(count, 1)
        can_tell = (count >= PAST_SESSIONS_MIN) & np.isfinite(now[:, 0])
        third = np.minimum((below * len(REGIMES)).astype(int), len(REGIMES) - 1)
        labels[:, column] = np.where(can_tell, np.array(REGIMES, dtype=object)[third], UNKNOWN)
    return labels


def _trailing_volatility(returns: FloatArray) -> FloatArray:
    """Root mean square of the last month; the first month, and a month with a gap, have none.

    Added lag by lag, so that a value has the same bits wherever the array begins.
    """
    squares = returns * returns
    total = np.full(returns.shape, np.nan)
    width = returns.shape[1] - VOLATILITY_SESSIONS + 1
    if width > 0:
        total[:, VOLATILITY_SESSIONS - 1 :] = sum(
            squares[:, lag : lag + width] for lag in range(VOLATILITY_SESSIONS)
        )
    return np.sqrt(total / VOLATILITY_SESSIONS)
