"""SAMOSSA and MSSA-RL through the port: updates, hard cases, intervals, and no look-ahead."""

import datetime as dt
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.forecasting.arms import ACTIONS
from quant.forecasting.forecast import FORECAST_COLUMNS
from quant.forecasting.mssa_rl import MssaRlForecaster
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import start_params, states_from_frame, states_to_frame
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.samossa import SamossaForecaster
from quant.forecasting.ssa_policy import MssaRlPolicy, SsaPolicy

MODELS = [SamossaForecaster, MssaRlForecaster]
HORIZONS = (1, 5, 20)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def _panel(rows: dict[str, np.ndarray]) -> ReturnPanel:
    count = len(next(iter(rows.values())))
    days = pd.bdate_range("2016-01-01", periods=count).to_numpy().astype("datetime64[D]")
    return ReturnPanel(symbols=tuple(rows), sessions=days, values=np.array(list(rows.values())))


def _day(panel: ReturnPanel, place: int) -> dt.date:
    return panel.sessions[place].item()


def _ask(forecaster, panel: ReturnPanel, session: dt.date, as_of, states=None):
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
    "rare": _with(np.full(400, np.nan), slice(0, 400, 4), _noise(100)),
    "returned": _with(_noise(), slice(120, 388), np.nan),
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
    dead = {"constant", "constant growth", "nothing", "dead price", "delisted", "thirty"}
    assert dead <= silent
    assert {"gaps", "split-like jump", "jump yesterday", "wild", "no bar today"} <= spoken
    reasons = {failure.symbol: failure.reason for failure in batch.failures}
    assert "do not vary" in reasons["constant"]
    assert "has not moved in the last 10 sessions" in reasons["dead price"]
    assert "has 30 returns in its window, needs 100" in reasons["thirty"]
    assert all(forecast.model == model.name for forecast in batch.values())
    std = batch.forecasts.set_index(["symbol", "horizon_days"])["std"]
    assert std["wild", 1] > 10 * std["gaps", 1]
    assert (batch.forecasts["std"] < 20).all()


@every_model
@pytest.mark.parametrize("name", ["jump yesterday", "long gap", "wild", "alternating"])
def test_a_hard_case_alone_is_answered_too(model, name, policy, as_of):
    """Nothing in a cluster of one."""
    panel = _panel({name: HARD[name]})
    batch = _ask(model(policy=policy), panel, _day(panel, -1), as_of)
    assert len(batch.forecasts) == 3 or [f.error for f in batch.failures] == ["ModelError"]


@every_model
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shock=st.floats(-0.9, 0.9))
def test_the_future_cannot_change_a_forecast(model, policy, as_of, shock):
    """Rewriting every return after the session changes neither states nor forecasts."""
    panel = _panel({"AAA": _noise(), "BBB": _noise(seed=1)})
    rewritten = panel.values.copy()
    rewritten[:, 380:] = shock
    tampered = replace(panel, values=rewritten)
    forecaster, fitted_on, session = model(policy=policy), _day(panel, 370), _day(panel, 379)
    states = forecaster.fit(panel, session=fitted_on)
    assert states == forecaster.fit(tampered, session=fitted_on)
    pd.testing.assert_frame_equal(
        _ask(forecaster, panel, session, as_of, states).forecasts,
        _ask(forecaster, tampered, session, as_of, states).forecasts,
        check_exact=True,
    )


@every_model
def test_updating_night_by_night_is_a_fresh_filter_with_the_same_parameters(
    model, few, policy, as_of
):
    """One sweep through the panel and a question each night give the same bits."""
    forecaster = model(policy=policy)
    states = forecaster.fit(few, session=_day(few, -12))
    path = forecaster.one_step(states, few, first=len(few.sessions) - 11)
    for step in (0, 5, 10):
        session = _day(few, step - 12)
        night = forecaster.forecast(states, few, session=session, as_of=as_of, horizons=(1,))
        np.testing.assert_array_equal(night.forecasts["mean"], path.mean[:, step])
        np.testing.assert_array_equal(night.forecasts["std"], path.std[:, step])


@every_model
def test_a_stored_state_speaks_alike_alone_and_among_others(model, few, policy, as_of):
    """With its parameters given, a symbol needs nobody else; nor do sessions before its window."""
    forecaster, session = model(policy=policy), _day(few, -1)
    states = forecaster.fit(few, session=_day(few, -4))
    together = _ask(forecaster, few, session, as_of, states).forecasts
    alone = _ask(forecaster, few.rows(("JNJ",)).last(600), session, as_of, states[2:3]).forecasts
    expected = together[together["symbol"] == "JNJ"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def test_samossa_fits_a_symbol_alike_alone_and_among_others(few, policy):
    """A universe that grows does not move what was there; nor does older history."""
    forecaster, session = SamossaForecaster(policy=policy), _day(few, -1)
    together = forecaster.fit(few, session=session)
    assert forecaster.fit(few.rows(("JNJ",)).last(505), session=session) == together[2:3]
    two = policy.model_copy(update={"fit_workers": 2})
    assert (
        SamossaForecaster(policy=two).fit(few.rows(("AAPL", "GE")), session=session)
        == (together[:2])
    )


def test_mssa_rl_does_not_care_for_the_order_of_rows(few, policy):
    """Clusters follow names; parameters agree to rounding, for sums over a cluster reorder."""
    forecaster, session = MssaRlForecaster(policy=policy), _day(few, -1)
    one = {s.symbol: s for s in forecaster.fit(few, session=session)}
    turned = few.rows(tuple(reversed(few.symbols)))
    for other in forecaster.fit(turned, session=session):
        mine = one[other.symbol]
        assert mine.diagnostics["cluster"] == other.diagnostics["cluster"]
        assert list(mine.params) == list(other.params)
        for name in ("keep_drift", "keep_signal1", "shorten_signal1", "raise_variance"):
            assert mine.params[name] == pytest.approx(other.params[name], rel=1e-6)


@every_model
def test_states_read_back_from_their_table_bit_for_bit(model, few, policy, as_of):
    """Failed ones and their reasons too; what was read forecasts the same."""
    panel = replace(few, values=_with(few.values, (1, slice(None)), 0.0))
    session = _day(panel, -1)
    forecaster = model(policy=policy)
    states = forecaster.fit(panel, session=session)
    frame = states_to_frame(states)
    again = states_from_frame(frame)
    assert again == states
    assert frame["params_hash"].tolist() == [state.params_hash for state in states]
    pd.testing.assert_frame_equal(
        _ask(forecaster, panel, session, as_of, states).forecasts,
        _ask(forecaster, panel, session, as_of, again).forecasts,
        check_exact=True,
    )


@every_model
def test_fitting_twice_gives_the_same_bits_whatever_came_before(model, few, policy):
    """No search, so the last parameters are recorded and change nothing."""
    forecaster, session = model(policy=policy), _day(few, -1)
    before = start_params(forecaster.fit(few, session=_day(few, -6)))
    cold, warm = (
        forecaster.fit(few, session=session),
        forecaster.fit(few, session=session, start=before),
    )
    assert cold == forecaster.fit(few, session=session)
    assert [state.params for state in warm] == [state.params for state in cold]
    assert [state.start_params for state in warm] == [before[s] for s in few.symbols]


@every_model
def test_a_fit_that_runs_out_of_time_keeps_the_last_parameters_and_they_still_mean_the_same(
    model, few, as_of
):
    """The window has moved on by five sessions, and the drift line has not moved with it."""
    two, session = few.rows(("AAPL", "XOM")), _day(few, -1)
    before = model(policy=ForecastPolicy()).fit(two, session=_day(few, -6))
    hasty = ForecastPolicy(fit_time_limit_s=1e-4)
    kept, lost = model(policy=hasty).fit(two, session=session, start={"AAPL": before[0].params})
    assert kept.params == before[0].params
    assert not kept.converged
    assert kept.diagnostics["kept_previous"] is True
    batch = _ask(model(policy=hasty), two, session, as_of, [kept, lost])
    assert [(f.symbol, f.error) for f in batch.failures] == [("XOM", "TaskTimeoutError")]
    direct = _ask(model(policy=hasty), two, session, as_of, before).forecasts
    mine = direct[direct["symbol"] == "AAPL"]
    # The filter starts five sessions later, and its start fades.
    np.testing.assert_allclose(batch.forecasts["mean"], mine["mean"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(batch.forecasts["std"], mine["std"], rtol=1e-3)


@every_model
def test_a_state_that_does_not_belong_is_refused(model, few, policy, as_of):
    """Another model's, the future's, or one whose filter starts before the panel does."""
    forecaster, session = model(policy=policy), _day(few, -5)
    naive = NaiveForecaster(policy=policy).fit(few, session=session)
    with pytest.raises(DataError, match="cannot forecast AAPL"):
        _ask(forecaster, few, session, as_of, naive[:1])
    states = forecaster.fit(few, session=_day(few, -1))
    with pytest.raises(DataError, match="cannot forecast AAPL"):
        _ask(forecaster, few, session, as_of, states)
    with pytest.raises(DataError, match=r"the filter of AAPL starts on .*, the panel only on"):
        _ask(forecaster, few.last(100), _day(few, -1), as_of, states)


@every_model
def test_no_states_give_an_empty_batch_with_the_columns(model, few, policy, as_of):
    """An empty universe is not an error."""
    batch = _ask(model(policy=policy), few, _day(few, -1), as_of, [])
    assert batch.forecasts.empty
    assert tuple(batch.forecasts.columns) == FORECAST_COLUMNS
    nobody = ReturnPanel(
        symbols=(), sessions=few.sessions, values=np.zeros((0, few.values.shape[1]))
    )
    assert model(policy=policy).fit(nobody, session=_day(few, -1)) == []


@every_model
def test_intervals_cover_a_market_of_known_truth(model, policy, as_of):
    """A random walk and a slow swing under AR noise: nine in ten one-day outcomes within 90 %.

    And at horizons 5 and 20, over separate ends. Bounds are three binomial deviations, and a
    little more at 20 days, whose sums overlap within a symbol.
    """
    rng, count, symbols = np.random.default_rng(8), 760, 12
    swing = 0.02 * np.sin(np.arange(count) / 9)
    rows: dict[str, np.ndarray] = {}
    for number in range(symbols):
        steps = 0.0004 + 0.01 * rng.standard_normal(count)
        rows[f"S{number:02d}"] = steps + (np.diff(swing, prepend=0.0) if number % 2 else 0.0)
    panel = _panel(rows)
    forecaster = model(policy=policy)
    states = forecaster.fit(panel, session=_day(panel, 560))
    path = forecaster.one_step(states, panel, first=561)
    outcome = panel.values[:, 561:]
    within = np.abs(outcome - path.mean) <= 1.6449 * path.std
    assert within.mean() == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / outcome.size) + 0.01)
    hits = []
    for end in range(560, 739, 20):
        batch = forecaster.forecast(
            states, panel, session=_day(panel, end), as_of=as_of, horizons=(5, 20)
        ).forecasts
        for days in (5, 20):
            rows_of = batch[batch["horizon_days"] == days]
            total = panel.values[:, end + 1 : end + 1 + days].sum(axis=1)
            hits.append((total >= rows_of["q05"]) & (total <= rows_of["q95"]))
    assert np.mean(hits) == pytest.approx(0.9, abs=0.06)


def test_samossa_finds_a_swing_that_is_there(as_of):
    """On a swing with noise it beats drift by what the swing explains; on noise it loses little."""
    rng, count = np.random.default_rng(2), 1000
    swing = np.diff(0.2 * np.sin(np.arange(count) / 12), prepend=0.0)
    panel = _panel(
        {"swing": swing + 0.005 * rng.standard_normal(count), "noise": _noise(count, seed=6)}
    )
    forecaster = SamossaForecaster(policy=ForecastPolicy())
    states = forecaster.fit(panel, session=_day(panel, 599))
    path = forecaster.one_step(states, panel, first=600)
    error = np.mean((panel.values[:, 600:] - path.mean) ** 2, axis=1)
    drift = np.mean((panel.values[:, 600:] - states_mean(panel)) ** 2, axis=1)
    assert error[0] < 0.45 * drift[0]
    assert error[1] < 1.02 * drift[1]
    assert states[0].diagnostics["trust_1_day"] > 0.9
    assert states[1].diagnostics["trust_1_day"] < 0.9


def states_mean(panel: ReturnPanel) -> np.ndarray:
    """Drift of the fit window of the test above."""
    return panel.values[:, 96:600].mean(axis=1)[:, None]


def test_what_samossa_tells_about_a_fit(few, policy, as_of):
    """Rank, energy, residual tests and the alarm stand beside the forecast, plain and finite."""
    session = _day(few, -1)
    batch = _ask(SamossaForecaster(policy=policy), few, session, as_of)
    told = json.loads(batch.forecasts["diagnostics"][0])
    assert told["window_sessions"] == 21
    assert told["columns"] == 24
    assert 1 <= told["rank"] <= told["rank_by_energy"] <= 21
    assert 0.90 <= told["energy_explained"] <= 1.0
    assert 0.0 < told["ljung_box_p"] <= 1.0
    assert {"jarque_bera_passes", "cusum_up", "cusum_down", "changes_in_window"} <= set(told)
    assert told["growth_per_session"] <= 1.001


def test_samossa_by_page_and_by_hankel_agree_on_a_clean_swing(as_of):
    """Two matrices of one series: nearly the same forecast where there is hardly any noise."""
    count = 504
    series = np.diff(0.3 * np.sin(np.arange(count + 1) / 15)) + 1e-4 * _noise(count)
    panel = _panel({"AAA": series})
    means = []
    for kind in ("page", "hankel"):
        policy = SsaPolicy(matrix=kind, energy_share_min=0.999)
        forecaster = SamossaForecaster(policy=ForecastPolicy(), ssa=policy)
        means.append(_ask(forecaster, panel, _day(panel, -1), as_of).forecasts["mean"].to_numpy())
    truth = 0.3 * (np.sin((count + np.array(HORIZONS)) / 15) - np.sin(count / 15))
    # The drift line takes a little of a swing that does not end where it began.
    np.testing.assert_allclose(means[0], truth, atol=1e-2)
    np.testing.assert_allclose(means[1], truth, atol=1e-2)


def test_mssa_rl_tells_which_action_it_took_and_why(few, policy, as_of):
    """The action, the state it was taken in and what it was worth; the table is in the state."""
    forecaster, session = MssaRlForecaster(policy=policy), _day(few, -1)
    states = forecaster.fit(few, session=session)
    batch = _ask(forecaster, few, session, as_of, states)
    told = json.loads(batch.forecasts["diagnostics"][0])
    assert told["action"] in ACTIONS
    assert told["action_state"].startswith("change ")
    assert "error variance" in told["action_reason"] or "no other action" in told["action_reason"]
    assert told["cluster_size"] == len(told["cluster"].split(","))
    assert sum(name.startswith("q_") for name in states[0].params) == 36
    assert sum(states[0].params[f"visits_{place}"] for place in range(9)) > 500


def test_a_state_of_other_mssa_settings_is_refused(few, policy, as_of):
    """Its codes of states would not mean the same."""
    session = _day(few, -1)
    states = MssaRlForecaster(policy=policy).fit(few, session=session)
    other = MssaRlForecaster(policy=policy, mssa=MssaRlPolicy(error_high_ratio=2.0))
    with pytest.raises(DataError, match="made with other settings"):
        _ask(other, few, session, as_of, states)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"short_sessions": 252}, "below keep_sessions"),
        ({"high_energy_share_min": 0.9}, "must exceed"),
        ({"error_low_ratio": 2.0}, "must be below"),
        ({"shock_alpha": 0.1, "shock_beta": 0.9}, "never fades"),
        ({"window_sessions": 70}, "two windows"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings_, message):
    """At once, and in words."""
    with pytest.raises(ValueError, match=message):
        MssaRlPolicy(**settings_)


def test_without_a_year_to_rehearse_on_the_policy_keeps(few, as_of):
    """A fit window as long as the kept one leaves no sessions to learn from, and it says so."""
    policy = ForecastPolicy(fit_window_sessions=252)
    batch = _ask(MssaRlForecaster(policy=policy), few, _day(few, -1), as_of)
    told = [json.loads(text) for text in batch.forecasts["diagnostics"]]
    assert {entry["action"] for entry in told} == {"keep"}
    assert {entry["transitions"] for entry in told} == {0}
    assert "no other action has saved more than 2.5%" in told[0]["action_reason"]


def test_parameters_of_other_settings_are_not_kept_after_a_failed_fit(few):
    """They would be refused at night, and with them everybody's forecasts."""
    two, session = few.rows(("AAPL", "XOM")), _day(few, -1)
    other = MssaRlPolicy(error_high_ratio=2.0)
    before = MssaRlForecaster(policy=ForecastPolicy(), mssa=other).fit(two, session=session)
    hasty = MssaRlForecaster(policy=ForecastPolicy(fit_time_limit_s=1e-4))
    after = hasty.fit(two, session=session, start=start_params(before))
    assert [state.is_usable for state in after] == [False, False]
    assert {state.error for state in after} == {"TaskTimeoutError"}


def test_the_first_fit_of_a_fresh_process_is_that_of_a_warm_one_and_updates_import_little():
    """Libraries that load in mid-fit would sum in another order; the nightly step loads none."""
    code = """
import sys, datetime as dt, numpy as np
from quant.forecasting.mssa_rl import MssaRlForecaster
from quant.forecasting.samossa import SamossaForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import states_from_frame, states_to_frame
from quant.forecasting.returns import ReturnPanel
assert "scipy" not in sys.modules
days = np.datetime64("2022-01-03") + np.arange(504)
values = np.random.default_rng(7).standard_t(5, (2, 504)) / 100
panel = ReturnPanel(symbols=("A", "B"), sessions=days, values=values)
known = days[-1].item()
models = [model(policy=ForecastPolicy()) for model in (MssaRlForecaster, SamossaForecaster)]
if sys.argv[1:]:
    import pandas as pd
    for model, path in zip(models, sys.argv[1:]):
        states = states_from_frame(pd.read_json(path, dtype=False, convert_dates=False))
        batch = model.forecast(
            states, panel, session=known, as_of=dt.datetime.now(dt.UTC), horizons=(1, 20))
        assert len(batch.forecasts) == 4, batch.failures
    heavy = {"scipy.signal", "scipy.linalg", "scipy.fft", "ruptures", "sklearn", "torch", "joblib"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
else:
    for model in models:
        first, second = (states_to_frame(model.fit(panel, session=known)) for _ in range(2))
        assert first["reason"].tolist() == ["", ""], first["reason"]
        for column in ("params", "diagnostics"):
            assert first[column].tolist() == second[column].tolist(), model
        print(first.astype(str).to_json())
"""
    fitted = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.json" for number in range(2)]
        for path, text in zip(paths, fitted, strict=True):
            path.write_text(text)
        subprocess.run([sys.executable, "-c", code, *map(str, paths)], check=True)
