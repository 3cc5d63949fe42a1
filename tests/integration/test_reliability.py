"""The short forms of the proofs behind docs/reliability-report.md, and the command that runs them.

Goal 3 is in `execution/test_planted.py`, goal 8 in `tests/unit/execution/test_reconcile.py`.
"""

import json
from pathlib import Path

import pytest

from tests.reliability import __main__ as runner
from tests.reliability import keeping, proofs, replays, simulation, tampering
from tests.reliability.goal import Form, Found


def test_worlds_of_faults_break_no_invariant() -> None:
    """Goal 1."""
    found = simulation.run(Form.SHORT)
    assert found.holds, found.notes
    assert found.figures["violations"] == 0
    assert int(found.figures["events (messages, calls, answers, wishes, records)"]) > 10_000


def test_a_seed_is_the_same_history_in_every_process() -> None:
    """Goal 2."""
    found = replays.run(Form.SHORT)
    assert found.holds, found.notes
    assert (found.figures["identical"], found.figures["different"]) == (3, 0)


def test_every_change_of_a_journal_is_found_and_a_clean_one_is_left_alone() -> None:
    """Goal 7."""
    found = tampering.run(Form.SHORT)
    assert found.holds, found.figures
    assert int(found.figures["every single bit of a log of 6 records"]) > 20_000
    assert found.figures["changes that were not found"] == 0
    assert found.figures["clean logs"] == 6


def a_proof(monkeypatch: pytest.MonkeyPatch, module: str = "simulation") -> proofs.Proof:
    proof = proofs.Proof(goal=1, module=module, sources=("tests/reliability/page.py",))
    monkeypatch.setattr(runner, "PROOFS", (proof,))
    return proof


def told(holds: bool, runs: list[Form]) -> Found:
    return Found(
        goal=1,
        title="Told",
        claim="It is so.",
        form=Form.SHORT,
        holds=holds,
        figures={"runs": len(runs), "share": 0.5},
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
    assert "| [1. Told](#1-told) | It is so. | yes |" in text
    assert "| 7. `tampering` | not run | |" in text
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
