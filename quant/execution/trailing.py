"""Average true ranges, and the trailing stop that they hold below the best price since an entry.

Belongs here: both recursions over sessions, vectorised over positions. Does not belong here: what
a touched level leads to (`exits`).

Missing data: a session without high or low has no true range, so its average is NaN and the
recursion goes on with the next one that has; a first range needs the close before it. A trailing
level is NaN until an average is known, and stands where it was in a session without one.
"""

import numpy as np

from quant.core.errors import DataError
from quant.execution.exits import IntArray
from quant.market.panel import FloatArray


def average_true_range(
    high: FloatArray, low: FloatArray, close: FloatArray, *, sessions: int
) -> FloatArray:
    """Wilder's average true range, (symbols, sessions): the first is a mean, then 1/n of each new.

    J. Welles Wilder, New Concepts in Technical Trading Systems (1978), chapter 3.
    """
    count = np.zeros(len(high), dtype=np.int64)
    mean = np.zeros(len(high))
    before = np.full(len(high), np.nan)
    out = np.full(high.shape, np.nan)
    for day in range(high.shape[1]):
        true_range = np.maximum(high[:, day], before) - np.minimum(low[:, day], before)
        is_known = np.isfinite(true_range)
        count += is_known
        # A plain mean while the first n ranges come in, Wilder's weight from then on.
        weight = 1.0 / np.clip(count, 1, sessions)
        mean = np.where(is_known, mean + weight * (np.nan_to_num(true_range) - mean), mean)
        out[:, day] = np.where(is_known & (count >= sessions), mean, np.nan)
        before = np.where(np.isfinite(close[:, day]), close[:, day], before)
    return out


def trailing_stops(
    best: FloatArray, atr: FloatArray, *, side: IntArray, entry: IntArray, multiple: float
) -> FloatArray:
    """The trailing level after each session, (positions, sessions); NaN before there is one.

    `best` is the high for a long position, the low for a short one, or the close where a bar has
    no range. `entry` is the column of a position's first session. The level never loosens: it
    follows the best price since the entry and stays where it is when ranges widen. What a session
    leaves behind guards the next one, since its own high may come after its low.
    """
    if best.shape != atr.shape:
        raise DataError(f"prices of shape {best.shape} cannot meet ranges of shape {atr.shape}")
    sign = side.astype(np.float64)
    level = np.full(len(best), np.nan)
    peak = np.full(len(best), np.nan)
    out = np.full(best.shape, np.nan)
    for day in range(best.shape[1]):
        is_open = entry <= day
        peak = np.where(is_open, np.fmax(peak, sign * best[:, day]), peak)
        level = np.where(is_open, np.fmax(level, peak - multiple * atr[:, day]), level)
        out[:, day] = sign * level
    # A level at or below zero guards nothing.
    return np.where(out > 0, out, np.nan)
