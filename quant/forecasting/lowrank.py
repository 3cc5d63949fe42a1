"""Estimates behind the low-rank models, for many paths at once: line, subspace, what is left over.

Belongs here: drift lines, lag covariances, ranks, recurrences and the AR model of the residual, for
(paths, sessions) in one go. Does not belong here: which paths belong together (`clusters`), running
the estimates forward (`recurrence`).

A return that is missing counts as the drift: the path goes along its line there, and the session is
counted in no error. Sessions before a path's `start` are not part of it: no column of its matrix
touches them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from quant.forecasting.forecast import BoolArray
from quant.forecasting.kernels import IntArray
from quant.forecasting.ssa import MatrixKind, columns_of, growth_per_step, recurrence
from quant.market.panel import FloatArray

# The AR models of the residual that are compared: (lags, differences). Small, since daily returns
# hold little more; with one difference a deviation from the signal never returns to it.
RESIDUAL_ORDERS: Final = ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1))
RESIDUAL_LAGS: Final = 2

# Surprises this small beside the returns are rounding: the series is its own exact continuation.
SURPRISE_SHARE_MIN: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Deviations of log prices from their drift lines, (paths, sessions)."""

    drift: FloatArray
    level: FloatArray
    deviations: FloatArray
    known: BoolArray
    start: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subspaces:
    """What the leading directions of each matrix give: the recurrence, (matrices, window - 1)."""

    coefficients: FloatArray
    rank: IntArray
    rank_by_energy: IntArray
    energy: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualModel:
    """The AR of each path's residual, and the surprises that remain, NaN where not counted."""

    coefficients: FloatArray
    order: IntArray
    variance: FloatArray
    bic: FloatArray
    count: IntArray
    surprises: FloatArray


def paths_of(returns: FloatArray, start: IntArray) -> Paths:
    """Drift is the mean return, level the mean of what the path then does around the line."""
    is_own = np.arange(returns.shape[1]) >= start[:, None]
    known = np.isfinite(returns) & is_own
    filled = np.where(known, returns, 0.0)
    drift = filled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    path = np.cumsum(np.where(known, filled - drift[:, None], 0.0), axis=1)
    level = np.where(is_own, path, 0.0).sum(axis=1) / np.maximum(is_own.sum(axis=1), 1)
    return Paths(
        drift=drift,
        level=level,
        deviations=np.where(is_own, path - level[:, None], 0.0),
        known=known,
        start=start,
    )


def embed_all(paths: Paths, *, window: int, kind: MatrixKind) -> FloatArray:
    """The columns of every path's matrix as rows, (paths, columns, window), newest last.

    Columns that begin before a path does are zero and so count for nothing.
    """
    length = paths.deviations.shape[1]
    count = columns_of(length, window, kind)
    if kind == "page":
        begins = length % window + window * np.arange(count)
        columns = paths.deviations[:, length % window :].reshape(-1, count, window)
    else:
        begins = np.arange(count)
        columns = np.lib.stride_tricks.sliding_window_view(paths.deviations, window, axis=1)
    is_whole = begins >= paths.start[:, None]
    return np.ascontiguousarray(np.where(is_whole[:, :, None], columns, 0.0))


def leading_subspaces(
    values: FloatArray, vectors: FloatArray, *, energy_share_min: float, growth_max: float
) -> Subspaces:
    """The directions that hold the share of energy, fewer where their recurrence would explode.

    From eigenvalues, ascending, and eigenvectors of the lag covariances, one per matrix. At rank
    zero nothing is left but the drift line, which always holds.
    """
    values, vectors = np.maximum(values[:, ::-1], 0.0), vectors[:, :, ::-1]
    total = values.sum(axis=1)
    shares = values / np.where(total > 0.0, total, 1.0)[:, None]
    reached = np.cumsum(shares, axis=1) >= energy_share_min - 1e-12
    by_energy = np.where(total > 0.0, np.argmax(reached, axis=1) + 1, 0)
    coefficients, rank = stable_recurrences(vectors, by_energy, growth_max=growth_max)
    kept = np.arange(shares.shape[1]) < rank[:, None]
    return Subspaces(
        coefficients=coefficients,
        rank=rank,
        rank_by_energy=by_energy,
        energy=np.where(kept, shares, 0.0).sum(axis=1),
    )


def stable_recurrences(
    vectors: FloatArray, rank: IntArray, *, growth_max: float
) -> tuple[FloatArray, IntArray]:
    """Recurrences of the leading `rank` of `vectors`, or of as many as do not grow too fast."""
    rank = rank.copy()
    coefficients = np.zeros((len(vectors), vectors.shape[1] - 1))
    waiting = np.flatnonzero(rank > 0)
    while len(waiting):
        kept = np.arange(vectors.shape[2]) < rank[waiting, None]
        found = recurrence(np.where(kept[:, None, :], vectors[waiting], 0.0))
        explodes = _explodes(found, growth_max)
        coefficients[waiting[~explodes]] = found[~explodes]
        waiting = waiting[explodes]
        rank[waiting] -= 1
        waiting = waiting[rank[waiting] > 0]
    return coefficients, rank


def _explodes(coefficients: FloatArray, growth_max: float) -> BoolArray:
    """Whether any root is larger than `growth_max`; one that cannot be continued at all does, too.

    Where the sum of the sizes of coefficients, each over `growth_max` to its lag, is at most one,
    no root can be larger (Cauchy), and the roots, which cost most of a fit, are not looked for.
    """
    lags = np.arange(1, coefficients.shape[1] + 1)
    bound = np.sum(np.abs(coefficients) * growth_max ** -lags.astype(float), axis=1)
    explodes = ~(bound <= 1.0)
    unsure = np.flatnonzero(explodes & np.isfinite(bound))
    explodes[unsure] = growth_per_step(coefficients[unsure]) > growth_max
    return np.asarray(explodes, dtype=np.bool_)


def residual_model(paths: Paths, signal: FloatArray) -> ResidualModel:
    """The best AR by BIC of what the recurrence `signal` (paths, lags) misses one session ahead.

    Errors of forecasts and not of the smoothed series, which knows its future: an AR of the latter
    would promise a return to the signal that nobody sees in time. BIC rather than AICc, because a
    path without any pull back should be seen as one (AICc finds a pull in one of three).
    """
    lags = signal.shape[1]
    x = paths.deviations.copy()
    for lag in range(1, lags + 1):
        x[:, lag:] -= signal[:, lag - 1 : lag] * paths.deviations[:, :-lag]
    place = np.arange(x.shape[1])
    counted = paths.known & (place >= (paths.start + lags + RESIDUAL_LAGS)[:, None])
    moments = _moments(x, counted)
    candidates = _candidates(moments)
    count = counted.sum(axis=1)
    at_least_one = np.maximum(count, 1)
    lags_used = np.array([order[0] for order in RESIDUAL_ORDERS])[:, None]
    # No residual at all is the caller's to refuse; here it only must not be minus infinity.
    mean_square = np.maximum(_squares(candidates, moments) / at_least_one, np.finfo(float).tiny)
    bic = count * np.log(mean_square) + lags_used * np.log(at_least_one)
    bic = np.where(_is_stationary(candidates), bic, np.inf)
    best, row = np.argmin(bic, axis=0), np.arange(len(x))
    ar = candidates[best, row]
    surprises = np.where(counted, x - ar[:, :1] * _back(x, 1) - ar[:, 1:] * _back(x, 2), 0.0)
    # The drift and the level were estimated too.
    free = np.maximum(count - lags_used[best, 0] - 2, 1)
    return ResidualModel(
        coefficients=ar,
        order=best,
        variance=np.sum(surprises * surprises, axis=1) / free,
        bic=bic[best, row],
        count=count,
        surprises=np.where(counted, surprises, np.nan),
    )


def _moments(x: FloatArray, counted: BoolArray) -> FloatArray:
    """Sums of products of x with itself at lags 0, 1 and 2, (3, 3, paths)."""
    lagged = [np.where(counted, _back(x, lag), 0.0) for lag in range(RESIDUAL_LAGS + 1)]
    sums: FloatArray = np.array([[np.sum(a * b, axis=1) for b in lagged] for a in lagged])
    return sums


def _candidates(moments: FloatArray) -> FloatArray:
    """Least squares of each of `RESIDUAL_ORDERS`, as coefficients of lags 1 and 2 of x itself."""
    (_, s01, s02), (_, s11, s12), (_, _, s22) = moments
    zero = np.zeros_like(s01)
    determinant = s11 * s22 - s12 * s12
    # Of first differences: now - one on one - two.
    pull = _ratio(s01 - s02 - s11 + s12, s11 - 2.0 * s12 + s22)
    found = (
        (zero, zero),
        (_ratio(s01, s11), zero),
        (
            _ratio(s01 * s22 - s02 * s12, determinant),
            _ratio(s02 * s11 - s01 * s12, determinant),
        ),
        (zero + 1.0, zero),
        (pull + 1.0, -pull),
    )
    return np.array([np.stack(pair, axis=1) for pair in found])


def _squares(candidates: FloatArray, moments: FloatArray) -> FloatArray:
    """Sum of squared surprises of each candidate, (candidates, paths), from the moments."""
    weights = np.stack([np.ones(candidates.shape[:2]), -candidates[..., 0], -candidates[..., 1]])
    total = np.zeros(candidates.shape[:2])
    for i in range(RESIDUAL_LAGS + 1):
        for j in range(RESIDUAL_LAGS + 1):
            total = total + weights[i] * weights[j] * moments[i, j]
    return np.maximum(total, 0.0)


def _is_stationary(ar: FloatArray) -> BoolArray:
    """Inside the triangle of stationary AR(2) models, its edge of one unit root included."""
    a, b = ar[..., 0], ar[..., 1]
    edge = 1.0 + 1e-12
    inside: BoolArray = (a + b <= edge) & (b - a <= edge) & (np.abs(b) < 1.0)
    return inside


def _back(x: FloatArray, lag: int) -> FloatArray:
    moved = np.zeros_like(x)
    moved[:, lag:] = x[:, : x.shape[1] - lag]
    return moved


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0.0)
