"""How much of a Sharpe ratio is luck: deflation by the number of trials, and rank reversal.

Belongs here: probabilistic and deflated Sharpe ratio, the probability of backtest overfitting.
Does not belong here: who counted the trials (`trials`), what follows (`certification`).

Sharpe ratios here are per observation, never annualised: the formulas hold in that unit only.
NaN is refused, since a gap read as zero would raise a ratio.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant.core.errors import DataError

FloatArray = NDArray[np.float64]

_EULER_GAMMA: Final = 0.5772156649015329
# Combinations a matrix product takes at once; 500 rules then need about 50 MB.
_BATCH: Final = 4096
_OBSERVATIONS_MIN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What a deflated Sharpe ratio needs to know of a series; `kurtosis` is 3 for a normal one."""

    sharpe: float
    observations: int
    skewness: float
    kurtosis: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflated:
    """A Sharpe ratio, what the best of so many trials without skill would show, and the verdict.

    `probability` is that of a true Sharpe ratio above `benchmark`.
    """

    sharpe: float
    benchmark: float
    probability: float
    trials: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overfitting:
    """What combinatorially symmetric cross-validation found.

    `probability` (PBO) is the share of halvings in which the rule that was best in one half fell
    into the worse half of all rules in the other.
    """

    probability: float
    logits: FloatArray
    combinations: int
    rules: int


def moments(returns: ArrayLike) -> Moments:
    """Moments of a series of returns; the deviation divides by n - 1, the others by n."""
    values = known(returns)
    centred = values - values.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    if len(values) < _OBSERVATIONS_MIN or spread <= 1e-12 * float(np.abs(values).max(initial=0)):
        raise DataError(
            f"{len(values)} returns with a deviation of {spread:g} have no Sharpe ratio",
            remedy="give a longer history of a rule that traded",
        )
    return Moments(
        sharpe=float(values.mean() / values.std(ddof=1)),
        observations=len(values),
        skewness=float(np.mean(centred**3)) / spread**3,
        kurtosis=float(np.mean(centred**4)) / spread**4,
    )


def probabilistic_sharpe(series: Moments, *, benchmark: float = 0.0) -> float:
    """P(true Sharpe > benchmark), with skewness and fat tails (Bailey and Lopez de Prado 2012)."""
    excess = series.sharpe - benchmark
    variance = (
        1.0 - series.skewness * series.sharpe + (series.kurtosis - 1.0) / 4.0 * series.sharpe**2
    )
    # For a strongly skewed series with a large ratio the expansion leaves its domain; the variance
    # of a Sharpe ratio is then not known, and nothing is claimed.
    if variance <= 0:
        return 0.0
    return _normal_cdf(excess * math.sqrt(series.observations - 1) / math.sqrt(variance))


def expected_best_sharpe(*, trials: float, deviation: float) -> float:
    """The Sharpe ratio that the best of `trials` rules without skill is expected to show.

    `deviation` is that of the ratios over the trials. One trial has no selection: zero.
    """
    if trials < 1 or deviation < 0:
        raise DataError(f"{trials} trials with a deviation of {deviation} cannot be")
    if trials == 1:
        return 0.0
    from scipy.stats import norm

    best = (1.0 - _EULER_GAMMA) * norm.ppf(1.0 - 1.0 / trials)
    best += _EULER_GAMMA * norm.ppf(1.0 - 1.0 / (trials * math.e))
    # Just above one trial the approximation turns negative, and selecting never lowers the best.
    return max(0.0, float(best)) * deviation


def deflated_sharpe(series: Moments, *, trials: float, deviation: float) -> Deflated:
    """The ratio against the best of `trials` (Bailey and Lopez de Prado 2014, equation 9)."""
    benchmark = expected_best_sharpe(trials=trials, deviation=deviation)
    return Deflated(
        sharpe=series.sharpe,
        benchmark=benchmark,
        probability=probabilistic_sharpe(series, benchmark=benchmark),
        trials=float(trials),
    )


def backtest_overfitting(returns: ArrayLike, *, blocks: int = 16) -> Overfitting:
    """PBO by CSCV (Bailey, Borwein, Lopez de Prado and Zhu 2017), Sharpe as the measure.

    `returns` is (observations, rules). The first observations are left out where they do not fill
    the blocks. Rules that tie in the second half share the middle of their ranks.
    """
    values = known(returns)
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError("overfitting is a matter of choosing: it needs two rules at least")
    if blocks < 2 or blocks % 2 or len(values) < 2 * blocks:
        raise DataError(f"{len(values)} observations do not make {blocks} blocks, an even number")
    size = len(values) // blocks
    cube = values[len(values) - size * blocks :].reshape(blocks, size, -1)
    # Centred, so that squares of large means do not cancel.
    centre = cube.mean(axis=(0, 1))
    sums, squares = (cube - centre).sum(axis=1), ((cube - centre) ** 2).sum(axis=1)
    halves = np.array(list(itertools.combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    count = size * blocks // 2
    logits = [
        _logits(
            _sharpes(part @ sums, part @ squares, centre, count),
            _sharpes((1 - part) @ sums, (1 - part) @ squares, centre, count),
        )
        for part in np.array_split(chosen, math.ceil(len(chosen) / _BATCH))
    ]
    found = np.concatenate(logits)
    return Overfitting(
        probability=float(np.mean(found <= 0)),
        logits=found,
        combinations=len(found),
        rules=values.shape[1],
    )


def known(values: ArrayLike) -> FloatArray:
    """The values as floats; an unknown one is refused."""
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise DataError(
            "returns hold a value that is not finite", remedy="drop those sessions, for all rules"
        )
    return array


def _sharpes(sums: FloatArray, squares: FloatArray, centre: FloatArray, count: int) -> FloatArray:
    mean = sums / count
    variance = np.maximum(squares / count - mean**2, 0.0) * count / (count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (mean + centre) / np.sqrt(variance)
    # A rule that did nothing in a half earned nothing there.
    return np.where(variance > 0, ratio, 0.0)


def _logits(first: FloatArray, second: FloatArray) -> FloatArray:
    best = first.argmax(axis=1)
    own = np.take_along_axis(second, best[:, None], axis=1)
    below = (second < own).sum(axis=1)
    equal = (second == own).sum(axis=1)
    rank = (below + (equal + 1) / 2.0) / (second.shape[1] + 1)
    found: FloatArray = np.log(rank / (1.0 - rank))
    return found


def _normal_cdf(value: float) -> float:
    return float(0.5 * math.erfc(-value / math.sqrt(2.0)))


def average_correlation(returns: NDArray[Any]) -> float:
    """Mean correlation between the columns, not below zero; a constant column correlates with none.

    From the variance of the mean of standardised columns, so that no matrix of all pairs is made.
    """
    count = returns.shape[1]
    centred = returns - returns.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    total = float((unit.sum(axis=1) ** 2).sum()) - float((unit**2).sum())
    return float(min(1.0, max(0.0, total / (count * (count - 1)))))
