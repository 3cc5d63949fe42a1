"""The filters against statsmodels, arch and dense linear algebra, and against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.forecasting.kernels import ArmaParams, arma_filter, arma_forecast, arma_start
from quant.forecasting.volatility_kernels import (
    GarchParams,
    garch_filter,
    garch_forecast,
    garch_start,
)

NO_WAIT = np.zeros(1, dtype=np.int64)


def _arma(intercept=0.001, ar=(), ma=(), variance=4e-4) -> ArmaParams:
    return ArmaParams(
        intercept=np.array([intercept]),
        ar=np.array([ar], dtype=float),
        ma=np.array([ma], dtype=float),
        variance=np.array([variance]),
    )


def _garch(symbols=1) -> GarchParams:
    grow = 1 + np.arange(symbols) / 100
    return GarchParams(
        mean=0.0005 * grow,
        omega=4e-6 / grow,
        alpha=0.04 * np.ones(symbols),
        gamma=0.08 * np.ones(symbols),
        beta=0.9 / grow,
        backcast=4e-4 * grow,
    )


LONG = (0.3, 0.0, 0.0, 0.0, 0.4, -0.12)  # an AR(1) times a weekly one
ORDERS = [
    (LONG, (0.2,)),
    ((0.3,), ()),
    ((), (0.4,)),
    ((0.5, -0.2), (0.3,)),
    ((0.2,), (0.4, -0.3, 0.1)),
    ((), ()),
]


@pytest.mark.parametrize(("ar", "ma"), ORDERS)
def test_the_arma_filter_agrees_with_statsmodels(few, ar, ma):
    """Means, variances and forecasts of an exact Kalman filter, with a gap in the data."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    returns = few.values[0].copy()
    returns[[40, 41, 300, len(returns) - 2]] = np.nan
    params = _arma(ar=ar, ma=ma)
    reference = SARIMAX(returns, order=(len(ar), 0, len(ma)), trend="c").filter(
        [0.001, *ar, *ma, 4e-4]
    )

    means, variances, carry = arma_filter(params, returns[:, None], arma_start(params), NO_WAIT)
    total, _ = arma_forecast(params, carry, 20)

    np.testing.assert_allclose(means[:, 0], reference.fittedvalues, rtol=0, atol=1e-10)
    errors = reference.filter_results.forecasts_error_cov[0, 0]
    np.testing.assert_allclose(variances[:, 0], errors, rtol=1e-8)
    np.testing.assert_allclose(
        total[0], np.cumsum(reference.get_forecast(20).predicted_mean), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(("ar", "ma"), ORDERS)
def test_the_variance_of_a_sum_is_that_of_the_joint_normal(ar, ma):
    """The slow twin: condition the full covariance matrix of past and future on what was seen."""
    from statsmodels.tsa.arima_process import arma_acovf

    past, ahead = 30, 7
    seen = np.random.default_rng(3).normal(0, 0.02, past)
    seen[[4, past - 1]] = np.nan  # the last one too, so that the state stays uncertain
    params = _arma(ar=ar, ma=ma)
    _, _, carry = arma_filter(params, seen[:, None], arma_start(params), NO_WAIT)
    means, variances = arma_forecast(params, carry, ahead)

    process = ([1.0, *(-np.array(ar))], [1.0, *ma])
    covariances = arma_acovf(*process, nobs=past + ahead, sigma2=4e-4)
    places = np.arange(past + ahead)
    joint = covariances[np.abs(places[:, None] - places)]
    centre = 0.001 / (1 - sum(ar))
    known, future = np.flatnonzero(~np.isnan(seen)), places[past:]
    gain = joint[np.ix_(future, known)] @ np.linalg.inv(joint[np.ix_(known, known)])
    mean = centre + gain @ (seen[known] - centre)
    spread = joint[np.ix_(future, future)] - gain @ joint[np.ix_(known, future)]
    sums = np.tril(np.ones((ahead, ahead)))

    np.testing.assert_allclose(means[0], sums @ mean, rtol=1e-9)
    np.testing.assert_allclose(variances[0], np.diag(sums @ spread @ sums.T), rtol=1e-9)


def test_an_ar1_forecast_is_what_the_formula_says():
    """After 0.03 with intercept 0.001 and phi 0.5: 0.016, then 0.009; their errors correlate."""
    params = _arma(ar=(0.5,))
    _, _, carry = arma_filter(params, np.array([[0.01], [0.03]]), arma_start(params), NO_WAIT)
    means, variances = arma_forecast(params, carry, 2)
    np.testing.assert_allclose(means[0], [0.016, 0.016 + 0.009], rtol=1e-12)
    # The first shock enters the sum 1.5-fold.
    np.testing.assert_allclose(variances[0], [4e-4, 4e-4 * (1.5**2 + 1)], rtol=1e-12)


@pytest.mark.parametrize("distribution", ["normal", "t"])
def test_the_garch_filter_agrees_with_arch(few, distribution):
    """The variance path of arch's own fit and its forecast over 20 days, to 1e-8."""
    from arch import arch_model

    percent = few.values[1] * 100
    model = arch_model(percent, mean="Constant", p=1, q=1, dist=distribution, rescale=False)
    fit = model.fit(disp="off")
    squares = (percent - percent.mean())[:75] ** 2
    weights = 0.94 ** np.arange(75)
    params = GarchParams(
        mean=np.array([fit.params["mu"]]),
        omega=np.array([fit.params["omega"]]),
        alpha=np.array([fit.params["alpha[1]"]]),
        gamma=np.zeros(1),
        beta=np.array([fit.params["beta[1]"]]),
        backcast=np.array([squares @ weights / weights.sum()]),
    )

    path, last = garch_filter(params, percent[:, None], garch_start(params), NO_WAIT)
    means, variances = garch_forecast(params, last, 20)

    np.testing.assert_allclose(np.sqrt(path[:, 0]), fit.conditional_volatility, rtol=1e-8)
    steps = fit.forecast(horizon=20).variance.to_numpy()[-1]
    np.testing.assert_allclose(variances[0], np.cumsum(steps), rtol=1e-8)
    np.testing.assert_allclose(means[0], fit.params["mu"] * np.arange(1, 21), rtol=1e-12)


def test_a_missing_return_raises_the_variance_as_its_expectation_would():
    """omega 4e-6, alpha + beta 0.98: from 4e-4 the variance goes to 3.96e-4, hit or not."""
    params = _garch()
    path, following = garch_filter(params, np.array([[np.nan]]), np.array([4e-4]), NO_WAIT)
    assert path[0, 0] == 4e-4
    assert following[0] == pytest.approx(4e-6 + 0.98 * 4e-4, rel=1e-15)


def _run(params, returns, start):
    if isinstance(params, ArmaParams):
        *_, carry = arma_filter(params, returns, arma_start(params), start)
        return np.concatenate([carry.mean.T, *carry.covariance.transpose(1, 2, 0)])
    return garch_filter(params, returns, garch_start(params), start)[1][None, :]


def _take(params, rows):
    return type(params)(**{name: getattr(params, name)[rows] for name in params.__slots__})


def _arma_panel(symbols: int) -> ArmaParams:
    draws = np.random.default_rng(8)
    return ArmaParams(
        intercept=draws.normal(0, 1e-3, symbols),
        ar=draws.uniform(-0.4, 0.4, (symbols, 2)),
        ma=draws.uniform(-0.4, 0.4, (symbols, 2)),
        variance=draws.uniform(1e-4, 1e-3, symbols),
    )


@pytest.mark.parametrize("params", [_arma_panel(37), _garch(37)], ids=["arma", "garch"])
def test_a_symbol_alone_gives_the_same_bits_as_among_others(params):
    """Vector width must not show, or an added symbol would change old decisions."""
    returns = np.random.default_rng(1).normal(0, 0.02, (60, 37))
    returns[10:14, ::5] = np.nan
    start = np.arange(37, dtype=np.int64) // 4
    together = _run(params, returns, start)
    for row in (0, 5, 36):
        alone = _run(_take(params, [row]), returns[:, [row]], start[[row]])
        np.testing.assert_array_equal(alone[:, 0], together[:, row])


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(0, 40), seed=st.integers(0, 5))
def test_an_update_gives_the_same_bits_as_a_fresh_filter(cut, seed):
    """Filtering to `cut` and going on from the carry equals one sweep."""
    returns = np.random.default_rng(seed).normal(0, 0.02, (40, 3))
    start = np.zeros(3, dtype=np.int64)
    arma, garch = _arma_panel(3), _garch(3)
    *_, whole = arma_filter(arma, returns, arma_start(arma), start)
    *_, half = arma_filter(arma, returns[:cut], arma_start(arma), start)
    *_, resumed = arma_filter(arma, returns[cut:], half, start)
    np.testing.assert_array_equal(whole.mean, resumed.mean)
    np.testing.assert_array_equal(whole.covariance, resumed.covariance)

    _, variance = garch_filter(garch, returns, garch_start(garch), start)
    _, middle = garch_filter(garch, returns[:cut], garch_start(garch), start)
    np.testing.assert_array_equal(variance, garch_filter(garch, returns[cut:], middle, start)[1])


@pytest.mark.parametrize("params", [_arma_panel(2), _garch(2)], ids=["arma", "garch"])
def test_history_before_the_start_does_not_count(params):
    """A panel that reaches further back gives the same bits."""
    returns = np.random.default_rng(4).normal(0, 0.02, (30, 2))
    late = _run(params, returns, np.array([12, 12]))
    np.testing.assert_array_equal(late, _run(params, returns[12:], np.zeros(2, dtype=np.int64)))
