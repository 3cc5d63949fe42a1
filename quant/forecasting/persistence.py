"""A candidate that exists to be judged: every coming day repeats the last return.

Daily returns hardly repeat, so its error is about the root of two times that of a constant. It runs
through the same port, hold-out and verdict as a serious model, and a reader of the report sees a gate
that refuses. It never enters the decision forecast.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.forecasting.filtering import FilterModel
from quant.forecasting.fitting import fit_window
from quant.forecasting.forecast import Predictive
from quant.forecasting.naive import join_steps, moments, window_states
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import ReturnPanel


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistenceForecaster(FilterModel):
    """Its deviation is honest: that of the changes from one return to the next."""

    name: ClassVar[str] = "persistence"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(fit_ms_per_symbol=0.01, forecast_ms_per_symbol=0.02)

    @property
    def observations_min(self) -> int:
        """As little as the naive forecast needs."""
        return self.policy.naive_observations_min

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Name the window; `start` changes nothing."""
        window = fit_window(panel, session=session, policy=self.policy)
        return window_states(self, window, session=session)

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """A missing last return leaves nothing to repeat: NaN, and so a recorded failure."""
        window = panel.last(self.policy.naive_window_sessions).values
        _, variance, _ = moments(np.diff(window, axis=1))
        days = np.asarray(horizons, dtype=float)
        std = np.sqrt(variance[:, None] * days)
        return Predictive(
            mean=window[:, -1:] * days, std=std, degrees_of_freedom=np.full(std.shape, np.inf)
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The window moves with the session."""
        steps = [
            self.predict(states, panel.columns(slice(0, position)), (1,))
            for position in range(first, len(panel.sessions))
        ]
        return join_steps(steps, symbols=len(states))
