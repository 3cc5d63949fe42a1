"""Tests against their definitions, other implementations and data whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats

from quant.core.errors import DataError
from quant.governance.bootstrap import mean_interval, sharpe_interval, sharpe_samples
from quant.governance.hypothesis_tests import (
    augmented_dickey_fuller,
    benjamini_hochberg,
    bonferroni,
    diebold_mariano,
    jarque_bera,
    kolmogorov_smirnov,
    ljung_box,
    paired_t,
    uniformity,
    variance_ratio,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_one_step_ahead_diebold_mariano_is_the_paired_t_test(rng):
    """With one step the correction turns the variance's n into n - 1: the same number exactly."""
    a, b = rng.chisquare(1, 80), rng.chisquare(1, 80) * 1.2
    found, expected = diebold_mariano(a, b, horizon=1), stats.ttest_rel(a, b)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert paired_t(a, b) == pytest.approx((expected.statistic, expected.pvalue))


def test_the_small_sample_correction_can_be_worked_out_by_hand():
    """Eight differences two steps ahead: 1, 2, 3, -2, 0, 1, 1, 2, whose mean is 1.

    Autocovariances 2 and -1/8 make a variance of the mean of 7/32; Harvey, Leybourne and Newbold's
    factor is (8 + 1 - 4 + 2/8) / 8 = 21/32. So the statistic is the root of 32/7 * 21/32 = 3, and
    its law is Student's with seven degrees of freedom.
    """
    differences = np.array([1.0, 2.0, 3.0, -2.0, 0.0, 1.0, 1.0, 2.0])
    found = diebold_mariano(differences + 5.0, np.full(8, 5.0), horizon=2)
    assert found.statistic == pytest.approx(math.sqrt(3))
    assert found.p_value == pytest.approx(2 * stats.t.sf(math.sqrt(3), 7))
    uncorrected = math.sqrt(32 / 7)
    assert found.statistic < uncorrected


@pytest.mark.parametrize("horizon", [2, 5])
def test_several_steps_ahead_it_is_a_regression_with_a_robust_variance(rng, horizon):
    """statsmodels' HAC variance with uniform weights, times the factor of Harvey et al."""
    import statsmodels.api as sm
    from statsmodels.stats.sandwich_covariance import weights_uniform

    noise = rng.normal(size=204)
    a = np.convolve(noise, np.ones(horizon), "valid")[:200] ** 2
    b = a + rng.normal(0.3, 1, size=200)
    fit = sm.OLS(a - b, np.ones(200)).fit(
        cov_type="HAC",
        cov_kwds={"maxlags": horizon - 1, "kernel": weights_uniform, "use_correction": False},
    )
    factor = math.sqrt((201 - 2 * horizon + horizon * (horizon - 1) / 200) / 200)
    found = diebold_mariano(a, b, horizon=horizon)
    assert found.statistic == pytest.approx(float(fit.tvalues[0]) * factor, rel=1e-9)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.statistic), 199))


def test_it_rejects_as_often_as_its_level_says(rng):
    """Overlapping forecasts of equal quality, four steps ahead: about one in twenty."""
    rejected = 0
    for _ in range(600):
        shocks = rng.normal(size=(2, 123))
        a, b = (np.convolve(one, np.ones(4), "valid") ** 2 for one in shocks)
        rejected += diebold_mariano(a, b, horizon=4).p_value < 0.05
    assert 0.02 < rejected / 600 < 0.10


def test_losses_that_never_differ_are_no_evidence_and_a_constant_gap_is():
    assert diebold_mariano([1.0] * 9, [1.0] * 9, horizon=1) == (0.0, 1.0)
    assert diebold_mariano([1.0] * 9, [2.0] * 9, horizon=1) == (-math.inf, 0.0)
    with pytest.raises(DataError, match="do not suffice"):
        diebold_mariano([1.0, 2.0], [2.0, 1.0], horizon=2)


def test_a_random_walk_and_a_series_that_returns_are_told_apart(rng):
    steps = rng.normal(0, 0.01, 1_500)
    back = np.diff(stats.zscore(np.convolve(rng.normal(size=1_600), 0.5 ** np.arange(9), "valid")))
    assert variance_ratio(steps, lag=5).p_value > 0.05
    assert variance_ratio(back, lag=5).p_value < 0.001
    assert augmented_dickey_fuller(np.cumsum(steps)).p_value > 0.05
    assert augmented_dickey_fuller(steps).p_value < 0.001


def test_the_ljung_box_statistic_is_its_own_formula(rng):
    """Q = n (n + 2) sum of r_k squared over (n - k)."""
    values = rng.normal(size=120)
    centred = values - values.mean()
    r = [centred[k:] @ centred[: 120 - k] / (centred @ centred) for k in range(1, 6)]
    q = 120 * 122 * sum(rk**2 / (120 - k) for k, rk in enumerate(r, start=1))
    assert ljung_box(values, lags=5) == pytest.approx((q, stats.chi2.sf(q, 5)))


def test_shapes_of_distributions_are_told_apart(rng):
    normal, fat = rng.normal(size=800), rng.standard_t(3, size=800)
    s, k = stats.skew(fat), stats.kurtosis(fat)
    assert jarque_bera(fat).statistic == pytest.approx(800 / 6 * (s**2 + k**2 / 4))
    assert jarque_bera(normal).p_value > 0.05
    assert kolmogorov_smirnov(normal, rng.normal(size=800)).p_value > 0.05
    assert kolmogorov_smirnov(normal, normal * 2).p_value < 0.001
    assert uniformity(stats.norm.cdf(normal)).p_value > 0.05
    assert uniformity(stats.norm.cdf(normal * 2)).p_value < 0.001


def test_a_family_of_tests_is_corrected_as_in_the_papers():
    """Benjamini and Hochberg (1995), table of 15 p-values: 4 are rejected, Bonferroni's 3."""
    values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
    family = {f"h{i}": value for i, value in enumerate(values, start=1)}
    assert bonferroni(family).rejected == ("h1", "h2", "h3")
    assert benjamini_hochberg(family).rejected == ("h1", "h2", "h3", "h4")


@pytest.mark.parametrize("block", [1, 7, 25])
def test_bootstrap_intervals_are_those_of_arch_within_monte_carlo_error(rng, block):
    """Circular blocks of 1, 7 and 25 days over a thousand, the last one cut where it must be."""
    from arch.bootstrap import CircularBlockBootstrap

    values = rng.standard_t(5, 1_003) * 0.01 + 0.0005

    def annual(x):
        return x.mean() / x.std(ddof=1) * math.sqrt(252)

    theirs = CircularBlockBootstrap(block, values, seed=4).apply(annual, 3_000)[:, 0]
    ours = sharpe_samples(values, rng=rng, block_length=block, resamples=10_000)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / math.sqrt(3_000))
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)
    np.testing.assert_allclose(
        np.quantile(ours, [0.025, 0.975]), np.quantile(theirs, [0.025, 0.975]), atol=0.06
    )


def test_blocks_of_the_whole_series_only_turn_it(rng):
    """Any rotation has the same mean and deviation: every sample is the estimate itself."""
    values = rng.normal(0.01, 1, 50)
    found = sharpe_interval(values, rng=rng, block_length=50, resamples=64)
    assert found.low == pytest.approx(found.estimate)
    assert found.high == pytest.approx(found.estimate)


def test_an_interval_of_a_mean_covers_the_truth_as_often_as_it_says(rng):
    covered = 0
    for _ in range(300):
        found = mean_interval(rng.normal(0.5, 1, 150), rng=rng, resamples=400)
        covered += found.low <= 0.5 <= found.high
    assert 0.89 < covered / 300 < 0.98
