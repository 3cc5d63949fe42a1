"""SAMOSSA: a low-rank signal in the path of prices, and an AR on what it misses.

After SAMoSSA (arXiv 2305.16491): the Page matrix of the series is cut to its leading singular
triples, which gives a linear recurrence for the signal; an AR continues what the recurrence misses.
The series is the log price around its drift line. On returns themselves, which
are nearly white, nine tenths of the energy would be nine tenths of the noise; on the path they are
its slow swings, and the forecast of a return is the drift plus the change that the swing promises.

Assumes one drift and one kind of swing over the window. A missing return counts as the drift, so a
holiday adds nothing and a late listing shortens the window; a delisting ends in a refusal once the
price is stale. The interval holds the surprises, with a variance that moves as they do, and the
doubt about everything that was estimated. Of what the forecast promises beside the drift only that
share is kept which is not itself an error of the estimates.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from quant.core.errors import ModelError
from quant.forecasting.changes import cusum, cusum_notes, mean_changes
from quant.forecasting.doubt import doubt_and_trust
from quant.forecasting.filtering import FilterModel, at_horizons
from quant.forecasting.fitting import FitOutcome, FitTask, finite_params, fit_panel
from quant.forecasting.forecast import Diagnostics, ForecastBatch, Predictive
from quant.forecasting.lowrank import (
    RESIDUAL_LAGS,
    RESIDUAL_ORDERS,
    SURPRISE_SHARE_MIN,
    Paths,
    ResidualModel,
    paths_of,
    residual_model,
    stable_recurrences,
)
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.recurrence import (
    Recurrence,
    anchor_param,
    filter_rows,
    forecast_sums,
    normal_predictive,
    recurrence_of,
    recurrence_params,
    sweep,
)
from quant.forecasting.residuals import residual_diagnostics
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.ssa import Triples, columns_of, components, decompose, growth_per_step
from quant.forecasting.ssa_policy import SsaPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SamossaForecaster(FilterModel):
    """Each symbol on its own; between fits a run of the stored recurrence and no decomposition."""

    ssa: SsaPolicy = field(default_factory=SsaPolicy)

    name: ClassVar[str] = "samossa"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=5.5,
        forecast_ms_per_symbol=0.9,
        heavy_imports=("scipy.signal", "scipy.special", "ruptures"),
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """One decomposition per symbol; nothing is searched for, so `start` is only recorded."""
        states = fit_panel(
            partial(fit_samossa, ssa=self.ssa),
            panel,
            model=self.name,
            version=self.version,
            session=session,
            start=start,
            policy=self.policy,
            imports=self.cost.heavy_imports,
        )
        # Kept parameters of an earlier fit keep their anchor too.
        anchor = anchor_param(session)
        return [
            replace(state, params={**state.params, **anchor}) if state.converged else state
            for state in states
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
        """As every filter, and each forecast tells what the change alarm says on its night."""
        noted = self._with_alarms(states, panel.until(session))
        return FilterModel.forecast(
            self, noted, panel, session=session, as_of=as_of, horizons=horizons
        )

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """Filter to the last session, then continue the recurrence."""
        params, (begin, *rows) = recurrence_of(states), filter_rows(states, panel)
        course = sweep(params, panel.values.T[begin:], *rows)
        means, surprise, doubt = forecast_sums(params, course, max(horizons))
        return normal_predictive(
            at_horizons(means, horizons), at_horizons(surprise + doubt, horizons)
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The filter's own one-step forecasts."""
        params, (begin, *rows) = recurrence_of(states), filter_rows(states, panel)
        course = sweep(params, panel.values.T[begin:], *rows)
        variances = course.variances[first - begin :].T + params.doubt[:, :1]
        return normal_predictive(course.means[first - begin :].T, variances)

    def _with_alarms(self, states: Sequence[FittedState], known: ReturnPanel) -> list[FittedState]:
        speaking = [state for state in states if state.is_usable and state.model == self.name]
        if not speaking:
            return list(states)
        panel = known.rows(tuple(state.symbol for state in speaking))
        begin, *rows = filter_rows(speaking, panel)
        course = sweep(recurrence_of(speaking), panel.values.T[begin:], *rows)
        alarms = cusum(
            course.standardised_errors(),
            slack_std=self.ssa.cusum_slack_std,
            limit_std=self.ssa.cusum_limit_std,
        )
        notes = {state.symbol: cusum_notes(alarms, row) for row, state in enumerate(speaking)}
        return [
            replace(state, diagnostics={**state.diagnostics, **notes.get(state.symbol, {})})
            for state in states
        ]


def fit_samossa(task: FitTask, ssa: SsaPolicy) -> FitOutcome:
    """One symbol: line, signal, residual, and how far each could be wrong."""
    window, kind = ssa.window_sessions, ssa.matrix
    if columns_of(len(task.values), window, kind) < 2:
        raise ModelError(
            f"{len(task.values)} sessions do not make two columns of {window}",
            remedy="wait for more history, or shorten window_sessions",
        )
    paths = paths_of(task.values[None, :], np.zeros(1, dtype=np.int64))
    triples = decompose(
        paths.deviations[0], window=window, energy_share=ssa.energy_share_min, kind=kind
    )
    signal, rank = stable_recurrences(
        triples.left[None], np.array([triples.rank]), growth_max=ssa.growth_per_session_max
    )
    residual = residual_model(paths, signal)
    if not residual.variance[0] > SURPRISE_SHARE_MIN * np.nanvar(task.values):
        raise ModelError("its returns continue themselves exactly and leave no variance")
    doubt, trust = doubt_and_trust(paths, signal, residual, ssa)
    params = Recurrence(
        drift=paths.drift,
        deviation=paths.deviations[:, -1],
        signal=signal,
        residual=residual.coefficients,
        variance=residual.variance,
        shock_alpha=np.array([ssa.shock_alpha]),
        shock_beta=np.array([ssa.shock_beta]),
        doubt=doubt[None, :],
        trust=trust[None, :],
        lags=np.array([signal.shape[1] + RESIDUAL_LAGS]),
    )
    return FitOutcome(
        params=finite_params(recurrence_params(params, 0)),
        converged=True,
        diagnostics={
            "observations": int(paths.known.sum()),
            "gaps": int((~paths.known).sum()),
            "growth_per_session": float(growth_per_step(signal)[0]),
            **_signal_diagnostics(paths, triples, int(rank[0])),
            **_residual_notes(residual),
            **_doubt_notes(doubt, trust, residual),
            **_change_notes(task.values, ssa),
            **residual_diagnostics(residual.surprises[0]),
        },
    )


def _signal_diagnostics(paths: Paths, triples: Triples, rank: int) -> Diagnostics:
    """How much of the path the signal is: by energy of the matrix, and by variance of the path."""
    path = paths.deviations[0, triples.offset :]
    rest = path - components(triples).sum(axis=0)
    return {
        "window_sessions": len(triples.left),
        "columns": len(triples.right),
        "rank": rank,
        "rank_by_energy": triples.rank,
        "energy_explained": float(triples.energy_shares.sum()),
        "variance_explained": float(1.0 - rest.var() / path.var()),
    }


def _residual_notes(residual: ResidualModel) -> Diagnostics:
    lags, differences = RESIDUAL_ORDERS[int(residual.order[0])]
    count, variance = int(residual.count[0]), float(residual.variance[0])
    return {
        "residual_ar_lags": lags,
        "residual_differences": differences,
        "residual_std": float(np.sqrt(variance)),
        "bic": float(residual.bic[0]),
        # Of normal surprises with the variance of the fit, as the models that search report it.
        "log_likelihood": -0.5 * count * float(np.log(2.0 * np.pi * variance) + 1.0),
    }


def _doubt_notes(doubt: FloatArray, trust: FloatArray, residual: ResidualModel) -> Diagnostics:
    return {
        "trust_1_day": float(trust[0]),
        "trust_20_days": float(trust[HORIZON_DAYS_MAX - 1]),
        "doubt_share_1_day": float(doubt[0] / (doubt[0] + residual.variance[0])),
        "doubt_std_20_days": float(np.sqrt(doubt[HORIZON_DAYS_MAX - 1])),
    }


def _change_notes(values: FloatArray, ssa: SsaPolicy) -> Diagnostics:
    """Changes of the mean return within the window, by the exact search."""
    places = mean_changes(values, size_min=ssa.change_size_min_sessions)
    return {
        "changes_in_window": len(places),
        "sessions_since_change": len(values) - places[-1] if places else None,
    }
