"""The short forms of the proofs behind docs/reliability-report.md, and the command that runs them.

Goal 3 is in `execution/test_planted.py`, goal 8 in `tests/unit/execution/test_reconcile.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant.execution.broker import VenueOrder
from quant.execution.commands import Send
from quant.execution.sending import Sending
from resources.brokers.once import SubmitOnce
from tests.reliability import __main__ as runner
from tests.reliability import (
    ambiguity,
    crashes,
    keeping,
    proofs,
    real_sdks,
    replays,
    simulation,
    tampering,
)
from tests.reliability.goal import Form, Found


def test_worlds_of_faults_break_no_invariant() -> None:
    """Goal 1."""
    found = simulation.run(Form.SHORT)
    assert found.holds, found.notes
    assert found.figures["violations"] == 0
    assert int(found.figures["events"]) > 10_000


def test_a_seed_is_the_same_history_in_every_process() -> None:
    """Goal 2."""
    found = replays.run(Form.SHORT)
    assert found.holds, found.notes
    assert (found.figures["identical"], found.figures["different"]) == (3, 0)


def test_real_sdks_send_each_order_once() -> None:
    """Goal 4."""
    found = real_sdks.run(Form.SHORT)
    assert found.holds, found.figures
    assert int(found.figures["kinds of faults"]) >= 15
    assert found.figures["of these, struck"] == 13


def test_ambiguous_outcomes_become_one_order_each() -> None:
    """Goal 5: the desk of production, three adapters, every kind of ambiguity once."""
    found = ambiguity.run(Form.SHORT)
    assert found.holds, found.notes
    for venue in ("alpaca", "binance", "ctrader"):
        injected = found.figures[f"{venue}: ambiguous outcomes injected"]
        assert found.figures[f"{venue}: orders at the venue"] == injected == 16
    assert found.figures["connections beyond loopback"] == 0


def test_the_judge_sees_a_manager_that_just_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look-up in manager and adapter Binance gets the same intent twice."""

    def hasty(self: Sending, command: Send, error: object, now: float) -> None:
        self._again(self._state.lives[command.order.client_order_id], str(error), now)

    def naive(
        self: SubmitOnce, ticket: object, *, find: object, send: Callable[[], VenueOrder]
    ) -> VenueOrder:
        return send()

    monkeypatch.setattr(Sending, "failed", hasty)
    monkeypatch.setattr(SubmitOnce, "submit", naive)
    score = ambiguity.Score()
    with ambiguity.opened_desk("binance", 0) as (desk, told):
        ambiguity.live(desk, told, ambiguity.CASES[0], 0, score)
    assert score.counts["orders at the venue"] == 2
    assert score.wrong["an intent is not exactly one venue order"] == 1
    assert score.wrong["a second POST before a look-up"] == 1


def test_what_was_acknowledged_survives_kills_power_cuts_and_a_bad_disk() -> None:
    """Goal 6: processes killed at steps and at random, lost writes, tables cut short or flipped."""
    found = crashes.run(Form.SHORT)
    assert found.holds, found.notes
    assert int(found.figures["kills (signal 9)"]) >= 15
    assert int(found.figures["acknowledged records, told by those that died"]) > 200
    assert found.figures["acknowledged records that were lost"] == 0
    assert found.figures["intents that became two orders"] == 0
    assert found.figures["damaged or unsealed tables derived again"] == 16


def test_every_change_of_a_journal_is_found_and_a_clean_one_is_left_alone() -> None:
    """Goal 7."""
    found = tampering.run(Form.SHORT)
    assert found.holds, found.figures
    assert int(found.figures["every single bit of a log of 6 records"]) > 20_000
    assert found.figures["changes that were not found"] == 0
    assert found.figures["clean logs"] == 6


def a_proof(monkeypatch: pytest.MonkeyPatch, module: str = "simulation") -> proofs.Proof:
    proof = proofs.Proof(
        goal=1, module=module, sources=("tests/reliability/page.py",), shows=("runs",)
    )
    monkeypatch.setattr(runner, "PROOFS", (proof,))
    monkeypatch.setattr("tests.reliability.page.PROOFS", (proof, *proofs.PROOFS[1:]))
    return proof


def told(holds: bool, runs: list[Form]) -> Found:
    return Found(
        goal=1,
        title="Told",
        claim="It is so.",
        form=Form.SHORT,
        holds=holds,
        figures={"a: runs": len(runs), "b: runs": 2, "share": 0.5},
        notes=("a note",),
    )


def test_the_command_writes_the_page_and_finds_nothing_out_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A second start takes what is kept; the page names what was not run or not covered."""
    runs: list[Form] = []
    a_proof(monkeypatch)

    def run(_proof: proofs.Proof, form: Form) -> Found:
        runs.append(form)
        return told(True, runs)

    monkeypatch.setattr(proofs.Proof, "run", run)
    place = tmp_path / "page.md"
    words = ["--form", "short", "--report", str(place), "--keep", str(tmp_path / "kept")]
    assert [runner.main(words), runner.main(words)] == [0, 0]
    assert runs == [Form.SHORT]
    assert "known (holds)" in capfd.readouterr().err
    text = place.read_text(encoding="utf-8")
    assert "| [1. Told](#1-told) | It is so. | runs 3 | yes |" in text
    assert "| 2. `replays` | not run | | |" in text
    assert "- Goal 9: " in text


def test_what_does_not_hold_or_breaks_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A finding that does not hold is kept and told; a broken proof is told and tried again."""
    proof = a_proof(monkeypatch)
    words = ["--form", "short", "--keep", str(tmp_path)]
    keeping.keep(tmp_path, proof, told(False, []))
    assert runner.main(words) == 1
    assert "goal 1 does not hold: It is so." in capfd.readouterr().err
    broken = a_proof(monkeypatch, "no_such_proof")
    assert runner.main(words) == 1
    assert "ModuleNotFoundError" in capfd.readouterr().err
    assert keeping.kept(tmp_path, broken, Form.SHORT) is None


def test_a_finding_of_other_sources_is_not_taken(tmp_path: Path) -> None:
    """The hash of the sources is part of the name under which it is kept."""
    first = proofs.Proof(goal=1, module="simulation", sources=("tests/reliability/page.py",))
    second = proofs.Proof(goal=1, module="simulation", sources=("tests/reliability/goal.py",))
    keeping.keep(tmp_path, first, told(True, []))
    assert keeping.kept(tmp_path, first, Form.SHORT) == told(True, [])
    assert keeping.kept(tmp_path, second, Form.SHORT) is None
    [path] = tmp_path.iterdir()
    assert json.loads(path.read_text(encoding="utf-8"))["title"] == "Told"
