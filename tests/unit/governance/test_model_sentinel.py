"""Forecasters on shuffled markets and with a rewritten future: who peeks is refused."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from quant.core.errors import DataError
from quant.forecasting.forecast import Predictive
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.sarimax import SarimaxForecaster
from quant.governance import model_sentinel
from quant.governance.certification import certify
from quant.governance.gate_policy import CertificatePolicy
from quant.governance.model_sentinel import forecaster_sentinel, worst
from tests.unit.governance.test_certification import LIMITS, candidate

FIT = 252
POLICY = ForecastPolicy(fit_window_sessions=FIT, fit_workers=1)


@pytest.fixture(scope="module")
def panel() -> ReturnPanel:
    """Three years of four stocks with fat tails; the fourth has a gap and is left out."""
    rng = np.random.default_rng(2)
    values = rng.standard_t(4, (4, 750)) * 0.01 + 0.0004
    values[3, 400] = np.nan
    days = np.arange(np.datetime64("2020-01-02"), np.datetime64("2020-01-02") + 750)
    return ReturnPanel(symbols=("A", "B", "C", "D"), sessions=days, values=values)


class Honest:
    """Forecasts the sign of the last return."""

    name = "honest"

    def fit(self, panel, *, session: dt.date, start=None) -> list[FittedState]:  # noqa: ARG002 - the port
        return [
            FittedState(
                symbol=symbol,
                model=self.name,
                version="1",
                fit_as_of=session,
                filter_from=panel.sessions[0].item(),
                params={"mean": self.mean(row, panel, session)},
            )
            for symbol, row in zip(panel.symbols, panel.values, strict=True)
        ]

    def mean(self, row, panel, session) -> float:
        return float(row[panel.sessions <= np.datetime64(session)].mean())

    def one_step(self, states, panel, *, first: int) -> Predictive:  # noqa: ARG002 - the port
        mean = panel.values[:, first - 1 : -1] * 0.1
        return Predictive(mean=mean, std=np.ones_like(mean), degrees_of_freedom=None)


class KnowsTheAnswer(Honest):
    """The planted look-ahead: a tenth of what is to come is in its forecast."""

    name = "oracle"

    def one_step(self, states, panel, *, first: int) -> Predictive:  # noqa: ARG002 - the port
        mean = panel.values[:, first - 1 : -1] * 0.1 + panel.values[:, first:] * 0.1
        return Predictive(mean=mean, std=np.ones_like(mean), degrees_of_freedom=None)


class FittedOnEverything(Honest):
    """A quieter leak: its parameter is the mean of the whole series, its future included."""

    name = "careless"

    def mean(self, row, panel, session) -> float:  # noqa: ARG002 - what it should look at
        return float(row.mean())


def report(model, panel):
    return forecaster_sentinel(model, panel, fit_sessions=FIT, sharpe_max=0.1)


def test_an_honest_model_passes_and_the_same_question_has_the_same_answer(panel):
    found = report(Honest(), panel)
    assert found.passed
    assert abs(found.sharpe) < 0.1
    # So many markets are drawn that a ratio of 0.1 is three standard errors for one symbol.
    assert found.shuffles == -(-252 * 900 // (750 - FIT))
    assert found == report(Honest(), panel)


def test_a_planted_look_ahead_model_is_refused_and_gets_no_certificate(panel):
    """It earns where nothing can be earned, and its first forecast already knew its future."""
    found = report(KnowsTheAnswer(), panel)
    assert not found.passed
    assert found.sharpe > 5
    assert found.first_leak is not None
    certificate = certify(candidate(sentinel=found), CertificatePolicy(), **LIMITS)
    assert [gate.gate for gate in certificate.failed] == ["leakage"]
    assert "looks ahead" in certificate.reason


def test_a_fit_that_saw_its_future_is_refused_though_it_earns_nothing(panel):
    found = report(FittedOnEverything(), panel)
    assert abs(found.sharpe) < 0.1
    assert (found.passed, found.first_leak) == (False, FIT)


@pytest.mark.parametrize("model", [NaiveForecaster, SarimaxForecaster])
def test_a_real_model_earns_the_same_in_one_market_or_in_many_at_once(panel, model, monkeypatch):
    """Markets are rows of one panel only to be quick; one at a time gives the same report."""
    together = report(model(policy=POLICY), panel)
    monkeypatch.setattr(model_sentinel, "_MARKETS_AT_ONCE", 7)
    apart = report(model(policy=POLICY), panel)
    assert together.passed
    assert dataclasses.replace(apart, reason=together.reason) == together


def test_of_a_combination_the_part_that_leaks_is_reported(panel):
    honest, leaky = report(Honest(), panel), report(FittedOnEverything(), panel)
    assert worst([honest, leaky]) is leaky


def test_too_short_a_history_is_refused(panel):
    with pytest.raises(DataError, match="too few"):
        report(Honest(), panel.columns(slice(0, FIT + 50)))
