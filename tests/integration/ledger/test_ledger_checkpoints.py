"""Checkpoints make tampering evident: two readers, one of them without this project."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from apps.cli.commands import COMMANDS
from apps.cli.main import main
from quant.core.errors import LedgerDamagedError, StateError
from quant.execution import EVERY_BOOK, Mode, ModeChanged
from resources.ledger import Ledger, read_checkpoints
from resources.ledger.audit import audit_checkpoints
from resources.ledger.checkpoints import load_key, parse_checkpoint
from resources.ledger.journal import Record, scan
from tests.execution_values import opened
from tests.reliability.tampering import (
    CLOCK,
    KINDS,
    exported,
    mutate,
    printout,
    signed_ledger,
    signer,
)
from tests.support.verifier import PATH, load_verifier

MUTATIONS_EACH = 40


def test_a_ledger_is_signed_as_it_grows_and_both_places_agree(tmp_path: Path) -> None:
    """The key belongs to its owner alone; each checkpoint continues the one before."""
    journal = signed_ledger(tmp_path)
    key = tmp_path / "keys" / "k"
    assert key.stat().st_mode & 0o777 == 0o600
    here, there = (tmp_path / "ledger" / "checkpoints.jsonl"), exported(tmp_path)
    assert here.read_bytes() == there.read_bytes()
    found = read_checkpoints(there)
    assert len(found) >= 4
    assert all(one.is_genuine() for one in found)
    audit = audit_checkpoints(journal.parent, signer(tmp_path))
    assert audit.problems == ()
    assert audit.signed_records == found[-1].size == len(journal.read_bytes().splitlines())


def test_a_change_of_mode_is_signed_at_once(tmp_path: Path) -> None:
    """A manual act is evident from the moment on which it was taken."""
    with Ledger.open(tmp_path / "ledger", clock=CLOCK, checkpoints=signer(tmp_path)) as ledger:
        ledger.append_all([opened()])
        assert not (tmp_path / "elsewhere").exists()
        change = ModeChanged(
            scope=EVERY_BOOK,
            mode=Mode.PAUSE,
            reason="drill",
            changed_by="me",
            changed_at=CLOCK.now(),
        )
        ledger.append_all([change])
        assert read_checkpoints(exported(tmp_path))[-1].size == 2


def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    """The records are safe all the same, and the trouble is said."""
    signed_ledger(tmp_path)
    key = tmp_path / "keys" / "k"
    key.chmod(0o644)
    with pytest.raises(StateError, match="may be read by others"):
        load_key(key)
    late = signer(tmp_path)
    with Ledger.open(tmp_path / "ledger", clock=CLOCK, checkpoints=late) as ledger:
        ledger.append_all([opened("other")])
    assert "may be read by others" in late.trouble


def test_a_second_place_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    """A disk that was away for two nights is no reason to stop, nor to leave a gap."""
    signed_ledger(tmp_path)
    place = tmp_path / "elsewhere"
    before = exported(tmp_path).read_bytes()
    place.rename(tmp_path / "away")
    place.write_text("not a folder")
    late = signer(tmp_path)
    with Ledger.open(tmp_path / "ledger", clock=CLOCK, checkpoints=late) as ledger:
        ledger.append_all([opened("second")])
    assert "takes no checkpoint" in late.trouble
    place.unlink()
    (tmp_path / "away").rename(place)
    with Ledger.open(tmp_path / "ledger", clock=CLOCK, checkpoints=signer(tmp_path)) as ledger:
        ledger.append_all([opened("third")])
    after = exported(tmp_path).read_bytes()
    assert after.startswith(before)
    assert after == (tmp_path / "ledger" / "checkpoints.jsonl").read_bytes()


def test_a_tail_cut_off_with_every_other_witness_gone_opens_paused(tmp_path: Path) -> None:
    """Head file, tables and local checkpoints deleted: the second place still remembers."""
    journal = signed_ledger(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    whole = max(i for i, line in enumerate(lines[:-4]) if b'"left":0' in line) + 1
    journal.write_bytes(b"".join(lines[:whole]))
    for name in ("head", "projection.sqlite", "checkpoints.jsonl"):
        (tmp_path / "ledger" / name).unlink()
    with pytest.raises(LedgerDamagedError, match=f"missing are the records {whole + 1} to"):
        Ledger.open(tmp_path / "ledger", clock=CLOCK, checkpoints=signer(tmp_path))
    with Ledger.open(
        tmp_path / "ledger", clock=CLOCK, checkpoints=signer(tmp_path), on_damage="pause"
    ) as ledger:
        assert ledger.mode("paper") is Mode.PAUSE


def _records(journal: Path) -> list[Record]:
    found: list[Record] = []
    scan(journal, found.append)
    return found


def test_every_mutation_is_found_by_both_verifiers_against_one_exported_file(
    tmp_path: Path,
) -> None:
    """Flips, deletions, insertions, swaps, cuts and whole chains computed again: 100 %."""
    journal = signed_ledger(tmp_path)
    clean, kept = journal.read_bytes(), printout(tmp_path)
    verifier, drawn = load_verifier(), random.Random(11)
    assert verifier.verify(journal, kept)["sound"]
    assert audit_checkpoints(journal.parent, signer(tmp_path), named=kept).problems == ()
    for kind in ("flip", *KINDS) * MUTATIONS_EACH:
        changed = flip(clean, drawn) if kind == "flip" else mutate(kind, clean, drawn)
        journal.write_bytes(changed)
        assert not verifier.verify(journal, kept)["sound"], kind
        audit = audit_checkpoints(journal.parent, signer(tmp_path), named=kept)
        assert audit.problems, kind


def flip(clean: bytes, drawn: random.Random) -> bytes:
    changed = bytearray(clean)
    changed[drawn.randrange(len(clean))] ^= 1 << drawn.randrange(8)
    return bytes(changed)


def test_a_forged_or_rolled_back_file_of_checkpoints_is_found(tmp_path: Path) -> None:
    """A line changed, one left out, another key, an older file: none passes as the newest."""
    journal = signed_ledger(tmp_path)
    lines = exported(tmp_path).read_bytes().splitlines(keepends=True)
    verifier = load_verifier()
    genuine = parse_checkpoint(lines[-1])
    forged = lines[-1].replace(genuine.root.encode(), b"0" * 64)
    # True in all it says, and signed by nobody.
    digit = "0" if genuine.signature[0] != "0" else "1"
    unsigned = replace(genuine, signature=digit + genuine.signature[1:]).line()
    for name, changed in {
        "unsigned": [*lines[:-1], unsigned],
        "changed": [*lines[:-1], forged],
        "gap": [lines[0], *lines[2:]],
        "garbage": [*lines, b"{}\n"],
        "twice": [*lines, lines[-1]],
    }.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(b"".join(changed))
        assert not verifier.verify(journal, path)["sound"], name
        assert audit_checkpoints(journal.parent, signer(tmp_path), named=path).problems, name
    older = tmp_path / "older.jsonl"
    older.write_bytes(b"".join(lines[:2]))
    assert verifier.verify(journal, older)["covered"] < len(_records(journal))
    strange = verifier.verify(journal, exported(tmp_path), "ab" * 32)
    assert "signed by another key" in strange["problems"][0]


def test_the_verifier_runs_alone_and_its_signatures_are_those_of_cryptography(
    tmp_path: Path,
) -> None:
    """Isolated Python, no site packages: the file needs nothing of ours and nothing of others."""
    journal = signed_ledger(tmp_path)
    command = [sys.executable, "-I", "-S", str(PATH), str(journal)]
    command += ["--checkpoints", str(exported(tmp_path)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, found["sound"]) == (0, True), done.stderr
    assert found["covered"] == found["records"]
    verifier = load_verifier()
    key = load_key(tmp_path / "keys" / "k")
    public = key.public_key().public_bytes_raw()
    for number in range(20):
        message = os.urandom(number)
        signature = bytearray(key.sign(message))
        assert verifier.is_signed(public, message, bytes(signature))
        signature[number] ^= 1
        assert not verifier.is_signed(public, message, bytes(signature))


def test_pmx_ledger_verify_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Sound with exit code 0; one changed byte, and the record is named with exit code 1."""
    monkeypatch.setenv("PMX_HOME", str(tmp_path))
    monkeypatch.setenv("PMX_CHECKPOINTS", str(tmp_path / "elsewhere"))
    journal = signed_ledger(tmp_path)
    assert main(["ledger", "verify", "--json"], entries=COMMANDS) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["holds"], answer["signed_records"]) == (True, answer["records"])
    journal.write_bytes(journal.read_bytes().replace(b'"1"', b'"2"', 1))
    assert main(["ledger", "verify"], entries=COMMANDS) == 1
    assert "record 2 is damaged" in capfd.readouterr().out
