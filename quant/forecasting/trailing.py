"""The skeleton of a model that estimates nothing: it only looks at a window behind the session.

Belongs here: the port's three methods in terms of one window. Does not belong here: what is made of
the window. A state of such a model names the window's length and no more.
"""

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quant.core.errors import DataError
from quant.forecasting.filtering import FilterModel
from quant.forecasting.fitting import fit_window
from quant.forecasting.forecast import Predictive
from quant.forecasting.port import FittedState, Params
from quant.forecasting.returns import ReturnPanel
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingModel(FilterModel):
    """Normal forecasts out of the last `naive_window_sessions` returns."""

    @abstractmethod
    def of_window(self, window: FloatArray, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the sum of the next `days` returns, (symbols, horizons)."""

    @property
    def observations_min(self) -> int:
        """Little, since these models stand in where the others lack data."""
        return self.policy.naive_observations_min

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Name the window; there is no search that could begin at `start`."""
        del start
        window = fit_window(panel, session=session, policy=self.policy)
        first: dt.date = window.sessions[0].item()
        return [
            FittedState(
                symbol=symbol,
                model=self.name,
                version=self.version,
                fit_as_of=session,
                filter_from=first,
                params={"window_sessions": float(self.policy.naive_window_sessions)},
            )
            for symbol in window.symbols
        ]

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """From the window that ends with the panel."""
        days = np.asarray(horizons, dtype=float)
        return _normal(*self.of_window(self._window(states, panel), days))

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The window moves with the session."""
        shape = (len(states), len(panel.sessions) - first)
        mean, variance = np.empty(shape), np.empty(shape)
        for step in range(shape[1]):
            window = self._window(states, panel.columns(slice(0, first + step)))
            one_day = self.of_window(window, np.ones(1))
            mean[:, step], variance[:, step] = one_day[0][:, 0], one_day[1][:, 0]
        return _normal(mean, variance)

    def _window(self, states: Sequence[FittedState], panel: ReturnPanel) -> FloatArray:
        """The length is the policy's, and states of another policy would not mean the same."""
        length = self.policy.naive_window_sessions
        if any(state.params["window_sessions"] != length for state in states):
            raise DataError(
                f"{self.name}: a state was made with another window than {length} sessions",
                remedy="fit again after a change of naive_window_sessions",
            )
        return panel.last(length).values


def _normal(mean: FloatArray, variance: FloatArray) -> Predictive:
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full(mean.shape, np.inf)
    )
