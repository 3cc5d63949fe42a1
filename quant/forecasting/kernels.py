"""Filters with fixed parameters, vectorised over symbols: what runs every night.

Belongs here: the ARMA Kalman filter and the GARCH(1,1) recursion, one step per session, and their
forecasts over a horizon. Does not belong here: estimation, which may take its time and its imports.

Only additions, multiplications, divisions and square roots touch the data, element by element. So a
symbol's numbers are the same, bit for bit, alone or among thousands, in one sweep or session by
session: an update equals a fresh filter. Arrays of returns are (sessions, symbols), time first.
A missing return is a step without an observation. Row t of a symbol before its `start` is not part
of its series at all and leaves its carry as it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from quant.market.panel import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmaParams:
    """y[t] = intercept + sum ar[i] y[t-i] + e[t] + sum ma[j] e[t-j], e of `variance`."""

    intercept: FloatArray
    ar: FloatArray
    ma: FloatArray
    variance: FloatArray

    @property
    def states(self) -> int:
        """Length of the state vector in Harvey's form."""
        return max(int(self.ar.shape[1]), int(self.ma.shape[1]) + 1)

    def transition_column(self) -> FloatArray:
        """The ar coefficients filled up to the length of the state, (symbols, states)."""
        return _fill(self.ar, self.states)

    def selection(self) -> FloatArray:
        """How a shock enters the state: one, then the ma coefficients."""
        ones = np.ones((len(self.variance), 1))
        return np.concatenate([ones, _fill(self.ma, self.states - 1)], axis=1)

    def shock_covariance(self) -> FloatArray:
        """(symbols, states, states)."""
        entry = self.selection()
        return entry[:, :, None] * entry[:, None, :] * self.variance[:, None, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmaCarry:
    """The state predicted for the next session: mean (symbols, states) and covariance."""

    mean: FloatArray
    covariance: FloatArray


def arma_start(params: ArmaParams) -> ArmaCarry:
    """The stationary distribution, as an exact likelihood starts (Harvey 1989, section 3.3.4)."""
    states = params.states
    transition = np.zeros((len(params.variance), states, states))
    transition[:, :, 0] = params.transition_column()
    transition[:, np.arange(states - 1), np.arange(1, states)] = 1.0
    drive = np.zeros((len(params.variance), states, 1))
    drive[:, 0, 0] = params.intercept
    mean = _solve(np.eye(states) - transition, drive)[:, :, 0]
    # vec(P) = (I - T (x) T)^-1 vec(Q): states are few, so the dense system is small.
    product = transition[:, :, None, :, None] * transition[:, None, :, None, :]
    square = states * states
    system = np.eye(square) - product.reshape(-1, square, square)
    stacked = params.shock_covariance().reshape(-1, square, 1)
    covariance = _solve(system, stacked).reshape(-1, states, states)
    return ArmaCarry(mean=mean, covariance=covariance)


def arma_filter(
    params: ArmaParams, returns: FloatArray, carry: ArmaCarry, start: IntArray
) -> tuple[FloatArray, FloatArray, ArmaCarry]:
    """One-step means and variances for every row, each from the rows before it, and the carry."""
    means = np.empty_like(returns)
    variances = np.empty_like(returns)
    column, shocks = params.transition_column(), params.shock_covariance()
    mean, covariance = carry.mean, carry.covariance
    all_live_from = int(start.max(initial=0))
    for t, observed in enumerate(returns):
        means[t], variances[t] = mean[:, 0], covariance[:, 0, 0]
        updated = _arma_update(mean, covariance, observed)
        following = _arma_predict(params, column, shocks, *updated)
        if t < all_live_from:
            live = t >= start
            following = (
                np.where(live[:, None], following[0], mean),
                np.where(live[:, None, None], following[1], covariance),
            )
        mean, covariance = following
    return means, variances, ArmaCarry(mean=mean, covariance=covariance)


def arma_forecast(
    params: ArmaParams, carry: ArmaCarry, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the sum of the next 1..horizon values, (symbols, horizon).

    The sum is carried beside the state, so that the correlation of the steps is counted.
    """
    column, shocks = params.transition_column(), params.shock_covariance()
    mean, covariance = carry.mean, carry.covariance
    symbols, states = mean.shape
    total_mean, total_variance = np.zeros(symbols), np.zeros(symbols)
    shared = np.zeros((symbols, states))  # covariance of the sum so far with the state
    means, variances = np.empty((symbols, horizon)), np.empty((symbols, horizon))
    for step in range(horizon):
        total_mean = total_mean + mean[:, 0]
        total_variance = total_variance + 2.0 * shared[:, 0] + covariance[:, 0, 0]
        means[:, step], variances[:, step] = total_mean, total_variance
        shared = _apply_transition(column, shared + covariance[:, 0, :])
        mean, covariance = _arma_predict(params, column, shocks, mean, covariance)
    return means, variances


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GarchParams:
    """r[t] = mean + e[t], variance[t+1] = omega + alpha e[t]^2 + beta variance[t].

    `backcast` stands for e^2 and the variance before the first session.
    """

    mean: FloatArray
    omega: FloatArray
    alpha: FloatArray
    beta: FloatArray
    backcast: FloatArray


def garch_start(params: GarchParams) -> FloatArray:
    """Variance of the first session."""
    return params.omega + params.alpha * params.backcast + params.beta * params.backcast


def garch_filter(
    params: GarchParams, returns: FloatArray, variance: FloatArray, start: IntArray
) -> tuple[FloatArray, FloatArray]:
    """The variance expected for every row from the rows before it, and for the row after the last.

    A missing return counts as its expectation: its square is the variance that was expected.
    """
    path = np.empty_like(returns)
    all_live_from = int(start.max(initial=0))
    for t, observed in enumerate(returns):
        path[t] = variance
        shock = observed - params.mean
        square = np.where(np.isnan(shock), variance, shock * shock)
        following = params.omega + params.alpha * square + params.beta * variance
        variance = np.where(t >= start, following, variance) if t < all_live_from else following
    return path, variance


def garch_forecast(
    params: GarchParams, variance: FloatArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the sum of the next 1..horizon returns, (symbols, horizon)."""
    symbols = len(variance)
    means, variances = np.empty((symbols, horizon)), np.empty((symbols, horizon))
    total_mean, total_variance = np.zeros(symbols), np.zeros(symbols)
    persistence = params.alpha + params.beta
    for step in range(horizon):
        total_mean = total_mean + params.mean
        total_variance = total_variance + variance
        means[:, step], variances[:, step] = total_mean, total_variance
        variance = params.omega + persistence * variance
    return means, variances


def _solve(system: FloatArray, right: FloatArray) -> FloatArray:
    """One small dense system per symbol."""
    return np.asarray(np.linalg.solve(system, right), dtype=np.float64)


def _arma_update(
    mean: FloatArray, covariance: FloatArray, observed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Learn from one observation of the first state element, without noise of measurement."""
    is_missing = np.isnan(observed)
    surprise = np.where(is_missing, 0.0, observed - mean[:, 0])
    first = covariance[:, :, 0]
    gain = first / covariance[:, 0, 0][:, None]
    gain = np.where(is_missing[:, None], 0.0, gain)
    return (
        mean + gain * surprise[:, None],
        covariance - gain[:, :, None] * first[:, None, :],
    )


def _arma_predict(
    params: ArmaParams,
    column: FloatArray,
    shocks: FloatArray,
    mean: FloatArray,
    covariance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    following = _apply_transition(column, mean)
    following[:, 0] += params.intercept
    half = np.stack([_apply_transition(column, covariance[:, :, j]) for j in _range(column)], 2)
    full = np.stack([_apply_transition(column, half[:, i, :]) for i in _range(column)], 1)
    return following, full + shocks


def _apply_transition(column: FloatArray, state: FloatArray) -> FloatArray:
    """Harvey's companion matrix times a vector per symbol, without building the matrix."""
    result = column * state[:, :1]
    result[:, :-1] += state[:, 1:]
    return result


def _range(column: FloatArray) -> range:
    return range(column.shape[1])


def _fill(coefficients: FloatArray, length: int) -> FloatArray:
    filled = np.zeros((coefficients.shape[0], length))
    filled[:, : coefficients.shape[1]] = coefficients
    return filled
