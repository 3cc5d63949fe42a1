"""Every model through the port: fits, updates, hard cases, and no look-ahead."""

import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.forecasting.forecast import FORECAST_COLUMNS
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.persistence import PersistenceForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import Forecaster, start_params, states_from_frame, states_to_frame
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.sarimax import SarimaxForecaster

MODELS = [SarimaxForecaster, GarchForecaster, NaiveForecaster, PersistenceForecaster]
FITTED = [SarimaxForecaster, GarchForecaster]
HORIZONS = (1, 5, 20)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
every_fitted_model = pytest.mark.parametrize("model", FITTED, ids=lambda model: model.name)


def _panel(rows: dict[str, np.ndarray]) -> ReturnPanel:
    count = len(next(iter(rows.values())))
    days = pd.bdate_range("2020-01-01", periods=count).to_numpy().astype("datetime64[D]")
    return ReturnPanel(symbols=tuple(rows), sessions=days, values=np.array(list(rows.values())))


def _day(panel: ReturnPanel, place: int) -> dt.date:
    return panel.sessions[place].item()


def _ask(forecaster: Forecaster, panel: ReturnPanel, session: dt.date, as_of, states=None):
    states = forecaster.fit(panel, session=session) if states is None else states
    return forecaster.forecast(states, panel, session=session, as_of=as_of, horizons=HORIZONS)


def _noise(count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(6, count) * 0.01


def _with(values: np.ndarray, place, value) -> np.ndarray:
    changed = values.copy()
    changed[place] = value
    return changed


HARD = {
    "constant": np.zeros(400),
    "constant growth": np.full(400, 0.0004) + 1e-17 * np.arange(400),
    "gaps": _with(_noise(), np.arange(5, 395, 7), np.nan),
    "long gap": _with(_noise(), slice(100, 300), np.nan),
    "thirty": _with(_noise(), slice(0, 370), np.nan),
    "nothing": np.full(400, np.nan),
    "split-like jump": _with(_noise(), 390, np.log(0.5)),
    "jump yesterday": _with(_noise(), 399, np.log(0.5)),
    "dead price": _with(_noise(), slice(380, 400), 0.0),
    "delisted": _with(_noise(), slice(380, 400), np.nan),
    "no bar today": _with(_noise(), 399, np.nan),
    "wild": _noise() * 50,
    "alternating": np.tile([0.02, -0.02], 200),
}


@every_model
def test_each_hard_case_gives_a_forecast_or_a_reason_and_no_warning(model, policy, as_of):
    """Warnings are errors here; every symbol is answered exactly once."""
    panel = _panel(HARD)
    batch = _ask(model(policy=policy), panel, _day(panel, -1), as_of)
    spoken, silent = set(batch.forecasts["symbol"]), {failure.symbol for failure in batch.failures}
    assert spoken | silent == set(HARD)
    assert not spoken & silent
    assert len(batch.forecasts) == len(spoken) * len(HORIZONS)
    assert {"constant", "constant growth", "nothing", "dead price", "delisted"} <= silent
    assert {"gaps", "split-like jump", "jump yesterday", "wild"} <= spoken
    assert ("thirty" in spoken) == (model in (NaiveForecaster, PersistenceForecaster))
    reasons = {failure.symbol: failure.reason for failure in batch.failures}
    assert "do not vary" in reasons["constant"]
    assert "has not moved in the last 10 sessions" in reasons["dead price"]
    assert "has 0 returns" in reasons["nothing"]
    assert all(forecast.model == model.name for forecast in batch.values())


@every_model
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shock=st.floats(-0.9, 0.9))
def test_the_future_cannot_change_a_forecast(model, policy, as_of, shock):
    """Rewriting every return after the session changes neither states nor forecasts."""
    panel = _panel({"AAA": _noise(200), "BBB": _noise(200, seed=1)})
    rewritten = panel.values.copy()
    rewritten[:, 180:] = shock
    tampered = replace(panel, values=rewritten)
    forecaster, fitted_on, session = model(policy=policy), _day(panel, 170), _day(panel, 179)
    states = forecaster.fit(panel, session=fitted_on)
    assert states == forecaster.fit(tampered, session=fitted_on)
    pd.testing.assert_frame_equal(
        _ask(forecaster, panel, session, as_of, states).forecasts,
        _ask(forecaster, tampered, session, as_of, states).forecasts,
    )


@every_model
def test_a_one_step_path_is_the_nightly_forecast_of_each_session(model, few, policy, as_of):
    """Rolling through a window and asking night by night give the same bits."""
    forecaster = model(policy=policy)
    states = forecaster.fit(few, session=_day(few, -12))
    path = forecaster.one_step(states, few, first=len(few.sessions) - 11)
    for step in (0, 5, 10):
        session = _day(few, step - 12)
        night = forecaster.forecast(states, few, session=session, as_of=as_of, horizons=(1,))
        np.testing.assert_array_equal(night.forecasts["mean"], path.mean[:, step])
        np.testing.assert_array_equal(night.forecasts["std"], path.std[:, step])


@every_model
def test_a_symbol_is_forecast_alike_alone_and_among_others(model, few, policy, as_of):
    """A universe that grows does not move what was there."""
    forecaster, session = model(policy=policy), _day(few, -1)
    together = _ask(forecaster, few, session, as_of).forecasts
    alone = _ask(forecaster, few.rows(("JNJ",)), session, as_of).forecasts
    expected = together[together["symbol"] == "JNJ"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)


@every_fitted_model
def test_more_history_before_the_window_changes_nothing(model, few, policy, as_of):
    """The window is counted back from the fit, so a longer panel gives the same bits."""
    forecaster, session = model(policy=policy), _day(few, -1)
    shorter = few.columns(slice(400, None))
    pd.testing.assert_frame_equal(
        _ask(forecaster, few, session, as_of).forecasts,
        _ask(forecaster, shorter, session, as_of).forecasts,
        check_exact=True,
    )


def test_the_first_fit_of_a_fresh_process_is_that_of_a_warm_one():
    """Libraries that load during the fit bring threads of their own, and sums would change."""
    code = """
import sys, numpy as np
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.sarimax import SarimaxForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import states_to_frame
from quant.forecasting.returns import ReturnPanel
assert "scipy" not in sys.modules
days = np.datetime64("2022-01-03") + np.arange(504)
values = np.random.default_rng(7).standard_t(5, (1, 504)) / 100
panel = ReturnPanel(symbols=("A",), sessions=days, values=values)
for model in (GarchForecaster, SarimaxForecaster):
    first, second = (
        states_to_frame(model(policy=ForecastPolicy()).fit(panel, session=days[-1].item()))
        for _ in range(2)
    )
    assert first["reason"].tolist() == [""], first["reason"]
    for column in ("params", "diagnostics"):
        assert first[column].tolist() == second[column].tolist(), (model, first, second)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_fit_is_the_same_on_one_worker_and_on_two(few, policy):
    """One model stands for all: they share the way to the workers."""
    session = _day(few, -1)
    states = GarchForecaster(policy=policy).fit(few, session=session)
    parallel = policy.model_copy(update={"fit_workers": 2})
    assert GarchForecaster(policy=parallel).fit(few, session=session) == states


@every_model
def test_states_read_back_from_their_table_bit_for_bit(model, few, policy):
    """Failed ones and their reasons too; the parameters' hash is that of the original."""
    panel = replace(few, values=_with(few.values, (1, slice(None)), 0.0))
    states = model(policy=policy).fit(panel, session=_day(panel, -1))
    frame = states_to_frame(states)
    assert states_from_frame(frame) == states
    assert frame["params_hash"].tolist() == [state.params_hash for state in states]


@every_fitted_model
def test_a_warm_start_is_recorded_and_ends_where_a_cold_one_does(model, few, policy):
    """Five sessions later, from the last parameters: as likely as from scratch, to 0.01."""
    forecaster = model(policy=policy)
    first = start_params(forecaster.fit(few, session=_day(few, -6)))
    cold = forecaster.fit(few, session=_day(few, -1))
    warm = forecaster.fit(few, session=_day(few, -1), start=first)
    for one, other in zip(cold, warm, strict=True):
        assert one.start_params is None
        assert other.start_params == first[other.symbol]
        gap = one.diagnostics["log_likelihood"] - other.diagnostics["log_likelihood"]
        assert abs(gap) < 0.01


def test_sarimax_states_hold_what_statsmodels_finds(few, policy):
    """Parameters in units of log returns; another order leaves the old start unused."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    fixed = policy.model_copy(update={"sarimax_order": "fixed"})
    state = SarimaxForecaster(policy=fixed).fit(few, session=_day(few, -1))[0]
    window = few.values[0, -504:] * 64
    reference = SARIMAX(window, order=(1, 0, 0), trend="c").fit(disp=0, cov_type="none")
    assert state.params["ar1"] == pytest.approx(reference.params[1], abs=1e-4)
    assert state.params["variance"] * 64**2 == pytest.approx(reference.params[2], rel=1e-3)

    other = ForecastPolicy(sarimax_order="fixed", ar_order=0, ma_order=2)
    refit = SarimaxForecaster(policy=other).fit(
        few.rows(("AAPL",)), session=_day(few, -1), start={"AAPL": state.params}
    )
    assert set(refit[0].params) == {"intercept", "ma1", "ma2", "variance"}


def test_models_recover_the_parameters_of_a_market_they_made_up(as_of):
    """A simulated AR(1) and a simulated GARCH(1,1), each within four standard errors or so."""
    draws = np.random.default_rng(12)
    count, ar, garch, variance = 3000, np.zeros(3000), np.zeros(3000), 1e-4
    for t in range(1, count):
        ar[t] = 0.0005 + 0.4 * ar[t - 1] + 0.01 * draws.normal()
        variance = 4e-6 + 0.08 * garch[t - 1] ** 2 + 0.88 * variance
        garch[t] = np.sqrt(variance) * draws.normal()
    panel = _panel({"AR": ar[1:], "GARCH": garch[1:]})
    policy = ForecastPolicy(
        fit_window_sessions=2999,
        sarimax_order="fixed",
        garch_models=("garch",),
        garch_distributions=("normal",),
    )
    mean = SarimaxForecaster(policy=policy).fit(panel, session=_day(panel, -1))[0].params
    volatility = GarchForecaster(policy=policy).fit(panel, session=_day(panel, -1))[1].params
    assert mean["ar1"] == pytest.approx(0.4, abs=0.07)
    assert mean["variance"] == pytest.approx(1e-4, rel=0.1)
    assert volatility["alpha"] == pytest.approx(0.08, abs=0.05)
    assert volatility["beta"] == pytest.approx(0.88, abs=0.08)
    assert "nu" not in volatility


def test_the_naive_forecast_is_mean_and_deviation_of_its_window(as_of):
    """Returns 1, 2 and 3 %: mean 2 %, deviation 1 %; over five days with the doubt of the mean."""
    policy = ForecastPolicy(naive_observations_min=3, naive_window_sessions=3)
    panel = _panel({"AAA": np.array([0.5, 0.01, 0.02, 0.03])})
    one, five, _ = _ask(NaiveForecaster(policy=policy), panel, _day(panel, -1), as_of).values()
    assert (one.mean, five.mean) == pytest.approx((0.02, 0.10))
    assert one.std == pytest.approx(0.01 * np.sqrt(1 + 1 / 3))
    assert five.std == pytest.approx(0.01 * np.sqrt(5 + 25 / 3))
    assert one.q95 == pytest.approx(0.02 + 1.6448536 * one.std)


def test_persistence_repeats_the_last_return(as_of):
    """3 % yesterday is 15 % over five days; the changes of 1 % and 3 % give its deviation."""
    policy = ForecastPolicy(naive_observations_min=3, naive_window_sessions=3)
    panel = _panel({"AAA": np.array([-0.01, 0.0, 0.03])})
    one, five, _ = _ask(
        PersistenceForecaster(policy=policy), panel, _day(panel, -1), as_of
    ).values()
    assert (one.mean, five.mean) == pytest.approx((0.03, 0.15))
    assert one.std == pytest.approx(np.std([0.01, 0.03], ddof=1))


@every_model
def test_a_state_of_another_model_or_of_the_future_is_refused(model, few, policy, as_of):
    """A mix-up must not become a forecast."""
    forecaster, session = model(policy=policy), _day(few, -5)
    states = NaiveForecaster(policy=policy).fit(few, session=session)
    with pytest.raises(DataError, match="cannot forecast AAPL"):
        _ask(forecaster, few, session, as_of, [replace(states[0], model="other")])
    late = [replace(states[0], model=model.name, fit_as_of=_day(few, -1))]
    with pytest.raises(DataError, match="cannot forecast AAPL"):
        _ask(forecaster, few, session, as_of, late)
    with pytest.raises(DataError, match="no session 2022-12-25"):
        forecaster.fit(few, session=dt.date(2022, 12, 25))


@every_fitted_model
def test_a_panel_shorter_than_the_filter_needs_is_refused(model, few, policy, as_of):
    """Started later, the filter would give other numbers, silently."""
    forecaster, session = model(policy=policy), _day(few, -1)
    states = forecaster.fit(few, session=session)
    with pytest.raises(DataError, match=r"the filter of AAPL starts on .*, the panel only on"):
        _ask(forecaster, few.last(300), session, as_of, states)


def test_a_fit_that_runs_out_of_time_keeps_the_last_parameters_and_says_so(few, as_of):
    """A thousandth of a second is too little; what was there before is used, flagged."""
    hasty = ForecastPolicy(fit_time_limit_s=1e-3)
    two, session = few.rows(("AAPL", "XOM")), _day(few, -1)
    before = SarimaxForecaster(policy=ForecastPolicy()).fit(two, session=_day(few, -6))
    kept, lost = SarimaxForecaster(policy=hasty).fit(
        two, session=session, start={"AAPL": before[0].params}
    )
    assert kept.params == before[0].params
    assert not kept.converged
    assert kept.diagnostics["fit_reason"] == "ran longer than 0.001 s"
    batch = _ask(SarimaxForecaster(policy=hasty), two, session, as_of, [kept, lost])
    assert json.loads(batch.forecasts["diagnostics"][0])["kept_previous"] is True
    assert [(f.symbol, f.error, f.reason) for f in batch.failures] == [
        ("XOM", "TaskTimeoutError", "ran longer than 0.001 s")
    ]


def test_the_update_path_imports_neither_statsmodels_nor_arch():
    """Their import takes seconds; a night without a refit must not pay for it."""
    code = """
import sys, datetime as dt, numpy as np
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.sarimax import SarimaxForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState
from quant.forecasting.returns import ReturnPanel
days = np.datetime64("2022-01-03") + np.arange(120)
panel = ReturnPanel(symbols=("A",), sessions=days, values=np.sin(np.arange(120.0))[None] / 50)
numbers = {"sarimax": {"intercept": 0.0, "ar1": 0.1, "variance": 1e-4},
           "garch": {"mean": 0.0, "omega": 1e-6, "alpha": 0.1, "beta": 0.8, "nu": 5.0,
                     "backcast": 1e-4}}
for model in (SarimaxForecaster, GarchForecaster):
    state = FittedState(symbol="A", model=model.name, version="1", fit_as_of=days[110].item(),
                        filter_from=days[0].item(), params=numbers[model.name])
    batch = model(policy=ForecastPolicy()).forecast(
        [state], panel, session=days[-1].item(), as_of=dt.datetime.now(dt.UTC), horizons=(1, 20))
    assert len(batch.forecasts) == 2, batch.failures
heavy = {"statsmodels", "arch", "joblib", "scipy.stats", "numba"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_states_give_an_empty_batch_with_the_columns(few, policy, as_of):
    """An empty universe is not an error."""
    for model in MODELS:
        batch = _ask(model(policy=policy), few, _day(few, -1), as_of, [])
        assert batch.forecasts.empty
        assert tuple(batch.forecasts.columns) == FORECAST_COLUMNS
