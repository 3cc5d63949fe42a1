"""Audits, the gate over many of them, and the verdict over a hold-out."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quant.core.errors import DataError
from quant.forecasting.holdout import HOLDOUT_COLUMNS, Holdout
from quant.governance.audits import (
    Audit,
    AuditOutcome,
    GatesPolicy,
    audits_of,
    decide,
    judge_model,
)

POLICY = GatesPolicy()
DAY = dt.date(2022, 12, 28)


def _audit(rmse: float = 1.0, *, observations: int = 20) -> Audit:
    return Audit(
        model="combined",
        baseline="naive",
        session=DAY,
        horizon_days=1,
        observations=observations,
        rmse=rmse,
        rmse_baseline=1.0,
    )


def _holdout(ratio: float, *, observations: int = 5000) -> Holdout:
    figures = {
        "model": "persistence",
        "baseline": "naive",
        "observations": observations,
        "rmse": 0.02 * ratio,
        "rmse_baseline": 0.02,
        "rmse_ratio": ratio,
        "pinball_ratio": 1.2,
        "coverage_90": 0.88,
    }
    rows = [{**figures, "symbol": f"S{i}"} for i in range(20)] + [{**figures, "symbol": "*"}]
    return Holdout(
        model="persistence",
        baseline="naive",
        first_session=dt.date(2022, 1, 1),
        last_session=DAY,
        sessions_count=250,
        rows=pd.DataFrame(rows, columns=list(HOLDOUT_COLUMNS)),
        silent={},
    )


@pytest.mark.parametrize(
    ("violations", "audits", "outcome"),
    [
        (0, 20, AuditOutcome.KEEP),
        (5, 20, AuditOutcome.KEEP),
        (6, 20, AuditOutcome.RESEARCH_ONLY),
        (10, 20, AuditOutcome.RESEARCH_ONLY),
        (11, 20, AuditOutcome.DISABLE_DEFAULT),
        (20, 20, AuditOutcome.DISABLE_DEFAULT),
        (19, 19, AuditOutcome.INCONCLUSIVE),
        (0, 0, AuditOutcome.INCONCLUSIVE),
    ],
)
def test_the_gate_decides_by_the_share_of_violations(violations, audits, outcome):
    """A quarter is kept, up to half is research, more is disabled; below twenty is no answer."""
    record = [_audit(1.2)] * violations + [_audit(1.05)] * (audits - violations)
    assert decide(record, POLICY).outcome == outcome


def test_the_reason_is_a_sentence_with_the_figures():
    """People read it in the report."""
    decision = decide([_audit(1.2)] * 6 + [_audit(0.9)] * 14, POLICY)
    assert decision.violation_rate == 0.3
    assert decision.effective_audits == 20
    assert decision.reason == (
        "worse than naive drift by more than 10 % in 6 of 20 audits (30 %; limit 25 %)"
    )
    short = decide([_audit()] * 3 + [_audit(observations=19)] * 30, POLICY)
    assert short.reason == (
        f"3 effective audits of 33, 20 are needed for a decision; one counts from "
        f"{POLICY.audit_observations_min} outcomes on"
    )


def test_exactly_ten_percent_is_no_violation_and_a_thin_audit_does_not_count():
    """The limit itself is allowed; nineteen observations are not evidence."""
    assert not _audit(1.1).excess_fraction > 0.1 + 1e-12
    assert _audit(1.1001).is_violation(POLICY)
    assert not _audit(9.0, observations=19).is_violation(POLICY)


@given(st.lists(st.floats(0.5, 2.0), min_size=20, max_size=40), st.floats(0.5, 2.0))
def test_a_better_audit_never_worsens_the_decision(errors, worse):
    """Lowering one error keeps or lowers the rate of violations."""
    before = decide([_audit(error) for error in [*errors, worse]], POLICY)
    after = decide([_audit(error) for error in [*errors, worse * 0.9]], POLICY)
    assert after.violation_rate <= before.violation_rate


def test_an_audit_compares_with_the_best_single_model_over_the_same_symbols():
    """Two symbols scored by all; the third lacks one model and does not count."""
    squares = {
        "AAA": {"combined": 0.04, "naive": 0.01, "garch": 0.09},
        "BBB": {"combined": 0.04, "naive": 0.03, "garch": 0.01},
        "CCC": {"combined": 9.0, "naive": 0.0},
    }
    scores = pd.DataFrame(
        [
            {"symbol": s, "session": DAY, "model": m, "horizon_days": 1, "squared_error": value}
            for s, models in squares.items()
            for m, value in models.items()
        ]
    )
    (audit,) = audits_of(scores, model="combined", against=["naive", "garch"])
    assert audit.baseline == "naive"
    assert audit.session == DAY
    assert audit.observations == 2
    assert audit.rmse == pytest.approx(0.2)
    assert audit.rmse_baseline == pytest.approx(0.02**0.5)
    assert audits_of(scores, model="combined", against=["other"]) == []
    assert audits_of(scores, model="combined", against=["naive"], horizon_days=5) == []


def test_a_model_that_joins_later_does_not_end_the_record():
    """No score of "new" on the first day, but it is the best on the second."""
    days = [DAY, DAY + dt.timedelta(days=1)]
    scores = pd.DataFrame(
        [
            {"symbol": "AAA", "session": day, "model": m, "horizon_days": 1, "squared_error": value}
            for day, models in zip(
                days,
                [{"combined": 0.04, "naive": 0.09}, {"combined": 0.04, "naive": 0.09, "new": 0.01}],
                strict=True,
            )
            for m, value in models.items()
        ]
    )
    first, second = audits_of(scores, model="combined", against=["naive", "new"])
    assert (first.session, first.baseline) == (days[0], "naive")
    assert (second.session, second.baseline) == (days[1], "new")


def test_a_model_is_refused_in_plain_words():
    """The sentence that stands in the report."""
    verdict = judge_model(_holdout(1.41), POLICY)
    assert not verdict.passed
    assert verdict.reason == (
        "persistence refused: its one-day error is 41 % larger than naive drift "
        "over 250 sessions x 20 symbols (limit 10 %)"
    )
    assert verdict.figures["rmse_excess_fraction"] == pytest.approx(0.41)


@pytest.mark.parametrize(
    ("ratio", "passed", "words"),
    [
        (0.994, True, "0.6 % smaller than naive drift"),
        (1.099, True, "9.9 % larger than naive drift"),
        (1.101, False, "10.1 % larger than naive drift"),
    ],
)
def test_the_limit_separates_passed_from_refused_also_in_print(ratio, passed, words):
    """A figure next to the limit is printed with the digit that decides."""
    verdict = judge_model(_holdout(ratio), POLICY)
    assert verdict.passed is passed
    assert words in verdict.reason


def test_too_little_evidence_does_not_pass():
    """Unknown is not good."""
    verdict = judge_model(_holdout(0.5, observations=499), POLICY)
    assert not verdict.passed
    assert "has 499 forecasts to judge, 500 are needed" in verdict.reason


def test_impossible_figures_and_disordered_limits_are_refused():
    """An audit with NaN would otherwise count as no violation."""
    with pytest.raises(DataError, match="not finite"):
        _audit(float("nan"))
    with pytest.raises(DataError, match="negative"):
        _audit(-1.0)
    with pytest.raises(ValidationError, match="must not be below"):
        GatesPolicy(disable_rate_min_fraction=0.1)
