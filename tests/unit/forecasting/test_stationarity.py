"""Differences and roots, against statsmodels, numpy and hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.forecasting.stationarity import differences_needed, is_inside, kpss_statistic


def test_prices_need_one_difference_and_returns_none(few):
    """A random walk has no level, its steps have one."""
    logs = np.cumsum(few.values[0, -504:])
    assert differences_needed(logs) == 1
    assert differences_needed(few.values[0, -504:]) == 0
    assert differences_needed(np.cumsum(np.cumsum(few.values[0, -504:]))) == 2
    assert differences_needed(np.ones(100)) == 0


@pytest.mark.parametrize("row", range(4))
def test_the_statistic_is_that_of_statsmodels(few, row):
    """Same weights on the same number of lags."""
    from statsmodels.tsa.stattools import kpss

    series = few.values[row, -504:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p-values outside of the table
        expected = kpss(series, regression="c", nlags=int(3 * np.sqrt(504) / 13))[0]
    assert kpss_statistic(series) == pytest.approx(expected, rel=1e-10)


@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=4))
def test_a_polynomial_is_inside_when_all_its_roots_are_large(coefficients):
    """The recursion without roots agrees with the roots."""
    polynomial = np.array([1.0, *coefficients])
    inverse = np.abs(np.roots(polynomial)).max(initial=0.0)
    if abs(inverse - 1 / 1.01) > 1e-6:
        assert is_inside(polynomial) == (inverse < 1 / 1.01)
