"""Features of a whole panel: symbols in blocks, families in turn, one array out.

Belongs here: running families and laying results out. Does not belong here: formulas or storage.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quant.core.errors import UsageError
from quant.features.bars import Bars
from quant.features.calendar import SessionList
from quant.features.catalogue import CATALOGUE, Catalogue
from quant.features.closures import US_EQUITIES, ScheduledCalendar
from quant.features.feature import Family
from quant.market.panel import BarPanel, DayArray, FloatArray

# Symbols a block: its working arrays (16 x 2,500 x 8 bytes = 320 kB) stay in the second-level
# cache. Results do not depend on it, for no feature looks across symbols.
_BLOCK_SYMBOLS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeaturePanel:
    """Values of features by symbol and session; `values` is (features, symbols, sessions)."""

    names: tuple[str, ...]
    symbols: tuple[str, ...]
    sessions: DayArray
    values: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.symbols), len(self.sessions))
        if self.values.shape != shape:
            raise ValueError(f"values must have shape {shape}, was {self.values.shape}")

    def of(self, name: str) -> FloatArray:
        """One feature as (symbols, sessions)."""
        if name not in self.names:
            raise UsageError(f"{name!r} was not computed", remedy="add it to names")
        result: FloatArray = self.values[self.names.index(name)]
        return result

    def to_long(self, sessions: DayArray | None = None) -> pd.DataFrame:
        """Rows of symbol and session, one column a feature; `sessions` restricts the rows.

        A symbol without a bar on a session has no row; a bar whose features are all still warming
        up has none either.
        """
        columns = np.arange(len(self.sessions))
        if sessions is not None:
            columns = columns[np.isin(self.sessions, np.asarray(sessions, "datetime64[D]"))]
        chosen = self.values[:, :, columns]
        row, column = np.nonzero(~np.isnan(chosen).all(axis=0))
        keys = pd.DataFrame(
            {
                "symbol": pd.Series([self.symbols[i] for i in row], dtype="str"),
                "session": self.sessions[columns][column].astype("datetime64[us]"),
            }
        )
        values = pd.DataFrame(chosen[:, row, column].T, columns=list(self.names))
        return pd.concat([keys, values], axis="columns")

    def to_frame(self) -> pd.DataFrame:
        """All sessions, as `to_long`."""
        return self.to_long()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """A family and which of its results are wanted, by their place in the answer."""

    family: Family
    wanted: tuple[tuple[int, int], ...]


def compute_features(
    panel: BarPanel,
    *,
    names: Sequence[str] | None = None,
    workers: int = 1,
    calendar: ScheduledCalendar = US_EQUITIES,
    catalogue: Catalogue = CATALOGUE,
) -> FeaturePanel:
    """Every feature asked for (default: all), for every symbol and session of `panel`.

    Missing data: a session counts for a feature when the close and all fields it needs are there.
    Each symbol's counted bars are taken as one gapless series and the results put back at their
    sessions; elsewhere the value is NaN. So a bar with only a close has NaN in what needs more, and
    a gap costs just its own sessions. A late listing warms up from its first bar.

    Anchored features (see `Feature.is_anchored`) depend on where the panel begins: pass history
    from one fixed first session. `workers` threads share the symbols; results do not depend on it.
    """
    chosen = catalogue.require(names) if names is not None else catalogue.names()
    values = np.empty((len(chosen), len(panel.symbols), len(panel.sessions)))
    jobs = _jobs(catalogue, chosen)
    _fill_session_features(panel, jobs, calendar, values)
    blocks = [
        slice(first, first + _BLOCK_SYMBOLS)
        for first in range(0, len(panel.symbols), _BLOCK_SYMBOLS)
    ]
    bar_jobs = [job for job in jobs if not job.family.on_sessions]
    if workers == 1:
        for block in blocks:
            _fill_block(panel, block, bar_jobs, values)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda block: _fill_block(panel, block, bar_jobs, values), blocks))
    return FeaturePanel(names=chosen, symbols=panel.symbols, sessions=panel.sessions, values=values)


def _jobs(catalogue: Catalogue, chosen: Sequence[str]) -> list[_Job]:
    place = {name: index for index, name in enumerate(chosen)}
    jobs = []
    for family in catalogue.families:
        wanted = tuple(
            (output, place[feature.name])
            for output, feature in enumerate(family.features)
            if feature.name in place
        )
        if wanted:
            jobs.append(_Job(family=family, wanted=wanted))
    return jobs


def _fill_session_features(
    panel: BarPanel, jobs: Sequence[_Job], calendar: ScheduledCalendar, values: FloatArray
) -> None:
    days = SessionList(sessions=panel.sessions, calendar=calendar)
    has_bar = np.isfinite(panel.close)
    for job in jobs:
        if job.family.on_sessions:
            results = job.family.function(days, **job.family.parameters)
            for output, index in job.wanted:
                values[index] = np.where(has_bar, results[output], np.nan)


def _fill_block(panel: BarPanel, block: slice, jobs: Sequence[_Job], values: FloatArray) -> None:
    """Compute the bar features of a few symbols into their rows of `values`."""
    packed: dict[frozenset[str], Bars] = {}
    # Quiet, because every invalid operation ends as NaN in the result (see Bars.scatter).
    with np.errstate(all="ignore"):
        for job in jobs:
            bars = packed.get(job.family.inputs)
            if bars is None:
                bars = packed[job.family.inputs] = Bars.of(panel, block, job.family.inputs)
            results = job.family.function(bars, **job.family.parameters)
            for output, index in job.wanted:
                bars.scatter(results[output], values[index, block])
