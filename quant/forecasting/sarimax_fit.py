"""One symbol's SARIMAX: an order from the search, then the exact likelihood by statsmodels.

A numerical slope of statsmodels' likelihood costs as many Kalman filters as there are parameters.
So the way to the exact optimum is walked with `exact_arma`, whose likelihood is the same, and
statsmodels refits from there: it confirms the optimum, or moves on where it finds more.
Belongs here: from a window to parameters in units of daily log returns, and the record of how they
were found. Does not belong here: filtering and forecasting with them (`sarimax`).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quant.forecasting.arma_order import (
    ArmaOrder,
    centre_name,
    lags_of,
    order_of,
    polynomials,
    slope_name,
)
from quant.forecasting.css import CssFit, is_admissible
from quant.forecasting.exact_arma import fit_exact
from quant.forecasting.fitting import (
    FitOutcome,
    FitTask,
    finite_params,
    recorded_warnings,
    unit_scale,
)
from quant.forecasting.order_candidates import SearchLimits, aicc
from quant.forecasting.order_search import fit_order, search_order
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import Params
from quant.forecasting.regressor_scaling import ScaledRegressors, scale_regressors
from quant.forecasting.residuals import explained_variance, residual_diagnostics
from quant.market.panel import FloatArray

_ITERATIONS_MAX = 200
# Orders that are refit exactly before the best of them is taken as it is.
_EXACT_TRIES = 3
# In log-likelihood, between two optimisers that stopped at the same place.
_CONFIRMED_WITHIN = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refit:
    """The order that was taken in the end, statsmodels' result, and which orders were not."""

    fit: CssFit
    result: Any
    converged: bool
    is_confirmed: bool
    refused: tuple[str, ...]


def search_limits(policy: ForecastPolicy) -> SearchLimits:
    """What the policy lets the search look at."""
    return SearchLimits(
        ar_max=policy.sarimax_ar_order_max,
        ma_max=policy.sarimax_ma_order_max,
        seasonal_ar_max=policy.sarimax_seasonal_ar_order_max,
        seasonal_ma_max=policy.sarimax_seasonal_ma_order_max,
        lags_max=policy.sarimax_lags_max,
        seasons_sessions=policy.sarimax_seasons_sessions,
        gain_min=policy.sarimax_aicc_gain_min,
        is_confirmed_calm=policy.sarimax_is_confirmed_calm,
        may_drop_constant=policy.sarimax_may_drop_constant,
    )


def fit_sarimax(task: FitTask) -> FitOutcome:
    """Search, refit exactly, and tell both; an earlier fit's parameters are tried as well."""
    scale = unit_scale(task.values)
    values, beside = task.values * scale, scale_regressors(task)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits, searched = _conditional_fits(task, values, beside)
        refit = _exact_fit(fits, values, beside)
    order, result = refit.fit.order, refit.result
    observed = int(np.isfinite(values).sum())
    # A likelihood of enlarged returns is a density per enlarged unit.
    log_likelihood = float(result.llf) + observed * float(np.log(scale))
    retvals = result.mle_retvals
    return FitOutcome(
        params=_params(order, result.params, scale, beside),
        converged=refit.converged,
        diagnostics={
            "observations": observed,
            "gaps": len(values) - observed,
            "order": str(order),
            "orders_ranked": searched,
            "orders_refused": "; ".join(refit.refused),
            "regressors": ", ".join(beside.names),
            "regressors_left_out": ", ".join(beside.left_out),
            "log_likelihood": log_likelihood,
            "aicc": aicc(log_likelihood, order.parameters_count(len(beside.names)), observed),
            "explained_variance": explained_variance(
                result.filter_results.forecasts_error[0], values
            ),
            "iterations": int(retvals["iterations"]),
            "optimizer": f"flag {retvals['warnflag']} after {retvals['iterations']} iterations"
            + (", no better than the exact start" if refit.is_confirmed else ""),
            "warnings": recorded_warnings(caught),
            **residual_diagnostics(
                result.filter_results.standardized_forecasts_error[0],
                lags_fitted=order.lags_count,
            ),
        },
    )


def _conditional_fits(
    task: FitTask, values: FloatArray, beside: ScaledRegressors
) -> tuple[Sequence[CssFit], int]:
    """Fits to refine, best first, and how many orders were ranked."""
    if task.policy.sarimax_order == "fixed":
        order = ArmaOrder(ar=task.policy.ar_order, ma=task.policy.ma_order)
        return [fit_order(order, values, beside.columns)], 1
    choice = search_order(
        values,
        limits=search_limits(task.policy),
        regressors=beside.columns,
        order_start=_earlier(task),
    )
    return choice.fits, choice.ranked_count


def _earlier(task: FitTask) -> tuple[ArmaOrder, FloatArray] | None:
    if task.start is None:
        return None
    order = order_of(task.start)
    is_known_season = order.season_sessions in task.policy.sarimax_seasons_sessions
    if order.is_seasonal and not is_known_season:
        return None  # the policy has changed since
    return order, lags_of(task.start, order)


def _exact_fit(fits: Sequence[CssFit], values: FloatArray, beside: ScaledRegressors) -> Refit:
    """The first of the best orders whose exact optimum exists and is no cancelled unit root."""
    refused: list[str] = []
    tries = fits if len(fits) <= _EXACT_TRIES else [*fits[: _EXACT_TRIES - 1], fits[-1]]
    for fit in tries:
        start = _exact_start(fit, values, beside)
        if start is None and fit is not tries[-1]:
            refused.append(f"{fit.order}: the likelihood rises to the edge of what is stationary")
            continue
        begun = start or _start_of(fit)
        result = exact_fit(fit.order, begun, values, beside)
        is_confirmed = begun.is_confirmed(result)
        is_converged = is_confirmed or bool(result.mle_retvals["converged"])
        if not is_converged:
            refused.append(f"{fit.order}: did not converge")
        elif is_admissible(fit.order, _lags_of_vendor(fit.order, result.params)):
            break
        else:
            refused.append(f"{fit.order}: a root lies on the unit circle")
    return Refit(
        fit=fit,
        result=result,
        converged=is_converged,
        is_confirmed=is_confirmed,
        refused=tuple(refused),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactStart:
    """Where statsmodels begins: lags, one coefficient per column, variance.

    `log_likelihood` is known where this is already the optimum.
    """

    lags: FloatArray
    coefficients: FloatArray
    variance: float
    log_likelihood: float | None = None

    def is_confirmed(self, result: Any) -> bool:
        """Whether statsmodels found nothing better; its line search calls that abnormal."""
        return (
            self.log_likelihood is not None
            and abs(float(result.llf) - self.log_likelihood) < _CONFIRMED_WITHIN
        )


def _exact_start(fit: CssFit, values: FloatArray, beside: ScaledRegressors) -> ExactStart | None:
    """The exact optimum of a complete series; with gaps the conditional one must do."""
    if np.isnan(values).any():
        return _start_of(fit)
    constant = np.ones((int(fit.order.has_constant), len(values)))
    exact = fit_exact(fit, values, np.vstack([constant, beside.values]))
    if not exact.converged:
        return None
    count = fit.order.lags_count
    return ExactStart(
        lags=exact.theta[:count],
        coefficients=exact.theta[count:],
        variance=exact.variance,
        log_likelihood=exact.log_likelihood,
    )


def _start_of(fit: CssFit) -> ExactStart:
    return ExactStart(
        lags=fit.lags(),
        coefficients=fit.coefficients(),
        variance=fit.squares / len(fit.residuals),
    )


def exact_fit(
    order: ArmaOrder, start: ExactStart, values: FloatArray, beside: ScaledRegressors
) -> Any:
    """statsmodels' result for one order."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    model = SARIMAX(
        values,
        exog=beside.values.T if beside.names else None,
        order=(order.ar, 0, order.ma),
        seasonal_order=(order.seasonal_ar, 0, order.seasonal_ma, order.season_sessions),
        trend="c" if order.has_constant else "n",
    )
    return model.fit(
        start_params=_to_vendor(order, start),
        disp=0,
        maxiter=_ITERATIONS_MAX,
        cov_type="none",
    )


def _to_vendor(order: ArmaOrder, start: ExactStart) -> FloatArray:
    """Constant, slopes, lags, variance; the constant is the mean seen through the lags."""
    coefficients = start.coefficients.copy()
    if order.has_constant:
        coefficients[0] *= polynomials(order, start.lags).ar_sum
    return np.concatenate([coefficients, start.lags, [start.variance]])


def _lags_of_vendor(order: ArmaOrder, vendor: Any) -> FloatArray:
    values = np.asarray(vendor, dtype=float)
    return values[len(values) - 1 - order.lags_count : -1]


def _params(order: ArmaOrder, vendor: Any, scale: float, beside: ScaledRegressors) -> Params:
    values = np.asarray(vendor, dtype=float)
    lags = _lags_of_vendor(order, values)
    first = int(order.has_constant)
    slopes = values[first : first + len(beside.names)] / (beside.deviations * scale)
    params = {"intercept": values[0] / scale if order.has_constant else 0.0}
    params |= dict(zip(order.lag_names(), lags, strict=True))
    if order.is_seasonal:
        params["season_sessions"] = float(order.season_sessions)
    for name, slope, centre in zip(beside.names, slopes, beside.centres, strict=True):
        params |= {slope_name(name): slope, centre_name(name): centre}
    return finite_params({**params, "variance": values[-1] / (scale * scale)})
