"""Leading singular triples of a matrix that is only known by its products.

Belongs here: products with a Hankel matrix by Fourier transform, Lanczos bidiagonalisation and
randomised block Krylov iteration on any such products. Does not belong here: what the matrix is
for.
"""

from typing import Protocol

import numpy as np

from quant.market.panel import FloatArray

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


def lanczos(matrix: Product, rank: int, rng: np.random.Generator) -> Factors:
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


def randomised(matrix: Product, rank: int, rng: np.random.Generator) -> Factors:
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
