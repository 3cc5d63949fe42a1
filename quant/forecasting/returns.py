"""Log returns as a panel, and the tests a window must pass before anything is estimated on it.

Belongs here: from closes to returns, cutting at a session, reasons why a window says nothing.
Does not belong here: filling gaps. A return that touches a missing close is missing.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quant.core.errors import DataError
from quant.market.panel import BarPanel, DayArray, FloatArray

# Below this daily standard deviation a series is a constant plus rounding: a cent on 20,000 moves
# a price by 5e-7, a hundred times as much.
_STD_MIN = 5e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regressors:
    """Features beside the returns, (names, symbols, sessions), as known at each session's close.

    No alignment is asked of the caller: a model lets the value of a session speak about the return
    of the next one, so a feature can never explain the return it was computed from.
    """

    names: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or len(self.values) != len(self.names):
            raise ValueError(f"{len(self.names)} names for values of {self.values.shape}")
        if len(set(self.names)) != len(self.names):
            raise ValueError("regressors must be named once each")
        if np.isinf(self.values).any():
            raise ValueError("a regressor must be finite or missing, was infinite")

    def pick(self, names: Sequence[str]) -> "Regressors":
        """Those with these names, in that order."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise DataError(
                f"there is no regressor {', '.join(unknown)}",
                remedy="put the feature of that name beside the returns, or do not ask for it",
            )
        which = [self.names.index(name) for name in names]
        return Regressors(names=tuple(names), values=self.values[which])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReturnPanel:
    """Daily log returns, (symbols, sessions); the return of a session ends at its close.

    `regressors` are optional, and cut and picked along with the returns.
    """

    symbols: tuple[str, ...]
    sessions: DayArray
    values: FloatArray
    regressors: Regressors | None = None

    def __post_init__(self) -> None:
        shape = (len(self.symbols), len(self.sessions))
        if self.values.shape != shape:
            raise ValueError(f"values must have shape {shape}, was {self.values.shape}")
        if self.regressors is not None and self.regressors.values.shape[1:] != shape:
            raise ValueError(f"regressors must be of shape (names, {shape[0]}, {shape[1]})")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols must be named once each")
        if len(self.sessions) > 1 and not (np.diff(self.sessions) > np.timedelta64(0, "D")).all():
            raise ValueError("sessions must increase strictly")
        if np.isinf(self.values).any():
            raise ValueError("a return must be finite or missing, was infinite")

    @classmethod
    def from_bars(cls, bars: BarPanel) -> "ReturnPanel":
        """Returns between neighbouring sessions; the first session has none and is dropped."""
        logs = log_closes(bars)
        return cls(symbols=bars.symbols, sessions=bars.sessions[1:], values=np.diff(logs, axis=1))

    def until(self, session: dt.date) -> "ReturnPanel":
        """The panel as it stood after `session`."""
        end = int(np.searchsorted(self.sessions, np.datetime64(session, "D"), side="right"))
        return self.columns(slice(0, end))

    def columns(self, which: slice) -> "ReturnPanel":
        """A contiguous range of sessions."""
        return ReturnPanel(
            symbols=self.symbols,
            sessions=self.sessions[which],
            values=self.values[:, which],
            regressors=_cut(self.regressors, np.s_[:, :, which]),
        )

    def last(self, count: int) -> "ReturnPanel":
        """The last `count` sessions, or all when there are fewer."""
        return self.columns(slice(max(len(self.sessions) - count, 0), None))

    def rows(self, symbols: tuple[str, ...]) -> "ReturnPanel":
        """The named symbols, in that order."""
        place = {symbol: row for row, symbol in enumerate(self.symbols)}
        unknown = [symbol for symbol in symbols if symbol not in place]
        if unknown:
            raise DataError(f"the panel of returns has no {', '.join(unknown)}")
        return self.at_rows([place[symbol] for symbol in symbols])

    def at_rows(self, which: Sequence[int]) -> "ReturnPanel":
        """The symbols in these rows, in that order."""
        rows = list(which)
        return ReturnPanel(
            symbols=tuple(self.symbols[row] for row in rows),
            sessions=self.sessions,
            values=self.values[rows],
            regressors=_cut(self.regressors, np.s_[:, rows]),
        )


def log_closes(bars: BarPanel) -> FloatArray:
    """Logarithms of the closes; a close that is not a positive number is missing."""
    usable = np.isfinite(bars.close) & (bars.close > 0)
    logs = np.full(bars.close.shape, np.nan)
    np.log(bars.close, out=logs, where=usable)
    return logs


def why_unusable(
    values: FloatArray, *, observations_min: int, stale_sessions_max: int
) -> list[str | None]:
    """Per row, in plain words, why no model may speak about it; None when one may."""
    return [_why_unusable(row, observations_min, stale_sessions_max) for row in values]


def _cut(regressors: Regressors | None, which: Any) -> Regressors | None:
    if regressors is None:
        return None
    return Regressors(names=regressors.names, values=regressors.values[which])


def _why_unusable(row: FloatArray, observations_min: int, stale_sessions_max: int) -> str | None:
    known = row[np.isfinite(row)]
    if len(known) < observations_min:
        return f"has {len(known)} returns in its window, needs {observations_min}"
    if float(known.std()) < _STD_MIN:
        return f"its {len(known)} returns do not vary"
    tail = row[-stale_sessions_max:]
    if not (np.isfinite(tail) & (tail != 0.0)).any():
        return f"its price has not moved in the last {stale_sessions_max} sessions"
    return None
