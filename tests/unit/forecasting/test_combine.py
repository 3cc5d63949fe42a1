"""The decision forecast: whose mean, whose volatility, and the record of the way there."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quant.forecasting.combine import combine, combine_paths
from quant.forecasting.forecast import (
    ForecastBatch,
    ForecastFailure,
    Predictive,
    Provenance,
    build_batch,
    chain_from_json,
)

SESSION = dt.date(2022, 12, 28)
AS_OF = dt.datetime(2022, 12, 28, 22, tzinfo=dt.UTC)
SYMBOLS = ("AAA", "BBB")
FITTED = {"sarimax": dt.date(2022, 12, 20), "garch": dt.date(2022, 12, 21), "naive": SESSION}


def _batch(model: str, mean: float, std: float, *, symbols=SYMBOLS, horizons=(1, 5)):
    shape = (len(symbols), len(horizons))
    days = np.asarray(horizons, dtype=float)
    return build_batch(
        Predictive(
            mean=np.ones(shape) * mean * days,
            std=np.ones(shape) * std * np.sqrt(days),
            degrees_of_freedom=np.full(shape, np.inf),
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


def _combine(batches, symbols=SYMBOLS) -> ForecastBatch:
    return combine(batches, symbols=symbols, session=SESSION, as_of=AS_OF)


def _without(batch: ForecastBatch, symbol: str, failure: ForecastFailure) -> ForecastBatch:
    rows = batch.forecasts[batch.forecasts["symbol"] != symbol]
    return ForecastBatch(forecasts=rows.reset_index(drop=True), failures=(failure,))


def test_the_mean_is_sarimax_and_the_distribution_around_it_is_garch(batches):
    """Quantiles move with the mean and keep their distances."""
    one, five = _combine(batches).values()[:2]
    assert (one.mean, one.std, one.horizon_days) == pytest.approx((0.002, 0.02, 1))
    assert one.q95 == pytest.approx(0.002 + 0.02 * 1.6448536)
    assert five.q50 == pytest.approx(0.010)
    assert one.fit_as_of == FITTED["sarimax"]  # the older of the two
    assert one.diagnostics == {
        "mean_model": "sarimax",
        "mean_params_hash": "sarimax-AAA",
        "volatility_model": "garch",
        "volatility_params_hash": "garch-AAA",
    }
    assert [(link.part, link.model, link.outcome) for link in one.fallback_chain] == [
        ("mean", "sarimax", "used"),
        ("volatility", "garch", "used"),
    ]


def test_one_failed_symbol_falls_back_alone_and_the_chain_says_why(batches):
    """GARCH did not converge for BBB; its volatility is the naive one, and nothing else changes."""
    batches["garch"] = _without(
        batches["garch"], "BBB", _failed("garch", "BBB", "did not converge: flag 4")
    )
    frame = _combine(batches).forecasts
    assert frame["symbol"].tolist() == ["AAA", "AAA", "BBB", "BBB"]
    assert frame["std"].tolist() == pytest.approx([0.02, 0.02 * 5**0.5, 0.03, 0.03 * 5**0.5])
    assert frame["mean"].tolist() == pytest.approx([0.002, 0.01, 0.002, 0.01])
    link = chain_from_json(frame["fallback_chain"][2])[1]
    assert (link.part, link.model, link.outcome) == ("volatility", "garch", "failed")
    assert link.reason == "ModelError: did not converge: flag 4"
    assert len(chain_from_json(frame["fallback_chain"][0])) == 2


def test_a_model_that_did_not_run_counts_as_failed(batches):
    """Both parts come from the last resort, and the record names the missing ones."""
    forecast = _combine({"naive": batches["naive"]}).values()[0]
    assert (forecast.mean, forecast.std) == pytest.approx((0.0005, 0.03))
    assert [(link.model, link.reason) for link in forecast.fallback_chain] == [
        ("sarimax", "did not run"),
        ("naive", ""),
        ("garch", "did not run"),
        ("naive", ""),
    ]


def test_a_symbol_nobody_can_forecast_is_a_failure_that_names_everybody(batches):
    """CCC is in no batch."""
    batches["naive"] = ForecastBatch(
        forecasts=batches["naive"].forecasts,
        failures=(_failed("naive", "CCC", "has 3 returns in its window, needs 20"),),
    )
    batch = _combine(batches, (*SYMBOLS, "CCC"))
    assert set(batch.forecasts["symbol"]) == set(SYMBOLS)
    (failure,) = batch.failures
    assert (failure.symbol, failure.model, failure.error) == ("CCC", "combined", "ModelError")
    assert "mean from sarimax: gave no usable forecast" in failure.reason
    assert "volatility from naive: ModelError: has 3 returns" in failure.reason
    assert _combine({}, ("CCC",)).forecasts.empty


def test_a_number_that_is_not_finite_or_a_missing_horizon_is_not_used(batches):
    """A model that answers in part does not answer."""
    broken = batches["sarimax"].forecasts.copy()
    broken.loc[0, "mean"] = np.inf
    batches["sarimax"] = replace(batches["sarimax"], forecasts=broken)
    batches["garch"] = _batch("garch", 0.001, 0.02, horizons=(1,))
    first, *_ = _combine(batches).values()
    assert first.diagnostics["mean_model"] == "naive"
    assert first.diagnostics["volatility_model"] == "naive"


def test_the_order_of_rows_and_stored_timestamps_do_not_matter(batches):
    """Read back from a store in another order and as timestamps, the outcome is the same."""
    expected = _combine(batches).forecasts
    shuffled = {
        model: replace(
            batch,
            forecasts=batch.forecasts.iloc[::-1].assign(
                session=lambda frame: pd.to_datetime(frame["session"])
            ),
        )
        for model, batch in batches.items()
    }
    pd.testing.assert_frame_equal(_combine(shuffled).forecasts, expected)
    assert json.loads(expected["diagnostics"][0])["mean_model"] == "sarimax"


def test_the_same_rule_on_paths_fills_single_cells():
    """SARIMAX has no answer on the second session, GARCH on the first."""

    def path(mean, std):
        return Predictive(
            mean=np.array([mean]), std=np.array([std]), degrees_of_freedom=np.full((1, 2), np.inf)
        )

    combined = combine_paths(
        {
            "sarimax": path([0.1, np.nan], [1.0, 1.0]),
            "garch": path([0.2, 0.2], [0.0, 2.0]),
            "naive": path([0.3, 0.3], [3.0, 3.0]),
        }
    )
    assert combined.mean.tolist() == [[0.1, 0.3]]
    assert combined.std.tolist() == [[3.0, 2.0]]
