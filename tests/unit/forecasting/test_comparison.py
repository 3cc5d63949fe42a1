"""Diebold and Mariano by hand, beside a plain t-test, and by its level."""

import math

import numpy as np
import pytest
from scipy import stats

from quant.core.errors import DataError
from quant.forecasting.comparison import diebold_mariano


def test_without_overlap_it_is_the_t_test_of_the_mean():
    """One step ahead the small-sample factor turns the variance over n into that over n - 1."""
    rng = np.random.default_rng(0)
    first, second = rng.gamma(2, size=(2, 40))
    found = diebold_mariano(first, second)
    theirs = stats.ttest_1samp(first - second, 0.0)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.observations == 40


def test_two_steps_ahead_by_hand():
    """Differences 1, 2, 3, 2, 2 about a mean of 2.

    Covariances: 2/5 and (0 - 0 + 0 + 0)/5 = 0 at lag one, so the variance of the mean is 0.4 / 5.
    The factor is (5 + 1 - 4 + 2/5) / 5 = 0.48; the statistic 2 / sqrt(0.08) * sqrt(0.48).
    """
    difference = np.array([1.0, 2.0, 3.0, 2.0, 2.0])
    found = diebold_mariano(difference, np.zeros(5), overlap=2)
    assert found.mean_difference == 2.0
    assert found.statistic == pytest.approx(2 / math.sqrt(0.08) * math.sqrt(0.48))
    assert found.p_value == pytest.approx(2 * stats.t.sf(found.statistic, 4))


def test_the_sign_says_who_lost_less_and_swaps_with_the_order():
    """A forecast with half the loss has a negative statistic in the first place."""
    losses = np.random.default_rng(1).gamma(3, size=60)
    noise = np.random.default_rng(2).normal(0, 0.1, size=60)
    better = diebold_mariano(losses / 2 + noise, losses)
    worse = diebold_mariano(losses, losses / 2 + noise)
    assert better.statistic == -worse.statistic < -5
    assert better.p_value == worse.p_value < 1e-4


def test_equal_forecasts_differ_by_nothing():
    """No variance and no difference: nothing speaks against equality."""
    losses = np.arange(10.0)
    found = diebold_mariano(losses, losses, overlap=3)
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_a_missing_loss_leaves_its_pair_out():
    """On either side."""
    first, second = np.random.default_rng(3).gamma(2, size=(2, 30))
    holes_first, holes_second = first.copy(), second.copy()
    holes_first[3], holes_second[7] = np.nan, np.nan
    kept = [place for place in range(30) if place not in (3, 7)]
    assert diebold_mariano(holes_first, holes_second) == diebold_mariano(first[kept], second[kept])


@pytest.mark.parametrize("overlap", [1, 5])
def test_equal_forecasts_are_rejected_as_often_as_the_level_says(overlap):
    """Moving sums of noise, 100 forecasts, 1,500 times: near one in twenty.

    Harvey, Leybourne and Newbold (1997, table 1) find their corrected test somewhat oversized for
    long horizons and few forecasts: up to a tenth at the level of 5 % here.
    """
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(1500, 100 + overlap - 1))
    sums = np.stack([noise[:, lag : lag + 100] for lag in range(overlap)]).sum(axis=0)
    found = [diebold_mariano(row, np.zeros(100), overlap=overlap).p_value < 0.05 for row in sums]
    assert 0.03 < np.mean(found) < 0.10


def test_a_variance_that_comes_out_negative_is_replaced_by_one_that_cannot():
    """Differences that alternate: covariance -0.9 at lag one makes 1 - 1.8 negative."""
    difference = np.tile([1.0, -1.0], 5) + 0.3
    found = diebold_mariano(difference, np.zeros(10), overlap=2)
    # Bartlett: 1 + 2 x 1/2 x (-0.9) = 0.1; the factor is (10 + 1 - 4 + 0.2) / 10.
    assert found.statistic == pytest.approx(0.3 / math.sqrt(0.1 / 10) * math.sqrt(0.72))


def test_what_cannot_be_compared_is_refused():
    """Two lengths, and fewer forecasts than the overlap needs."""
    with pytest.raises(DataError, match="two equal series"):
        diebold_mariano(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="too few for an overlap of 20"):
        diebold_mariano(np.zeros(20), np.ones(20), overlap=20)
