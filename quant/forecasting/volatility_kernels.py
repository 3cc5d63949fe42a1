"""Recursions of the variance with fixed parameters, vectorised over symbols: every night's work.

Belongs here: GARCH and GJR as one recursion, EGARCH as another, and their forecasts over a horizon.
Does not belong here: estimation. The rules are those of `kernels`: arrays are (sessions, symbols),
every operation is element by element, a row before a symbol's `start` leaves its variance alone,
and a missing return counts as what was expected of it.
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray

_ROOT_2_OVER_PI = float(np.sqrt(2.0 / np.pi))
# EGARCH takes the exponential of a shock: a price that halves on a calm day, 70 deviations, would
# multiply the variance by thousands. Beyond ten deviations a shock says no more than ten.
_SHOCK_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GarchParams:
    """r[t] = mean + e[t], v[t+1] = omega + (alpha + gamma [e[t] < 0]) e[t]^2 + beta v[t].

    Without gamma GARCH, with it GJR. `backcast` stands for e^2 and v before the first session.
    """

    mean: FloatArray
    omega: FloatArray
    alpha: FloatArray
    gamma: FloatArray
    beta: FloatArray
    backcast: FloatArray


def garch_start(params: GarchParams) -> FloatArray:
    """Variance of the first session; half of all shocks are falls."""
    weight = params.alpha + 0.5 * params.gamma
    return params.omega + weight * params.backcast + params.beta * params.backcast


def garch_filter(
    params: GarchParams, returns: FloatArray, variance: FloatArray, start: IntArray
) -> tuple[FloatArray, FloatArray]:
    """The variance expected for every row from the rows before it, and for the row after the last.

    A missing return counts as its expectation: its square is the variance that was expected.
    """
    path = np.empty_like(returns)
    all_live_from = int(start.max(initial=0))
    even = params.alpha + 0.5 * params.gamma
    after_fall = params.alpha + params.gamma
    for t, observed in enumerate(returns):
        path[t] = variance
        shock = observed - params.mean
        weight = np.where(shock < 0.0, after_fall, params.alpha)
        is_missing = np.isnan(shock)
        push = np.where(is_missing, even * variance, weight * (shock * shock))
        following = params.omega + push + params.beta * variance
        variance = np.where(t >= start, following, variance) if t < all_live_from else following
    return path, variance


def garch_forecast(
    params: GarchParams, variance: FloatArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the sum of the next 1..horizon returns, (symbols, horizon)."""
    persistence = params.alpha + 0.5 * params.gamma + params.beta
    steps = np.empty((len(variance), horizon))
    for step in range(horizon):
        steps[:, step] = variance
        variance = params.omega + persistence * variance
    return _sums(params.mean, steps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EgarchParams:
    """r[t] = mean + e[t], z = e / sqrt(v), h = ln v (Nelson 1991, in arch's parameters):

    h[t+1] = log_omega + alpha (|z[t]| - sqrt(2 / pi)) + gamma z[t] + beta h[t].
    `expected_size` is E|z| of the shocks, which is that root only for normal ones.
    """

    mean: FloatArray
    log_omega: FloatArray
    alpha: FloatArray
    gamma: FloatArray
    beta: FloatArray
    backcast: FloatArray
    expected_size: FloatArray


def egarch_start(params: EgarchParams) -> FloatArray:
    """Log variance of the first session: arch lets no shock stand before it."""
    return params.log_omega + params.beta * np.log(params.backcast)


def egarch_filter(
    params: EgarchParams, returns: FloatArray, log_variance: FloatArray, start: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Log variances expected for every row from the rows before it, and after the last.

    It is arch's recursion but for shocks beyond ten deviations, which count as ten.
    """
    path = np.empty_like(returns)
    all_live_from = int(start.max(initial=0))
    for t, observed in enumerate(returns):
        path[t] = log_variance
        shock = (observed - params.mean) / np.exp(0.5 * log_variance)
        is_missing = np.isnan(shock)
        shock = np.clip(shock, -_SHOCK_MAX, _SHOCK_MAX)
        size = np.where(is_missing, params.expected_size, np.abs(shock))
        tilt = np.where(is_missing, 0.0, params.gamma * shock)
        push = params.alpha * (size - _ROOT_2_OVER_PI) + tilt
        following = params.log_omega + push + params.beta * log_variance
        is_waiting = t < all_live_from
        log_variance = np.where(t >= start, following, log_variance) if is_waiting else following
    return path, log_variance


def egarch_forecast(
    params: EgarchParams, log_variance: FloatArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the sum of the next 1..horizon returns, (symbols, horizon).

    The first day is exact. Later log variances are taken for normal with their exact mean and
    variance, so E[v] = exp(mean + variance / 2): no draws, hence the same on every machine, and
    finite for Student-t shocks, where the true expectation is not (E exp(alpha |z|) diverges).
    """
    drift = params.log_omega + params.alpha * (params.expected_size - _ROOT_2_OVER_PI)
    noise = params.alpha**2 * (1.0 - params.expected_size**2) + params.gamma**2
    mean, spread = log_variance, np.zeros_like(log_variance)
    steps = np.empty((len(log_variance), horizon))
    for step in range(horizon):
        steps[:, step] = np.exp(mean + 0.5 * spread)
        mean = drift + params.beta * mean
        spread = noise + params.beta**2 * spread
    return _sums(params.mean, steps)


def _sums(mean: FloatArray, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
    days = np.arange(1, steps.shape[1] + 1, dtype=float)
    return mean[:, None] * days, np.cumsum(steps, axis=1)
