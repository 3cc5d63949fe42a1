"""MSSA-RL: one low-rank signal per cluster of symbols, and a learned choice when it breaks.

The paths of correlated symbols are stacked into one matrix whose leading directions give a common
recurrence (multivariate SSA; Agarwal, Dahleh, Shah and Shen, NeurIPS 2023). Four ways to forecast
stand ready: keep it, fit it on a shortened window, raise its rank, or shrink to the drift. Which
one speaks is looked up in a table, by what the change alarm and the recent errors say before the
session; the table is learned by walking forward through the fit window (`arms`, `qlearning`).

Between fits nothing is estimated: the stored recurrences run, the state is read off, the table is
asked. A symbol's numbers depend on the universe it was fitted in, through its cluster and through
the table, which all symbols share. Missing returns count as the drift; parameters are point
estimates, and of their doubt only the drift's is in the intervals.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quant.core.compute import Done, Failed, fan_out
from quant.core.errors import DataError, ModelError
from quant.core.identity import content_hash, seed_of
from quant.forecasting.arms import (
    ACTIONS,
    CHANGE_WORDS,
    ERROR_WORDS,
    STATES_COUNT,
    FittedWays,
    Signs,
    fit_ways,
    signs,
    sweep_ways,
    walk_forward,
)
from quant.forecasting.decomposers import decomposer_for
from quant.forecasting.filtering import FilterModel, at_horizons, column, filter_start
from quant.forecasting.fitting import finite_params, fit_window
from quant.forecasting.forecast import Diagnostics, ForecastBatch, Predictive
from quant.forecasting.kernels import IntArray
from quant.forecasting.lowrank import RESIDUAL_ORDERS
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.qlearning import QTable, choose, learn
from quant.forecasting.recurrence import (
    Recurrence,
    Sweep,
    forecast_sums,
    recurrence_of,
    recurrence_params,
)
from quant.forecasting.residuals import residual_diagnostics
from quant.forecasting.returns import ReturnPanel, why_unusable
from quant.forecasting.samossa import cusum_notes
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MssaRlForecaster(FilterModel):
    """All symbols of a panel are fitted together."""

    mssa: MssaRlPolicy = MssaRlPolicy()

    name: ClassVar[str] = "mssa_rl"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=8.0,
        forecast_ms_per_symbol=0.5,
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
        task = _Task(
            values=window.values[able],
            symbols=tuple(window.symbols[row] for row in able),
            policy=self.mssa,
        )
        limit = self.policy.fit_time_limit_s
        # One task, since its symbols belong together; this is for its limits on time and threads.
        (result,) = fan_out(
            _fit_together,
            [task],
            workers=1,
            time_limit_s=None if limit is None else limit * max(len(able), 1),
            imports=self.cost.heavy_imports,
        )
        found = _reasons_or_fits(result, task.symbols)
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
        night = self._run(states, panel)
        action = night.actions()[-1]
        means, variances = [], []
        for name in ACTIONS:
            mean, surprise, doubt = forecast_sums(
                night.ways[name], night.courses[name], max(horizons)
            )
            means.append(mean)
            variances.append(surprise + doubt)
        return _normal(
            at_horizons(_chosen(means, action), horizons),
            at_horizons(_chosen(variances, action), horizons),
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The chosen way of each session, chosen from the sessions before it."""
        night = self._run(states, panel)
        after = slice(first - night.begin, None)
        action = night.actions()[:-1][after]
        courses = [night.courses[name] for name in ACTIONS]
        doubts = [night.ways[name].doubt[:, 0] for name in ACTIONS]
        variances = [c.variances[after] + d for c, d in zip(courses, doubts, strict=True)]
        means = [course.means[after] for course in courses]
        return _normal(_chosen(means, action).T, _chosen(variances, action).T)

    def _run(self, states: Sequence[FittedState], panel: ReturnPanel) -> "_Night":
        number = policy_number(self.mssa)
        if any(state.params["policy"] != number for state in states):
            raise DataError(
                f"{self.name}: a state was made with other settings than those in force",
                remedy="fit again after a change of the MSSA-RL policy",
            )
        begin, start = filter_start(states, panel)
        ways = {name: _way_of(states, name) for name in ACTIONS}
        courses = sweep_ways(ways, panel.values.T[begin:], start)
        return _Night(
            begin=begin,
            ways=ways,
            courses=courses,
            signs=signs(courses["keep"], ways["keep"].variance, self.mssa),
            advantage=_advantage_of(states),
            margin=self.mssa.intervention_margin,
        )

    def _with_actions(self, states: Sequence[FittedState], known: ReturnPanel) -> list[FittedState]:
        speaking = [state for state in states if state.is_usable and state.model == self.name]
        panel = known.rows(tuple(state.symbol for state in speaking))
        night = self._run(speaking, panel)
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
        found: Mapping[str, "_Fit | Failed"],
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
                return replace(blank, error=error, reason=message)
            case _Fit(params=params, diagnostics=diagnostics):
                return replace(
                    blank,
                    params=params,
                    diagnostics=diagnostics,
                    converged=True,
                    error="",
                    reason="",
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    values: FloatArray
    symbols: tuple[str, ...]
    policy: MssaRlPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    params: Params
    diagnostics: Diagnostics


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Night:
    """All ways run over one panel, and what the table says of every session."""

    begin: int
    ways: Mapping[str, Recurrence]
    courses: Mapping[str, Sweep]
    signs: Signs
    advantage: FloatArray
    margin: float

    def actions(self) -> IntArray:
        """(sessions + 1, symbols): before each session, and for the one after the last."""
        best = choose(self.advantage, margin=self.margin)
        return best[np.arange(best.shape[0]), self.signs.code]

    def notes(self, row: int) -> Diagnostics:
        """What was decided for the next session of one symbol, and why."""
        code = int(self.signs.code[-1, row])
        action = int(self.actions()[-1, row])
        change, size = CHANGE_WORDS[code // len(ERROR_WORDS)], ERROR_WORDS[code % len(ERROR_WORDS)]
        gain = float(self.advantage[row, code, action])
        best = float(self.advantage[row, code].max())
        why = (
            f"has saved {gain:.1%} of the error variance of keeping in this state"
            if action
            else f"no other action has saved more than {self.margin:.1%}: the best {best:.1%}"
        )
        return {
            "action": ACTIONS[action],
            "action_state": f"change {change}, errors {size}",
            "action_reason": f"{ACTIONS[action]} {why}" if action else why,
            "action_advantage": gain,
            "recent_error_ratio": float(self.signs.error_ratio[-1, row]),
            **cusum_notes(self.signs.alarms, row),
        }


def policy_number(policy: MssaRlPolicy) -> float:
    """The settings a state was made with, as a number that a float holds exactly (48 bits)."""
    return float(int(content_hash(policy.model_dump(mode="json"))[:12], 16))


def _fit_together(task: _Task) -> list[_Fit | Failed]:
    policy, decomposer = task.policy, decomposer_for(task.policy.device)
    start = _first_known(task.values)
    transitions = walk_forward(
        task.values, start, task.symbols, policy=policy, decomposer=decomposer
    )
    table = learn(
        transitions,
        states_count=STATES_COUNT,
        discount=policy.discount,
        prior_visits=policy.prior_visits,
        transitions_max=policy.transitions_max,
        seed=seed_of("mssa_rl", "replay", list(task.symbols), len(transitions)),
    )
    kept = task.values[:, -policy.keep_sessions :]
    fitted = fit_ways(kept, _first_known(kept), task.symbols, policy=policy, decomposer=decomposer)
    shared = {"policy": policy_number(policy), **_table_params(table)}
    return [
        _Fit(
            params=finite_params({**shared, **_ways_params(fitted, row)}),
            diagnostics={
                "decomposer": decomposer.name,
                "transitions": len(transitions),
                **_diagnostics(fitted, task.symbols, row),
            },
        )
        if fitted.is_usable[row]
        else Failed(
            error=ModelError.__name__,
            message=f"has {fitted.residual.count[row]} surprises of any size in its window, "
            f"needs {policy.surprises_min}",
        )
        for row in range(len(task.symbols))
    ]


def _reasons_or_fits(
    result: Done[list[_Fit | Failed]] | Failed, symbols: tuple[str, ...]
) -> dict[str, _Fit | Failed]:
    if isinstance(result, Failed):
        return dict.fromkeys(symbols, result)
    return dict(zip(symbols, result.value, strict=True))


def _ways_params(fitted: FittedWays, row: int) -> dict[str, float]:
    params = {}
    for name in ACTIONS:
        way = fitted.ways[name]
        params |= recurrence_params(way, row, prefix=f"{name}_", lists=("signal", "residual"))
        # Over one day the doubt is that of the drift; over n days it is n^2-fold.
        params[f"{name}_doubt_one_day"] = float(way.doubt[row, 0])
    return params


def _way_of(states: Sequence[FittedState], name: str) -> Recurrence:
    days = np.arange(1, HORIZON_DAYS_MAX + 1)
    one_day = column(states, f"{name}_doubt_one_day")
    return replace(recurrence_of(states, prefix=f"{name}_"), doubt=one_day[:, None] * days * days)


def _table_params(table: QTable) -> dict[str, float]:
    params = {f"visits_{state}": float(count) for state, count in enumerate(table.visits)}
    for state, values in enumerate(table.values):
        params |= {f"q_{state}_{name}": float(v) for name, v in zip(ACTIONS, values, strict=True)}
    return params


def _advantage_of(states: Sequence[FittedState]) -> FloatArray:
    """(symbols, states, actions), back from the parameters."""
    values = np.array(
        [
            [[s.params[f"q_{place}_{name}"] for name in ACTIONS] for place in range(STATES_COUNT)]
            for s in states
        ]
    ).reshape(len(states), STATES_COUNT, len(ACTIONS))
    return values - values[:, :, :1]


def _diagnostics(fitted: FittedWays, symbols: tuple[str, ...], row: int) -> Diagnostics:
    cluster = int(fitted.cluster[row])
    members = [symbol for symbol, c in zip(symbols, fitted.cluster, strict=True) if c == cluster]
    space, residual = fitted.subspaces["keep"], fitted.residual
    lags, differences = RESIDUAL_ORDERS[int(residual.order[row])]
    return {
        "observations": int(residual.count[row]),
        "cluster": ",".join(sorted(members)),
        "cluster_size": len(members),
        "rank": int(space.rank[cluster]),
        "rank_raised": int(fitted.subspaces["raise"].rank[cluster]),
        "energy_explained": float(space.energy[cluster]),
        "growth_per_session": float(space.growth[cluster]),
        "residual_ar_lags": lags,
        "residual_differences": differences,
        "residual_std": float(np.sqrt(residual.variance[row])),
        "bic": float(residual.bic[row]),
        "has_shortened": bool(fitted.has_short[row]),
        "change_in_window": bool(fitted.change[row] > 0),
        **residual_diagnostics(residual.surprises[row]),
    }


def _first_known(values: FloatArray) -> IntArray:
    return np.argmax(np.isfinite(values), axis=1).astype(np.int64)


def _chosen(of_ways: list[FloatArray], action: NDArray[Any]) -> FloatArray:
    """The entries of the chosen ways; `action` lacks axes that the values have behind its own."""
    stacked = np.stack(of_ways)
    index = action.reshape(1, *action.shape, *[1] * (stacked.ndim - 1 - action.ndim))
    return np.take_along_axis(stacked, index, axis=0)[0]


def _normal(mean: FloatArray, variance: FloatArray) -> Predictive:
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full(mean.shape, np.inf)
    )
