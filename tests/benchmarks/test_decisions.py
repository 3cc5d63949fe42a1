"""The benchmark of decisions compares like with like; how fast it is shows only at full size."""

import os

from benchmarks.decisions import one_core, run, synthetic
from quant.portfolio.night import NightPolicies, decide_night
from quant.signals.batch import EDGE, FORECAST, PASSED, VALIDATOR


def test_the_rows_say_what_was_measured() -> None:
    """`run` itself refuses a rival that decides otherwise."""
    rows = {row["name"]: row for row in run(symbols=200, repeats=2)}
    assert set(rows) == {
        "decisions_batch",
        "decisions_single_p99",
        "decisions_against_a_plain_loop",
    }
    assert rows["decisions_batch"]["decisions_a_second"] > 0
    assert rows["decisions_against_a_plain_loop"]["rival_s"] > 0
    assert {row["limit"] for row in rows.values()} == {1.0}


def test_the_market_that_is_decided_on_reaches_every_gate() -> None:
    """A benchmark in which everything is refused at once would be fast and prove nothing."""
    outlooks, around = synthetic(1_000)
    decided = decide_night(outlooks, around, NightPolicies())
    assert {PASSED, FORECAST, EDGE, VALIDATOR} <= set(decided.signals.gate.tolist())
    assert (decided.weight > 0).sum() > 50


def test_one_core_is_given_back() -> None:
    """The process may use what it could use before."""
    if not hasattr(os, "sched_getaffinity"):
        return
    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
