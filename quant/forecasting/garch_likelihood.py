"""Likelihoods of GARCH, GJR and EGARCH of order one with their derivatives, as arch defines them.

Belongs here: one complete series, one vector of parameters, one number and its gradient. Does not
belong here: searching (`garch_fit`), nor the filter of every night (`volatility_kernels`). The
parameters, the value that stands before the first session and the loose bounds on the variance are
those of arch 8, so that likelihoods compare; the derivatives are the recursion run backwards.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from quant.core.errors import ModelError
from quant.market.panel import FloatArray

Kind = Literal["garch", "gjr", "egarch"]
Distribution = Literal["normal", "t"]

# RiskMetrics weights over at most 75 sessions, as arch itself starts the recursion.
_BACKCAST_SESSIONS = 75
_DECAY = 0.94
# What a search may be told of a slope beyond all numbers.
_STEEPEST = 1e12
_ROOT_2_OVER_PI = float(np.sqrt(2.0 / np.pi))


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityKind:
    """Which recursion with which shocks."""

    model: Kind
    distribution: Distribution

    @property
    def has_gamma(self) -> bool:
        """Whether a fall moves the variance more than a rise."""
        return self.model != "garch"

    @property
    def is_t(self) -> bool:
        """Whether there are degrees of freedom to estimate."""
        return self.distribution == "t"

    def names(self) -> list[str]:
        """Parameters in arch's order."""
        return [
            "mean",
            "omega",
            "alpha",
            *(["gamma"] if self.has_gamma else []),
            "beta",
            *(["nu"] if self.is_t else []),
        ]

    def __str__(self) -> str:
        return f"{self.model}-{self.distribution}"


@dataclass(frozen=True, kw_only=True, eq=False)
class GarchSeries:
    """A complete series with what does not change during a search."""

    values: FloatArray

    @cached_property
    def deviations(self) -> FloatArray:
        """From the mean."""
        return np.asarray(self.values - self.values.mean(), dtype=np.float64)

    @cached_property
    def backcast(self) -> float:
        """The variance that stands before the first session."""
        return backcast_of(self.deviations)

    @cached_property
    def variance_bounds(self) -> FloatArray:
        """(2, sessions): loose, so that a wild trial gives a number; see arch's own."""
        squares = self.deviations**2
        smooth = _filter(np.array([0.0, 1.0 - _DECAY]), np.array([1.0, -_DECAY]), squares)
        smooth += self.backcast * _DECAY ** np.arange(len(squares))
        largest = float(squares.max())
        low = np.maximum(smooth / 1e6, float(squares.mean()) / 1e8)
        high = np.clip(smooth * 1e6, 1.0 + largest, 1e7 * (1.0 + largest))
        return np.stack([low, high])


def backcast_of(deviations: FloatArray) -> float:
    """Weighted squares of the first sessions."""
    squares = deviations[:_BACKCAST_SESSIONS] ** 2
    weights = _DECAY ** np.arange(len(squares))
    return float(squares @ weights / weights.sum())


def log_likelihood(kind: VolatilityKind, theta: FloatArray, series: GarchSeries) -> float:
    """The sum over sessions, as arch reports it."""
    return -negative(kind, theta, series)[0]


def negative(
    kind: VolatilityKind, theta: FloatArray, series: GarchSeries
) -> tuple[float, FloatArray]:
    """Minus the log-likelihood, and its gradient.

    Where a bound on the variance binds the gradient ignores it: there the number only has to be
    worse than inside, and the direction finite.
    """
    errors = series.values - theta[0]
    run = _egarch if kind.model == "egarch" else _garch
    with np.errstate(over="ignore", invalid="ignore"):
        value, gradient = run(kind, theta, errors, series)
    if not np.isfinite(gradient).all():
        gradient = np.nan_to_num(gradient, nan=0.0, posinf=_STEEPEST, neginf=-_STEEPEST)
    return value, gradient


def forgets_its_start(kind: VolatilityKind, theta: FloatArray, series: GarchSeries) -> bool:
    """Whether two filters begun apart meet: else the data does not tell the variance.

    A GARCH forgets by beta, below one. An EGARCH divides each shock by the variance it carries, and
    forgets where the product of those derivatives shrinks (Wintenberger 2013, section 3).
    """
    if kind.model != "egarch":
        return True
    _, shocks = _egarch_variances(theta, series.values - theta[0], series)
    factors = np.abs(_carried(theta, shocks))
    return bool(np.mean(np.log(np.maximum(factors, 1e-300))) < 0.0)


def variance_path(kind: VolatilityKind, theta: FloatArray, series: GarchSeries) -> FloatArray:
    """The variance of each session as expected the session before."""
    errors = series.values - theta[0]
    if kind.model == "egarch":
        return _egarch_variances(theta, errors, series)[0]
    return _garch_variances(kind, theta, errors, series)


def _garch(
    kind: VolatilityKind, theta: FloatArray, errors: FloatArray, series: GarchSeries
) -> tuple[float, FloatArray]:
    beta = theta[3 + kind.has_gamma]
    variances = _garch_variances(kind, theta, errors, series)
    value, by_variance, by_error, by_nu = _density(kind, theta, errors, variances)
    # What one session's variance does to the likelihood, through all later ones.
    pull = _filter(np.ones(1), np.array([1.0, -beta]), by_variance[::-1])[::-1]
    squares, is_fall = errors * errors, errors < 0.0
    backcast = series.backcast
    falls = np.where(is_fall, squares, 0.0)
    gradient = np.empty(len(theta))
    weights = theta[2] + (theta[3] * is_fall if kind.has_gamma else 0.0)
    by_error[:-1] += 2.0 * pull[1:] * (weights * errors)[:-1]
    gradient[0] = -by_error.sum()
    gradient[1] = pull.sum()
    gradient[2] = pull[1:] @ squares[:-1] + pull[0] * backcast
    if kind.has_gamma:
        gradient[3] = pull[1:] @ falls[:-1] + 0.5 * pull[0] * backcast
    gradient[3 + kind.has_gamma] = pull[1:] @ variances[:-1] + pull[0] * backcast
    if kind.is_t:
        gradient[-1] = by_nu
    return -value, -gradient


def _garch_variances(
    kind: VolatilityKind, theta: FloatArray, errors: FloatArray, series: GarchSeries
) -> FloatArray:
    """The recursion is linear in the squares: one call of a filter, unless a bound binds."""
    alpha, gamma, beta = theta[2], theta[3] if kind.has_gamma else 0.0, theta[3 + kind.has_gamma]
    drive = np.empty(len(errors))
    drive[0] = alpha * series.backcast + 0.5 * gamma * series.backcast + beta * series.backcast
    drive[1:] = ((alpha + gamma * (errors < 0.0)) * errors * errors)[:-1]
    variances = _filter(np.ones(1), np.array([1.0, -beta]), drive + theta[1])
    low, high = series.variance_bounds
    if (variances < low).any() or not (variances <= high).all():
        return _bounded_variances(kind, theta, errors, series)
    return variances


def _bounded_variances(
    kind: VolatilityKind, theta: FloatArray, errors: FloatArray, series: GarchSeries
) -> FloatArray:
    from arch.univariate.recursions import garch_recursion

    variances = np.empty(len(errors))
    last = 4 + kind.has_gamma
    garch_recursion(
        np.ascontiguousarray(theta[1:last]),
        errors * errors,
        np.sign(errors),
        variances,
        1,
        int(kind.has_gamma),
        1,
        len(errors),
        series.backcast,
        np.ascontiguousarray(series.variance_bounds.T),
    )
    return variances


def _egarch(
    kind: VolatilityKind, theta: FloatArray, errors: FloatArray, series: GarchSeries
) -> tuple[float, FloatArray]:
    alpha, gamma = theta[2:4]
    variances, shocks = _egarch_variances(theta, errors, series)
    value, by_variance, by_error, by_nu = _density(kind, theta, errors, variances)
    sizes = np.abs(shocks)
    pull = _backwards(by_variance * variances, _carried(theta, shocks))
    by_error[:-1] += pull[1:] * ((alpha * np.sign(shocks) + gamma) / np.sqrt(variances))[:-1]
    logs = np.log(variances)
    gradient = np.empty(len(theta))
    gradient[0] = -by_error.sum()
    gradient[1] = pull.sum()
    gradient[2] = pull[1:] @ (sizes[:-1] - _ROOT_2_OVER_PI)
    gradient[3] = pull[1:] @ shocks[:-1]
    gradient[4] = pull[1:] @ logs[:-1] + pull[0] * np.log(series.backcast)
    if kind.is_t:
        gradient[-1] = by_nu
    return -value, -gradient


def _carried(theta: FloatArray, shocks: FloatArray) -> FloatArray:
    """How a log variance moves the next one: directly, and by shrinking the shock it divides."""
    alpha, gamma, beta = theta[2:5]
    return np.asarray(beta - 0.5 * (alpha * np.abs(shocks) + gamma * shocks))


def _egarch_variances(
    theta: FloatArray, errors: FloatArray, series: GarchSeries
) -> tuple[FloatArray, FloatArray]:
    """Variances and standardised shocks by arch's compiled recursion: no filter is linear here."""
    from arch.univariate.recursions import egarch_recursion

    count = len(errors)
    variances, logs, shocks, sizes = (np.empty(count) for _ in range(4))
    egarch_recursion(
        np.ascontiguousarray(theta[1:5]),
        np.ascontiguousarray(errors),
        variances,
        1,
        1,
        1,
        count,
        float(np.log(series.backcast)),
        np.ascontiguousarray(series.variance_bounds.T),
        logs,
        shocks,
        sizes,
    )
    return variances, shocks


def _backwards(own: FloatArray, carried: FloatArray) -> FloatArray:
    """x[t] = own[t] + carried[t] x[t + 1]: one solution of two diagonals."""
    from scipy.linalg.lapack import dgtsv

    *_, solution, info = dgtsv(np.zeros(len(own) - 1), np.ones(len(own)), -carried[:-1], own)
    if info != 0:
        raise ModelError(f"the derivatives of EGARCH could not be solved for (LAPACK says {info})")
    return np.asarray(solution, dtype=np.float64)


def _filter(numerator: FloatArray, denominator: FloatArray, series: FloatArray) -> FloatArray:
    from scipy.signal import lfilter

    return np.asarray(lfilter(numerator, denominator, series), dtype=np.float64)


def _density(
    kind: VolatilityKind, theta: FloatArray, errors: FloatArray, variances: FloatArray
) -> tuple[float, FloatArray, FloatArray, float]:
    """Log density, and its derivatives by the variances, the errors and the degrees of freedom."""
    shares = errors / variances
    squared = errors * shares
    if not kind.is_t:
        value = -0.5 * (len(errors) * np.log(2.0 * np.pi) + np.log(variances).sum() + squared.sum())
        return float(value), 0.5 * (squared - 1.0) / variances, -shares, 0.0
    from scipy.special import digamma, gammaln

    nu = theta[-1]
    half, quota = 0.5 * (nu + 1.0), squared / (nu - 2.0)
    logs = np.log1p(quota)
    count = len(errors)
    constant = gammaln(half) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * (nu - 2.0))
    value = count * constant - 0.5 * np.log(variances).sum() - half * logs.sum()
    weight = quota / (1.0 + quota)
    by_variance = (half * weight - 0.5) / variances
    by_error = -2.0 * half * shares / ((nu - 2.0) * (1.0 + quota))
    by_nu = (
        0.5 * count * (digamma(half) - digamma(0.5 * nu) - 1.0 / (nu - 2.0))
        - 0.5 * logs.sum()
        + half * weight.sum() / (nu - 2.0)
    )
    return float(value), by_variance, by_error, float(by_nu)
