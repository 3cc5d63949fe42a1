"""SAMOSSA: a low-rank signal in the path of prices, and an AR on what it misses.

Agarwal, Dahleh, Shah and Shen (SAMoSSA, NeurIPS 2023): the Page matrix of the series is cut to its
leading singular triples, which gives a linear recurrence for the signal; an AR continues what the
recurrence misses. The series is the log price around its drift line. On returns themselves, which
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
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from quant.core.errors import ModelError
from quant.core.identity import seed_of
from quant.forecasting.changes import NEVER, CusumPath, cusum, mean_changes
from quant.forecasting.decomposers import NumpyDecomposer
from quant.forecasting.filtering import FilterModel, at_horizons, filter_start
from quant.forecasting.fitting import FitOutcome, FitTask, finite_params, fit_panel
from quant.forecasting.forecast import Diagnostics, ForecastBatch, Predictive
from quant.forecasting.lowrank import (
    RESIDUAL_LAGS,
    RESIDUAL_ORDERS,
    Paths,
    ResidualModel,
    embed_all,
    leading_subspaces,
    paths_of,
    residual_model,
    stable_recurrences,
)
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.recurrence import (
    Recurrence,
    Sweep,
    forecast_sums,
    product_coefficients,
    recurrence_of,
    recurrence_params,
    sweep,
    weights_ahead,
)
from quant.forecasting.residuals import residual_diagnostics
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.ssa import Triples, columns_of, components, decompose
from quant.forecasting.ssa_policy import SsaPolicy
from quant.market.panel import FloatArray

# Surprises this small beside the returns are rounding: the series is its own exact continuation.
_SURPRISE_SHARE_MIN = 1e-12
# The doubt is a mean over states of the window; neighbouring states hardly differ.
_DOUBT_EVERY_SESSIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SamossaForecaster(FilterModel):
    """Each symbol on its own; between fits a run of the stored recurrence and no decomposition."""

    ssa: SsaPolicy = SsaPolicy()

    name: ClassVar[str] = "samossa"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=6.0,
        forecast_ms_per_symbol=0.2,
        heavy_imports=("scipy.signal", "scipy.special", "ruptures"),
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """One decomposition per symbol; nothing is searched for, so `start` is only recorded."""
        return fit_panel(
            partial(fit_samossa, ssa=self.ssa),
            panel,
            model=self.name,
            version=self.version,
            session=session,
            start=start,
            policy=self.policy,
            imports=self.cost.heavy_imports,
        )

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
        params, (begin, start) = recurrence_of(states), filter_start(states, panel)
        course = sweep(params, panel.values.T[begin:], start)
        means, surprise, doubt = forecast_sums(params, course, max(horizons))
        return _normal(at_horizons(means, horizons), at_horizons(surprise + doubt, horizons))

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The filter's own one-step forecasts."""
        params, (begin, start) = recurrence_of(states), filter_start(states, panel)
        course = sweep(params, panel.values.T[begin:], start)
        variances = course.variances[first - begin :].T + params.doubt[:, :1]
        return _normal(course.means[first - begin :].T, variances)

    def _with_alarms(self, states: Sequence[FittedState], known: ReturnPanel) -> list[FittedState]:
        speaking = [state for state in states if state.is_usable and state.model == self.name]
        if not speaking:
            return list(states)
        panel = known.rows(tuple(state.symbol for state in speaking))
        begin, start = filter_start(speaking, panel)
        course = sweep(recurrence_of(speaking), panel.values.T[begin:], start)
        alarms = change_alarms(course, self.ssa)
        notes = {state.symbol: cusum_notes(alarms, row) for row, state in enumerate(speaking)}
        return [
            replace(state, diagnostics={**state.diagnostics, **notes.get(state.symbol, {})})
            for state in states
        ]


def change_alarms(course: Sweep, policy: SsaPolicy) -> CusumPath:
    """Sums over surprises in units of what was expected of them."""
    return cusum(
        course.errors / np.sqrt(course.variances),
        slack_std=policy.cusum_slack_std,
        limit_std=policy.cusum_limit_std,
    )


def cusum_notes(alarms: CusumPath, row: int) -> Diagnostics:
    """The last night of one symbol, for the record."""
    if not len(alarms.up):
        return {}
    since = int(alarms.since_alarm[-1, row])
    return {
        "cusum_up": float(alarms.up[-1, row]),
        "cusum_down": float(alarms.down[-1, row]),
        "sessions_since_alarm": None if since >= NEVER else since,
    }


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
    signal, growth, rank = stable_recurrences(
        triples.left[None], np.array([triples.rank]), growth_max=ssa.growth_per_session_max
    )
    residual = residual_model(paths, signal)
    if not residual.variance[0] > _SURPRISE_SHARE_MIN * np.nanvar(task.values):
        raise ModelError("its returns continue themselves exactly and leave no variance")
    doubt, trust = _doubt_and_trust(paths, signal, residual, ssa)
    params = Recurrence(
        drift=paths.drift,
        level=paths.level,
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
            "growth_per_session": float(growth[0]),
            **_signal_diagnostics(paths, triples, int(rank[0])),
            **_residual_notes(residual),
            **_doubt_notes(doubt, trust, residual),
            **_change_notes(task.values, ssa),
            **residual_diagnostics(residual.surprises[0]),
        },
    )


def _doubt_and_trust(
    paths: Paths, signal: FloatArray, fitted: ResidualModel, ssa: SsaPolicy
) -> tuple[FloatArray, FloatArray]:
    """Of the forecast sums over 1, 2, ... sessions: variance due to the estimates, share to keep.

    Paths are simulated from the fitted model with its own surprises, redrawn; each is fitted anew,
    and the forecasts by the new numbers are compared with the forecasts by the old ones from states
    of the true window (a sieve bootstrap, Buehlmann 1997). The draws are the same for all symbols.
    What a forecast promises beside the drift is then part signal and part error of the estimates;
    the share of signal, which is 1 - error / whole, is kept (James and Stein 1961, positive part).
    """
    rng = np.random.default_rng(seed_of("samossa", "doubt", ssa.bootstrap_replicates))
    surprises = fitted.surprises[0][np.isfinite(fitted.surprises[0])]
    coefficients = product_coefficients(signal, fitted.coefficients)[0]
    lags, length = len(coefficients), paths.deviations.shape[1]
    shape = (ssa.bootstrap_replicates, length - lags)
    # Indices from unit draws, so that a window of another length sees nearly the same draws.
    drawn = surprises[(rng.random(shape) * len(surprises)).astype(np.int64)]
    returns = _simulated(paths, coefficients, drawn - surprises.mean())
    again = paths_of(returns, np.zeros(len(returns), dtype=np.int64))
    columns = embed_all(again, window=ssa.window_sessions, kind=ssa.matrix)
    subspaces = leading_subspaces(
        *NumpyDecomposer().eigen(columns, np.arange(len(returns))),
        energy_share_min=ssa.energy_share_min,
        growth_max=ssa.growth_per_session_max,
    )
    refitted = residual_model(again, subspaces.coefficients)
    others = product_coefficients(subspaces.coefficients, refitted.coefficients)
    line = paths.drift * np.arange(1, length + 1)
    raw = paths.deviations[0] + paths.level + line
    old = _promised(raw, paths.drift, paths.level, coefficients[None, :])
    new = _promised(raw, again.drift, again.level, others)
    error = np.mean((new - old) ** 2, axis=(0, 1))
    whole = np.mean(old * old, axis=(0, 1))
    trust = np.where(error < whole, 1.0 - error / np.maximum(whole, error), 0.0)
    days = np.arange(1, HORIZON_DAYS_MAX + 1)
    drift_error = float(np.mean((again.drift - paths.drift) ** 2))
    return drift_error * days * days + trust * error, trust


def _simulated(paths: Paths, coefficients: FloatArray, drawn: FloatArray) -> FloatArray:
    """Returns of paths that begin as the true one did and go on with other surprises."""
    from scipy.signal import lfilter, lfiltic

    lags = len(coefficients)
    opening = paths.deviations[0, :lags]
    memory = lfiltic([1.0], np.concatenate([[1.0], -coefficients]), opening[::-1])
    rest, _ = lfilter(
        [1.0],
        np.concatenate([[1.0], -coefficients]),
        drawn,
        axis=1,
        zi=np.broadcast_to(memory, (len(drawn), lags)),
    )
    whole = np.concatenate([np.broadcast_to(opening, (len(drawn), lags)), rest], axis=1)
    returns: FloatArray = np.diff(whole + paths.level, axis=1, prepend=0.0) + paths.drift
    return returns


def _promised(
    raw: FloatArray, drift: FloatArray, level: FloatArray, coefficients: FloatArray
) -> FloatArray:
    """Forecast sums beside the drift from states of one path, (fits, states, horizons)."""
    lags = coefficients.shape[1]
    line = drift[:, None] * np.arange(1, len(raw) + 1) + level[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(raw - line, lags, axis=1)
    states = windows[:, ::-_DOUBT_EVERY_SESSIONS, ::-1]
    ahead = weights_ahead(coefficients, HORIZON_DAYS_MAX)
    promised: FloatArray = states @ np.swapaxes(ahead, 1, 2) - states[:, :, :1]
    return promised


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


def _normal(mean: FloatArray, variance: FloatArray) -> Predictive:
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full(mean.shape, np.inf)
    )
