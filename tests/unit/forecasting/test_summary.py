"""The few numbers that stand for a fit."""

import datetime as dt
from dataclasses import replace

import pytest

from quant.core.errors import DataError
from quant.forecasting.port import FittedState
from quant.forecasting.summary import fit_summary, pooled_numbers

DAY = dt.date(2022, 12, 28)
STATE = FittedState(
    symbol="A",
    model="garch",
    version="1",
    fit_as_of=DAY,
    filter_from=DAY,
    params={"alpha": 0.1},
    diagnostics={"aic": 10.0, "ljung_box_passes": True, "warnings": ""},
)


def test_counts_medians_and_shares_by_hand():
    """Two converged, one kept its last parameters, one has none."""
    states = [
        STATE,
        replace(STATE, params={"alpha": 0.3}, diagnostics={"aic": 20.0, "ljung_box_passes": False}),
        replace(STATE, params={"alpha": 9.0}, converged=False, error="ModelError", reason="flag 4"),
        replace(STATE, params={}, converged=False, error="ModelError", reason="no data"),
    ]
    assert fit_summary(states) == pytest.approx(
        {
            "symbols": 4,
            "converged": 2,
            "kept_previous": 1,
            "without_parameters": 1,
            "alpha_median": 0.2,
            "aic_median": 15.0,
            "ljung_box_passes_share": 0.5,
        }
    )


def test_two_fits_do_not_mix():
    """Nor does nothing have a summary."""
    for states in ([STATE, replace(STATE, model="sarimax")], []):
        with pytest.raises(DataError, match="one fit of one model"):
            fit_summary(states)


def test_pooled_numbers_are_quantiles_over_the_symbols_that_converged():
    """0.1, 0.2, 0.3: the quartiles lie half way. The one that kept its own does not count."""
    states = [replace(STATE, params={"alpha": value}) for value in (0.1, 0.3, 0.2)]
    states.append(replace(STATE, params={"alpha": 9.0}, converged=False, error="E", reason="why"))
    rows = pooled_numbers(states).set_index("name")
    assert rows.loc["alpha"].tolist() == pytest.approx([3, 0.11, 0.15, 0.2, 0.25, 0.29])
    assert "warnings" not in rows.index
