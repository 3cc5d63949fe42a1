"""The history that features, fits and forecasts of a session may see, and its hash.

History always begins at the universe's first session, so that a recursive indicator has the same
value in a single night, in a rerun, and in a backfill over years.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from quant.core.identity import chain_hash
from resources.desk import Desk
from resources.reads import bar_versions

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.returns import ReturnPanel
    from quant.market.panel import BarPanel, DayArray
    from resources.warehouse import Warehouse


TABLE = "clean.daily_bars"


@dataclass(frozen=True, eq=False)
class History:
    """The clean bars that some sessions share; the session `s` uses the rows up to `s`."""

    desk: Desk
    sessions: tuple[dt.date, ...]
    bars: "pd.DataFrame"

    @cached_property
    def panel(self) -> "BarPanel":
        """All of it as arrays, on the exchange's own sessions."""
        from quant.market.calendars import sessions
        from quant.market.panel import BarPanel

        universe = self.desk.universe
        days = sessions(universe.calendar, universe.history_start, self.sessions[-1])
        return BarPanel.from_long(self.bars, sessions=days, symbols=universe.symbols)

    @cached_property
    def returns(self) -> "ReturnPanel":
        """Daily log returns of the panel, with the features that models were told to look at.

        Those are computed from the same bars by the code that fills the feature store, so that the
        hash of the bars stands for them too.
        """
        from quant.forecasting.policy import ForecastPolicy
        from quant.forecasting.returns import Regressors, ReturnPanel

        returns = ReturnPanel.from_bars(self.panel)
        names = self.desk.policy("forecasts", ForecastPolicy).sarimax_regressors
        if not names:
            return returns
        from quant.features import compute_features

        features = compute_features(self.panel, names=names)
        # A return belongs to the later of its two sessions, so there is none of the first.
        beside = Regressors(names=tuple(names), values=features.values[:, :, 1:])
        return replace(returns, regressors=beside)

    def input_hashes(self, session: dt.date) -> Mapping[str, str]:
        """By symbol, the one hash of all rows that `session` may see."""
        import numpy as np

        end = np.datetime64(session, "D")
        return {
            symbol: chain_hash(rows[: int(np.searchsorted(days, end, side="right"))])
            for symbol, (days, rows) in self._row_hashes.items()
            if days[0] <= end
        }

    @cached_property
    def _row_hashes(self) -> dict[str, tuple["DayArray", list[str]]]:
        return {
            str(symbol): (
                rows["session"].to_numpy().astype("datetime64[D]"),
                rows["row_hash"].tolist(),
            )
            for symbol, rows in self.bars.groupby("symbol", sort=True)
        }


def histories(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> list[History]:
    """The histories of some sessions, one for each stretch that saw the same; ascending.

    Eight assets of a night ask for the same; what was read stays at hand until a bar is written.
    """
    lake = warehouse or desk.warehouse
    if lake is not desk.warehouse:
        return _read_histories(desk, lake, sessions)
    key = ("histories", lake.last_change(TABLE), tuple(sessions))
    if key not in desk.memory:
        # A night needs two: those of its own sessions, and those of the fits in force.
        while len(desk.memory) > 1:
            del desk.memory[next(iter(desk.memory))]
        desk.memory[key] = _read_histories(desk, lake, sessions)
    kept: list[History] = desk.memory[key]
    return kept


def _read_histories(desk: Desk, lake: "Warehouse", sessions: Sequence[dt.date]) -> list[History]:
    from quant.market.vintages import vintages

    universe = desk.universe
    versions = bar_versions(
        lake,
        TABLE,
        basis=universe.basis,
        symbols=universe.symbols,
        start=universe.history_start,
        end=max(sessions),
        known_by=desk.as_of(max(sessions)),
    )
    found = vintages(versions, sessions, as_of=desk.as_of, delay=desk.decision_delay)
    return [History(desk, vintage.sessions, vintage.bars) for vintage in found]
