"""Singular spectrum analysis of one series: embed, take the leading triples, rebuild, continue.

Belongs here: Page and Hankel (trajectory) matrices, their leading singular triples by three routes,
the components, and the linear recurrence that a subspace obeys. Does not belong here: which series
of a market is decomposed, or what its noise is like.

The Page matrix cuts a series into neighbouring columns, the Hankel matrix slides one column along
it; both hold the oldest value top left. A large Hankel matrix is never formed: its products are
correlations, which cost a Fourier transform. Missing values are not known here: a caller decides
what stands for them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from quant.core.errors import DataError, ModelError, UsageError
from quant.forecasting.ssa_solvers import HankelProduct, lanczos, randomised
from quant.market.panel import FloatArray

MatrixKind = Literal["page", "hankel"]
Solver = Literal["auto", "dense", "lanczos", "randomised"]

# Up to here LAPACK on the formed matrix is quicker than products by transform: for ten triples of a
# random walk the two meet between 27,000 and 46,000 cells (measured 2026-11 on one core).
_DENSE_CELLS_MAX = 40_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Triples:
    """The leading singular triples of the matrix of one series, largest first.

    `left` is (window, rank), `right` (columns, rank). `energy_total` is the sum of all squared
    singular values, also of those that were not asked for. `offset` is the number of oldest values
    that did not fill a column of a Page matrix.
    """

    left: FloatArray
    singular: FloatArray
    right: FloatArray
    energy_total: float
    kind: MatrixKind
    offset: int

    @property
    def rank(self) -> int:
        """How many triples there are."""
        return len(self.singular)

    @property
    def energy_shares(self) -> FloatArray:
        """Share of the total energy that each triple holds."""
        shares: FloatArray = self.singular**2 / self.energy_total
        return shares

    def first(self, rank: int) -> "Triples":
        """The leading `rank` of them."""
        return Triples(
            left=self.left[:, :rank],
            singular=self.singular[:rank],
            right=self.right[:, :rank],
            energy_total=self.energy_total,
            kind=self.kind,
            offset=self.offset,
        )


def leading_triples(
    series: FloatArray,
    *,
    window: int,
    rank: int,
    kind: MatrixKind = "hankel",
    solver: Solver = "auto",
    seed: int = 0,
) -> Triples:
    """The `rank` leading triples; `seed` is that of the start of the two iterative solvers."""
    _check(series, window)
    if kind == "page":
        if solver not in ("auto", "dense"):
            raise UsageError("a Page matrix is no larger than its series: its solver is dense")
        return _of_matrix(embed(series, window=window, kind=kind), rank, kind, len(series) % window)
    columns = len(series) - window + 1
    if solver == "auto":
        solver = "dense" if window * columns <= _DENSE_CELLS_MAX else "lanczos"
    rank = min(rank, window, columns)
    if solver == "dense":
        return _of_matrix(embed(series, window=window, kind=kind), rank, kind, 0)
    solve = lanczos if solver == "lanczos" else randomised
    left, singular, right = solve(HankelProduct(series, window), rank, np.random.default_rng(seed))
    total = float(np.sum(series * series * antidiagonal_counts(len(series), window)))
    return _fix_signs(left, singular, right, total, kind, 0)


def decompose(
    series: FloatArray,
    *,
    window: int,
    energy_share: float,
    kind: MatrixKind = "hankel",
    solver: Solver = "auto",
) -> Triples:
    """As many leading triples as hold `energy_share` of the energy, and no more."""
    ceiling = min(window, columns_of(len(series), window, kind))
    asked = min(16, ceiling)
    while True:
        triples = leading_triples(series, window=window, rank=asked, kind=kind, solver=solver)
        if triples.energy_total == 0.0:
            raise ModelError("a series that is zero throughout has no leading directions")
        rank = rank_by_energy(triples.energy_shares, energy_share)
        if rank is not None or asked == ceiling:
            return triples.first(rank or asked)
        asked = min(2 * asked, ceiling)


def rank_by_energy(shares: FloatArray, share_min: float) -> int | None:
    """The smallest rank whose shares add up to `share_min`; None where they do not suffice."""
    # A sum of shares that should be one may end a few roundings below it.
    reached = np.cumsum(shares) >= share_min - 1e-12
    return int(np.argmax(reached)) + 1 if reached.any() else None


def embed(series: FloatArray, *, window: int, kind: MatrixKind) -> FloatArray:
    """The matrix itself, (window, columns); a view of the series where that is possible."""
    _check(series, window)
    if kind == "hankel":
        slid: FloatArray = np.lib.stride_tricks.sliding_window_view(series, window).T
        return slid
    return series[len(series) % window :].reshape(-1, window).T


def columns_of(length: int, window: int, kind: MatrixKind) -> int:
    """How many columns `embed` makes."""
    return length - window + 1 if kind == "hankel" else length // window


def components(triples: Triples) -> FloatArray:
    """The series that each triple stands for, (rank, values); together they approach the original.

    A Hankel component is the mean along the antidiagonals of its rank-one matrix, and the sums
    along antidiagonals are a convolution of its two vectors. A Page matrix holds each value once.
    """
    scaled = triples.left * triples.singular
    if triples.kind == "page":
        outer = triples.right.T[:, :, None] * scaled.T[:, None, :]
        return outer.reshape(triples.rank, -1)
    from scipy.fft import irfft, next_fast_len, rfft

    window, columns = len(triples.left), len(triples.right)
    length = window + columns - 1
    size = next_fast_len(length, real=True)
    product = rfft(scaled.T, size) * rfft(triples.right.T, size)
    sums: FloatArray = irfft(product, size)[:, :length]
    return sums / antidiagonal_counts(length, window)


def antidiagonal_counts(length: int, window: int) -> FloatArray:
    """How often each value of the series stands in its Hankel matrix."""
    place = np.arange(length)
    highest = min(window, length - window + 1)
    return np.minimum(np.minimum(place + 1, length - place), highest).astype(float)


def recurrence(left: FloatArray) -> FloatArray:
    """Coefficients of lags 1, 2, ... by which a series in the span of `left` continues itself.

    `left` is (..., window, rank) with orthonormal columns. The last row of the subspace is written
    in terms of the others, with the smallest norm (Golyandina, Nekrutkin and Zhigljavsky 2001,
    chapter 2). A subspace that holds the last unit vector has no such relation: those get NaN.
    """
    last = left[..., -1, :]
    verticality = np.sum(last * last, axis=-1)
    free = 1.0 - verticality
    weights = np.sum(left[..., :-1, :] * last[..., None, :], axis=-1)
    solvable = np.where(free > 1e-10, free, np.nan)
    coefficients: FloatArray = (weights / solvable[..., None])[..., ::-1]
    return coefficients


def continue_series(series: FloatArray, coefficients: FloatArray, steps: int) -> FloatArray:
    """The next `steps` values by the recurrence."""
    lags = len(coefficients)
    values = np.concatenate([series[-lags:], np.zeros(steps)])
    for step in range(steps):
        values[lags + step] = values[step : lags + step][::-1] @ coefficients
    return values[lags:]


def growth_per_step(coefficients: FloatArray) -> FloatArray:
    """Largest modulus of a root of each recurrence, (..., lags): its growth in the long run."""
    lags = coefficients.shape[-1]
    companion = np.zeros((*coefficients.shape[:-1], lags, lags))
    companion[..., 0, :] = coefficients
    companion[..., np.arange(1, lags), np.arange(lags - 1)] = 1.0
    growth: FloatArray = np.abs(np.linalg.eigvals(companion)).max(axis=-1)
    return growth


def _of_matrix(matrix: FloatArray, rank: int, kind: MatrixKind, offset: int) -> Triples:
    left, singular, transposed = np.linalg.svd(matrix, full_matrices=False)
    total = float(np.sum(singular * singular))
    return _fix_signs(left[:, :rank], singular[:rank], transposed[:rank].T, total, kind, offset)


def _fix_signs(
    left: FloatArray,
    singular: FloatArray,
    right: FloatArray,
    total: float,
    kind: MatrixKind,
    offset: int,
) -> Triples:
    """Singular vectors have a sign to choose: the largest entry on the left is positive."""
    largest = np.argmax(np.abs(left), axis=0)
    signs = np.where(left[largest, np.arange(left.shape[1])] < 0, -1.0, 1.0)
    return Triples(
        left=left * signs,
        singular=singular,
        right=right * signs,
        energy_total=total,
        kind=kind,
        offset=offset,
    )


def _check(series: FloatArray, window: int) -> None:
    if series.ndim != 1 or not 2 <= window <= len(series):
        raise UsageError(
            f"a window of {window} does not fit a series of shape {series.shape}",
            remedy="use a window of at least 2 and at most the length of the series",
        )
    if not np.isfinite(series).all():
        raise DataError(
            "a series with missing values cannot be decomposed",
            remedy="decide what stands for them first; the models let the drift stand for a gap",
        )
