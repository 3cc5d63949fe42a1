"""Bid-ask spreads read from daily bars, for markets that give us no quotes.

Belongs here: Corwin and Schultz (2012, Journal of Finance 67, equations 14 and 18) and Abdi and
Ranaldo (2017, Review of Financial Studies 30, equation 11), for whole panels at once. Does not
belong here: how far such an estimate is believed (`recalibrate`).

Assumptions: trades hit bid and ask with equal chance and prices are a random walk within two days.
Missing data: a pair of sessions with a missing or impossible bar (high below low, a price of zero)
is left out; a symbol with fewer pairs than asked for has NaN, which is "no estimate" and not zero.
"""

import warnings

import numpy as np

from quant.market.panel import FloatArray

PAIRS_MIN = 20
_K = 3.0 - 2.0 * np.sqrt(2.0)


def corwin_schultz(
    high: FloatArray, low: FloatArray, close: FloatArray, *, pairs_min: int = PAIRS_MIN
) -> FloatArray:
    """Proportional spread of each row from the ranges of one day and of two; never negative.

    Prices that gapped overnight are moved back by the gap first, as the authors do; a pair of days
    that says less than nothing counts as zero.
    """
    high, low, close = _usable(high, low, close)
    before, after = slice(None, -1), slice(1, None)
    # How far the second day lies wholly above or below the first close.
    gap = np.fmax(low[..., after] - close[..., before], 0.0)
    gap += np.fmin(high[..., after] - close[..., before], 0.0)
    moved_high, moved_low = high[..., after] - gap, low[..., after] - gap
    one = np.log(high[..., before] / low[..., before]) ** 2 + np.log(moved_high / moved_low) ** 2
    top = np.maximum(high[..., before], moved_high)
    bottom = np.minimum(low[..., before], moved_low)
    two = np.log(top / bottom) ** 2
    alpha = (np.sqrt(2.0 * one) - np.sqrt(one)) / _K - np.sqrt(two / _K)
    spread = 2.0 * np.expm1(alpha) / (1.0 + np.exp(alpha))
    return _mean(np.maximum(spread, 0.0), pairs_min)


def abdi_ranaldo(
    high: FloatArray, low: FloatArray, close: FloatArray, *, pairs_min: int = PAIRS_MIN
) -> FloatArray:
    """Proportional spread of each row from how far closes lie off the middles around them.

    The mean is taken over all pairs before the root, so noise of either sign cancels; a negative
    mean is a spread of zero.
    """
    high, low, close = _usable(high, low, close)
    middle = (np.log(high) + np.log(low)) / 2.0
    logs = np.log(close)
    products = (logs[..., :-1] - middle[..., :-1]) * (logs[..., :-1] - middle[..., 1:])
    mean = _mean(4.0 * products, pairs_min)
    return np.asarray(np.sqrt(np.maximum(mean, 0.0)), dtype=float)


def _usable(*fields: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    high, low, close = fields
    sound = np.isfinite(high) & np.isfinite(low) & np.isfinite(close)
    sound &= (low > 0) & (high >= low) & (close > 0)
    return (
        np.where(sound, high, np.nan),
        np.where(sound, low, np.nan),
        np.where(sound, close, np.nan),
    )


def _mean(values: FloatArray, pairs_min: int) -> FloatArray:
    enough = np.isfinite(values).sum(axis=-1) >= pairs_min
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, as meant
        return np.where(enough, np.nanmean(values, axis=-1), np.nan)
