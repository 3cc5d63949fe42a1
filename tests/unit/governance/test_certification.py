"""A certificate: every gate speaks, what is unknown fails, and nothing can be edited afterwards."""

import dataclasses
import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from quant.governance.certification import (
    Candidate,
    CertificateOutcome,
    certify,
    objection,
    stressed_sharpe,
)
from quant.governance.gate_policy import CertificatePolicy
from quant.governance.hypothesis_tests import Inference
from quant.governance.splits import TimeSeriesFolds
from quant.governance.trials import FamilyStanding, deflate
from quant.governance.validation import SentinelReport, validate
from quant.portfolio.measures import sharpe

POLICY = CertificatePolicy()
DAY, UNTIL = dt.date(2022, 12, 28), dt.date(2023, 3, 28)
LIMITS = {"session": DAY, "valid_until": UNTIL}


def candidate(*, mean: float = 0.001, days: int = 800, trials: int = 1, **changes) -> Candidate:
    """A steady earner with small costs; `changes` spoil it."""
    rng = np.random.default_rng(6)
    returns = pd.Series(rng.normal(mean, 0.006, days))
    standing = FamilyStanding(
        family="f",
        opened=trials,
        closed=trials,
        effective=float(trials),
        deviation=0.03 if trials > 1 else None,
        best_sharpe=None,
    )
    values = returns.to_numpy()
    made = Candidate(
        subject="garch",
        returns=returns,
        costs=pd.Series(np.full(days, 0.00005)),
        standing=standing,
        deflated=deflate(returns, standing),
        overfitting=0.02 if trials > 1 else None,
        validation=validate(
            lambda _t, test: values[test], TimeSeriesFolds(folds=5), observations=days
        ),
        sentinel=SentinelReport(
            sharpe=0.01,
            standard_error=0.03,
            shuffles=100,
            sharpe_max=0.1,
            first_leak=None,
            reason="",
        ),
        forecast_test=Inference(-1.0, 0.3),
        evidence={"*": "audit.forecast_scores", "deflated_sharpe": "trials of f"},
    )
    return dataclasses.replace(made, **changes)


def test_a_steady_earner_passes_and_every_gate_shows_value_limit_and_evidence():
    found = certify(candidate(), POLICY, **LIMITS)
    assert found.outcome is CertificateOutcome.PASS
    assert [gate.gate for gate in found.gates] == [
        *("history", "drawdown", "value_at_risk_95", "expected_shortfall_95", "deflated_sharpe"),
        *("losing_paths", "leakage", "cost_stress", "worse_forecast"),
    ]
    assert all(gate.value is not None and gate.evidence for gate in found.gates)


@pytest.mark.parametrize(
    ("spoiled", "gate"),
    [
        ({"sentinel": None}, "leakage"),
        ({"validation": None}, "losing_paths"),
        ({"deflated": None}, "deflated_sharpe"),
        ({"forecast_test": Inference(4.0, 0.001)}, "worse_forecast"),
        ({"costs": pd.Series(np.full(800, 0.002))}, "cost_stress"),
        ({"trials": 500}, "deflated_sharpe"),
        ({"trials": 20, "overfitting": 0.6}, "overfitting"),
        ({"trials": 20, "overfitting": None}, "overfitting"),
        (
            {"returns": pd.Series(np.random.default_rng(1).normal(0.01, 0.04, 800))},
            "value_at_risk_95",
        ),
    ],
)
def test_each_fault_is_found_by_its_gate_and_what_is_unknown_fails(spoiled, gate):
    mean = 0.0004 if spoiled.get("trials") == 500 else 0.001
    found = certify(candidate(mean=mean, **spoiled), POLICY, **LIMITS)
    assert found.outcome is CertificateOutcome.FAIL
    assert gate in [one.gate for one in found.failed]
    assert found.reason.startswith("garch: ")
    assert all(one.words in found.reason for one in found.failed)


def test_a_short_history_is_no_verdict():
    found = certify(candidate(days=100), POLICY, **LIMITS)
    assert found.outcome is CertificateOutcome.INCONCLUSIVE
    assert objection(found.record(), subject="garch", on=DAY, policy=POLICY)


def test_twice_the_costs_are_taken_off_every_day():
    """Costs of 5 bps a day once more: the mean falls by exactly that, the deviation stays."""
    one = candidate()
    stressed = stressed_sharpe(one.returns, one.costs, multiple=2.0)
    by_hand = (one.returns.mean() - 0.00005) / one.returns.std() * 252**0.5
    assert stressed == pytest.approx(by_hand)
    assert stressed < sharpe(one.returns)


def test_a_certificate_stops_counting_when_anything_about_it_changes():
    record = certify(candidate(), POLICY, **LIMITS).record()

    def why(issued=record, *, subject="garch", on=DAY, policy=POLICY):
        return objection(issued, subject=subject, on=on, policy=policy)

    assert why() == ""
    assert "no certificate" in why(None)
    assert "valid" in why(on=UNTIL + dt.timedelta(days=1))
    assert "not sarimax" in why(subject="sarimax")
    assert "other limits" in why(policy=CertificatePolicy(history_sessions_min=300))
    forged = json.loads(record.text) | {"valid_until": "2099-01-01"}
    assert "hash differs" in why(dataclasses.replace(record, text=json.dumps(forged)))


def test_a_failed_certificate_cannot_be_turned_by_editing_its_outcome():
    record = certify(candidate(sentinel=None), POLICY, **LIMITS).record()
    assert "says FAIL" in objection(
        dataclasses.replace(record, outcome="PASS"), subject="garch", on=DAY, policy=POLICY
    )
