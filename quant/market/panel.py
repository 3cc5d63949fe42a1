"""A panel of bars: one array per field, one row per symbol, one column per session.

The shape in which features and forecasts work. Missing is NaN and stays NaN: a bar that has only a
close leaves the other fields empty, and nothing here fills a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DayArray = NDArray[np.datetime64]

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarPanel:
    """Bars of several symbols on one common list of sessions; arrays are (symbols, sessions)."""

    symbols: tuple[str, ...]
    sessions: DayArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.symbols), len(self.sessions))
        for field in FIELDS:
            array = getattr(self, field)
            if array.shape != shape:
                raise ValueError(f"{field} must have shape {shape}, was {array.shape}")
        if len(self.sessions) > 1 and not (np.diff(self.sessions) > np.timedelta64(0, "D")).all():
            raise ValueError("sessions must increase strictly")

    @classmethod
    def from_long(
        cls, bars: pd.DataFrame, *, sessions: DayArray, symbols: Sequence[str] | None = None
    ) -> "BarPanel":
        """Pivot rows of (symbol, session, open, ..., volume); rows off the list are dropped."""
        names = tuple(symbols) if symbols is not None else tuple(sorted(bars["symbol"].unique()))
        days = np.asarray(sessions, dtype="datetime64[D]")
        row = pd.Index(names).get_indexer(pd.Index(bars["symbol"]))
        stamps = pd.to_datetime(bars["session"]).to_numpy().astype("datetime64[D]")
        column = np.searchsorted(days, stamps)
        on_list = (column < len(days)) & (row >= 0)
        on_list[on_list] = days[column[on_list]] == stamps[on_list]
        arrays = {}
        for field in FIELDS:
            array = np.full((len(names), len(days)), np.nan)
            array[row[on_list], column[on_list]] = bars[field].to_numpy(dtype=float)[on_list]
            arrays[field] = array
        return cls(symbols=names, sessions=days, **arrays)

    def until(self, session: np.datetime64) -> "BarPanel":
        """The panel as it stood after `session`."""
        return self.columns(slice(0, int(np.searchsorted(self.sessions, session, side="right"))))

    def columns(self, which: slice) -> "BarPanel":
        """A contiguous range of sessions."""
        return BarPanel(
            symbols=self.symbols,
            sessions=self.sessions[which],
            **{field: getattr(self, field)[:, which] for field in FIELDS},
        )
