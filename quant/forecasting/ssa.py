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
from typing import Literal, Protocol

import numpy as np

from quant.core.errors import DataError, ModelError, UsageError
from quant.market.panel import FloatArray

MatrixKind = Literal["page", "hankel"]
Solver = Literal["auto", "dense", "lanczos", "randomised"]

# Up to here LAPACK on the formed matrix is quicker than products by transform, and never worse
# than some 20 ms; measured 2026-11 with windows of 50 to 1,000 on one core.
_DENSE_CELLS_MAX = 40_000
# A Ritz pair is taken when its residual is this small beside the largest singular value; a pair of
# values that differ by a thousandth then has vectors right to 1e-8.
_RESIDUAL_MAX = 1e-11
# Ritz values are looked at once in so many steps, since looking costs an SVD of the projection.
_LOOK_EVERY = 8
# Halko, Martinsson and Tropp (2011), section 4.2: five to ten columns more than asked.
_OVERSAMPLE = 10
_KRYLOV_ROUNDS = 6
# Below this share of its norm, what is left of a vector after projection is rounding.
_BREAKDOWN = 1e-13


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
    solve = _lanczos if solver == "lanczos" else _randomised
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
    theorem 5.2). A subspace that holds the last unit vector has no such relation: those get NaN.
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


class HankelProduct:
    """Products with the Hankel matrix of a series and with its transpose, by Fourier transform.

    Both are correlations of the series with the factor. No index of such a correlation runs past
    the series' end, so transforms of its own length are long enough. Factors are rows.
    """

    def __init__(self, series: FloatArray, window: int) -> None:
        from scipy.fft import next_fast_len, rfft

        self.rows, self.columns = window, len(series) - window + 1
        self._size = next_fast_len(len(series), real=True)
        self._transform = rfft(series, self._size)

    def times(self, factors: FloatArray) -> FloatArray:
        """The matrix times each row of (count, columns), as (count, rows)."""
        return self._correlate(factors)[..., : self.rows]

    def transposed_times(self, factors: FloatArray) -> FloatArray:
        """The transpose times each row of (count, rows), as (count, columns)."""
        return self._correlate(factors)[..., : self.columns]

    def _correlate(self, factors: FloatArray) -> FloatArray:
        from scipy.fft import irfft, rfft

        product = rfft(factors, self._size)
        np.conjugate(product, out=product)
        product *= self._transform
        correlated: FloatArray = irfft(product, self._size, overwrite_x=True)
        return correlated


class Product(Protocol):
    """What the iterative solvers need to know of a matrix."""

    rows: int
    columns: int

    def times(self, factors: FloatArray) -> FloatArray:
        """The matrix times each row."""
        ...

    def transposed_times(self, factors: FloatArray) -> FloatArray:
        """The transpose times each row."""
        ...


Factors = tuple[FloatArray, FloatArray, FloatArray]


def _lanczos(matrix: Product, rank: int, rng: np.random.Generator) -> Factors:
    """Golub-Kahan-Lanczos bidiagonalisation with full reorthogonalisation.

    On the matrix itself and not on its square, so that small singular values keep their digits.
    """
    steps_max = min(matrix.rows, matrix.columns)
    lefts, rights = np.empty((steps_max, matrix.rows)), np.empty((steps_max + 1, matrix.columns))
    bidiagonal = np.zeros((steps_max, steps_max))
    rights[0], _ = _next_direction(rng.standard_normal(matrix.columns), rights[:0], rng)
    scale = 0.0
    for step in range(steps_max):
        raw = matrix.times(rights[step])
        lefts[step], alpha = _next_direction(raw, lefts[:step], rng, scale)
        raw = matrix.transposed_times(lefts[step])
        if step + 1 < matrix.columns:
            rights[step + 1], beta = _next_direction(raw, rights[: step + 1], rng, scale)
        else:
            beta = 0.0
        bidiagonal[step, step] = alpha
        scale = max(scale, alpha, beta)
        done = step + 1
        if done == steps_max or (done >= rank + 2 and done % _LOOK_EVERY == 0):
            p, singular, qt = np.linalg.svd(bidiagonal[:done, :done])
            residuals = beta * np.abs(p[-1, :rank])
            if done == steps_max or (residuals <= _RESIDUAL_MAX * singular[0]).all():
                break
        bidiagonal[step, step + 1] = beta
    return (
        lefts[:done].T @ p[:, :rank],
        singular[:rank],
        rights[:done].T @ qt[:rank].T,
    )


def _next_direction(
    raw: FloatArray, basis: FloatArray, rng: np.random.Generator, scale: float = 0.0
) -> tuple[FloatArray, float]:
    """The unit vector of `raw` beside `basis`, and its length there.

    Where nothing is left the basis spans an invariant subspace; a random direction goes on from
    there with length zero, which is what the projection then truly holds.
    """
    rest = raw - (basis @ raw) @ basis
    rest = rest - (basis @ rest) @ basis  # twice is enough (Parlett 1998, section 6.9)
    length = float(np.linalg.norm(rest))
    if length > _BREAKDOWN * max(scale, float(np.linalg.norm(raw))) and length > 0.0:
        return rest / length, length
    fresh = rng.standard_normal(len(raw))
    for _ in range(2):
        fresh = fresh - (basis @ fresh) @ basis
    return fresh / np.linalg.norm(fresh), 0.0


def _randomised(matrix: Product, rank: int, rng: np.random.Generator) -> Factors:
    """Randomised block Krylov iteration (Musco and Musco 2015)."""
    width = min(rank + _OVERSAMPLE, matrix.rows, matrix.columns)
    block = matrix.times(rng.standard_normal((width, matrix.columns)))
    blocks = []
    for _ in range(_KRYLOV_ROUNDS):
        basis, _ = np.linalg.qr(block.T)
        blocks.append(basis)
        block = matrix.times(matrix.transposed_times(np.ascontiguousarray(basis.T)))
    krylov, _ = np.linalg.qr(np.concatenate(blocks, axis=1)[:, : matrix.rows])
    projected = matrix.transposed_times(np.ascontiguousarray(krylov.T))
    p, singular, qt = np.linalg.svd(projected, full_matrices=False)
    return krylov @ p[:, :rank], singular[:rank], qt[:rank].T


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
