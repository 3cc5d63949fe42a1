"""The fast kernels of the order search against slow twins, and the search on known truth."""

import warnings

import numpy as np
import pytest

from quant.forecasting.arma_order import (
    ArmaOrder,
    lags_of,
    order_of,
    polynomials,
    regressors_of,
    slope_name,
)
from quant.forecasting.css import fit_css, is_admissible, residuals_of, slopes_of
from quant.forecasting.exact_arma import exact_likelihood, fit_exact
from quant.forecasting.order_candidates import SearchLimits, aicc, candidates
from quant.forecasting.order_search import (
    fit_order,
    local_volatility,
    search_order,
)

ORDERS = [
    (ArmaOrder(ar=0, ma=0), []),
    (ArmaOrder(ar=2, ma=0), [0.5, -0.3]),
    (ArmaOrder(ar=0, ma=2), [0.4, 0.2]),
    (ArmaOrder(ar=1, ma=1, has_constant=False), [0.6, -0.2]),
    (
        ArmaOrder(ar=1, ma=2, seasonal_ar=1, seasonal_ma=1, season_sessions=5),
        [0.3, 0.2, 0.1, 0.4, -0.7],
    ),
]
PURE = SearchLimits(gain_min=0.0)
every_order = pytest.mark.parametrize(("order", "lags"), ORDERS, ids=str)


def _series(count: int = 120, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, count)


def _theta(order: ArmaOrder, lags, means=(0.25, 0.1)) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and columns: the constant, where there is one, and a regressor."""
    regressor = np.sin(np.arange(120.0))
    columns = np.vstack([np.ones((int(order.has_constant), 120)), regressor])
    return np.array([*lags, *means[-len(columns) :]]), columns


def simulate(order: ArmaOrder, lags, count: int, seed: int, burn: int = 300) -> np.ndarray:
    """A path of normal shocks of deviation 0.01, one step after the other."""
    poly = polynomials(order, lags)
    ar, ma = poly.whole_ar, poly.whole_ma
    shocks = np.random.default_rng(seed).normal(0, 0.01, count + burn)
    path = np.zeros(count + burn)
    for t in range(count + burn):
        past = sum(-ar[k] * path[t - k] for k in range(1, len(ar)) if t >= k)
        noise = sum(ma[k] * shocks[t - k] for k in range(len(ma)) if t >= k)
        path[t] = past + noise
    return path[burn:]


def test_seasonal_and_plain_factors_multiply_out():
    """(1 - 0.5 B)(1 - 0.2 B^5) by hand."""
    order = ArmaOrder(ar=1, ma=0, seasonal_ar=1, season_sessions=5)
    poly = polynomials(order, [0.5, 0.2])
    np.testing.assert_allclose(poly.whole_ar, [1, -0.5, 0, 0, 0, -0.2, 0.1])
    assert poly.ar_sum == pytest.approx(0.5 * 0.8)
    assert poly.whole_ma.tolist() == [1.0]


def test_an_order_is_read_back_from_its_parameters():
    """Names and a season say it all; a slope of a regressor called ar1 is no lag."""
    params = {"intercept": 0.0, "ar1": 0.1, "sma1": 0.2, "season_sessions": 5.0, "variance": 1.0}
    order = order_of({**params, slope_name("ar1"): 3.0})
    assert order == ArmaOrder(ar=1, ma=0, seasonal_ma=1, season_sessions=5, has_constant=False)
    assert lags_of(params, order).tolist() == [0.1, 0.2]
    assert regressors_of({**params, slope_name("ar1"): 3.0}) == ("ar1",)
    assert str(order) == "(1,0,0)(0,0,1,5) without constant"
    with pytest.raises(ValueError, match="longer than the plain lags"):
        ArmaOrder(ar=5, ma=0, seasonal_ar=1, season_sessions=5)


@every_order
def test_conditional_residuals_are_those_of_a_plain_loop(order, lags):
    """The slow twin walks through the definition, with nothing before the first session."""
    theta, columns = _theta(order, lags)
    values = _series()
    poly = polynomials(order, lags)
    deviations = values - theta[order.lags_count :] @ columns
    errors = np.zeros(120)
    for t in range(120):
        errors[t] = sum(
            poly.whole_ar[k] * deviations[t - k] for k in range(len(poly.whole_ar)) if t >= k
        )
        errors[t] -= sum(
            poly.whole_ma[k] * errors[t - k] for k in range(1, len(poly.whole_ma)) if t >= k
        )
    np.testing.assert_allclose(residuals_of(order, theta, values, columns), errors, atol=1e-12)


@every_order
def test_slopes_of_residuals_are_their_differences(order, lags):
    """Central differences, parameter by parameter."""
    theta, columns = _theta(order, lags)
    values = _series()
    slopes = slopes_of(order, theta, values, columns)
    for place in range(len(theta)):
        aside = np.zeros(len(theta))
        aside[place] = 1e-6
        above = residuals_of(order, theta + aside, values, columns)
        below = residuals_of(order, theta - aside, values, columns)
        np.testing.assert_allclose(slopes[place], (above - below) / 2e-6, atol=1e-6)


@every_order
def test_the_exact_likelihood_is_that_of_the_joint_normal(order, lags):
    """The slow twin: every covariance of the process in one matrix."""
    from statsmodels.tsa.arima_process import arma_acovf

    theta, columns = _theta(order, lags)
    values = _series()
    likelihood, variance = exact_likelihood(order, theta, values, columns)
    poly = polynomials(order, lags)
    covariances = arma_acovf(poly.whole_ar, poly.whole_ma, nobs=120, sigma2=variance)
    places = np.arange(120)
    joint = covariances[np.abs(places[:, None] - places)]
    deviations = values - theta[order.lags_count :] @ columns
    _, determinant = np.linalg.slogdet(2 * np.pi * joint)
    expected = -0.5 * (determinant + deviations @ np.linalg.solve(joint, deviations))
    assert likelihood == pytest.approx(expected, abs=1e-8)


@every_order
def test_the_exact_likelihood_is_that_of_statsmodels(order, lags):
    """Kalman filter and linear filter say the same number."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    theta, columns = _theta(order, lags)
    values = _series()
    likelihood, variance = exact_likelihood(order, theta, values, columns)
    model = SARIMAX(
        values - theta[order.lags_count :] @ columns,
        order=(order.ar, 0, order.ma),
        seasonal_order=(order.seasonal_ar, 0, order.seasonal_ma, order.season_sessions),
    )
    assert likelihood == pytest.approx(model.loglike(np.array([*lags, variance])), abs=1e-7)


@pytest.mark.parametrize("row", range(4))
def test_the_exact_optimum_is_that_of_statsmodels(few, row):
    """Begun cold, statsmodels finds nothing better; conditional estimates are close below."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    values = few.values[row, -504:] * 64
    order, columns = ArmaOrder(ar=1, ma=1), np.ones((1, 504))
    conditional = fit_order(order, values)
    exact = fit_exact(conditional, values, columns)
    cold = SARIMAX(values, order=(1, 0, 1), trend="c").fit(disp=0, cov_type="none", maxiter=500)
    assert exact.converged
    assert exact.log_likelihood >= cold.llf - 1e-3
    below = exact_likelihood(order, conditional.theta, values, columns)[0]
    assert 0 <= exact.log_likelihood - below < 0.5


def test_least_squares_of_an_ar_are_those_of_a_regression():
    """Without a moving average the problem is linear: one solve tells the answer."""
    values = simulate(ArmaOrder(ar=2, ma=0), [0.5, -0.3], 400, seed=2)
    deviations = values
    fit = fit_css(
        ArmaOrder(ar=2, ma=0, has_constant=False), deviations, np.empty((0, 400)), np.zeros(2)
    )
    lagged = np.zeros((400, 2))
    lagged[1:, 0], lagged[2:, 1] = values[:-1], values[:-2]
    np.testing.assert_allclose(fit.theta, np.linalg.lstsq(lagged, values)[0], rtol=1e-3)


def test_the_criterion_is_that_of_the_textbook():
    """2 k - 2 logL + 2 k (k + 1) / (n - k - 1) for k = 3, n = 20, logL = -10."""
    assert aicc(-10.0, 3, 20) == pytest.approx(6 + 20 + 24 / 16)


def test_the_candidates_stay_within_the_limits():
    """Every order once, at most five lags, none seasonal without a season."""
    orders = list(candidates(PURE, observed=500, regressors=0))
    assert len(orders) == len(set(orders)) == 51
    assert max(order.lags_count for order in orders) == 5
    plain = SearchLimits(seasons_sessions=())
    assert not any(o.is_seasonal for o in candidates(plain, observed=500, regressors=0))
    assert [o.lags_count for o in candidates(PURE, observed=5, regressors=0)] == [0, 1, 1, 1, 1]


KNOWN = [
    (ArmaOrder(ar=1, ma=0), [0.5]),
    (ArmaOrder(ar=0, ma=1), [0.6]),
    (ArmaOrder(ar=2, ma=0), [0.3, 0.4]),
    (ArmaOrder(ar=0, ma=0, seasonal_ar=1, season_sessions=5), [0.5]),
    (ArmaOrder(ar=1, ma=0, seasonal_ma=1, season_sessions=5), [0.4, 0.5]),
]


@pytest.mark.parametrize(("truth", "lags"), KNOWN, ids=str)
def test_the_search_loses_nothing_to_the_true_order(truth, lags):
    """On four paths of each: the winner's AICc is never above that of the order that made them."""
    for seed in range(4):
        values = simulate(truth, lags, 600, seed) * 64
        best = search_order(values, limits=PURE).best
        made = fit_order(truth, values)
        ours = aicc(_likelihood(best), best.order.parameters_count(), 600)
        assert ours <= aicc(_likelihood(made), truth.parameters_count(), 600) + 0.05


def _likelihood(fit) -> float:
    return -0.5 * 600 * (np.log(2 * np.pi * fit.squares / 600) + 1)


def test_noise_gets_no_lags_when_a_gain_is_asked_for():
    """The best of fifty orders beats white noise on most paths; by six of AICc on few."""
    strict = SearchLimits(gain_min=6.0, is_confirmed_calm=True)
    pure_lags = strict_lags = 0
    for seed in range(20):
        values = np.random.default_rng(seed).standard_normal(504)
        pure_lags += search_order(values, limits=PURE).best.order.lags_count > 0
        strict_lags += search_order(values, limits=strict).best.order.lags_count > 0
    assert pure_lags >= 8
    assert strict_lags <= 2


def test_a_fortnight_of_turmoil_makes_no_lags():
    """Returns that alternate for ten wild sessions in two years say nothing about the others."""
    values = np.random.default_rng(8).standard_normal(504)
    values[250:260] = 12.0 * np.tile([1.0, -1.0], 5)
    without = SearchLimits(gain_min=6.0)
    confirmed = SearchLimits(gain_min=6.0, is_confirmed_calm=True)
    assert search_order(values, limits=without).best.order.lags_count > 0
    assert search_order(values, limits=confirmed).best.order.lags_count == 0


def test_local_volatility_is_a_running_mean_of_squares_from_both_sides():
    """By hand for three values around zero; each sweep stands on its weighted start."""
    values = np.array([1.0, -2.0, 1.0])
    weights = 0.94 ** np.arange(3)
    start = float(np.array([1.0, 4.0, 1.0]) @ weights / weights.sum())
    first = 0.94 * start + 0.06 * 1.0
    second = 0.94 * first + 0.06 * 4.0
    third = 0.94 * second + 0.06 * 1.0
    expected = np.sqrt([0.5 * (first + third), second, 0.5 * (first + third)])
    np.testing.assert_allclose(local_volatility(values), expected)


def test_gaps_and_repetition_leave_the_search_in_peace(few):
    """Missing values are stood in for; equal input gives equal bits."""
    values = few.values[1, -504:].copy()
    values[::11] = np.nan
    one, other = (search_order(values * 64, limits=PURE) for _ in range(2))
    np.testing.assert_array_equal(one.best.theta, other.best.theta)
    assert [fit.order for fit in one.fits] == [fit.order for fit in other.fits]
    assert is_admissible(one.best.order, one.best.theta)


def test_orders_are_no_worse_than_those_of_statsforecast():
    """Four stocks, equal limits: our exact AICc is at most 2 above."""
    from benchmarks._forecasting_models import log_prices, ours, statsforecast

    for name, logs in log_prices(4).items():
        mine, criterion = ours(logs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own optimiser
            theirs, rival = statsforecast(logs)
        assert mine == theirs, name
        assert criterion <= rival + 2.0, name
