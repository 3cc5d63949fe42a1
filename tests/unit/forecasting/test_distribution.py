"""Quantiles and probabilities against scipy's distributions."""

import numpy as np
import pytest
from scipy import stats

from quant.forecasting.distribution import (
    QUANTILE_LEVELS,
    degrees_over,
    probability_below,
    unit_quantiles,
)


def test_unit_quantiles_are_those_of_variance_one():
    """Normal at infinity; a t with five degrees of freedom is divided by the root of 5/3."""
    normal, student = unit_quantiles(np.array([np.inf, 5.0]))
    np.testing.assert_allclose(normal, stats.norm.ppf(QUANTILE_LEVELS), atol=1e-12)
    expected = stats.t.ppf(QUANTILE_LEVELS, 5) / np.sqrt(5 / 3)
    np.testing.assert_allclose(student, expected, atol=1e-12)
    assert normal[2] == student[2] == 0.0
    assert np.isnan(unit_quantiles(np.array([np.nan]))).all()


def test_a_sum_of_days_has_a_fifth_of_the_excess_kurtosis_after_five():
    """nu 6 has excess 3; over five days 0.6, which nu 14 has. Without kurtosis the shape stays."""
    assert degrees_over(np.array([6.0]), np.array([5.0]))[0] == 14.0
    excess_one_day, excess_five_days = 6 / (6 - 4), 6 / (14 - 4)
    assert excess_five_days == pytest.approx(excess_one_day / 5)
    assert degrees_over(np.array([3.0]), np.array([5.0]))[0] == 3.0
    assert np.isinf(degrees_over(np.array([np.inf]), np.array([20.0]))[0])


def test_the_probability_of_a_normal_forecast_is_exact_from_five_quantiles():
    """Inside, on and far outside the outer quantiles."""
    values = np.array([-0.3, -0.02, 0.0, 0.001, 0.013, 0.04, 0.2])
    quantiles = 0.001 + 0.02 * stats.norm.ppf(QUANTILE_LEVELS)
    found = probability_below(values, np.tile(quantiles, (len(values), 1)))
    np.testing.assert_allclose(found, stats.norm.cdf(values, 0.001, 0.02), atol=1e-14)


def test_the_probability_of_a_t_forecast_is_close_in_the_body():
    """Five quantiles do not know the tails; inside them the error stays below one percent."""
    values = np.linspace(-2, 2, 81)
    quantiles = np.tile(stats.t.ppf(QUANTILE_LEVELS, 5), (81, 1))
    np.testing.assert_allclose(
        probability_below(values, quantiles), stats.t.cdf(values, 5), atol=1e-2
    )
