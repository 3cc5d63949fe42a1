"""Hold-outs: figures by hand, no look-ahead, and quick enough for every night."""

import time

import numpy as np
import pytest

from quant.core.compute import single_threaded
from quant.core.errors import DataError
from quant.forecasting.forecast import Predictive
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.holdout import HOLDOUT_COLUMNS, HoldoutPath, compare, hold_out, roll
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.persistence import PersistenceForecaster
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.sarimax import SarimaxForecaster


def _path(model, mean) -> HoldoutPath:
    mean = np.array(mean, dtype=float)
    shape = {"std": np.ones_like(mean), "degrees_of_freedom": np.full_like(mean, np.inf)}
    return HoldoutPath(model=model, path=Predictive(mean=mean, **shape), silent={})


def test_the_figures_by_hand_count_only_cells_that_both_can_answer():
    """Outcomes 1, 3 and a gap; the model says 0, the baseline 1 and 1; C is not answered."""
    days = np.arange("2022-01-03", "2022-01-06", dtype="datetime64[D]")
    values = np.array([[1.0, 3.0, np.nan], [2.0, 2.0, 2.0]])
    panel = ReturnPanel(symbols=("A", "C"), sessions=days, values=values)
    model = _path("model", [[0, 0, 0], [np.nan] * 3])
    report = compare(model, _path("naive", np.ones((2, 3))), panel, sessions_count=3)
    first, second, pooled = report.rows.to_dict("records")
    assert tuple(first) == HOLDOUT_COLUMNS
    assert first["observations"] == pooled["observations"] == 2
    assert first["rmse"] == pytest.approx(np.sqrt((1 + 9) / 2))
    assert first["rmse_baseline"] == pytest.approx(np.sqrt((0 + 4) / 2))
    assert pooled["rmse_ratio"] == pytest.approx(np.sqrt(10 / 4))
    assert first["coverage_90"] == 0.5  # 1 lies within 1.645, 3 does not
    assert np.isnan(first["directional_accuracy"])  # a mean of zero claims nothing
    assert second["observations"] == 0
    assert np.isnan(second["rmse"])
    assert report.symbols_count == 1
    assert report.pooled["symbol"] == "*"


def test_two_hundred_and_fifty_sessions_of_twenty_stocks_take_seconds(stocks, policy):
    """Including the fit; the libraries are imported before the watch starts."""
    import arch  # noqa: F401  # imported for its cost alone
    import statsmodels.tsa.statespace.sarimax  # noqa: F401  # likewise

    for model in (SarimaxForecaster, GarchForecaster, NaiveForecaster, PersistenceForecaster):
        began = time.process_time()
        with single_threaded():
            report = hold_out(model(policy=policy), stocks, policy=policy)
        assert time.process_time() - began < 5.0
        assert report.pooled["observations"] == 5000
        assert report.symbols_count == 20
        assert not report.silent


def test_persistence_loses_by_about_the_root_of_two(stocks, policy):
    """Its error is that of a difference of two returns; everyone else stays near the drift."""
    ratios = {
        model.name: hold_out(model(policy=policy), stocks, policy=policy).pooled["rmse_ratio"]
        for model in (PersistenceForecaster, GarchForecaster, NaiveForecaster)
    }
    assert ratios["persistence"] == pytest.approx(np.sqrt(2), abs=0.1)
    assert ratios["garch"] == pytest.approx(1.0, abs=0.02)
    assert ratios["naive"] == 1.0


def test_the_first_refit_window_does_not_see_the_second(few, policy):
    """Rewriting the last five sessions leaves the forecasts of the five before alone."""
    rewritten = few.values.copy()
    rewritten[:, -5:] = 0.3
    tampered = ReturnPanel(symbols=few.symbols, sessions=few.sessions, values=rewritten)
    # An order with a lag, so that the changed sessions show in the next one's mean.
    model = SarimaxForecaster(policy=policy.model_copy(update={"sarimax_order": "fixed"}))
    one = roll(model, few, sessions_count=10, refit_every_sessions=5)
    other = roll(model, tampered, sessions_count=10, refit_every_sessions=5)
    np.testing.assert_array_equal(one.path.mean[:, :6], other.path.mean[:, :6])
    assert (one.path.mean[:, 6] != other.path.mean[:, 6]).all()


def test_a_refit_changes_parameters_at_its_session_and_not_before(few, policy):
    """Ten sessions in two halves: the first half is that of a single fit."""
    model = GarchForecaster(policy=policy)
    once = roll(model, few, sessions_count=10)
    twice = roll(model, few, sessions_count=10, refit_every_sessions=5)
    np.testing.assert_array_equal(once.path.std[:, :5], twice.path.std[:, :5])
    assert (once.path.std[:, 5] != twice.path.std[:, 5]).any()


def test_a_symbol_without_a_fit_is_named_and_not_counted(few, policy):
    """A newly listed stock has too few returns before the window."""
    values = few.values.copy()
    values[1, :-40] = np.nan
    panel = ReturnPanel(symbols=few.symbols, sessions=few.sessions, values=values)
    report = hold_out(SarimaxForecaster(policy=policy), panel, policy=policy, sessions_count=30)
    assert report.silent == {"GE": "has 10 returns in its window, needs 100"}
    assert report.symbols_count == 3


def test_a_window_longer_than_the_history_is_refused(few, policy):
    """The message says how long either is."""
    with pytest.raises(DataError, match="a hold-out of 2000 sessions needs more than the 1099"):
        hold_out(NaiveForecaster(policy=policy), few, policy=policy, sessions_count=2000)
