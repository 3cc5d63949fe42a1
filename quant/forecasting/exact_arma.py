"""The exact likelihood of a complete ARMA series with regressors, and its maximum.

Belongs here: what conditional least squares leaves out, the unknown past before the first session.
Does not belong here: gaps, which need a Kalman filter (statsmodels fits those). The past enters the
residuals linearly, through as many numbers as the state is long, with their stationary
distribution; integrating them out corrects the sum of squares and adds a determinant (Ljung and Box
1979). The value is that of statsmodels' Kalman filter, for two calls of a linear filter.
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.arma_order import ArmaOrder, polynomials
from quant.forecasting.css import (
    CssFit,
    is_admissible,
    linear_filter,
    log_likelihood,
    residuals_of,
    slopes_of,
)
from quant.forecasting.kernels import ArmaParams, arma_start
from quant.market.panel import FloatArray

_ITERATIONS_MAX = 50
_HALVINGS_MAX = 20
_DIFFERENCE = 1e-6
# In log-likelihood: what another step is expected to gain when the search stops.
_GAIN_MIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactFit:
    """The maximum; `theta` as in `CssFit`, `variance` that of one shock."""

    order: ArmaOrder
    theta: FloatArray
    variance: float
    log_likelihood: float
    iterations: int
    converged: bool
    evaluations: int


def exact_likelihood(
    order: ArmaOrder, theta: FloatArray, values: FloatArray, columns: FloatArray
) -> tuple[float, float]:
    """Log-likelihood at the best variance of a shock, and that variance."""
    errors = residuals_of(order, theta, values, columns)
    count, squares = len(values), float(errors @ errors)
    if order.lags_count == 0:
        return log_likelihood(squares, count), squares / count
    poly = polynomials(order, theta[: order.lags_count])
    ar, ma = poly.whole_ar, poly.whole_ma
    past = _past_covariance(ar, ma)
    states = len(past)
    impulse = np.zeros(count)
    impulse[0] = 1.0
    response = linear_filter(np.ones(1), ma, impulse)
    reach = np.zeros((states, count))
    for lag in range(min(states, count)):
        reach[lag, lag:] = response[: count - lag]
    system = np.eye(states) + past @ (reach @ reach.T)
    seen = reach @ errors
    sign, log_determinant = np.linalg.slogdet(system)
    explained = float(seen @ np.linalg.solve(system, past @ seen))
    if sign <= 0.0 or not explained < squares:
        return -np.inf, squares / count
    left = squares - explained
    return log_likelihood(left, count) - 0.5 * float(log_determinant), left / count


def fit_exact(start: CssFit, values: FloatArray, columns: FloatArray) -> ExactFit:
    """Scoring from conditional estimates: slopes by differences, curvature from the residuals'."""
    order, theta = start.order, start.theta
    value, variance = exact_likelihood(order, theta, values, columns)
    evaluations, iterations, converged = 1, 0, len(theta) == 0
    while not converged and iterations < _ITERATIONS_MAX:
        iterations += 1
        gradient = _gradient(order, theta, values, columns, value)
        evaluations += len(theta)
        slopes = slopes_of(order, theta, values, columns)
        curvature = slopes @ slopes.T / variance
        curvature[np.diag_indices(len(theta))] *= 1.0 + 1e-9
        step = np.linalg.solve(curvature, gradient)
        gain = 0.5 * float(gradient @ step)
        if gain < _GAIN_MIN:
            converged = True
            break
        for _ in range(_HALVINGS_MAX):
            tried = theta + step
            evaluations += 1
            if is_admissible(order, tried):
                tried_value, tried_variance = exact_likelihood(order, tried, values, columns)
                if tried_value > value:
                    theta, value, variance = tried, tried_value, tried_variance
                    break
            step = 0.5 * step
        else:
            # No way up: at an optimum within rounding, or on the edge of what is admissible.
            converged = gain < 1e3 * _GAIN_MIN
            break
    return ExactFit(
        order=order,
        theta=theta,
        variance=variance,
        log_likelihood=value,
        iterations=iterations,
        converged=converged,
        evaluations=evaluations,
    )


def _gradient(
    order: ArmaOrder, theta: FloatArray, values: FloatArray, columns: FloatArray, value: float
) -> FloatArray:
    gradient = np.empty(len(theta))
    for place in range(len(theta)):
        aside = theta.copy()
        aside[place] += _DIFFERENCE
        gradient[place] = exact_likelihood(order, aside, values, columns)[0] - value
    return gradient / _DIFFERENCE


def _past_covariance(ar: FloatArray, ma: FloatArray) -> FloatArray:
    """Of the state as predicted for the first session, in units of one shock's variance."""
    params = ArmaParams(
        intercept=np.zeros(1), ar=-ar[None, 1:], ma=ma[None, 1:], variance=np.ones(1)
    )
    entry = params.selection()[0]
    return np.asarray(arma_start(params).covariance[0] - np.outer(entry, entry))
