"""Statistical tests as governance uses them: one call, a statistic and a p-value.

Belongs here: tests of forecasts, returns and residuals, and corrections over families of tests.
Does not belong here: intervals (`bootstrap`), luck in selection (`overfitting`), what follows from
a result (`certification`). Where statsmodels, arch or scipy have the test, it is theirs; they are
imported when called.

Missing data: NaN is dropped, in pairs where two series are compared; never read as zero.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant.core.errors import DataError

FloatArray = NDArray[np.float64]


class Inference(NamedTuple):
    """A test's statistic and the probability of one as extreme if the null hypothesis held."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A family of p-values after correction; a name in `rejected` is significant in the family."""

    method: str
    level: float
    adjusted: Mapping[str, float]

    @property
    def rejected(self) -> tuple[str, ...]:
        """Names whose null hypothesis does not stand."""
        return tuple(name for name, value in self.adjusted.items() if value <= self.level)


def diebold_mariano(loss_a: ArrayLike, loss_b: ArrayLike, *, horizon: int) -> Inference:
    """Whether two forecasts have equal losses; negative when `a` is better.

    With the correction of Harvey, Leybourne and Newbold (1997) for small samples and Student's t
    with n - 1 degrees of freedom. Losses are of forecasts `horizon` steps ahead, in order, one a
    step. The variance takes autocovariances up to horizon - 1 at equal weight; should that sum not
    be positive, Bartlett's weights replace it, as R's `dm.test` advises.
    """
    from scipy import stats

    difference = np.subtract(*_pairs(loss_a, loss_b))
    count = len(difference)
    if not 1 <= horizon < count:
        raise DataError(f"{count} losses do not suffice for forecasts {horizon} steps ahead")
    mean = float(difference.mean())
    centred = difference - mean
    covariances = [float(centred[lag:] @ centred[: count - lag]) / count for lag in range(horizon)]
    variance = (covariances[0] + 2.0 * sum(covariances[1:])) / count
    if variance <= 0:
        weights = [1.0 - lag / horizon for lag in range(1, horizon)]
        weighted = sum(w * c for w, c in zip(weights, covariances[1:], strict=True))
        variance = (covariances[0] + 2.0 * weighted) / count
    if variance <= 0:
        # Losses that differ by a constant, or not at all.
        return Inference(0.0, 1.0) if mean == 0 else Inference(math.copysign(math.inf, mean), 0.0)
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    statistic = mean / math.sqrt(variance) * math.sqrt(correction)
    return Inference(statistic, float(2.0 * stats.t.sf(abs(statistic), df=count - 1)))


def paired_t(a: ArrayLike, b: ArrayLike) -> Inference:
    """Whether two paired series have one mean; positive when `a` is larger."""
    from scipy import stats

    first, second = _pairs(a, b)
    if np.ptp(first - second) == 0:
        mean = float((first - second).mean())
        return Inference(0.0, 1.0) if mean == 0 else Inference(math.copysign(math.inf, mean), 0.0)
    found = stats.ttest_rel(first, second)
    return Inference(float(found.statistic), float(found.pvalue))


def variance_ratio(returns: ArrayLike, *, lag: int) -> Inference:
    """Lo and MacKinlay: whether log prices are a random walk; robust to changing variance."""
    from arch.unitroot import VarianceRatio

    found = VarianceRatio(np.cumsum(_known(returns, 2 * lag)), lags=lag, robust=True)
    return Inference(float(found.stat), float(found.pvalue))


def ljung_box(values: ArrayLike, *, lags: int) -> Inference:
    """Whether the first `lags` autocorrelations are zero together."""
    from statsmodels.stats.diagnostic import acorr_ljungbox

    table = acorr_ljungbox(_known(values, lags + 1), lags=[lags])
    return Inference(float(table["lb_stat"].iloc[0]), float(table["lb_pvalue"].iloc[0]))


def jarque_bera(values: ArrayLike) -> Inference:
    """Whether skewness and kurtosis are those of a normal distribution."""
    from scipy import stats

    found = stats.jarque_bera(_known(values, 3))
    return Inference(float(found.statistic), float(found.pvalue))


def augmented_dickey_fuller(values: ArrayLike) -> Inference:
    """Whether a series has a unit root; lags are chosen by AIC."""
    from statsmodels.tsa.stattools import adfuller

    found = adfuller(_known(values, 20), autolag="AIC", result_object=False)
    return Inference(float(found[0]), float(found[1]))


def kolmogorov_smirnov(a: ArrayLike, b: ArrayLike) -> Inference:
    """Whether two samples come from one distribution."""
    from scipy import stats

    found = stats.ks_2samp(_known(a, 1), _known(b, 1))
    return Inference(float(found.statistic), float(found.pvalue))


def uniformity(probabilities: ArrayLike) -> Inference:
    """Kolmogorov-Smirnov of probabilities (PIT) against the uniform law on 0 to 1."""
    from scipy import stats

    found = stats.kstest(_known(probabilities, 1), "uniform")
    return Inference(float(found.statistic), float(found.pvalue))


def bonferroni(p_values: Mapping[str, float], *, level: float = 0.05) -> Corrected:
    """Each p-value times their number: no false rejection in the family, at this level."""
    return _corrected("bonferroni", p_values, level)


def benjamini_hochberg(p_values: Mapping[str, float], *, level: float = 0.05) -> Corrected:
    """Of the rejections, a share of `level` at most is expected to be false."""
    return _corrected("fdr_bh", p_values, level)


def _corrected(method: str, p_values: Mapping[str, float], level: float) -> Corrected:
    from statsmodels.stats.multitest import multipletests

    values: Sequence[float] = list(p_values.values())
    if not values or not all(0 <= value <= 1 for value in values):
        raise DataError("a family needs p-values between 0 and 1")
    adjusted = multipletests(values, alpha=level, method=method)[1]
    named = dict(zip(p_values, map(float, adjusted), strict=True))
    return Corrected(method=method, level=level, adjusted=named)


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise DataError(f"series of shapes {first.shape} and {second.shape} are no pairs")
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 2:
        raise DataError(f"{int(both.sum())} known pairs do not make a test")
    return first[both], second[both]


def _known(values: ArrayLike, least: int) -> FloatArray:
    array = np.asarray(values, dtype=float).ravel()
    found: FloatArray = array[np.isfinite(array)]
    if len(found) < max(least, 2):
        raise DataError(f"{len(found)} known values do not make a test, {max(least, 2)} do")
    return found
