"""Sprints decide, arms are paired, the go/no-go list fails what it does not know."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.governance.audits import Audit, AuditDecision, AuditOutcome, GatesPolicy
from quant.governance.candidates import sign_rule
from quant.governance.gate_policy import ReadinessPolicy
from quant.governance.readiness import CHOICES, Facts, checklist
from quant.governance.sprints import audit_of, compare_arms, counted, sprint
from quant.portfolio.trades import ClosedTrade

DAY = dt.date(2022, 1, 3)
POLICY = GatesPolicy()


def audits(count: int, excess: float = 0.0, model: str = "combined") -> list[Audit]:
    return [
        Audit(
            model=model,
            baseline="garch",
            session=DAY + dt.timedelta(days=i),
            horizon_days=1,
            observations=20,
            rmse=0.02 * (1 + i / 1000) * (1 + excess),
            rmse_baseline=0.02 * (1 + i / 1000),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "excess", "outcome"),
    [
        (19, 0.0, AuditOutcome.INCONCLUSIVE),
        (20, 0.05, AuditOutcome.KEEP),
        (20, 0.2, AuditOutcome.DISABLE_DEFAULT),
    ],
)
def test_a_sprint_decides_over_its_latest_audits(count, excess, outcome):
    found = sprint(audits(count, excess), arm="", asked=20, policy=POLICY)
    assert found.decision.outcome is outcome
    assert found.lift_fraction == pytest.approx(-excess)


def test_only_the_latest_are_asked_for():
    mixed = [*audits(40, 0.5)[:20], *audits(40)[20:]]
    assert sprint(mixed, arm="", asked=20, policy=POLICY).decision.outcome is AuditOutcome.KEEP
    half = sprint(mixed, arm="", asked=40, policy=POLICY)
    assert half.decision.violation_rate == 0.5
    assert half.decision.outcome is AuditOutcome.RESEARCH_ONLY
    with pytest.raises(DataError, match="needs an audit"):
        sprint([], arm="", asked=20, policy=POLICY)


def test_an_audit_survives_the_journal():
    [one] = audits(1)
    record = counted(one, arm="regime=on", symbols=["B", "A"])
    assert audit_of(record) == one
    assert record.symbols_hash == counted(one, arm="x", symbols=["A", "B"]).symbols_hash


@pytest.mark.parametrize(
    ("excess", "winner"), [(-0.2, "on"), (-0.05, ""), (0.05, ""), (0.3, "off")]
)
def test_an_arm_wins_by_more_than_a_tenth_only(excess, winner):
    found = compare_arms(audits(30), audits(30, excess), arms=("off", "on"), policy=POLICY)
    assert found.winner == winner
    assert found.uplift_fraction == pytest.approx(-excess)


def test_windows_that_only_one_arm_has_do_not_count():
    found = compare_arms(audits(30), audits(60)[25:], arms=("off", "on"), policy=POLICY)
    assert (found.pairs, found.winner) == (5, "")


def test_the_rule_of_a_models_signs_can_be_worked_out_by_hand():
    """Two symbols, two days, 20 bps a round trip.

    Day one: long both, 10 bps on all of it. Day two: the second turns, half of the money twice.
    """
    rows = [
        ("A", DAY, 0.01, 0.02),
        ("B", DAY, 0.01, -0.01),
        ("A", DAY + dt.timedelta(days=1), 0.01, 0.0),
        ("B", DAY + dt.timedelta(days=1), -0.1, 0.03),
    ]
    frame = pd.DataFrame(rows, columns=["symbol", "session", "mean", "realised"])
    frame = frame.assign(model="m", horizon_days=1, error=frame["realised"] - frame["mean"])
    found = sign_rule(frame, model="m", round_trip={"A": 0.002, "B": 0.002})
    assert found.costs.tolist() == pytest.approx([0.001, 0.001])
    grow = [1.0202013400267558 - 1, 0.9900498337491681 - 1, 1.030454533953517 - 1]
    assert found.returns.tolist() == pytest.approx(
        [(grow[0] + grow[1]) / 2 - 0.001, -grow[2] / 2 - 0.001]
    )
    with pytest.raises(DataError, match="no scored"):
        sign_rule(frame, model="x", round_trip={})


def trade(profit: str) -> ClosedTrade:
    return ClosedTrade(
        symbol="A",
        opened=DAY,
        closed=DAY,
        quantity=Decimal(1),
        gross_profit=Decimal(profit),
        fees=Decimal(0),
    )


READY = Facts(
    audits=AuditDecision(
        outcome=AuditOutcome.KEEP, violation_rate=0.1, effective_audits=100, reason=""
    ),
    trades=[trade("2"), trade("-1")] * 25,
    fills=10,
    fills_attributed=10,
    directional_accuracy=0.5,
    tables=12,
    naive_time_columns=(),
    choices=dict.fromkeys(CHOICES, "off"),
)


def test_a_complete_record_is_ready():
    assert all(line.passed for line in checklist(READY, ReadinessPolicy()))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"audits": None}, "forecast audits"),
        ({"fills_attributed": 9}, "attribution"),
        ({"fills": 0, "fills_attributed": 0}, "attribution"),
        ({"trades": READY.trades[:49]}, "win rate"),
        ({"trades": [trade("1"), trade("-2")] * 25}, "profit factor"),
        ({"directional_accuracy": None}, "directional accuracy"),
        ({"naive_time_columns": ("audit.nights.as_of",)}, "UTC stamps"),
        ({"choices": {"barbell": "on", "frontier": "off"}}, "decision on regime"),
    ],
)
def test_each_gap_fails_its_line(change, line):
    lines = checklist(dataclasses.replace(READY, **change), ReadinessPolicy())
    assert line in [one.name for one in lines if not one.passed]


def test_the_tuning_stage_asks_for_less():
    weaker = dataclasses.replace(
        READY, trades=[trade("1"), trade("1"), trade("-1"), trade("-1"), trade("-0.2")] * 10
    )
    go = {one.name for one in checklist(weaker, ReadinessPolicy()) if not one.passed}
    tuning = {
        one.name
        for one in checklist(
            weaker, ReadinessPolicy(tuning_win_rate_min_fraction=0.4), stage="tuning"
        )
        if not one.passed
    }
    assert "win rate" in go
    assert not tuning
