"""The volatility model: GARCH(1,1) around a constant mean, estimated by arch.

Assumes that returns of neighbouring sessions are uncorrelated and that today's squared surprise
raises tomorrow's variance. The fit passes over gaps as if the sessions had not been; the filter
puts the expected square in their place. A late listing shortens the window; a delisting ends in a
refusal once the price is stale. Parameters are point estimates.
"""

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from quant.core.errors import ModelError
from quant.forecasting.filtering import FilterModel, at_horizons, column, filter_start
from quant.forecasting.fitting import (
    FitOutcome,
    FitTask,
    finite_params,
    fit_panel,
    recorded_warnings,
    unit_scale,
)
from quant.forecasting.forecast import Predictive, over_horizons
from quant.forecasting.kernels import GarchParams, garch_filter, garch_forecast, garch_start
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import ReturnPanel
from quant.market.panel import FloatArray

# Where the search begins when its own start leads nowhere: shares of the sample variance that are
# typical of daily stock returns (alpha 0.05, beta 0.90), and moderately fat tails.
_SECOND_START = (0.05, 0.05, 0.90, 8.0)
# RiskMetrics weights over at most 75 sessions, as arch itself starts the recursion.
_BACKCAST_SESSIONS = 75
_BACKCAST_DECAY = 0.94


@dataclass(frozen=True, slots=True, kw_only=True)
class GarchForecaster(FilterModel):
    """Normal or Student-t shocks, as the policy says."""

    name: ClassVar[str] = "garch"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=16.0, forecast_ms_per_symbol=0.06, heavy_imports=("arch.univariate",)
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Maximum likelihood per symbol."""
        return fit_panel(
            fit_garch,
            panel,
            model=self.name,
            version=self.version,
            session=session,
            start=start,
            policy=self.policy,
            imports=self.cost.heavy_imports,
        )

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """Filter to the last session, then sum the expected variances."""
        params, (begin, start) = garch_params(states), filter_start(states, panel)
        observed = panel.values.T[begin:]
        _, variance = garch_filter(params, observed, garch_start(params), start)
        means, variances = garch_forecast(params, variance, max(horizons))
        return Predictive(
            mean=at_horizons(means, horizons),
            std=np.sqrt(at_horizons(variances, horizons)),
            degrees_of_freedom=over_horizons(_degrees(states), horizons),
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The recursion's own one-step variances."""
        params, (begin, start) = garch_params(states), filter_start(states, panel)
        observed = panel.values.T[begin:]
        variances, _ = garch_filter(params, observed, garch_start(params), start)
        std = np.sqrt(variances[first - begin :].T)
        return Predictive(
            mean=np.broadcast_to(params.mean[:, None], std.shape),
            std=std,
            degrees_of_freedom=np.broadcast_to(_degrees(states)[:, None], std.shape),
        )


def garch_params(states: Sequence[FittedState]) -> GarchParams:
    """States as arrays."""
    return GarchParams(
        **{name: column(states, name) for name in ("mean", "omega", "alpha", "beta", "backcast")}
    )


def fit_garch(task: FitTask) -> FitOutcome:
    """One symbol by arch; from the previous parameters, else arch's own start, else a fixed one."""
    known = task.values[np.isfinite(task.values)]
    scale = unit_scale(known)
    is_t = task.policy.garch_distribution == "t"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        attempts, result = _search(known * scale, task.start, scale, is_t=is_t)
    return FitOutcome(
        params=_from_vendor(result, scale, _backcast(known), is_t=is_t),
        converged=result.convergence_flag == 0,
        diagnostics={
            "observations": len(known),
            "gaps": len(task.values) - len(known),
            "log_likelihood": float(result.loglikelihood),
            "aic": float(result.aic),
            "bic": float(result.bic),
            "distribution": task.policy.garch_distribution,
            "attempts": attempts,
            "optimizer": f"flag {result.convergence_flag} after {attempts} starts",
            "warnings": recorded_warnings(caught),
        },
    )


def _search(
    values: FloatArray, start: Params | None, scale: float, *, is_t: bool
) -> tuple[int, Any]:
    """The first start that converges; the last attempt's result when none does."""
    from arch.univariate import GARCH, ConstantMean, Normal, StudentsT

    starts = [_to_vendor(start, scale, is_t=is_t)] if start is not None else []
    starts += [None, _second_start(values, is_t=is_t)]
    attempts = 0
    for values_to_start in starts:
        attempts += 1
        model = ConstantMean(values, rescale=False)
        model.volatility = GARCH(p=1, q=1)
        model.distribution = StudentsT() if is_t else Normal()
        result = model.fit(disp="off", show_warning=False, starting_values=values_to_start)
        if result.convergence_flag == 0:
            break
    return attempts, result


def _second_start(values: FloatArray, *, is_t: bool) -> FloatArray:
    omega_share, alpha, beta, nu = _SECOND_START
    start = [float(values.mean()), omega_share * float(values.var()), alpha, beta]
    return np.array([*start, nu] if is_t else start)


def _to_vendor(start: Params, scale: float, *, is_t: bool) -> FloatArray | None:
    if ("nu" in start) != is_t:
        return None  # the other distribution's parameters are no place to begin
    units = {"mean": scale, "omega": scale * scale}
    return np.array([start[name] * units.get(name, 1.0) for name in _names(is_t=is_t)])


def _from_vendor(result: Any, scale: float, backcast: float, *, is_t: bool) -> Params:
    units = {"mean": scale, "omega": scale * scale}
    names = _names(is_t=is_t)
    params = {
        name: float(value) / units.get(name, 1.0)
        for name, value in zip(names, result.params.to_numpy(), strict=True)
    }
    # The optimiser may end a rounding error outside its bounds.
    params |= {name: max(params[name], 0.0) for name in ("omega", "alpha", "beta")}
    if not params["omega"] + backcast > 0:
        raise ModelError("the fitted variance is zero")
    return finite_params({**params, "backcast": backcast})


def _names(*, is_t: bool) -> list[str]:
    """In arch's order; a normal has no degrees of freedom to store."""
    return ["mean", "omega", "alpha", "beta", *(["nu"] if is_t else [])]


def _degrees(states: Sequence[FittedState]) -> FloatArray:
    return np.array([state.params.get("nu", np.inf) for state in states], dtype=float)


def _backcast(known: FloatArray) -> float:
    squares = (known - known.mean())[:_BACKCAST_SESSIONS] ** 2
    weights = _BACKCAST_DECAY ** np.arange(len(squares))
    return float(np.sum(squares * weights) / np.sum(weights))
