"""Faults strike by seed, call and window, and a file that is wrong says what is wrong."""

import datetime as dt
import json
from pathlib import Path

import pytest

from apps.simulator.faults import OPERATIONS, Fault, FaultPlan, read_faults
from quant.core.errors import PolicyError

NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def struck(seed: int, count: int = 200) -> list[bool]:
    plan = FaultPlan(seed=seed, started_at=NOW)
    plan.add(Fault.ACK_LOST, on=("submit",), share=0.3)
    return [bool(plan.choose("alpaca", "submit", NOW)) for _ in range(count)]


def test_the_same_seed_strikes_the_same_calls() -> None:
    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 30 <= sum(struck(1)) <= 90


def test_a_rule_strikes_no_other_operation_and_no_other_venue() -> None:
    plan = FaultPlan(seed=1, started_at=NOW)
    plan.add(Fault.PAGE, on=("list",), venue="binance")
    assert not plan.choose("alpaca", "list", NOW)
    assert not plan.choose("binance", "submit", NOW)
    assert [rule.fault for rule in plan.choose("binance", "list", NOW)] == [Fault.PAGE]


def test_numbered_calls_and_a_number_of_times() -> None:
    plan = FaultPlan(seed=1, started_at=NOW)
    plan.add(Fault.PAGE, on=("list",), calls=(2, 4))
    plan.add(Fault.DELAY, on=("list",), times_max=3)
    told = [{r.fault for r in plan.choose("alpaca", "list", NOW)} for _ in range(5)]
    assert [Fault.PAGE in one for one in told] == [False, True, False, True, False]
    assert sum(Fault.DELAY in one for one in told) == 3
    assert plan.struck == {"page": 2, "delay": 3}


def test_a_window_opens_and_closes() -> None:
    plan = FaultPlan(seed=1, started_at=NOW)
    plan.add(Fault.OUTAGE, from_s=10, for_s=5)
    times = (0, 9.9, 10, 14.9, 15)
    told = [bool(plan.choose("alpaca", "list", NOW + dt.timedelta(seconds=s))) for s in times]
    assert told == [False, False, True, True, False]


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(
        json.dumps(
            {
                "rules": [{"fault": "ack_lost", "on": ["submit"], "share": 0.05}],
                "alpaca_requests_per_minute": 200,
            }
        )
    )
    found = read_faults(path)
    assert found.rules[0].fault is Fault.ACK_LOST
    assert found.alpaca_requests_per_minute == 200
    assert set(found.rules[0].on) < set(OPERATIONS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1"),
        ('{"rules": [{"fault": "gremlin"}]}', "rules.0.fault"),
        ('{"rules": [{"fault": "page", "sahre": 1}]}', "sahre"),
        ('{"rules": [{"fault": "page", "share": 2}]}', "share"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "faults.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PolicyError, match=words) as error:
        read_faults(path)
    assert error.value.remedy
