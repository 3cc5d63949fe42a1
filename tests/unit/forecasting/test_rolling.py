"""Rolling origins and the accuracy table: nothing from the future, and figures by hand."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.forecasting.accuracy_table import accuracy_table, common_forecasts
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.persistence import PersistenceForecaster
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.rolling import combine_origins, roll_origins
from quant.forecasting.trailing import TrailingModel

ORIGINS, HORIZONS = [600, 630, 660], (1, 5)


def _as_of(session: dt.date) -> dt.datetime:
    return dt.datetime.combine(session, dt.time(22), tzinfo=dt.UTC)


def _roll(model: TrailingModel, panel: ReturnPanel):
    return roll_origins(model, panel, origins=ORIGINS, until=690, horizons=HORIZONS, as_of=_as_of)


def _combine(panel: ReturnPanel, policy):
    rolled = {
        "naive": _roll(NaiveForecaster(policy=policy), panel),
        "persistence": _roll(PersistenceForecaster(policy=policy), panel),
    }
    return combine_origins(rolled, panel, origins=ORIGINS, policy=policy, as_of=_as_of)


def test_an_origin_has_the_models_own_forecast_and_the_losses_up_to_the_next(few, policy):
    """Four stocks, three origins, two horizons; ninety sessions of one-day losses."""
    model = NaiveForecaster(policy=policy)
    rolled = _roll(model, few)
    assert (len(rolled.forecasts), rolled.failures) == (4 * 3 * 2, 0)
    session = few.sessions[630].item()
    known = few.until(session)
    alone = model.forecast(
        model.fit(known, session=session),
        known,
        session=session,
        as_of=_as_of(session),
        horizons=HORIZONS,
    ).forecasts
    there = rolled.forecasts[rolled.forecasts["session"] == session].reset_index(drop=True)
    pd.testing.assert_frame_equal(there, alone)
    days = rolled.losses["session"].unique()
    assert len(days) == 90
    assert days.min() == few.sessions[601]
    first = rolled.losses[rolled.losses["symbol"] == "GE"].iloc[0]
    row = few.symbols.index("GE")
    mean = few.values[row, 600 - 251 : 601].mean()
    assert first["squared_error"] == pytest.approx((few.values[row, 601] - mean) ** 2)


def test_the_future_cannot_change_an_ensemble_of_the_past(few, policy):
    """Returns after the second origin are rewritten; two origins stay, the third does not."""
    told, weights = _combine(few, policy)
    values = few.values.copy()
    values[:, 631:] = 0.03 * np.sign(values[:, 631:])
    other = ReturnPanel(symbols=few.symbols, sessions=few.sessions, values=values)
    again, weights_again = _combine(other, policy)
    past = told["session"] <= few.sessions[630].item()
    assert past.sum() == 4 * 2 * 2
    pd.testing.assert_frame_equal(again[past], told[past], check_exact=True)
    assert (again.loc[~past, "std"] != told.loc[~past, "std"]).all()
    early = weights["session"] <= few.sessions[630].item()
    pd.testing.assert_frame_equal(weights_again[early], weights[early], check_exact=True)


def test_a_bad_model_loses_its_weight_once_its_losses_are_known(few, policy):
    """Persistence has no record at the first origin, and a bad one at the third."""
    _, weights = _combine(few, policy)
    rows = weights[(weights["model"] == "persistence") & (weights["part"] == "volatility")]
    by_session = rows.groupby("session")["weight"].mean().tolist()
    assert by_session[0] == pytest.approx(0.5 * 0.95)
    assert by_session[2] < 0.01


def _scores() -> pd.DataFrame:
    """Two symbols, three sessions; "late" misses the first session of BBB."""
    rows = []
    for model, scale in (("naive", 2.0), ("better", 1.0), ("late", 3.0)):
        for place, session in enumerate(pd.date_range("2020-01-01", periods=3).date):
            for symbol in ("AAA", "BBB"):
                if model == "late" and symbol == "BBB" and place == 0:
                    continue
                loss = scale * (1.0 + place)
                rows.append(
                    {
                        "model": model,
                        "symbol": symbol,
                        "session": session,
                        "horizon_days": 1,
                        "squared_error": loss**2,
                        "absolute_error": loss,
                        "pinball": loss / 10,
                        "in_50": symbol == "AAA",
                        "in_90": True,
                    }
                )
    return pd.DataFrame(rows)


def test_only_forecasts_that_every_model_made_are_compared():
    """Five of the six cells."""
    common = common_forecasts(_scores())
    assert common.groupby("model").size().to_dict() == {"better": 5, "late": 5, "naive": 5}


def test_the_figures_of_the_table_by_hand():
    """Losses 1, 2, 2, 3, 3 times the model's scale, over the five common cells."""
    table = accuracy_table(_scores(), overlaps={1: 1}).set_index("model")
    assert table.index.tolist() == ["better", "naive", "late"]
    better = table.loc["better"]
    assert better["count"] == 5
    assert better["rmse"] == pytest.approx((27 / 5) ** 0.5)
    assert better["mae"] == pytest.approx(11 / 5)
    assert better["coverage_50"] == pytest.approx(3 / 5)
    assert (better["rmse_ratio"], better["pinball_ratio"]) == pytest.approx((0.5, 0.5))
    # Differences by session -0.1, -0.2, -0.3: t = -0.2 / (0.1 / sqrt 3), two degrees of freedom.
    assert better["pinball_p_value"] == pytest.approx(0.0741799, abs=1e-6)
    assert np.isnan(table.loc["naive", "pinball_p_value"])
    few = accuracy_table(_scores(), overlaps={1: 2})
    assert few["pinball_p_value"].isna().all()


def test_a_table_without_its_yardstick_is_refused():
    """Nothing to compare with."""
    scores = _scores()
    with pytest.raises(DataError, match="no forecast that all models made, naive included"):
        accuracy_table(scores[scores["model"] != "naive"], overlaps={1: 1})
