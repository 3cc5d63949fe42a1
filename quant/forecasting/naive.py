"""The yardstick and the last resort: the mean and the deviation of the recent past, carried forward.

Nothing is fitted: the window trails the session of the forecast, so a state only names its length.
Missing returns are left out of the window; a session without one shortens it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.forecasting.filtering import FilterModel
from quant.forecasting.fitting import fit_window
from quant.forecasting.forecast import Predictive
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import ReturnPanel
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveForecaster(FilterModel):
    """Drift plus historic volatility, normal."""

    name: ClassVar[str] = "naive"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(fit_ms_per_symbol=0.01, forecast_ms_per_symbol=0.02)

    @property
    def observations_min(self) -> int:
        """It stands in where the others lack data."""
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
        """The mean n-fold; the variance n-fold, and with it the doubt about the mean n^2-fold."""
        mean, variance, count = moments(panel.last(self.policy.naive_window_sessions).values)
        days = np.asarray(horizons, dtype=float)
        total = variance[:, None] * (days + days * days / count[:, None])
        return Predictive(
            mean=mean[:, None] * days,
            std=np.sqrt(total),
            degrees_of_freedom=np.full(total.shape, np.inf),
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The window moves with the session."""
        steps = [
            self.predict(states, panel.columns(slice(0, position)), (1,))
            for position in range(first, len(panel.sessions))
        ]
        return join_steps(steps, symbols=len(states))


def moments(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance (n - 1) and count of the known values of each row; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=1).astype(float)
    enough = count >= 2
    safe_count = np.where(enough, count, 2.0)
    mean = np.where(known, values, 0.0).sum(axis=1) / safe_count
    centred = np.where(known, values - mean[:, None], 0.0)
    variance = (centred * centred).sum(axis=1) / (safe_count - 1.0)
    return (
        np.where(enough, mean, np.nan),
        np.where(enough, variance, np.nan),
        np.where(enough, count, np.nan),
    )


def window_states(
    model: FilterModel, window: ReturnPanel, *, session: dt.date
) -> list[FittedState]:
    """States of a model that has nothing to estimate."""
    first: dt.date = window.sessions[0].item()
    return [
        FittedState(
            symbol=symbol,
            model=model.name,
            version=model.version,
            fit_as_of=session,
            filter_from=first,
            params={"window_sessions": float(model.policy.naive_window_sessions)},
        )
        for symbol in window.symbols
    ]


def join_steps(steps: Sequence[Predictive], *, symbols: int) -> Predictive:
    """One-column answers of consecutive sessions, side by side."""
    if not steps:
        empty = np.empty((symbols, 0))
        return Predictive(mean=empty, std=empty, degrees_of_freedom=empty)
    return Predictive(
        mean=np.concatenate([step.mean for step in steps], axis=1),
        std=np.concatenate([step.std for step in steps], axis=1),
        degrees_of_freedom=np.concatenate([step.degrees_of_freedom for step in steps], axis=1),
    )
