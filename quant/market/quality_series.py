"""Arithmetic over many price series laid end to end in one array.

Belongs here: kernels that know where a series begins and never look across that line or ahead of
the row they fill. Does not belong here: what a number means (`quality`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.indexers import BaseIndexer

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Turn the median and the mean of |x| into the standard deviation of a normal variable.
MEDIAN_TO_SIGMA = 1.4826
MEAN_TO_SIGMA = 1.2533


@dataclass(frozen=True, slots=True, eq=False)
class SeriesLayout:
    """Row i belongs to the series that starts at row `start[i]`; rows are in time order."""

    start: IntArray

    @classmethod
    def of_sorted(cls, codes: IntArray) -> "SeriesLayout":
        """From the series number of each row, equal numbers side by side."""
        row = np.arange(len(codes))
        return cls(np.maximum.accumulate(np.where(_is_new(codes), row, 0)))

    @property
    def is_first(self) -> BoolArray:
        """Whether a row opens its series."""
        return np.asarray(self.start == np.arange(len(self.start)))

    def previous(self, values: FloatArray) -> FloatArray:
        """The value one row earlier in the same series; NaN at its start."""
        shifted = np.concatenate(([np.nan], values[:-1])) if len(values) else values
        return np.asarray(np.where(self.is_first, np.nan, shifted))

    def run_length(self, flags: BoolArray) -> IntArray:
        """How many rows up to and including this one are flagged without a break."""
        row = np.arange(len(flags))
        broken_at = np.maximum(np.maximum.accumulate(np.where(flags, -1, row)), self.start - 1)
        return np.asarray(row - broken_at)

    def trailing_sum(self, values: FloatArray, *, window: int) -> FloatArray:
        """The sum over the `window` rows before this one; NaN counts as nothing."""
        # Not a difference of cumulative sums: that would let one series change the last digits of
        # the next one, and a replay with another universe would differ.
        windows = _Trailing(self.start, window)
        rolling = pd.Series(np.nan_to_num(values)).rolling(windows, min_periods=0)
        return np.asarray(np.nan_to_num(np.asarray(rolling.sum(), dtype=float)))

    def trailing_median(self, values: FloatArray, *, window: int, least: int) -> FloatArray:
        """The median over the `window` rows before this one; NaN with fewer than `least`."""
        rolling = pd.Series(values).rolling(_Trailing(self.start, window), min_periods=least)
        return np.asarray(rolling.median(), dtype=float)

    def trailing_scale(self, values: FloatArray, *, window: int, least: int) -> FloatArray:
        """A standard deviation of the rows before this one that one bad row cannot ruin.

        The larger of two: the median is immune to outliers, but is zero for a price that rests on
        its tick most days; the mean sees the ticks, and one bad row moves it by 1/window only.
        """
        size = np.abs(values)
        seen = self.trailing_sum(np.isfinite(values).astype(float), window=window)
        mean = self.trailing_sum(size, window=window) / np.maximum(seen, 1)
        median = self.trailing_median(size, window=window, least=least)
        scale = np.maximum(MEDIAN_TO_SIGMA * median, MEAN_TO_SIGMA * mean)
        return np.asarray(np.where(seen >= least, scale, np.nan))


class _Trailing(BaseIndexer):
    """Windows that end before their row and never reach into the series above."""

    def __init__(self, start: IntArray, window: int) -> None:
        super().__init__(window_size=window)
        self.start, self.window = start, window

    def get_window_bounds(
        self,
        num_values: int = 0,
        min_periods: int | None = None,  # noqa: ARG002 (the base class names the arguments)
        center: bool | None = None,  # noqa: ARG002
        closed: str | None = None,  # noqa: ARG002
        step: int | None = None,  # noqa: ARG002
    ) -> tuple[IntArray, IntArray]:
        row = np.arange(num_values, dtype=np.int64)
        return np.maximum(row - self.window, self.start), row


def _is_new(codes: IntArray) -> BoolArray:
    return np.concatenate(([True], codes[1:] != codes[:-1])) if len(codes) else codes.astype(bool)


def median_by(values: FloatArray, codes: IntArray) -> FloatArray:
    """The median of all rows that share a code, on each of those rows; NaN rows do not vote."""
    return np.asarray(pd.Series(values).groupby(codes).transform("median"), dtype=float)


def count_by(values: FloatArray, codes: IntArray) -> IntArray:
    """How many rows that share a code hold a number."""
    groups = int(codes.max()) + 1 if len(codes) else 0
    counts = np.bincount(codes, weights=np.isfinite(values), minlength=groups)
    return counts[codes].astype(np.int64)
