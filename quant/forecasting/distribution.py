"""The shapes a forecast may have: normal, or Student-t scaled to the stated standard deviation.

Belongs here: quantiles and probabilities, vectorised. Degrees of freedom of infinity mean normal.
Does not belong here: where mean, deviation and degrees of freedom come from.
"""

from typing import Final

import numpy as np

from quant.market.panel import FloatArray

QUANTILE_LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def unit_quantiles(degrees_of_freedom: FloatArray) -> FloatArray:
    """Quantiles of the variate with variance one; a last axis for the five levels is added.

    A t variate has variance nu / (nu - 2), so it is divided by the root of that; nu must exceed 2.
    """
    from scipy.special import ndtri, stdtrit

    # A panel has one shape per symbol and horizon but many cells, and the t quantile is slow.
    shapes, inverse = np.unique(degrees_of_freedom, return_inverse=True)
    levels = np.asarray(QUANTILE_LEVELS)
    table = np.tile(ndtri(levels), (len(shapes), 1))
    is_t = np.isfinite(shapes)
    nu = shapes[is_t][:, None]
    table[is_t] = stdtrit(nu, levels) * np.sqrt((nu - 2.0) / nu)
    # A median of 1e-17 would put a forecast's median beside its mean.
    table[:, QUANTILE_LEVELS.index(0.5)] = 0.0
    table[np.isnan(shapes)] = np.nan
    quantiles: FloatArray = table[inverse.reshape(degrees_of_freedom.shape)]
    return quantiles


def degrees_over(degrees_of_freedom: FloatArray, horizon_days: FloatArray) -> FloatArray:
    """Degrees of freedom of the t that has the kurtosis of a sum of `horizon_days` such returns.

    Excess kurtosis of a t is 6 / (nu - 4) and that of a sum of n equal independent terms is a n-th
    of it, so nu grows to 4 + n (nu - 4). At nu of 4 or less there is no kurtosis to thin out and
    the one-day shape is kept. Volatility clustering slows this down in truth; the tails of long
    horizons are a little too thin for it.
    """
    summed = 4.0 + horizon_days * (degrees_of_freedom - 4.0)
    return np.where(degrees_of_freedom > 4.0, summed, degrees_of_freedom)


def probability_below(value: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Probability integral transform from the five quantiles alone, so that any model has one.

    The quantiles are mapped to normal scores, joined by straight lines and continued with the outer
    slopes; that is exact for a normal forecast. `quantiles` has one more, last, axis of five.
    """
    from scipy.special import ndtr, ndtri

    scores = ndtri(np.asarray(QUANTILE_LEVELS))
    # The segment of `value`: 0 below the 25 % quantile, 3 above the 75 % quantile.
    segment = np.sum(value[..., None] >= quantiles[..., 1:4], axis=-1)
    left = np.take_along_axis(quantiles, segment[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(quantiles, segment[..., None] + 1, axis=-1)[..., 0]
    slope = (scores[segment + 1] - scores[segment]) / (right - left)
    probability: FloatArray = ndtr(scores[segment] + slope * (value - left))
    return probability
