"""A block of bars as feature functions see it: each symbol's own present bars, packed to the left.

Belongs here: packing away gaps, scattering results back, and series that many features share.
Does not belong here: any feature, or the choice of which features run.

Why packed: a gap (halt, late listing, missing row) must cost the sessions it covers and nothing
more. With gaps closed up, "five bars ago" is five bars of that symbol, a recursive average goes on
after a gap as if the market had been shut, and no NaN can poison what follows.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant.market.panel import BarPanel, FloatArray

BoolArray = NDArray[np.bool_]


def lagged(series: FloatArray, bars: int) -> FloatArray:
    """Each row as it stood `bars` bars earlier; NaN before the first one."""
    result = np.empty_like(series)
    result[:, :bars] = np.nan
    result[:, bars:] = series[:, : max(series.shape[1] - bars, 0)]
    return result


def differing(left: FloatArray, right: FloatArray) -> BoolArray:
    """Where two arrays differ in a bit; any NaN equals any other, for its bits mean nothing."""
    bits = np.ascontiguousarray(left).view(np.int64) != np.ascontiguousarray(right).view(np.int64)
    different: BoolArray = bits & ~(np.isnan(left) & np.isnan(right))
    return different


class Bars:
    """Arrays (symbols, bars), the fields asked for, row `i` filled up to `lengths[i]`."""

    def __init__(self, fields: Mapping[str, FloatArray], present: BoolArray) -> None:
        self.present = present
        self.lengths = present.sum(axis=1)
        self.is_complete = bool(present.all())
        self._fields = {name: self._pack(array) for name, array in fields.items()}

    @classmethod
    def of(cls, panel: BarPanel, symbols: slice, inputs: Collection[str]) -> "Bars":
        """The bars of some symbols; one counts when all of `inputs` are there."""
        fields = {name: getattr(panel, name)[symbols] for name in sorted(inputs)}
        present = [np.isfinite(field) for field in fields.values()]
        return cls(fields, np.logical_and.reduce(present))

    def _pack(self, array: FloatArray) -> FloatArray:
        if self.is_complete:
            return np.ascontiguousarray(array)
        packed = np.full(self.present.shape, np.nan)
        packed[self._filled] = array[self.present]
        return packed

    @cached_property
    def _filled(self) -> BoolArray:
        filled: BoolArray = np.arange(self.present.shape[1]) < self.lengths[:, np.newaxis]
        return filled

    def scatter(self, result: FloatArray, target: FloatArray) -> None:
        """Put `result` back at the sessions its bars came from; elsewhere `target` is NaN.

        An infinity (a price over a zero, say) is no number to trade on and becomes NaN as well.
        """
        if self.is_complete:
            target[...] = result
        else:
            target[...] = np.nan
            target[self.present] = result[self._filled]
        infinite = np.isinf(target)
        if infinite.any():
            target[infinite] = np.nan

    def field(self, name: str) -> FloatArray:
        """One packed field."""
        return self._fields[name]

    def select(self, names: Sequence[str]) -> list[FloatArray]:
        """Several packed fields, in order."""
        return [self._fields[name] for name in names]

    @property
    def shape(self) -> tuple[int, int]:
        """Symbols, bars."""
        return self.present.shape[0], self.present.shape[1]

    @cached_property
    def log_close(self) -> FloatArray:
        """Natural logarithm of the close; NaN where the close is not positive."""
        result: FloatArray = np.log(self.field("close"))
        return result

    @cached_property
    def log_return(self) -> FloatArray:
        """Change of the log close since the symbol's previous bar."""
        return self.log_close - lagged(self.log_close, 1)
