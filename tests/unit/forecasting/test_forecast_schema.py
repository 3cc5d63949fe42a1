"""A forecast checks itself, alone and in a frame, and survives being written down."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.forecasting.forecast import (
    FORECAST_COLUMNS,
    ChainLink,
    Forecast,
    Predictive,
    Provenance,
    build_batch,
    chain_from_json,
    chain_to_json,
    check_forecasts,
)

SESSION = dt.date(2022, 12, 28)
AS_OF = dt.datetime(2022, 12, 28, 22, tzinfo=dt.UTC)
GOOD = Forecast(
    symbol="AAPL",
    session=SESSION,
    as_of=AS_OF,
    model="naive",
    horizon_days=5,
    mean=0.001,
    std=0.04,
    q05=-0.06,
    q25=-0.02,
    q50=0.001,
    q75=0.03,
    q95=0.07,
    fit_as_of=dt.date(2022, 12, 23),
    params_hash="abc",
    fallback_chain=(ChainLink(part="mean", model="sarimax", outcome="failed", reason="no data"),),
    diagnostics={"nu": 6.5, "warnings": ""},
)


def _batch(mean=0.001, std=0.02, nu=np.inf, symbols=("AAPL",)):
    shape = (len(symbols), 2)
    return build_batch(
        Predictive(
            mean=np.full(shape, mean),
            std=np.full(shape, std),
            degrees_of_freedom=np.full(shape, nu),
        ),
        [
            Provenance(symbol=name, fit_as_of=SESSION, params_hash="h", diagnostics={})
            for name in symbols
        ],
        model="naive",
        session=SESSION,
        as_of=AS_OF,
        horizons=(1, 5),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"std": 0.0}, "std must be positive"),
        ({"mean": float("nan")}, "not finite"),
        ({"q25": 0.05}, "quantiles must not fall"),
        ({"horizon_days": 21}, "out of 1..20"),
        ({"horizon_days": 0}, "out of 1..20"),
        ({"as_of": dt.datetime(2022, 12, 28, 22)}, "aware UTC"),  # noqa: DTZ001  # the mistake
        ({"fit_as_of": dt.date(2022, 12, 29)}, "parameters from the future"),
        ({"model": ""}, "lacks a name"),
    ],
)
def test_an_invalid_forecast_cannot_exist(change, words):
    """Each rule of the schema, broken alone."""
    with pytest.raises(DataError, match=words):
        replace(GOOD, **change)


def test_a_row_holds_exactly_the_columns_and_reads_back_equal():
    """What the warehouse keeps is the whole value."""
    row = GOOD.to_row()
    assert tuple(row) == FORECAST_COLUMNS
    assert Forecast.from_row(row) == GOOD


@given(st.floats(-1, 1), st.floats(1e-6, 1), st.floats(2.1, 60))
def test_every_row_of_a_batch_is_a_valid_forecast(mean, std, nu):
    """The fast path over arrays and the checked value obey one set of rules."""
    batch = _batch(mean, std, nu)
    assert tuple(batch.forecasts.columns) == FORECAST_COLUMNS
    one_day, five_days = batch.values()
    assert (one_day.horizon_days, five_days.horizon_days) == (1, 5)
    assert one_day.mean == mean
    assert one_day.q50 == mean


@pytest.mark.parametrize(("mean", "std"), [(np.nan, 0.1), (0.0, 0.0), (0.0, np.inf), (0.0, np.nan)])
def test_a_number_that_is_no_forecast_becomes_a_failure_with_its_reason(mean, std):
    """Never a row with a hole in it, never silence."""
    batch = _batch(mean, std)
    assert batch.forecasts.empty
    assert tuple(batch.forecasts.columns) == FORECAST_COLUMNS
    assert batch.failures[0].symbol == "AAPL"
    assert "not finite" in batch.failures[0].reason
    assert len(batch.failures_frame()) == 1


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("std", 0.0, "std that is not positive"),
        ("mean", np.inf, "number that is not finite"),
        ("q05", 9.0, "quantiles that fall"),
        ("horizon_days", 30, "out of 1..20"),
        ("horizon_days", 5, "there twice"),
    ],
)
def test_a_frame_with_one_bad_row_is_refused_and_the_row_is_named(column, value, words):
    """The message leads to the symbol, the session and the horizon."""
    frame = _batch(symbols=("AAPL", "XOM")).forecasts
    frame.loc[2, column] = value
    with pytest.raises(DataError, match=f"naive for XOM on 2022-12-28 .*{words}"):
        check_forecasts(frame)
    with pytest.raises(DataError, match="lacks the columns std"):
        check_forecasts(frame.drop(columns="std"))


def test_a_chain_reads_back_and_a_failure_without_a_reason_is_no_link():
    """The record of what was tried is as strict as the forecast."""
    chain = (*GOOD.fallback_chain, ChainLink(part="mean", model="naive", outcome="used"))
    assert chain_from_json(chain_to_json(chain)) == chain
    with pytest.raises(ValueError, match="the reason is missing"):
        ChainLink(part="mean", model="sarimax", outcome="failed")
