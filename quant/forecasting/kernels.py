"""The filter of the mean with fixed parameters, vectorised over symbols: what runs every night.

Belongs here: the ARMA Kalman filter, one step per session, and its forecasts over a horizon. Does
not belong here: estimation, which may take its time and its imports, nor variances that move
(`volatility_kernels`).

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

# 2^17 terms: at a root of modulus 1.001 what is left out is below 1e-50 of the whole.
_DOUBLINGS = 17


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
    covariance = _stationary_covariance(transition, params.shock_covariance())
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


def _stationary_covariance(transition: FloatArray, shocks: FloatArray) -> FloatArray:
    """P = T P T' + Q by doubling (Anderson and Moore 1979, section 6.7).

    Each round sums twice as many terms of T^k Q T'^k; a dense solution of the same equation would
    need the fourth power of the states, too much for a season of a month.
    """
    covariance, power = shocks, transition
    for _ in range(_DOUBLINGS):
        covariance = covariance + power @ covariance @ power.transpose(0, 2, 1)
        power = power @ power
    return covariance


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
    half = column[:, :, None] * covariance[:, :1, :]
    half[:, :-1, :] += covariance[:, 1:, :]
    full = half[:, :, :1] * column[:, None, :]
    full[:, :, :-1] += half[:, :, 1:]
    return following, full + shocks


def _apply_transition(column: FloatArray, state: FloatArray) -> FloatArray:
    """Harvey's companion matrix times a vector per symbol, without building the matrix."""
    result = column * state[:, :1]
    result[:, :-1] += state[:, 1:]
    return result


def _fill(coefficients: FloatArray, length: int) -> FloatArray:
    filled = np.zeros((coefficients.shape[0], length))
    filled[:, : coefficients.shape[1]] = coefficients
    return filled
