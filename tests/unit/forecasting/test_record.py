"""The record on a grid: the same numbers from scores and from forecasts, each on its session."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quant.forecasting.forecast import QUANTILE_COLUMNS
from quant.forecasting.record import record_grid, unscored_sessions
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.scoring import realise, score
from quant.market.panel import BarPanel

DAYS = np.arange("2022-10-03", "2022-10-08", dtype="datetime64[D]")
MODELS = ("garch", "naive")


@pytest.fixture
def panel() -> BarPanel:
    close = np.array([[100, 101, 103, 102, 99], [50, 50, 51, np.nan, 53]], dtype=float)
    empty = np.full(close.shape, np.nan)
    return BarPanel(
        symbols=("AAA", "BBB"),
        sessions=DAYS,
        open=empty,
        high=empty,
        low=empty,
        close=close,
        volume=empty,
    )


@pytest.fixture
def forecasts() -> pd.DataFrame:
    """Of both models, for both symbols, after every session that has a return."""
    rng = np.random.default_rng(0)
    rows = []
    for model in MODELS:
        for symbol in ("AAA", "BBB", "ZZZ"):
            for day in DAYS[1:]:
                quantiles = np.sort(rng.normal(0, 0.01, size=5))
                rows.append(
                    {
                        "symbol": symbol,
                        "session": day.item(),
                        "model": model,
                        "horizon_days": 1,
                        "mean": quantiles[2],
                        **dict(zip(QUANTILE_COLUMNS, quantiles, strict=True)),
                    }
                )
    return pd.DataFrame(rows)


def _scored(forecasts, panel) -> pd.DataFrame:
    table = score(forecasts, realise(forecasts, panel))
    return table.rename(columns={"session": "made_on", "realised_session": "session"})


def test_scores_and_forecasts_give_the_same_record_to_the_bit(panel, forecasts):
    """Whether a session was scored already or not, a night weighs it alike."""
    returns, scores = ReturnPanel.from_bars(panel), _scored(forecasts, panel)
    whole = record_grid(scores, forecasts, returns, models=MODELS)
    for kept in (scores.iloc[:0], scores[scores["session"] <= dt.date(2022, 10, 5)]):
        found = record_grid(kept, forecasts, returns, models=MODELS)
        np.testing.assert_array_equal(found.squared, whole.squared)
        np.testing.assert_array_equal(found.pinball, whole.pinball)
    # AAA has three outcomes, BBB one: its missing close takes two of its own.
    assert np.isfinite(whole.pinball).sum(axis=2).tolist() == [[3, 1], [3, 1]]


def test_a_loss_stands_on_the_session_that_brought_the_outcome(panel, forecasts):
    """The forecast made after the 4th meets the return of the 5th: log(103 / 101)."""
    grid = record_grid(
        pd.DataFrame(columns=["symbol", "session", "model", "squared_error", "pinball"]),
        forecasts,
        ReturnPanel.from_bars(panel),
        models=MODELS,
    )
    mean = forecasts.loc[forecasts["model"] == "garch", "mean"].iloc[0]
    assert grid.squared[0, 0, 1] == pytest.approx((np.log(103 / 101) - mean) ** 2)


def test_a_night_knows_the_outcomes_up_to_its_own_and_no_later_ones(panel, forecasts):
    """Prices and forecasts after the 5th are rewritten; the record of the 5th does not move."""
    returns = ReturnPanel.from_bars(panel)
    nothing = pd.DataFrame(columns=["symbol", "session", "model", "squared_error", "pinball"])
    limits = {"sessions_count": 3, "window_sessions": 4}
    told = record_grid(nothing, forecasts, returns, models=MODELS).known_on(
        dt.date(2022, 10, 5), **limits
    )
    later = returns.values.copy()
    later[:, 2:] = 7.0
    changed = forecasts.assign(
        mean=forecasts["mean"].where(forecasts["session"] < dt.date(2022, 10, 5), 9.0)
    )
    other = ReturnPanel(symbols=returns.symbols, sessions=returns.sessions, values=later)
    again = record_grid(nothing, changed, other, models=MODELS).known_on(
        dt.date(2022, 10, 5), **limits
    )
    for model in MODELS:
        np.testing.assert_array_equal(again.squared[model], told.squared[model])
    np.testing.assert_array_equal(again.returns, told.returns)
    assert told.returns.shape == (2, 2)


def test_sessions_without_scores_are_named(panel, forecasts):
    """Of the sessions that bring outcomes, one was scored."""
    scores = _scored(forecasts, panel)
    kept = scores[scores["session"] <= dt.date(2022, 10, 5)]
    missing = unscored_sessions(kept, DAYS[2:])
    assert missing.astype(str).tolist() == ["2022-10-06", "2022-10-07"]
