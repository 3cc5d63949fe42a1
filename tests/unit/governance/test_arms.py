"""What the two sides of the regime flag would have forecast, worked out by hand and in bulk."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.governance.arms import regime_arm

FIRST = dt.date(2022, 1, 3)


def scored(errors: dict[str, np.ndarray], regimes: np.ndarray, symbols: int = 1) -> pd.DataFrame:
    """Rows as the store has them; errors are (sessions, symbols)."""
    return pd.DataFrame(
        {
            "session": FIRST + dt.timedelta(days=day),
            "symbol": f"S{place}",
            "model": model,
            "horizon_days": 1,
            "error": values[day, place],
            "regime": regimes[day],
        }
        for model, values in errors.items()
        for day in range(len(values))
        for place in range(symbols)
    )


def test_weights_are_inverse_squared_errors_of_the_sessions_before():
    """Errors of 1 and 2 for sixty sessions: the weights are 4/5 and 1/5, and equal before that."""
    errors = {"a": np.ones((62, 1)), "b": np.full((62, 1), 2.0)}
    found = regime_arm(
        scored(errors, np.full(62, "calm")), name="x", models=("a", "b"), knows_regimes=False
    )
    assert found["error"].tolist() == pytest.approx([1.5] * 60 + [1.2] * 2)
    assert found["squared_error"].iloc[-1] == pytest.approx(1.44)


def test_the_side_that_knows_regimes_trusts_each_model_where_it_was_right():
    """One model is right on calm days, the other on wild ones; over all days they are equal."""
    rng = np.random.default_rng(4)
    regimes = rng.choice(["calm", "wild"], 400)
    noise = rng.normal(size=(2, 400, 5))
    is_calm = (regimes == "calm")[:, None]
    errors = {
        "a": noise[0] * np.where(is_calm, 0.2, 1.0),
        "b": noise[1] * np.where(is_calm, 1.0, 0.2),
    }
    rows = scored(errors, regimes, symbols=5)
    sides = {
        side: regime_arm(rows, name="x", models=("a", "b"), knows_regimes=side).tail(1_000)
        for side in (False, True)
    }
    rmse = {side: frame["squared_error"].mean() ** 0.5 for side, frame in sides.items()}
    assert rmse[True] < 0.5 * rmse[False]


def test_what_happens_later_changes_no_earlier_forecast():
    rng = np.random.default_rng(5)
    errors = {name: rng.normal(size=(200, 3)) for name in ("a", "b")}
    regimes = rng.choice(["calm", "normal", "wild"], 200)
    later = {name: values.copy() for name, values in errors.items()}
    for values in later.values():
        values[150:] *= 7.0
    made = [
        regime_arm(scored(one, regimes, symbols=3), name="x", models=("a", "b"), knows_regimes=True)
        for one in (errors, later)
    ]
    first = [frame["error"].to_numpy()[: 150 * 3] for frame in made]
    np.testing.assert_array_equal(first[0], first[1])


def test_a_model_without_scores_is_named():
    rows = scored({"a": np.ones((5, 1))}, np.full(5, "calm"))
    with pytest.raises(DataError, match="b has no one-day scores"):
        regime_arm(rows, name="x", models=("a", "b"), knows_regimes=False)
