"""The decision forecast: whose numbers count how much, and the record of the way there."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quant.forecasting.combine import Combination, combine
from quant.forecasting.ensemble_paths import combine_paths
from quant.forecasting.ensemble_policy import EnsemblePolicy
from quant.forecasting.forecast import (
    ForecastBatch,
    ForecastFailure,
    Predictive,
    Provenance,
    build_batch,
    chain_from_json,
)
from quant.forecasting.scoring import pinball_loss
from quant.forecasting.weighting import Record

SESSION = dt.date(2022, 12, 28)
AS_OF = dt.datetime(2022, 12, 28, 22, tzinfo=dt.UTC)
SYMBOLS = ("AAA", "BBB")
FITTED = {"sarimax": dt.date(2022, 12, 20), "garch": dt.date(2022, 12, 21), "naive": SESSION}
# Nothing is pulled to naive drift and nothing capped, so that equal odds are equal weights.
PLAIN = EnsemblePolicy(
    mean_naive_share_min=0.0,
    mean_naive_share_max=0.0,
    volatility_naive_share=0.0,
    weight_max=1.0,
)


def _batch(model: str, mean: float, std: float, *, symbols=SYMBOLS, horizons=(1, 5), nu=np.inf):
    shape = (len(symbols), len(horizons))
    days = np.asarray(horizons, dtype=float)
    return build_batch(
        Predictive(
            mean=np.ones(shape) * mean * days,
            std=np.ones(shape) * std * np.sqrt(days),
            degrees_of_freedom=np.full(shape, nu),
        ),
        [
            Provenance(
                symbol=s, fit_as_of=FITTED[model], params_hash=f"{model}-{s}", diagnostics={}
            )
            for s in symbols
        ],
        model=model,
        session=SESSION,
        as_of=AS_OF,
        horizons=horizons,
    )


def _failed(model: str, symbol: str, reason: str) -> ForecastFailure:
    return ForecastFailure(
        symbol=symbol, session=SESSION, as_of=AS_OF, model=model, error="ModelError", reason=reason
    )


@pytest.fixture
def batches():
    return {
        "sarimax": _batch("sarimax", 0.002, 0.05),
        "garch": _batch("garch", 0.001, 0.02),
        "naive": _batch("naive", 0.0005, 0.03),
    }


def _combine(batches, symbols=SYMBOLS, policy=PLAIN, **rest) -> Combination:
    return combine(batches, symbols=symbols, session=SESSION, as_of=AS_OF, policy=policy, **rest)


def _without(batch: ForecastBatch, symbol: str, failure: ForecastFailure) -> ForecastBatch:
    rows = batch.forecasts[batch.forecasts["symbol"] != symbol]
    return ForecastBatch(forecasts=rows.reset_index(drop=True), failures=(failure,))


def test_without_evidence_three_models_are_averaged_alike(batches):
    """By hand: means 0.2, 0.1 and 0.05 %, deviations 5, 2 and 3 %, a third of each."""
    one, five = _combine(batches).batch.values()[:2]
    assert (one.mean, one.std, one.horizon_days) == pytest.approx((0.0035 / 3, 0.1 / 3, 1))
    assert one.q95 == pytest.approx(0.0035 / 3 + 0.1 / 3 * 1.6448536)
    assert five.q50 == pytest.approx(5 * 0.0035 / 3)
    assert one.fit_as_of == FITTED["sarimax"]  # the oldest of the three
    assert one.diagnostics["mean_rule"] == one.diagnostics["volatility_rule"] == "ensemble"
    assert one.diagnostics["mean_weight_garch"] == pytest.approx(1 / 3)
    assert [(link.part, link.model, link.outcome) for link in one.fallback_chain] == [
        ("mean", "ensemble", "used"),
        ("volatility", "ensemble", "used"),
    ]
    assert "garch 0.33" in one.fallback_chain[0].reason


def test_naive_drift_keeps_most_of_the_mean_of_a_random_walk(batches):
    """The shipped policy: three quarters of the mean, a twentieth of the volatility."""
    forecast = _combine(batches, policy=EnsemblePolicy()).batch.values()[0]
    assert forecast.diagnostics["mean_weight_naive"] == pytest.approx(0.75 + 0.25 / 3)
    assert forecast.diagnostics["volatility_weight_naive"] == pytest.approx(0.05 + 0.95 / 3)
    assert forecast.diagnostics["mean_model"] == "naive"


def test_quantiles_are_averaged_each_so_that_shapes_are_kept(batches):
    """A fat-tailed model of the same deviation moves the outer quantiles and not the deviation."""
    batches = {
        "garch": _batch("garch", 0.0, 0.02, nu=4.0),
        "naive": _batch("naive", 0.0, 0.02),
    }
    one = _combine(batches).batch.values()[0]
    garch, naive = (batch.values()[0] for batch in batches.values())
    assert one.std == pytest.approx(0.02)
    for level in ("q05", "q25", "q75", "q95"):
        expected = (getattr(garch, level) + getattr(naive, level)) / 2
        assert getattr(one, level) == pytest.approx(expected)


def test_an_average_of_quantiles_keeps_calibration_where_a_mixture_would_be_too_wide():
    """Two models see halves of the truth: each is calibrated, their 90 % interval must not grow.

    Outcomes are a + b + noise; one model knows a, the other b. Both intervals cover 90 %. The
    average of the quantiles is centred better than each and as wide, so it covers at least that;
    the mixture's deviation, which adds the models' disagreement, is larger than the models' own.
    """
    rng = np.random.default_rng(8)
    a, b, noise = rng.normal(size=(3, 20_000))
    outcome = a + b + noise
    own = np.sqrt(2.0)
    mean, std = (a + b) / 2, own
    inside = np.abs(outcome - mean) <= 1.6448536 * std
    mixture = np.sqrt(own**2 + ((a - b) / 2) ** 2)
    assert 0.90 <= inside.mean() < (np.abs(outcome - mean) <= 1.6448536 * mixture).mean()


def test_one_failed_symbol_falls_back_alone_and_the_chain_says_why(batches):
    """GARCH did not converge for BBB; the others share its part, and nothing else changes."""
    batches["garch"] = _without(
        batches["garch"], "BBB", _failed("garch", "BBB", "did not converge: flag 4")
    )
    found = _combine(batches)
    frame = found.batch.forecasts
    assert frame["symbol"].tolist() == ["AAA", "AAA", "BBB", "BBB"]
    assert frame["std"].tolist()[2:] == pytest.approx([0.04, 0.04 * 5**0.5])
    assert frame["std"].tolist()[0] == pytest.approx(0.1 / 3)
    link, used = chain_from_json(frame["fallback_chain"][2])[2:]
    assert (link.part, link.model, link.outcome) == ("volatility", "garch", "failed")
    assert link.reason == "ModelError: did not converge: flag 4"
    assert (used.model, used.outcome) == ("ensemble", "used")
    assert len(chain_from_json(frame["fallback_chain"][0])) == 2
    row = found.weights.set_index(["symbol", "part", "model"]).loc[("BBB", "mean", "garch")]
    assert (row["weight"], row["reason"]) == (0.0, "ModelError: did not converge: flag 4")


def test_the_chain_is_ensemble_then_single_model_then_naive_drift(batches):
    """AAA has everyone, BBB only GARCH, CCC only naive drift; each rung is written down."""
    asked = ("sarimax", "garch", "naive")
    batches = {
        "garch": _batch("garch", 0.001, 0.02, symbols=("AAA", "BBB")),
        "naive": _batch("naive", 0.0005, 0.03, symbols=("AAA", "CCC")),
    }
    found = _combine(batches, ("AAA", "BBB", "CCC"), models=asked).batch.values()[::2]
    rules = [forecast.diagnostics["volatility_rule"] for forecast in found]
    assert rules == ["ensemble", "single model", "naive drift"]
    assert [f.std for f in found] == pytest.approx([0.025, 0.02, 0.03])
    chain = [(link.model, link.outcome, link.reason) for link in found[2].fallback_chain[:4]]
    assert chain == [
        ("sarimax", "failed", "did not run"),
        ("garch", "failed", "gave no usable forecast"),
        ("ensemble", "failed", "only naive answered"),
        ("naive", "used", ""),
    ]


def test_a_symbol_nobody_can_forecast_is_a_failure_that_names_everybody(batches):
    """CCC is in no batch."""
    batches["naive"] = ForecastBatch(
        forecasts=batches["naive"].forecasts,
        failures=(_failed("naive", "CCC", "has 3 returns in its window, needs 20"),),
    )
    found = _combine(batches, (*SYMBOLS, "CCC"))
    assert set(found.batch.forecasts["symbol"]) == set(SYMBOLS)
    (failure,) = found.batch.failures
    assert (failure.symbol, failure.model, failure.error) == ("CCC", "combined", "ModelError")
    assert "sarimax: gave no usable forecast" in failure.reason
    assert "naive: ModelError: has 3 returns" in failure.reason
    assert (found.weights.loc[found.weights["symbol"] == "CCC", "weight"] == 0).all()
    assert _combine({}, ("CCC",)).batch.forecasts.empty


def test_a_number_that_is_not_finite_or_a_missing_horizon_is_not_used(batches):
    """A model that answers in part does not answer."""
    broken = batches["sarimax"].forecasts.copy()
    broken.loc[0, "mean"] = np.inf
    batches["sarimax"] = replace(batches["sarimax"], forecasts=broken)
    batches["garch"] = _batch("garch", 0.001, 0.02, horizons=(1,))
    first, *_ = _combine(batches).batch.values()
    assert first.diagnostics["mean_rule"] == "naive drift"
    assert first.diagnostics["volatility_rule"] == "naive drift"


def test_the_order_of_rows_and_stored_timestamps_do_not_matter(batches):
    """Read back from a store in another order and as timestamps, the outcome is the same."""
    expected = _combine(batches).batch.forecasts
    shuffled = {
        model: replace(
            batch,
            forecasts=batch.forecasts.iloc[::-1].assign(
                session=lambda frame: pd.to_datetime(frame["session"])
            ),
        )
        for model, batch in batches.items()
    }
    pd.testing.assert_frame_equal(_combine(shuffled).batch.forecasts, expected)
    assert json.loads(expected["diagnostics"][0])["mean_model"] == "sarimax"


def test_a_symbols_forecast_does_not_depend_on_who_else_is_asked(batches):
    """To the bit, or a replay of one symbol would differ from its night."""
    rng = np.random.default_rng(2)
    loss = {model: rng.uniform(0.5, 1.5, size=(2, 40)) for model in batches}
    returns = rng.normal(0, 0.01, size=(2, 300))

    def night(rows: list[int]) -> pd.DataFrame:
        record = Record(
            squared={model: values[rows] for model, values in loss.items()},
            pinball={model: values[rows] for model, values in loss.items()},
            returns=returns[rows],
        )
        names = [SYMBOLS[row] for row in rows]
        found = _combine(batches, names, EnsemblePolicy(), record=record)
        return found.batch.forecasts.set_index(["symbol", "horizon_days"]).loc["BBB"]

    pd.testing.assert_frame_equal(night([1]), night([0, 1]), check_exact=True)
    pd.testing.assert_frame_equal(night([1, 0]), night([0, 1]), check_exact=True)


def _paths(rng, symbols=3, sessions=30):
    shape = (symbols, sessions)
    return {
        model: Predictive(
            mean=rng.normal(0, 0.001, size=shape),
            std=rng.uniform(0.01, 0.02, size=shape),
            degrees_of_freedom=np.full(shape, nu),
        )
        for model, nu in (("sarimax", np.inf), ("garch", 5.0), ("naive", np.inf))
    }


def test_the_future_cannot_change_the_weights_of_the_past():
    """Outcomes and forecasts from session 20 on are rewritten; sessions up to 20 do not move."""
    rng = np.random.default_rng(4)
    paths, outcomes = _paths(rng), rng.normal(0, 0.015, size=(3, 30))
    before = rng.normal(0, 0.015, size=(3, 300))
    told = combine_paths(paths, outcomes, before=before)

    changed = outcomes.copy()
    changed[:, 20:] = 0.3
    later = {
        model: replace(
            path, std=np.where(np.arange(30) > 20, path.std * 9, path.std), mean=path.mean
        )
        for model, path in paths.items()
    }
    again = combine_paths(later, changed, before=before)
    np.testing.assert_array_equal(again.mean[:, :21], told.mean[:, :21])
    np.testing.assert_array_equal(again.quantiles()[:, :21], told.quantiles()[:, :21])
    assert (again.std[:, 21:] != told.std[:, 21:]).all()


def test_a_hold_out_follows_the_rule_of_the_night_to_the_bit():
    """Session 25 of the paths, built again as a night with the losses of sessions 0 to 24."""
    rng = np.random.default_rng(6)
    paths, outcomes = _paths(rng), rng.normal(0, 0.015, size=(3, 30))
    before = rng.normal(0, 0.015, size=(3, 504))
    held_out = combine_paths(paths, outcomes, before=before)

    symbols = ("AAA", "BBB", "CCC")
    batches = {
        model: build_batch(
            Predictive(
                mean=path.mean[:, [25]],
                std=path.std[:, [25]],
                degrees_of_freedom=path.degrees_of_freedom[:, [25]],
            ),
            [
                Provenance(symbol=s, fit_as_of=SESSION, params_hash="x", diagnostics={})
                for s in symbols
            ],
            model=model,
            session=SESSION,
            as_of=AS_OF,
            horizons=(1,),
        )
        for model, path in paths.items()
    }
    record = Record(
        squared={m: (outcomes - p.mean)[:, :25] ** 2 for m, p in paths.items()},
        pinball={
            m: pinball_loss(outcomes, p.quantiles()).mean(axis=-1)[:, :25] for m, p in paths.items()
        },
        returns=np.concatenate([before, outcomes], axis=1)[:, 25:529],
    )
    night = _combine(batches, symbols, EnsemblePolicy(), record=record).batch.forecasts
    assert night["mean"].tolist() == held_out.mean[:, 25].tolist()
    assert night["std"].tolist() == held_out.std[:, 25].tolist()
    np.testing.assert_allclose(night["q05"], held_out.quantiles()[:, 25, 0], rtol=1e-14)


def test_a_path_without_any_answer_has_none():
    """SARIMAX is silent on the second session, GARCH on the first, and all on the third."""

    def path(mean, std):
        return Predictive(
            mean=np.array([mean]), std=np.array([std]), degrees_of_freedom=np.full((1, 3), np.inf)
        )

    combined = combine_paths(
        {
            "sarimax": path([0.1, np.nan, np.nan], [1.0, 1.0, 1.0]),
            "garch": path([0.2, 0.2, 0.2], [0.0, 2.0, 0.0]),
            "naive": path([0.3, 0.3, np.nan], [3.0, 3.0, 3.0]),
        },
        np.zeros((1, 3)),
        before=np.zeros((1, 10)),
        policy=PLAIN,
    )
    assert combined.mean[0, :2].tolist() == pytest.approx([0.2, 0.25])
    assert combined.std[0, :2].tolist() == pytest.approx([2.0, 2.5])
    assert np.isnan(combined.mean[0, 2])
    assert np.isnan(combined.quantiles()[0, 2]).all()
