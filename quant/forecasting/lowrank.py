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
    growth: FloatArray


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
    coefficients, growth, rank = stable_recurrences(vectors, by_energy, growth_max=growth_max)
    kept = np.arange(shares.shape[1]) < rank[:, None]
    return Subspaces(
        coefficients=coefficients,
        rank=rank,
        rank_by_energy=by_energy,
        energy=np.where(kept, shares, 0.0).sum(axis=1),
        growth=growth,
    )


def stable_recurrences(
    vectors: FloatArray, rank: IntArray, *, growth_max: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Recurrences of the leading `rank` of `vectors`, their growth, and the ranks kept."""
    rank = rank.copy()
    coefficients = np.zeros((len(vectors), vectors.shape[1] - 1))
    growth = np.zeros(len(vectors))
    waiting = np.flatnonzero(rank > 0)
    while len(waiting):
        kept = np.arange(vectors.shape[2]) < rank[waiting, None]
        found = recurrence(np.where(kept[:, None, :], vectors[waiting], 0.0))
        is_finite: BoolArray = np.logical_and.reduce(np.isfinite(found), axis=1)
        found = np.where(is_finite[:, None], found, 0.0)
        speed = np.where(is_finite, growth_per_step(found), np.inf)
        held, explodes = np.flatnonzero(speed <= growth_max), np.flatnonzero(speed > growth_max)
        coefficients[waiting[held]], growth[waiting[held]] = found[held], speed[held]
        waiting = waiting[explodes]
        rank[waiting] -= 1
        waiting = waiting[rank[waiting] > 0]
    return coefficients, growth, rank


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
    candidates = np.stack([_candidate(x, counted, *order) for order in RESIDUAL_ORDERS])
    surprises = np.stack([_surprises(x, counted, ar) for ar in candidates])
    count = counted.sum(axis=1)
    at_least_one = np.maximum(count, 1)
    squares = np.where(counted, surprises, 0.0) ** 2
    lags_used = np.array([order[0] for order in RESIDUAL_ORDERS])[:, None]
    # No residual at all is the caller's to refuse; here it only must not be minus infinity.
    mean_square = np.maximum(squares.sum(axis=2) / at_least_one, np.finfo(float).tiny)
    bic = count * np.log(mean_square) + lags_used * np.log(at_least_one)
    bic = np.where(_is_stationary(candidates), bic, np.inf)
    best, row = np.argmin(bic, axis=0), np.arange(len(x))
    # The drift and the level were estimated too.
    free = np.maximum(count - lags_used[best, 0] - 2, 1)
    return ResidualModel(
        coefficients=candidates[best, row],
        order=best,
        variance=squares[best, row].sum(axis=1) / free,
        bic=bic[best, row],
        count=count,
        surprises=np.where(counted, surprises[best, row], np.nan),
    )


def _candidate(x: FloatArray, counted: BoolArray, lags: int, differences: int) -> FloatArray:
    """Least squares over the counted sessions, as coefficients of lags 1 and 2 of x itself."""
    now, one, two = (np.where(counted, _back(x, k), 0.0) for k in range(3))
    if differences:
        now, one, two = now - one, one - two, np.zeros_like(one)
    first = np.sum(now * one, axis=1)
    power = np.sum(one * one, axis=1)
    if lags == 0:
        a, b = np.zeros(len(x)), np.zeros(len(x))
    elif lags == 1:
        a, b = _ratio(first, power), np.zeros(len(x))
    else:
        second, cross = np.sum(now * two, axis=1), np.sum(one * two, axis=1)
        power_two = np.sum(two * two, axis=1)
        determinant = power * power_two - cross * cross
        a = _ratio(first * power_two - second * cross, determinant)
        b = _ratio(second * power - first * cross, determinant)
    return np.stack([a + 1.0, b - a], axis=1) if differences else np.stack([a, b], axis=1)


def _surprises(x: FloatArray, counted: BoolArray, ar: FloatArray) -> FloatArray:
    left = x - ar[:, :1] * _back(x, 1) - ar[:, 1:] * _back(x, 2)
    return np.where(counted, left, 0.0)


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
