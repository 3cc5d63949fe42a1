"""The volatility model: GARCH, GJR or EGARCH of order one around a constant mean.

Assumes that returns of neighbouring sessions are uncorrelated and that today's surprise moves
tomorrow's variance. Which recursion and which shocks is chosen per symbol by AIC or BIC. The fit
passes over gaps as if the sessions had not been; the filter puts the expected square in their
place. A late listing shortens the window; a delisting ends in a refusal once the price is stale.
Parameters are point estimates. Variances over a horizon are sums of expected daily variances:
exact for GARCH and GJR, for EGARCH beyond one day an approximation (`egarch_forecast`).
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.forecasting.filtering import FilterModel, at_horizons, column, filter_start
from quant.forecasting.fitting import fit_panel
from quant.forecasting.forecast import Predictive, over_horizons
from quant.forecasting.garch_fit import fit_garch, kind_of
from quant.forecasting.port import Cost, FittedState, Params
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.volatility_kernels import (
    EgarchParams,
    GarchParams,
    egarch_filter,
    egarch_forecast,
    egarch_start,
    garch_filter,
    garch_forecast,
    garch_start,
)
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class GarchForecaster(FilterModel):
    """The kinds that the policy names, one of them per symbol."""

    name: ClassVar[str] = "garch"
    version: ClassVar[str] = "2"
    cost: ClassVar[Cost] = Cost(
        fit_ms_per_symbol=30.0,
        forecast_ms_per_symbol=0.1,
        heavy_imports=("arch.univariate.recursions", "scipy.optimize", "scipy.signal"),
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

        def garch(group: list[FittedState], part: ReturnPanel) -> Sums:
            params, (begin, start) = garch_params(group), filter_start(group, part)
            observed = part.values.T[begin:]
            _, variance = garch_filter(params, observed, garch_start(params), start)
            return garch_forecast(params, variance, max(horizons))

        def egarch(group: list[FittedState], part: ReturnPanel) -> Sums:
            params, (begin, start) = egarch_params(group), filter_start(group, part)
            observed = part.values.T[begin:]
            _, log_variance = egarch_filter(params, observed, egarch_start(params), start)
            return egarch_forecast(params, log_variance, max(horizons))

        means, variances = _by_recursion(states, panel, max(horizons), garch, egarch)
        return Predictive(
            mean=at_horizons(means, horizons),
            std=np.sqrt(at_horizons(variances, horizons)),
            degrees_of_freedom=over_horizons(_degrees(states), horizons),
        )

    def path(self, states: Sequence[FittedState], panel: ReturnPanel, first: int) -> Predictive:
        """The recursion's own one-step variances."""
        width = len(panel.sessions) - first

        def garch(group: list[FittedState], part: ReturnPanel) -> Sums:
            params, (begin, start) = garch_params(group), filter_start(group, part)
            observed = part.values.T[begin:]
            variances, _ = garch_filter(params, observed, garch_start(params), start)
            return _repeat(params.mean, width), variances[first - begin :].T

        def egarch(group: list[FittedState], part: ReturnPanel) -> Sums:
            params, (begin, start) = egarch_params(group), filter_start(group, part)
            observed = part.values.T[begin:]
            logs, _ = egarch_filter(params, observed, egarch_start(params), start)
            return _repeat(params.mean, width), np.exp(logs[first - begin :].T)

        means, variances = _by_recursion(states, panel, width, garch, egarch)
        return Predictive(
            mean=means,
            std=np.sqrt(variances),
            degrees_of_freedom=np.broadcast_to(_degrees(states)[:, None], means.shape),
        )


def garch_params(states: Sequence[FittedState]) -> GarchParams:
    """States of GARCH and GJR as arrays; a GARCH is a GJR whose gamma is nought."""
    names = ("mean", "omega", "alpha", "beta", "backcast")
    gamma = np.array([state.params.get("gamma", 0.0) for state in states], dtype=float)
    return GarchParams(**{name: column(states, name) for name in names}, gamma=gamma)


def egarch_params(states: Sequence[FittedState]) -> EgarchParams:
    """States of EGARCH as arrays."""
    names = ("mean", "log_omega", "alpha", "gamma", "beta", "backcast")
    sizes = np.array([_expected_size(state.params.get("nu", np.inf)) for state in states])
    return EgarchParams(**{name: column(states, name) for name in names}, expected_size=sizes)


def _expected_size(nu: float) -> float:
    """E|z| of a t with variance one; of a normal for infinite degrees of freedom."""
    from scipy.special import gammaln

    if np.isinf(nu):
        return float(np.sqrt(2.0 / np.pi))
    ratio = float(np.exp(gammaln(0.5 * (nu - 1.0)) - gammaln(0.5 * nu)))
    return float(np.sqrt((nu - 2.0) / np.pi)) * ratio


Sums = tuple[FloatArray, FloatArray]
Recursion = Callable[[list[FittedState], ReturnPanel], Sums]


def _by_recursion(
    states: Sequence[FittedState],
    panel: ReturnPanel,
    width: int,
    garch: Recursion,
    egarch: Recursion,
) -> Sums:
    """Means and variances (states, width); each state by the recursion it was fitted with."""
    mean, variance = np.full((len(states), width), np.nan), np.full((len(states), width), np.nan)
    is_egarch = [kind_of(state.params).model == "egarch" for state in states]
    for recursion, wanted in ((garch, False), (egarch, True)):
        rows = [row for row, flag in enumerate(is_egarch) if flag is wanted]
        if rows:
            mean[rows], variance[rows] = recursion(
                [states[row] for row in rows], panel.at_rows(rows)
            )
    return mean, variance


def _repeat(mean: FloatArray, width: int) -> FloatArray:
    return np.repeat(mean[:, None], width, axis=1)


def _degrees(states: Sequence[FittedState]) -> FloatArray:
    return np.array([state.params.get("nu", np.inf) for state in states], dtype=float)
