"""SARIMAX as a forecaster: recovers what was simulated, and says what its rivals say."""

import datetime as dt
import json
import warnings

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.forecasting.arma_order import ArmaOrder, order_of
from quant.forecasting.fitting import FitTask
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, start_params
from quant.forecasting.regressor_scaling import scale_regressors
from quant.forecasting.returns import Regressors, ReturnPanel
from quant.forecasting.sarimax import SarimaxForecaster
from quant.forecasting.sarimax_fit import fit_sarimax
from tests.unit.forecasting.test_arma_search import simulate

AUTOMATIC = ForecastPolicy(fit_window_sessions=5000)
WITH_X = AUTOMATIC.model_copy(update={"sarimax_regressors": ("x",)})


def _panel(values: np.ndarray, regressors: dict[str, np.ndarray] | None = None) -> ReturnPanel:
    days = pd.bdate_range("2005-01-03", periods=len(values)).to_numpy().astype("datetime64[D]")
    beside = None
    if regressors is not None:
        stacked = np.array(list(regressors.values()))[:, None, :]
        beside = Regressors(names=tuple(regressors), values=stacked)
    return ReturnPanel(symbols=("AAA",), sessions=days, values=values[None], regressors=beside)


def _day(panel: ReturnPanel, place: int = -1) -> dt.date:
    return panel.sessions[place].item()


def _fit(panel: ReturnPanel, policy: ForecastPolicy = AUTOMATIC, **start) -> FittedState:
    return SarimaxForecaster(policy=policy).fit(panel, session=_day(panel), **start)[0]


def _state(panel: ReturnPanel, params: dict[str, float]) -> FittedState:
    return FittedState(
        symbol="AAA",
        model="sarimax",
        version="2",
        fit_as_of=_day(panel),
        filter_from=_day(panel, 0),
        params=params,
    )


def test_an_arma_is_recovered_within_three_standard_errors():
    """Both coefficients from 4,000 sessions; their errors by Box and Jenkins (1976, 7.2.5)."""
    ar, ma, count = 0.7, -0.3, 4000
    values = simulate(ArmaOrder(ar=1, ma=1), [ar, ma], count, seed=3)
    fixed = {"sarimax_order": "fixed", "ar_order": 1, "ma_order": 1}
    state = _fit(_panel(values), AUTOMATIC.model_copy(update=fixed))
    common = (1 + ar * ma) ** 2 / ((ar + ma) ** 2 * count)
    assert abs(state.params["ar1"] - ar) < 3 * np.sqrt((1 - ar**2) * common)
    assert abs(state.params["ma1"] - ma) < 3 * np.sqrt((1 - ma**2) * common)
    assert abs(state.params["variance"] - 1e-4) < 3 * 1e-4 * np.sqrt(2 / count)


def test_a_weekly_season_is_recovered_within_three_standard_errors():
    """One seasonal lag; the deviation of an AR(1) coefficient is sqrt((1 - phi^2) / n)."""
    truth = ArmaOrder(ar=0, ma=0, seasonal_ar=1, season_sessions=5)
    state = _fit(_panel(simulate(truth, [0.4], 3000, seed=1)))
    order = order_of(state.params)
    assert (order.lags_count, order.seasonal_ar, order.season_sessions) == (1, 1, 5)
    assert abs(state.params["sar1"] - 0.4) < 3 * np.sqrt((1 - 0.16) / 3000)


SEASONAL = {
    "intercept": 0.0005,
    "ar1": 0.3,
    "ma1": 0.2,
    "sar1": 0.4,
    "sma1": -0.2,
    "season_sessions": 5.0,
    "variance": 2e-4,
}


def test_between_fits_a_forecast_is_that_of_statsmodels_filter(few, as_of):
    """Mean and variance by horizon of a seasonal order, with gaps, from stored parameters alone."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    values = few.values[0].copy()
    values[[50, 51, 700, 850]] = np.nan
    panel = _panel(values)
    model = SarimaxForecaster(policy=ForecastPolicy(fit_window_sessions=1099))
    batch = model.forecast(
        [_state(panel, SEASONAL)],
        panel,
        session=_day(panel),
        as_of=as_of,
        horizons=tuple(range(1, 21)),
    )
    reference = SARIMAX(values, order=(1, 0, 1), seasonal_order=(1, 0, 1, 5), trend="c").filter(
        [SEASONAL[name] for name in ("intercept", "ar1", "ma1", "sar1", "sma1", "variance")]
    )
    steps = reference.get_forecast(20)
    np.testing.assert_allclose(
        batch.forecasts["mean"], np.cumsum(steps.predicted_mean), rtol=0, atol=1e-10
    )
    one_day = float(batch.forecasts["std"].iloc[0]) ** 2
    assert one_day == pytest.approx(float(steps.var_pred_mean[0]), rel=1e-8)
    # The deviation of a sum follows from the responses to each coming shock, summed up.
    responses = np.cumsum(reference.impulse_responses(19))
    spread = reference.params[-1] * np.cumsum(responses**2)
    np.testing.assert_allclose(batch.forecasts["std"] ** 2, spread, rtol=1e-8)
    path = model.one_step([_state(panel, SEASONAL)], panel, first=600)
    np.testing.assert_allclose(path.mean[0], reference.fittedvalues[600:], rtol=0, atol=1e-10)


def test_a_forecast_is_that_of_statsforecast_for_the_same_order(few, as_of):
    """ARMA(1,1) fitted by both: 20 daily means within a hundredth of the daily deviation."""
    from statsforecast.arima import arima, predict_arima

    values = few.values[3, -504:]
    panel = _panel(values)
    policy = ForecastPolicy(sarimax_order="fixed", ar_order=1, ma_order=1)
    state = _fit(panel, policy)
    batch = SarimaxForecaster(policy=policy).forecast(
        [state], panel, session=_day(panel), as_of=as_of, horizons=tuple(range(1, 21))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival = arima(values * 64, order=(1, 0, 1), method="CSS-ML")
        theirs, _ = predict_arima(rival, n_ahead=20)
    daily = np.diff(batch.forecasts["mean"], prepend=0.0)
    np.testing.assert_allclose(daily, theirs / 64, atol=0.01 * values.std())
    assert state.diagnostics["log_likelihood"] >= rival["loglik"] + 504 * np.log(64) - 0.01


def test_a_regressor_known_the_day_before_is_found_and_used(as_of):
    """Tomorrow's return is 0.4 % per unit of today's feature, plus noise of 1 %."""
    draws = np.random.default_rng(0)
    feature = draws.normal(20.0, 2.0, 800)
    values = draws.normal(0, 0.01, 800)
    values[1:] += 0.004 * (feature[:-1] - 20.0)
    panel = _panel(values, {"momentum": feature, "noise": draws.normal(0, 1, 800)})
    policy = ForecastPolicy(fit_window_sessions=800, sarimax_regressors=("noise", "momentum"))
    state = _fit(panel, policy)
    assert state.params["slope:momentum"] == pytest.approx(0.004, abs=3 * 0.01 / 2 / np.sqrt(800))
    assert state.params["centre:momentum"] == pytest.approx(20.0, abs=0.3)
    model = SarimaxForecaster(policy=policy)
    one, five = model.forecast(
        [state], panel, session=_day(panel), as_of=as_of, horizons=(1, 5)
    ).forecasts["mean"]
    effect = sum(
        state.params[f"slope:{name}"]
        * (panel.regressors.values[place, 0, -1] - state.params[f"centre:{name}"])
        for place, name in enumerate(("momentum", "noise"))
    )
    assert one == pytest.approx(state.params["intercept"] + effect, abs=1e-9)
    # Later features are not known: after the first day only the constant is added.
    assert five == pytest.approx(5 * state.params["intercept"] + effect, abs=1e-9)
    path = model.one_step([state], panel, first=790)
    assert np.corrcoef(path.mean[0], feature[789:-1])[0, 1] > 0.99


def test_a_regressor_may_have_holes_and_says_nothing_there():
    """Half known is enough; less leaves it out, by name; a constant one too."""
    draws = np.random.default_rng(1)
    holes = draws.normal(size=300)
    holes[draws.random(300) < 0.3] = np.nan
    rare = np.where(np.arange(300) % 5 == 0, holes, np.nan)
    task = FitTask(
        values=draws.normal(0, 0.01, 300),
        start=None,
        policy=ForecastPolicy(),
        regressor_names=("holes", "rare", "flat"),
        regressors=np.array([holes, rare, np.full(300, 7.0)]),
    )
    beside = scale_regressors(task)
    assert beside.names == ("holes",)
    assert beside.left_out == ("rare", "flat")
    assert beside.values[0, 0] == 0.0
    assert (beside.values[0, 1:] == 0.0).sum() == np.isnan(holes[:-1]).sum()
    outcome = fit_sarimax(task)
    assert outcome.diagnostics["regressors_left_out"] == "rare, flat"
    assert "slope:holes" in outcome.params


def test_a_panel_without_the_regressors_of_the_fit_is_refused(as_of):
    """Leaving an effect out silently would be another forecast."""
    draws = np.random.default_rng(2)
    panel = _panel(draws.normal(0, 0.01, 300), {"x": draws.normal(size=300)})
    state = _fit(panel, WITH_X)
    bare = ReturnPanel(symbols=panel.symbols, sessions=panel.sessions, values=panel.values)
    model = SarimaxForecaster(policy=WITH_X)
    with pytest.raises(DataError, match="there is no regressor x"):
        model.fit(bare, session=_day(bare))
    with pytest.raises(DataError, match="regressor x, which the panel does not have"):
        model.forecast([state], bare, session=_day(panel), as_of=as_of, horizons=(1,))


def test_future_regressors_change_nothing(as_of):
    """Neither the fit nor the forecast looks at a feature after its session."""
    draws = np.random.default_rng(3)
    values, feature = draws.normal(0, 0.01, 400), draws.normal(size=400)
    tampered = feature.copy()
    tampered[350:] = 1e6
    one, other = (_panel(values, {"x": x}) for x in (feature, tampered))
    model = SarimaxForecaster(policy=WITH_X)
    session = _day(one, 349)
    states = model.fit(one, session=session)
    assert "slope:x" in states[0].params
    assert states == model.fit(other, session=session)
    ask = [
        model.forecast(states, panel, session=session, as_of=as_of, horizons=(1, 20)).forecasts
        for panel in (one, other)
    ]
    pd.testing.assert_frame_equal(*ask, check_exact=True)


def test_a_warm_start_ends_in_the_same_order_and_optimum(stocks, policy):
    """Ten stocks a week later: the search is done anew, so the start cannot hold it back."""
    ten = stocks.rows(stocks.symbols[:10])
    model = SarimaxForecaster(policy=policy)
    first = start_params(model.fit(ten, session=_day(ten, -6)))
    cold = model.fit(ten, session=_day(ten))
    warm = model.fit(ten, session=_day(ten), start=first)
    assert warm == model.fit(ten, session=_day(ten), start=first)
    for one, other in zip(cold, warm, strict=True):
        assert one.diagnostics["order"] == other.diagnostics["order"]
        assert other.diagnostics["log_likelihood"] == pytest.approx(
            one.diagnostics["log_likelihood"], abs=1e-3
        )


def test_a_start_of_an_order_that_the_policy_no_longer_allows_is_left_alone(few):
    """A season of 7 from an earlier policy: the fit is that without a start."""
    odd = {**SEASONAL, "season_sessions": 7.0}
    task = FitTask(values=few.values[0, -504:], start=odd, policy=ForecastPolicy())
    cold = FitTask(values=few.values[0, -504:], start=None, policy=ForecastPolicy())
    assert fit_sarimax(task) == fit_sarimax(cold)


def test_regressors_that_the_policy_does_not_name_are_left_alone():
    """They may lie beside the returns for another model."""
    draws = np.random.default_rng(4)
    values, feature = draws.normal(0, 0.01, 300), draws.normal(size=300)
    assert _fit(_panel(values, {"x": feature})) == _fit(_panel(values))


def test_thirty_observations_are_enough_where_the_policy_says_so(as_of):
    """A month and a half: few lags can be asked for, and the fit holds."""
    panel = _panel(np.random.default_rng(5).normal(0, 0.01, 30))
    policy = ForecastPolicy(model_observations_min=30, sarimax_aicc_gain_min=0.0)
    state = _fit(panel, policy)
    assert state.converged
    batch = SarimaxForecaster(policy=policy).forecast(
        [state], panel, session=_day(panel), as_of=as_of, horizons=(1, 5, 20)
    )
    assert len(batch.forecasts) == 3


def test_what_residuals_fail_stands_in_words_beside_the_forecast(few, policy, as_of):
    """Daily returns have fat tails; Jarque-Bera says so in the record of every row."""
    state = _fit(few.rows(("GE",)), policy)
    batch = SarimaxForecaster(policy=policy).forecast(
        [state], few, session=_day(few), as_of=as_of, horizons=(1,)
    )
    record = json.loads(batch.forecasts["diagnostics"][0])
    assert record["jarque_bera_passes"] is False
    assert "Jarque-Bera rejects normal residuals at 1%" in record["residual_warning"]
    assert record["order"] == state.diagnostics["order"]
    assert record["aicc"] < 0
