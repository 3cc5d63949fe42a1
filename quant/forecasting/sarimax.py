"""The mean model: ARMA with a constant on daily log returns, estimated by statsmodels' SARIMAX.

Assumes a stationary series with normal shocks of one variance; gaps are integrated out exactly by
the Kalman filter, so a holiday of one symbol costs nothing but certainty, a late listing shortens
the window, and a delisting ends in a refusal once the price is stale. Parameters are point
estimates: their own uncertainty is not in the intervals.
"""

import datetime as dt
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from quant.forecasting.filtering import FilterModel, at_horizons, column, filter_start
from quant.forecasting.fitting import (
    FitOutcome,
    FitTask,
    finite_params,
    fit_panel,
    recorded_warnings,
    unit_scale,
)
from quant.forecasting.forecast import Predictive
from quant.forecasting.kernels import (
    ArmaParams,
    arma_filter,
    arma_forecast,
    arma_start,
)
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.residuals import residual_diagnostics
from quant.forecasting.returns import ReturnPanel
from quant.market.panel import FloatArray

_ITERATIONS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SarimaxForecaster(FilterModel):
    """Fixed small order from the policy."""

    name: ClassVar[str] = "sarimax"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=11.0,
        forecast_ms_per_symbol=0.1,
        heavy_imports=("statsmodels.tsa.statespace.sarimax",),
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Maximum likelihood per symbol."""
        return fit_panel(
            fit_sarimax,
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
        """Filter to the last session, then sum the steps."""

        def one_order(
            group: list[FittedState], values: FloatArray
        ) -> tuple[FloatArray, FloatArray]:
            params, start = arma_params(group), filter_start(group, panel)
            observed = values.T[start[0] :]
            *_, carry = arma_filter(params, observed, arma_start(params), start[1])
            means, variances = arma_forecast(params, carry, max(horizons))
            return at_horizons(means, horizons), at_horizons(variances, horizons)

        return _by_order(states, panel, len(horizons), one_order)

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The filter's own one-step predictions."""

        def one_order(
            group: list[FittedState], values: FloatArray
        ) -> tuple[FloatArray, FloatArray]:
            params, start = arma_params(group), filter_start(group, panel)
            observed = values.T[start[0] :]
            means, variances, _ = arma_filter(params, observed, arma_start(params), start[1])
            return means[first - start[0] :].T, variances[first - start[0] :].T

        return _by_order(states, panel, len(panel.sessions) - first, one_order)


def arma_params(states: Sequence[FittedState]) -> ArmaParams:
    """States of one order as arrays."""
    p, q = _order(states[0].params)
    return ArmaParams(
        intercept=column(states, "intercept"),
        ar=_columns(states, [f"ar{lag}" for lag in range(1, p + 1)]),
        ma=_columns(states, [f"ma{lag}" for lag in range(1, q + 1)]),
        variance=column(states, "variance"),
    )


def fit_sarimax(task: FitTask) -> FitOutcome:
    """One symbol by statsmodels; from the previous parameters if there are any."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    p, q = task.policy.ar_order, task.policy.ma_order
    scale = unit_scale(task.values)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SARIMAX(task.values * scale, order=(p, 0, q), trend="c")
        result = model.fit(
            start_params=_to_vendor(task.start, scale, p, q),
            disp=0,
            maxiter=_ITERATIONS_MAX,
            cov_type="none",
        )
    values = result.mle_retvals
    return FitOutcome(
        params=_from_vendor(result.params, scale, p, q),
        converged=bool(values["converged"]),
        diagnostics={
            "observations": int(np.isfinite(task.values).sum()),
            "gaps": int(np.isnan(task.values).sum()),
            "log_likelihood": float(result.llf),
            "aicc": float(result.aicc),
            "iterations": int(values["iterations"]),
            "optimizer": f"flag {values['warnflag']} after {values['iterations']} iterations",
            "warnings": recorded_warnings(caught),
            **residual_diagnostics(result.filter_results.standardized_forecasts_error[0]),
        },
    )


def _to_vendor(start: Params | None, scale: float, p: int, q: int) -> FloatArray | None:
    names = _names(p, q)
    if start is None or set(start) != set(names):
        return None  # another order's parameters are no place to begin
    values = np.array([start[name] for name in names])
    return values * _units(scale, len(names))


def _from_vendor(values: Any, scale: float, p: int, q: int) -> Params:
    names = _names(p, q)
    return finite_params(dict(zip(names, values / _units(scale, len(names)), strict=True)))


def _names(p: int, q: int) -> list[str]:
    """In statsmodels' order."""
    lags = [f"ar{lag}" for lag in range(1, p + 1)] + [f"ma{lag}" for lag in range(1, q + 1)]
    return ["intercept", *lags, "variance"]


def _units(scale: float, count: int) -> FloatArray:
    units = np.ones(count)
    units[0], units[-1] = scale, scale * scale
    return units


def _order(params: Params) -> tuple[int, int]:
    return (
        sum(name.startswith("ar") for name in params),
        sum(name.startswith("ma") for name in params),
    )


def _columns(states: Sequence[FittedState], names: list[str]) -> FloatArray:
    filled = np.zeros((len(states), len(names)))
    for place, name in enumerate(names):
        filled[:, place] = column(states, name)
    return filled


OneOrder = Callable[[list[FittedState], FloatArray], tuple[FloatArray, FloatArray]]


def _by_order(
    states: Sequence[FittedState], panel: ReturnPanel, width: int, one_order: OneOrder
) -> Predictive:
    """Run the kernel once per order that occurs: each keeps its own length of the state."""
    rows_by_order: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, state in enumerate(states):
        rows_by_order[_order(state.params)].append(row)
    mean, variance = np.full((len(states), width), np.nan), np.full((len(states), width), np.nan)
    for rows in rows_by_order.values():
        mean[rows], variance[rows] = one_order([states[row] for row in rows], panel.values[rows])
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full_like(mean, np.inf)
    )
