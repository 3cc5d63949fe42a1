"""Sums and moments over trailing windows, exact to rounding and blind to everything before them.

Belongs here: window arithmetic on (symbols, bars) arrays. Does not belong here: what is averaged.

Running sums are avoided on purpose: they carry the rounding of the whole history into each value,
and a price jump long ago would stay visible. Every value here comes from its window's bars alone,
by element-wise operations in a fixed order, so it is also the same bits whatever follows.
"""

from dataclasses import dataclass

import numpy as np

from quant.features.bars import BoolArray, lagged
from quant.market.panel import FloatArray

WINDOWS_BARS = (5, 10, 20, 60)

# Deviations below a few units in the last place of the mean are rounding, not spread.
_FLAT = 16 * np.finfo(np.float64).eps


def rolling_sum(series: FloatArray, bars: int) -> FloatArray:
    """Sum of the last `bars` values, from doubled partial sums: about 2 log2(bars) additions."""
    total: FloatArray | None = None
    block, size, offset, remaining = series, 1, 0, bars
    while remaining:
        if remaining & 1:
            total = block if total is None else total + lagged(block, offset)
            offset += size
        remaining >>= 1
        if remaining:
            block = block + lagged(block, size)
            size *= 2
    assert total is not None
    return total


def rolling_mean(series: FloatArray, bars: int) -> FloatArray:
    """Mean of the last `bars` values."""
    return rolling_sum(series, bars) / bars


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Mean and sums of powers of deviations from it, over a window of `count` bars."""

    count: int
    mean: FloatArray
    squares: FloatArray
    cubes: FloatArray | None
    fourths: FloatArray | None

    @property
    def is_flat(self) -> BoolArray:
        """True where all values of the window are equal but for rounding."""
        flat: BoolArray = self.squares <= self.count * (_FLAT * self.mean) ** 2
        return flat

    def variance(self) -> FloatArray:
        """Sample variance; exactly zero on a flat window."""
        return np.where(self.is_flat, 0.0, self.squares / (self.count - 1))

    def deviation(self) -> FloatArray:
        """Sample standard deviation."""
        result: FloatArray = np.sqrt(self.variance())
        return result

    def skew(self) -> FloatArray:
        """Adjusted Fisher-Pearson skewness, as pandas defines it; NaN on a flat window."""
        assert self.cubes is not None
        n = self.count
        ratio = self.cubes / (self.squares * np.sqrt(self.squares))
        return np.where(self.is_flat, np.nan, n * np.sqrt(n - 1) / (n - 2) * ratio)

    def kurtosis(self) -> FloatArray:
        """Excess kurtosis corrected for bias, as pandas defines it; NaN on a flat window."""
        assert self.fourths is not None
        n = self.count
        scale = n * (n + 1) * (n - 1) / ((n - 2) * (n - 3))
        shift = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
        ratio = self.fourths / (self.squares * self.squares)
        return np.where(self.is_flat, np.nan, scale * ratio - shift)


def rolling_moments(series: FloatArray, *, higher: bool = True) -> dict[int, Moments]:
    """Moments over 5, 10, 20 and 60 bars; `higher` adds the third and fourth powers.

    Five bars are summed directly around their mean; longer windows merge two shorter ones by
    Pebay's formulas (Sandia report SAND2008-6212, equations 3.1-3.9), which stay accurate where
    differences of power sums cancel.
    """
    five = _direct(series, count=5, higher=higher)
    ten = _merge(five, five)
    twenty = _merge(ten, ten)
    sixty = _merge(twenty, _merge(twenty, twenty))
    return {5: five, 10: ten, 20: twenty, 60: sixty}


def _direct(series: FloatArray, *, count: int, higher: bool) -> Moments:
    mean = rolling_mean(series, count)
    squares, cubes, fourths = (np.zeros_like(series) for _ in range(3))
    for lag in range(count):
        deviation = lagged(series, lag) - mean
        square = deviation * deviation
        squares += square
        if higher:
            cubes += square * deviation
            fourths += square * square
    return Moments(
        count=count,
        mean=mean,
        squares=squares,
        cubes=cubes if higher else None,
        fourths=fourths if higher else None,
    )


def _merge(newer: Moments, earlier: Moments) -> Moments:
    """The window made of `newer` and, before it, `earlier`."""
    a, b = newer.count, earlier.count
    n = a + b
    gap = lagged(earlier.mean, a) - newer.mean
    gap2 = gap * gap
    squares_b = lagged(earlier.squares, a)
    squares = newer.squares + squares_b + gap2 * (a * b / n)
    cubes = fourths = None
    if newer.cubes is not None and newer.fourths is not None:
        assert earlier.cubes is not None
        assert earlier.fourths is not None
        cubes_b, fourths_b = lagged(earlier.cubes, a), lagged(earlier.fourths, a)
        cubes = (
            newer.cubes
            + cubes_b
            + gap2 * gap * (a * b * (a - b) / n**2)
            + gap * ((3 / n) * (a * squares_b - b * newer.squares))
        )
        fourths = (
            newer.fourths
            + fourths_b
            + gap2 * gap2 * (a * b * (a * a - a * b + b * b) / n**3)
            + gap2 * ((6 / n**2) * (a * a * squares_b + b * b * newer.squares))
            + gap * ((4 / n) * (a * cubes_b - b * newer.cubes))
        )
    mean = newer.mean + gap * (b / n)
    return Moments(count=n, mean=mean, squares=squares, cubes=cubes, fourths=fourths)
