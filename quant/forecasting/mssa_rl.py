"""MSSA-RL: one low-rank signal per cluster of symbols, and a learned choice when it breaks.

The paths of correlated symbols are stacked into one matrix whose leading directions give a common
recurrence (multivariate SSA; Agarwal, Alomar and Shah, arXiv 2006.13448). Four ways to forecast
stand ready: keep it, fit it on a shortened window, raise its rank, or shrink to the drift. Which
one speaks is looked up in a table, by what the change alarm and the recent errors say before the
session. The table is learned by walking forward through the fit window, and so is the share that
is kept of what each way promises beside the drift (`rehearsal`, `qlearning`).

Between fits nothing is estimated: the stored recurrences run, the state is read off, the table is
asked. A symbol's numbers depend on the universe it was fitted in, through its cluster and through
the table, which all symbols share. Missing returns count as the drift; parameters are point
estimates, and of their doubt only the drift's is in the intervals.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quant.core.compute import Failed, fan_out
from quant.core.errors import ModelError
from quant.forecasting.arms import ACTIONS
from quant.forecasting.filtering import FilterModel, at_horizons
from quant.forecasting.fitting import fit_window
from quant.forecasting.forecast import ForecastBatch, Predictive
from quant.forecasting.mssa_fit import (
    FitTogether,
    WaysFit,
    fit_together,
    fits_by_symbol,
    policy_number,
)
from quant.forecasting.mssa_night import run_night
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.recurrence import forecast_sums, normal_predictive
from quant.forecasting.returns import ReturnPanel, why_unusable
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MssaRlForecaster(FilterModel):
    """All symbols of a panel are fitted together."""

    mssa: MssaRlPolicy = field(default_factory=MssaRlPolicy)

    name: ClassVar[str] = "mssa_rl"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=6.0,
        forecast_ms_per_symbol=1.3,
        heavy_imports=("scipy.special", "ruptures"),
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Clusters, ways and table from the window that ends with `session`.

        The table is learned from nothing at each fit, so that a fit needs no history but its
        window; `start` is recorded, and kept where a symbol cannot be fitted.
        """
        window = fit_window(panel, session=session, policy=self.policy)
        reasons = why_unusable(
            window.values,
            observations_min=self.observations_min,
            stale_sessions_max=self.policy.stale_sessions_max,
        )
        able = [row for row, reason in enumerate(reasons) if reason is None]
        task = FitTogether(
            session=session,
            values=window.values[able],
            symbols=tuple(window.symbols[row] for row in able),
            policy=self.mssa,
        )
        limit = self.policy.fit_time_limit_s
        # One task, since its symbols belong together; this is for its limits on time and threads.
        (result,) = fan_out(
            fit_together,
            [task],
            workers=1,
            time_limit_s=None if limit is None else limit * max(len(able), 1),
            imports=self.cost.heavy_imports,
        )
        found = fits_by_symbol(result, task.symbols)
        return [
            self._state(window, row, reason, found, session, (start or {}).get(symbol))
            for row, (symbol, reason) in enumerate(zip(window.symbols, reasons, strict=True))
        ]

    def forecast(
        self,
        states: Sequence[FittedState],
        panel: ReturnPanel,
        *,
        session: dt.date,
        as_of: dt.datetime,
        horizons: Sequence[int],
    ) -> ForecastBatch:
        """As every filter, and each forecast tells which action was taken and why."""
        noted = self._with_actions(states, panel.until(session))
        return FilterModel.forecast(
            self, noted, panel, session=session, as_of=as_of, horizons=horizons
        )

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """Run all four ways to the last session and let the chosen one speak."""
        night = run_night(states, panel, self.mssa)
        action = night.action[-1]
        means, variances = [], []
        for name in ACTIONS:
            mean, surprise, doubt = forecast_sums(
                night.ways[name], night.courses[name], max(horizons)
            )
            means.append(mean)
            variances.append(surprise + doubt)
        return normal_predictive(
            at_horizons(_chosen(means, action), horizons),
            at_horizons(_chosen(variances, action), horizons),
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The chosen way of each session, chosen from the sessions before it."""
        night = run_night(states, panel, self.mssa)
        after = slice(first - night.begin, None)
        action = night.action[:-1][after]
        courses = [night.courses[name] for name in ACTIONS]
        doubts = [night.ways[name].doubt[:, 0] for name in ACTIONS]
        variances = [c.variances[after] + d for c, d in zip(courses, doubts, strict=True)]
        means = [course.means[after] for course in courses]
        return normal_predictive(_chosen(means, action).T, _chosen(variances, action).T)

    def _with_actions(self, states: Sequence[FittedState], known: ReturnPanel) -> list[FittedState]:
        speaking = [state for state in states if state.is_usable and state.model == self.name]
        panel = known.rows(tuple(state.symbol for state in speaking))
        night = run_night(speaking, panel, self.mssa)
        notes = {state.symbol: night.notes(row) for row, state in enumerate(speaking)}
        return [
            replace(state, diagnostics={**state.diagnostics, **notes.get(state.symbol, {})})
            for state in states
        ]

    def _state(
        self,
        window: ReturnPanel,
        row: int,
        reason: str | None,
        found: Mapping[str, WaysFit | Failed],
        session: dt.date,
        start: Params | None,
    ) -> FittedState:
        symbol = window.symbols[row]
        kept = window.last(self.mssa.keep_sessions)
        first: dt.date = kept.sessions[int(np.argmax(np.isfinite(kept.values[row])))].item()
        blank = FittedState(
            symbol=symbol,
            model=self.name,
            version=self.version,
            fit_as_of=session,
            filter_from=first,
            params={},
            start_params=start,
            converged=False,
            error=ModelError.__name__,
            reason=reason or "not fitted",
        )
        if reason is not None:
            return blank
        match found[symbol]:
            case Failed(error=error, message=message):
                return _keep_start(blank, error, message, policy_number(self.mssa))
            case WaysFit(params=params, diagnostics=diagnostics):
                return replace(
                    blank,
                    params=params,
                    diagnostics=diagnostics,
                    converged=True,
                    error="",
                    reason="",
                )


def _keep_start(blank: FittedState, error: str, reason: str, policy: float) -> FittedState:
    """Where the fit failed the last parameters stay, flagged, if they mean the same still."""
    params = blank.start_params or {}
    params = params if params.get("policy") == policy else {}
    return replace(
        blank,
        params=params,
        diagnostics={"fit_error": error, "fit_reason": reason, "kept_previous": bool(params)},
        error=error,
        reason=reason,
    )


def _chosen(of_ways: list[FloatArray], action: NDArray[Any]) -> FloatArray:
    """The entries of the chosen ways; `action` lacks axes that the values have behind its own."""
    stacked = np.stack(of_ways)
    index = action.reshape(1, *action.shape, *[1] * (stacked.ndim - 1 - action.ndim))
    chosen: FloatArray = np.take_along_axis(stacked, index, axis=0)[0]
    return chosen
