"""The skeleton of a model that filters: which symbols can answer, from where, with what record.

Belongs here: everything between the port and a kernel. Does not belong here: a model's arithmetic.
"""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.core.errors import DataError
from quant.forecasting.forecast import (
    ForecastBatch,
    ForecastFailure,
    Predictive,
    Provenance,
    build_batch,
)
from quant.forecasting.kernels import IntArray
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import ReturnPanel, why_unusable
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterModel(ABC):
    """A `Forecaster` in terms of three things: a fit, a forecast over horizons, a one-step path."""

    policy: ForecastPolicy

    name: ClassVar[str]
    version: ClassVar[str]
    cost: ClassVar[Cost]

    @abstractmethod
    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Estimate from the window that ends with `session`."""

    @abstractmethod
    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """(states, horizons) from the panel's last session; rows of both belong together."""

    @abstractmethod
    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """(states, sessions from `first` on); rows of both belong together."""

    @property
    def observations_min(self) -> int:
        """Fewer returns than this in the window say nothing."""
        return self.policy.model_observations_min

    def forecast(
        self,
        states: Sequence[FittedState],
        panel: ReturnPanel,
        *,
        session: dt.date,
        as_of: dt.datetime,
        horizons: Sequence[int],
    ) -> ForecastBatch:
        """A filter step per symbol with fixed parameters; nothing after `session` is looked at."""
        known = panel.until(session).rows(tuple(state.symbol for state in states))
        reasons = self._why_silent(states, known, session)
        failures = tuple(
            ForecastFailure(
                symbol=state.symbol,
                session=session,
                as_of=as_of,
                model=self.name,
                error=state.error or "ModelError",
                reason=reason,
            )
            for state, reason in zip(states, reasons, strict=True)
            if reason is not None
        )
        able = [row for row, reason in enumerate(reasons) if reason is None]
        speaking = [states[row] for row in able]
        batch = build_batch(
            self.predict(speaking, known.at_rows(able), horizons),
            [_provenance(state) for state in speaking],
            model=self.name,
            session=session,
            as_of=as_of,
            horizons=horizons,
        )
        return ForecastBatch(forecasts=batch.forecasts, failures=failures + batch.failures)

    def one_step(
        self, states: Sequence[FittedState], panel: ReturnPanel, *, first: int
    ) -> Predictive:
        """NaN for symbols without parameters."""
        known = panel.rows(tuple(state.symbol for state in states))
        able = [row for row, state in enumerate(states) if state.is_usable]
        part = self.path([states[row] for row in able], known.at_rows(able), first)
        return Predictive(
            mean=_spread(part.mean, able, len(states)),
            std=_spread(part.std, able, len(states)),
            degrees_of_freedom=_spread(part.degrees_of_freedom, able, len(states)),
        )

    def _why_silent(
        self, states: Sequence[FittedState], known: ReturnPanel, session: dt.date
    ) -> list[str | None]:
        if len(known.sessions) == 0 or known.sessions[-1] != np.datetime64(session, "D"):
            raise DataError(f"the panel of returns has no session {session}")
        for state in states:
            if state.model != self.name or state.fit_as_of > session:
                raise DataError(
                    f"{self.name} cannot forecast {state.symbol} on {session} from a state of "
                    f"{state.model} fitted on {state.fit_as_of}"
                )
        window = why_unusable(
            known.last(self.policy.fit_window_sessions).values,
            observations_min=self.observations_min,
            stale_sessions_max=self.policy.stale_sessions_max,
        )
        return [
            reason if state.is_usable else state.reason
            for state, reason in zip(states, window, strict=True)
        ]


def filter_start(states: Sequence[FittedState], panel: ReturnPanel) -> tuple[int, IntArray]:
    """Position of the first session any filter needs, and each filter's start from there on."""
    if not states:
        return 0, np.zeros(0, dtype=np.int64)
    days = np.array([state.filter_from for state in states], dtype="datetime64[D]")
    missing = days < panel.sessions[0]
    if missing.any():
        raise DataError(
            f"the filter of {states[int(np.argmax(missing))].symbol} starts on {days[missing][0]}, "
            f"the panel only on {panel.sessions[0]}",
            remedy="read the returns from the start of the fit window on",
        )
    positions = np.searchsorted(panel.sessions, days).astype(np.int64)
    begin = int(positions.min())
    return begin, positions - begin


def column(states: Sequence[FittedState], name: str) -> FloatArray:
    """One parameter of all states."""
    return np.array([state.params[name] for state in states], dtype=float)


def at_horizons(totals: FloatArray, horizons: Sequence[int]) -> FloatArray:
    """The columns of (symbols, 1..max) that are asked for."""
    return totals[:, np.asarray(horizons, dtype=np.int64) - 1]


def _spread(part: FloatArray, rows: list[int], count: int) -> FloatArray:
    whole = np.full((count, part.shape[1]), np.nan)
    whole[rows] = part
    return whole


def _provenance(state: FittedState) -> Provenance:
    return Provenance(
        symbol=state.symbol,
        fit_as_of=state.fit_as_of,
        params_hash=state.params_hash,
        diagnostics={**state.diagnostics, "converged": state.converged},
    )
