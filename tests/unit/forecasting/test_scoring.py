"""Scores by hand, and what is left out."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.forecasting.regimes import regimes_on
from quant.forecasting.scoring import (
    SCORE_COLUMNS,
    aggregate,
    night_figures,
    pit_histogram,
    realise,
    score,
)
from quant.market.panel import BarPanel

DAYS = np.array(["2022-12-22", "2022-12-23", "2022-12-27", "2022-12-28"], dtype="datetime64[D]")
FIRST = dt.date(2022, 12, 22)
# mean, q05, q25, q50, q75, q95
NUMBERS = {"mean": 0.01, "q05": -0.03, "q25": -0.01, "q50": 0.01, "q75": 0.03, "q95": 0.05}


def _forecasts(**columns) -> pd.DataFrame:
    base = {"symbol": "AAA", "session": FIRST, "model": "naive", "horizon_days": 1, "std": 0.02}
    return pd.DataFrame([{**base, **NUMBERS, **columns}])


def _bars(closes) -> BarPanel:
    close = np.array([closes], dtype=float)
    empty = np.full(close.shape, np.nan)
    return BarPanel(
        symbols=("AAA",),
        sessions=DAYS,
        open=empty,
        high=empty,
        low=empty,
        close=close,
        volume=empty,
    )


def _realised(value: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": ["AAA"],
            "session": [FIRST],
            "horizon_days": [1],
            "realised_session": [dt.date(2022, 12, 23)],
            "realised": [value],
            "usual_change": [0.02],
            "regime": ["calm"],
        }
    )


def test_a_forecast_meets_the_close_of_its_horizon():
    """Two sessions on from the 22nd lies the 27th: 100 to 121."""
    found = realise(_forecasts(horizon_days=2), _bars([100, 110, 121, 121]))
    assert found["realised_session"].tolist() == [dt.date(2022, 12, 27)]
    assert found["realised"].tolist() == pytest.approx([np.log(1.21)])


@pytest.mark.parametrize(
    ("columns", "closes"),
    [
        ({"horizon_days": 4}, [100, 110, 121, 121]),  # not over yet
        ({"horizon_days": 2}, [100, 110, np.nan, 121]),  # the close is missing
        ({"symbol": "ZZZ"}, [100, 110, 121, 121]),  # no such symbol
        ({"session": dt.date(2022, 12, 26)}, [100, 110, 121, 121]),  # no such session
    ],
)
def test_what_has_no_outcome_is_absent_and_never_zero(columns, closes):
    """Four ways of not knowing."""
    assert realise(_forecasts(**columns), _bars(closes)).empty


def test_every_score_of_one_forecast_by_hand():
    """Forecast 1 %, outcome 4 %: above the 75 % quantile, inside the 90 % interval."""
    (row,) = score(_forecasts(), _realised(0.04)).to_dict("records")
    assert tuple(row) == SCORE_COLUMNS
    assert row["error"] == pytest.approx(0.03)
    assert row["squared_error"] == pytest.approx(0.0009)
    assert row["absolute_error"] == pytest.approx(0.03)
    assert row["scaled_error"] == pytest.approx(1.5)  # 3 % where 2 % is a usual day
    assert row["regime"] == "calm"
    # On a price of 100: |e^0.01 - e^0.04| * 200 / (100 e^0.01 + 100 e^0.04).
    low, high = 100 * np.exp(0.01), 100 * np.exp(0.04)
    assert row["symmetric_error"] == pytest.approx(2 * (high - low) / (high + low))
    assert (row["in_50"], row["in_90"]) == (False, True)
    # Half way from the 75 % to the 95 % quantile in normal scores: (0.6745 + 1.6449) / 2.
    assert row["pit"] == pytest.approx(0.876909, abs=1e-6)
    assert row["pinball_q05"] == pytest.approx(0.05 * 0.07)
    assert row["pinball_q25"] == pytest.approx(0.25 * 0.05)
    assert row["pinball_q50"] == pytest.approx(0.50 * 0.03)
    assert row["pinball_q75"] == pytest.approx(0.75 * 0.01)
    assert row["pinball_q95"] == pytest.approx(0.05 * 0.01)
    assert row["pinball"] == pytest.approx((0.0035 + 0.0125 + 0.015 + 0.0075 + 0.0005) / 5)
    assert row["direction_hit"] == 1.0


@pytest.mark.parametrize(
    ("mean", "outcome", "expected"),
    [(0.01, 0.02, 1.0), (0.01, -0.02, 0.0), (0.01, 0.0, np.nan), (0.0, 0.02, np.nan)],
)
def test_a_direction_counts_only_where_there_was_one(mean, outcome, expected):
    """A price that stood still makes nobody right."""
    found = score(_forecasts(mean=mean), _realised(outcome))["direction_hit"]
    np.testing.assert_array_equal(found, [expected])


def test_pooled_figures_by_hand():
    """Errors 3 % and -4 %: rmse 3.54 %, mae 3.5 %, one of two directions right."""
    both = pd.concat([score(_forecasts(), _realised(value)) for value in (0.04, -0.03)])
    (row,) = aggregate(both).to_dict("records")
    assert (row["model"], row["horizon_days"], row["count"]) == ("naive", 1, 2)
    assert row["bias"] == pytest.approx(-0.005)
    assert row["rmse"] == pytest.approx(np.sqrt((0.0009 + 0.0016) / 2))
    assert row["mae"] == pytest.approx(0.035)
    assert row["mase"] == pytest.approx(1.75)
    assert row["pit_mean"] == pytest.approx((0.876909 + 0.05) / 2, abs=1e-6)
    assert row["pit_deviation"] == pytest.approx((0.876909 - 0.05) / 2, abs=1e-6)
    assert row["tracking_error"] == pytest.approx(0.035)  # +3.5 and -3.5 % about the bias
    assert row["smape"] == pytest.approx(np.tanh(0.015) + np.tanh(0.02))
    assert row["pinball"] == pytest.approx((0.0078 + 0.0108) / 2)
    assert row["directional_accuracy"] == 0.5
    assert (row["coverage_50"], row["coverage_90"]) == (0.0, 1.0)
    with pytest.raises(DataError, match="no scores to pool"):
        aggregate(both.iloc[:0])


def test_a_calibrated_forecast_fills_every_slice_alike():
    """Ten thousand outcomes drawn from the forecast itself; shares within three deviations."""
    outcomes = np.random.default_rng(5).normal(0.01, 0.0296523, 10_000)  # q75 - q50 is 0.02
    days = pd.date_range("1990-01-01", periods=len(outcomes)).date
    forecasts = pd.concat([_forecasts(q05=-0.0387736, q95=0.0587736)] * len(outcomes))
    forecasts["session"] = days
    realised = pd.DataFrame(
        {
            "symbol": "AAA",
            "session": days,
            "horizon_days": 1,
            "realised_session": days,
            "realised": outcomes,
            "usual_change": 0.02,
            "regime": "normal",
        }
    )
    scores = score(forecasts, realised)
    shares = pit_histogram(scores).to_numpy()[0]
    assert shares.sum() == pytest.approx(1.0)
    assert np.abs(shares - 0.1).max() < 3 * np.sqrt(0.1 * 0.9 / 10_000)
    assert scores["in_90"].mean() == pytest.approx(0.9, abs=0.01)


def test_the_usual_change_is_of_the_year_before_and_of_the_same_horizon():
    """Log closes 0, 1, 1, 4: one-day changes up to the third day are 1 and 0."""
    bars = _bars(np.exp([0.0, 1.0, 1.0, 4.0]))
    asked = pd.concat([_forecasts(session=DAYS[2].item()), _forecasts(session=DAYS[1].item())])
    found = realise(asked, bars).set_index("session")["usual_change"]
    assert found[DAYS[2].item()] == pytest.approx(0.5)
    assert found[DAYS[1].item()] == pytest.approx(1.0)
    two = realise(_forecasts(session=DAYS[1].item(), horizon_days=2), bars)
    assert np.isnan(two["usual_change"].iloc[0])


def test_an_error_has_no_scale_where_the_price_had_not_moved():
    """Unknown, and not infinite."""
    still = score(_forecasts(), _realised(0.04).assign(usual_change=0.0))
    assert np.isnan(still["scaled_error"].iloc[0])


def test_regimes_are_thirds_of_a_symbols_own_past():
    """Volatility that rises every month is always at its wildest; one that falls at its calmest."""
    months = np.repeat(np.arange(1, 31), 21) * 0.001
    signs = np.where(np.arange(len(months)) % 2, 1.0, -1.0)
    rows = np.stack([months * signs, months[::-1] * signs, np.full(len(months), np.nan)])
    assert regimes_on(rows, [629])[:, 0].tolist() == ["wild", "calm", "unknown"]
    # After 271 returns there are 251 monthly volatilities, one fewer than needed.
    assert regimes_on(rows, [270, 271])[0].tolist() == ["unknown", "wild"]


def test_a_third_of_the_days_of_real_stocks_is_of_each_regime(stocks):
    """Not exactly: each day is placed in the two years before it."""
    labels = regimes_on(stocks.values, range(600, 1099))
    shares = [(labels == name).mean() for name in ("calm", "normal", "wild")]
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0.2


def test_the_future_cannot_change_a_regime(stocks):
    """Returns after the day are rewritten."""
    changed = stocks.values.copy()
    changed[:, 801:] = 0.5
    for places in ([800], [750, 800]):
        np.testing.assert_array_equal(
            regimes_on(changed, places), regimes_on(stocks.values, places)
        )


def test_a_trackers_figures_are_named_by_horizon_and_regime():
    """Two forecasts of one model, one calm and one wild."""
    wild = _realised(-0.03).assign(regime="wild")
    both = pd.concat([score(_forecasts(), _realised(0.04)), score(_forecasts(), wild)])
    figures = night_figures(both)
    assert figures["rmse_h1"] == pytest.approx(np.sqrt((0.0009 + 0.0016) / 2))
    assert figures["pinball_h1_calm"] == pytest.approx(0.0078)
    assert figures["pinball_h1_wild"] == pytest.approx(0.0108)
    assert figures["coverage_90_h1_wild"] == 1.0
    assert "directional_accuracy_h1_calm" not in figures
