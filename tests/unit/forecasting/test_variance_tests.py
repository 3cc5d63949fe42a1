"""The variance ratio and the search of a change, by hand and beside other implementations."""

import numpy as np
import pytest
from scipy.stats import kstwobign

from quant.forecasting.variance_break import variance_break
from quant.forecasting.variance_ratio import variance_ratio


def test_the_variance_ratio_is_that_of_arch(stocks):
    """Twenty real stocks, two and five days, the robust statistic with unbiased variances."""
    from arch.unitroot import VarianceRatio

    window = stocks.values[:, -252:]
    for days in (2, 5):
        found = variance_ratio(window, sessions=days)
        for row, returns in enumerate(window):
            prices = np.concatenate([[0.0], np.cumsum(returns)])
            theirs = VarianceRatio(prices, lags=days, robust=True, debiased=True, overlap=True)
            assert found.ratio[row] == pytest.approx(theirs.vr, rel=1e-10)
            assert found.p_value[row] == pytest.approx(theirs.pvalue, abs=1e-9)


def test_missing_returns_are_left_out_and_too_few_say_nothing():
    """A row with gaps is the row without them; 63 returns, or none that vary, have no ratio."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(1, 200))
    gappy = np.full((3, 250), np.nan)
    gappy[0, rng.permutation(250)[:200]] = 0.0
    gappy[0, np.isfinite(gappy[0])] = whole[0]
    gappy[1, :63] = rng.normal(size=63)
    gappy[2] = 0.01
    found = variance_ratio(gappy, sessions=5)
    assert found.ratio[0] == variance_ratio(whole, sessions=5).ratio[0]
    assert np.isnan(found.ratio[1])
    assert found.p_value[1:].tolist() == [1.0, 1.0]


def test_a_series_that_swings_back_has_a_ratio_near_zero_by_hand():
    """Returns +1, -1, ... sum to zero over two days: the ratio of two days is zero."""
    found = variance_ratio(np.tile([1.0, -1.0], 50)[None], sessions=2)
    assert found.ratio[0] == pytest.approx(0.0)
    assert found.p_value[0] < 1e-6


def test_random_walks_are_rejected_as_often_as_the_level_says():
    """Two thousand fat-tailed walks: one in twenty below 5 %, within three deviations."""
    returns = np.random.default_rng(12).standard_t(4, size=(2000, 252))
    share = (variance_ratio(returns, sessions=5).p_value < 0.05).mean()
    assert abs(share - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000) + 0.01


def test_the_statistic_of_a_change_by_hand():
    """Squares 0, 0, 4, 4 about a mean of zero: path -2, -4, -2, 0 over a spread of 4 x 4."""
    quiet, wild = np.zeros(20), np.tile([2.0, -2.0], 10)
    found = variance_break(np.concatenate([quiet, wild])[None])
    # Variance 2; each of forty squares is 2 away from it; the path turns after 20 sessions at -40.
    assert found.statistic[0] == pytest.approx(40 / np.sqrt(40 * 4))
    assert found.sessions_ago[0] == 20
    assert found.p_value[0] == pytest.approx(kstwobign.sf(found.statistic[0]))


def test_constant_volatility_is_called_changed_as_often_as_the_level_says():
    """Normal returns, window of a year: the small-sample test is somewhat shy, never eager."""
    returns = np.random.default_rng(9).normal(size=(2000, 252))
    share = (variance_break(returns).p_value < 0.05).mean()
    assert 0.02 < share < 0.06


def test_a_real_change_is_found_where_it_was():
    """Fifty windows whose last 45 sessions are four times as wild, as of April 2020."""
    returns = np.random.default_rng(5).normal(0, 0.01, size=(50, 252))
    returns[:, -45:] *= 4
    found = variance_break(returns)
    assert (found.p_value < 0.05).all()
    assert np.abs(found.sessions_ago - 45).max() <= 10
    assert np.median(found.sessions_ago) == pytest.approx(45, abs=1)


def test_what_cannot_be_told_is_no_change():
    """Too few returns, and a price that never moves."""
    rows = np.full((2, 100), np.nan)
    rows[0, :30] = np.random.default_rng(1).normal(size=30)
    rows[1] = 0.0
    assert variance_break(rows).p_value.tolist() == [1.0, 1.0]
