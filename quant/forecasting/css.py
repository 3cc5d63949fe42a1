"""Conditional least squares of an ARMA with regressors: fast enough to try dozens of orders.

Belongs here: residuals, their derivatives and a damped Gauss-Newton search. Does not belong here:
the exact likelihood, which the winner of a search gets from statsmodels. Before the first session
the series is taken to have stood at its mean without shocks (Box and Jenkins 1976, section 7.1.2).
Every recursion is one call of a linear filter in C, so nothing has to be compiled.
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.arma_order import ArmaOrder, LagPolynomials, polynomials
from quant.forecasting.stationarity import ROOT_MODULUS_MIN, is_inside
from quant.market.panel import FloatArray

_ITERATIONS_MAX = 30
# A relative fall of the sum of squares below this is under 0.003 in log-likelihood at 504.
_FALL_MIN = 1e-5
_DAMPING_START, _DAMPING_MAX = 1e-4, 1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CssFit:
    """Where the search ended: `theta` holds the lags, then one coefficient per column."""

    order: ArmaOrder
    theta: FloatArray
    residuals: FloatArray
    squares: float

    def lags(self) -> FloatArray:
        """Coefficients on lags."""
        return self.theta[: self.order.lags_count]

    def coefficients(self) -> FloatArray:
        """Coefficients on columns: the mean first where there is one."""
        return self.theta[self.order.lags_count :]


def residuals_of(
    order: ArmaOrder, theta: FloatArray, values: FloatArray, columns: FloatArray
) -> FloatArray:
    """One-step errors of `values`, complete, given regressors (columns, sessions)."""
    lags, coefficients = theta[: order.lags_count], theta[order.lags_count :]
    poly = polynomials(order, lags)
    return linear_filter(poly.whole_ar, poly.whole_ma, values - coefficients @ columns)


def fit_css(order: ArmaOrder, values: FloatArray, columns: FloatArray, start: FloatArray) -> CssFit:
    """Least squares from `start`; only steps that lower the sum and stay inside are taken."""
    theta = start
    errors = residuals_of(order, theta, values, columns)
    squares = float(errors @ errors)
    damping = _DAMPING_START
    for _ in range(_ITERATIONS_MAX):
        slopes = slopes_of(order, theta, values, columns, errors)
        if len(slopes) == 0:
            break
        normal, downhill = slopes @ slopes.T, slopes @ errors
        scale = np.diag(normal) + 1e-12
        before = squares
        while damping < _DAMPING_MAX:
            step = np.linalg.solve(normal + np.diag(damping * scale), -downhill)
            tried = theta + step
            if is_admissible(order, tried):
                tried_errors = residuals_of(order, tried, values, columns)
                tried_squares = float(tried_errors @ tried_errors)
                if tried_squares <= squares:
                    theta, errors, squares = tried, tried_errors, tried_squares
                    damping = max(damping / 10.0, 1e-9)
                    break
            damping = max(damping, 1e-3) * 10.0
        if before - squares <= _FALL_MIN * before:
            break
    return CssFit(order=order, theta=theta, residuals=errors, squares=squares)


def log_likelihood(squares: float, observations: int) -> float:
    """Of normal shocks whose variance is their mean square."""
    return -0.5 * observations * (float(np.log(2.0 * np.pi * squares / observations)) + 1.0)


def slopes_of(
    order: ArmaOrder,
    theta: FloatArray,
    values: FloatArray,
    columns: FloatArray,
    errors: FloatArray | None = None,
) -> FloatArray:
    """Derivatives of the residuals, one row per parameter; `errors` where they are known."""
    if errors is None:
        errors = residuals_of(order, theta, values, columns)
    lags, coefficients = theta[: order.lags_count], theta[order.lags_count :]
    poly = polynomials(order, lags)
    rows = np.zeros((len(theta), len(values)))
    place = 0
    for source, count, step in _sources(order, poly, values - coefficients @ columns, errors):
        for lag in range(step, count * step + 1, step):
            rows[place, lag:] = -source[:-lag]
            place += 1
    if len(coefficients):
        rows[place:] = -linear_filter(poly.whole_ar, poly.whole_ma, columns)
    return rows


def _sources(
    order: ArmaOrder, poly: LagPolynomials, deviations: FloatArray, errors: FloatArray
) -> list[tuple[FloatArray, int, int]]:
    """The series whose lags are the derivatives, how many lags, and how far apart."""
    one, season, whole_ma = np.ones(1), max(order.season_sessions, 1), poly.whole_ma
    sources = []
    if order.ar:
        sources.append((linear_filter(poly.seasonal_ar, whole_ma, deviations), order.ar, 1))
    if order.ma:
        sources.append((linear_filter(one, poly.ma, errors), order.ma, 1))
    if order.seasonal_ar:
        sources.append((linear_filter(poly.ar, whole_ma, deviations), order.seasonal_ar, season))
    if order.seasonal_ma:
        sources.append((linear_filter(one, poly.seasonal_ma, errors), order.seasonal_ma, season))
    return sources


def is_admissible(order: ArmaOrder, theta: FloatArray) -> bool:
    """Stationary and invertible, with a little room."""
    poly = polynomials(order, theta[: order.lags_count])
    season = max(order.season_sessions, 1)
    # A seasonal factor is a polynomial in B^s, and so is the circle its roots must stay out of.
    distant = ROOT_MODULUS_MIN**season
    return (
        is_inside(poly.ar)
        and is_inside(poly.ma)
        and is_inside(poly.seasonal_ar[::season], modulus_min=distant)
        and is_inside(poly.seasonal_ma[::season], modulus_min=distant)
    )


def linear_filter(numerator: FloatArray, denominator: FloatArray, series: FloatArray) -> FloatArray:
    """`numerator` over `denominator` in the lag operator, along the last axis."""
    from scipy.signal import lfilter

    return np.asarray(lfilter(numerator, denominator, series), dtype=np.float64)
