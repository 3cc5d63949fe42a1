"""Features as regressors of SARIMAX: what a model sees is what the feature store holds."""

import numpy as np

from assets.history import histories
from assets.model.zoo import build_model
from resources.desk import Desk
from tests.support.small_home import NIGHTS

NAMES = ("rsi_14_percent", "roc_10_percent")


def test_a_model_sees_the_stored_features_and_fits_on_them(own_home):
    """Two indicators are named in the policy; the last night's values are those of the store."""
    path = own_home.config_dir / "forecasts.yaml"
    named = f"sarimax_regressors: [{', '.join(NAMES)}]\n"
    path.write_text(path.read_text(encoding="utf-8") + named, encoding="utf-8")
    with Desk(own_home) as desk:
        (history,) = histories(desk, [NIGHTS[-1]])
        returns = history.returns
        stored = desk.warehouse.rows(
            f"SELECT symbol, {', '.join(NAMES)} FROM feature.daily_features WHERE session = ?",
            [NIGHTS[-1]],
        )
        beside = returns.regressors
        assert beside is not None
        assert beside.names == NAMES
        for symbol, *values in stored:
            seen = beside.values[:, returns.symbols.index(symbol), -1]
            np.testing.assert_array_equal(seen, values)
        (state, *_) = build_model(desk, "sarimax").fit(returns, session=NIGHTS[-1])
    assert state.diagnostics["regressors"] == ", ".join(NAMES)
