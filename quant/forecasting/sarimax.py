"""The mean model: a seasonal ARMA of daily log returns whose order is found by AICc.

Assumes a stationary series with normal shocks of one variance; gaps are integrated out exactly by
the Kalman filter, so a holiday of one symbol costs nothing but certainty, a late listing shortens
the window, and a delisting ends in a refusal once the price is stale. Parameters are point
estimates: their own uncertainty is not in the intervals, nor is that of the order.

Regressors come with the panel. The value known at a close speaks about the next session; what it
will be later is not known, so further days get its mean over the fit window, where it says nothing,
as it does where it is missing.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from quant.core.errors import DataError
from quant.forecasting.arma_order import (
    centre_name,
    lags_of,
    order_of,
    polynomials,
    regressors_of,
    slope_name,
)
from quant.forecasting.filtering import FilterModel, at_horizons, column, filter_start
from quant.forecasting.fitting import fit_panel
from quant.forecasting.forecast import Predictive
from quant.forecasting.kernels import (
    ArmaCarry,
    ArmaParams,
    arma_filter,
    arma_forecast,
    arma_start,
)
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import Regressors, ReturnPanel
from quant.forecasting.sarimax_fit import fit_sarimax
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SarimaxForecaster(FilterModel):
    """Order by AICc within the policy's maxima, or the policy's fixed one."""

    name: ClassVar[str] = "sarimax"
    version: ClassVar[str] = "2"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=20.0,
        forecast_ms_per_symbol=0.2,
        heavy_imports=("statsmodels.tsa.statespace.sarimax", "scipy.signal"),
    )

    def fit(
        self, panel: ReturnPanel, *, session: dt.date, start: Mapping[str, Params] | None = None
    ) -> list[FittedState]:
        """Maximum likelihood per symbol, with the regressors that the policy names."""
        return fit_panel(
            fit_sarimax,
            replace(panel, regressors=self._regressors(panel)),
            model=self.name,
            version=self.version,
            session=session,
            start=start,
            policy=self.policy,
            imports=self.cost.heavy_imports,
        )

    def _regressors(self, panel: ReturnPanel) -> Regressors | None:
        names = self.policy.sarimax_regressors
        if not names:
            return None
        beside = panel.regressors or Regressors(names=(), values=np.empty((0, *panel.values.shape)))
        return beside.pick(names)

    def predict(
        self, states: Sequence[FittedState], panel: ReturnPanel, horizons: Sequence[int]
    ) -> Predictive:
        """Filter to the last session, then sum the steps."""

        def alike(group: list[FittedState], part: ReturnPanel) -> tuple[FloatArray, FloatArray]:
            params, carry, beside, _ = _filtered(group, part)
            means, variances = arma_forecast(params, carry, max(horizons))
            # What is known today explains tomorrow, and stays in every longer sum.
            means = means + beside[-1][:, None]
            return at_horizons(means, horizons), at_horizons(variances, horizons)

        return _by_state_length(states, panel, len(horizons), alike)

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The filter's own one-step predictions."""

        def alike(group: list[FittedState], part: ReturnPanel) -> tuple[FloatArray, FloatArray]:
            _, _, beside, (means, variances) = _filtered(group, part)
            skipped = first - (len(part.sessions) - len(means))
            return (means + beside[:-1])[skipped:].T, variances[skipped:].T

        return _by_state_length(states, panel, len(panel.sessions) - first, alike)


def arma_params(states: Sequence[FittedState]) -> ArmaParams:
    """States as arrays of plain lags: seasonal factors multiplied out, short ones filled up."""
    factors = []
    for state in states:
        order = order_of(state.params)
        factors.append(polynomials(order, lags_of(state.params, order)))
    return ArmaParams(
        intercept=column(states, "intercept"),
        ar=_rows([-poly.whole_ar[1:] for poly in factors]),
        ma=_rows([poly.whole_ma[1:] for poly in factors]),
        variance=column(states, "variance"),
    )


def regressor_effects(states: Sequence[FittedState], panel: ReturnPanel) -> FloatArray:
    """What regressors add to each session's return, (sessions + 1, states), the next one last."""
    effects = np.zeros((len(panel.sessions) + 1, len(states)))
    for row, state in enumerate(states):
        for name in regressors_of(state.params):
            known = _regressor(panel, name, state)[row] - state.params[centre_name(name)]
            effects[1:, row] += state.params[slope_name(name)] * np.nan_to_num(known, nan=0.0)
        # The fit could not see what was known before its window.
        begin = np.searchsorted(panel.sessions, np.datetime64(state.filter_from, "D"))
        effects[: int(begin) + 1, row] = 0.0
    return effects


def _regressor(panel: ReturnPanel, name: str, state: FittedState) -> FloatArray:
    beside = panel.regressors
    if beside is None or name not in beside.names:
        raise DataError(
            f"sarimax of {state.symbol} was fitted with the regressor {name}, "
            "which the panel does not have",
            remedy="give the panel the regressors of the fit, or fit again without them",
        )
    values: FloatArray = beside.values[beside.names.index(name)]
    return values


def _filtered(
    states: list[FittedState], panel: ReturnPanel
) -> tuple[ArmaParams, ArmaCarry, FloatArray, tuple[FloatArray, FloatArray]]:
    """Parameters, the carry to the next session, effects of regressors, one-step predictions."""
    params, (begin, start) = arma_params(states), filter_start(states, panel)
    beside = regressor_effects(states, panel)[begin:]
    observed = panel.values.T[begin:] - beside[:-1]
    means, variances, carry = arma_filter(params, observed, arma_start(params), start)
    return params, carry, beside, (means, variances)


def _rows(coefficients: Sequence[FloatArray]) -> FloatArray:
    filled = np.zeros((len(coefficients), max(map(len, coefficients), default=0)))
    for row, values in enumerate(coefficients):
        filled[row, : len(values)] = values
    return filled


Alike = Callable[[list[FittedState], ReturnPanel], tuple[FloatArray, FloatArray]]


def _by_state_length(
    states: Sequence[FittedState], panel: ReturnPanel, width: int, alike: Alike
) -> Predictive:
    """Run the kernel once per length of the state: which one is a symbol's own, not its group's."""
    rows_by_length: dict[int, list[int]] = defaultdict(list)
    for row, state in enumerate(states):
        rows_by_length[_state_length(state.params)].append(row)
    mean, variance = np.full((len(states), width), np.nan), np.full((len(states), width), np.nan)
    for rows in rows_by_length.values():
        mean[rows], variance[rows] = alike([states[row] for row in rows], panel.at_rows(rows))
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full_like(mean, np.inf)
    )


def _state_length(params: Params) -> int:
    order = order_of(params)
    season = order.season_sessions
    return max(order.ar + season * order.seasonal_ar, order.ma + season * order.seasonal_ma + 1)
