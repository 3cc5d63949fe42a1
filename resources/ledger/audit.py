"""Holds a journal against its signed checkpoints, in this folder and in the second place.

Belongs here: reading both places and saying where they contradict the journal or each other. How a
checkpoint is made is `checkpoints`; whether tables and arithmetic agree is `verify`.
"""

from dataclasses import dataclass
from pathlib import Path

from quant.core.errors import DataError
from resources.ledger.checkpoints import (
    Checkpoint,
    Checkpointer,
    checkpoint_problems,
    read_checkpoints,
)
from resources.ledger.journal import JOURNAL_NAME, Record, first_hash, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAudit:
    """What the checkpoints say about the journal."""

    checkpoints: int
    signed_records: int
    public_key: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def audit_checkpoints(
    directory: Path,
    signer: Checkpointer,
    *,
    named: Path | None = None,
    public_key: str = "",
) -> CheckpointAudit:
    """Check every checkpoint of the file `named`, or of both places."""
    hashes: list[str] = []

    def visit(record: Record) -> None:
        hashes.append(record.hash)

    scan(directory / JOURNAL_NAME, visit)
    second = signer.second_path(hashes[0] if hashes else first_hash(directory))
    places = [named] if named else [path for path in (signer.path, second) if path]
    problems: list[str] = []
    notes: list[str] = []
    best: list[Checkpoint] = []
    for place in places:
        found = _checked(place, hashes, public_key, problems)
        if not found:
            notes.append(f"no checkpoint was found in {place}")
        best = max(best, found, key=len)
    if not any(path.exists() for path in places):
        notes.append("nothing is signed: a chain computed again from the start would look sound")
    return CheckpointAudit(
        checkpoints=len(best),
        signed_records=min(best[-1].size, len(hashes)) if best else 0,
        public_key=best[-1].public_key if best else "",
        problems=tuple(dict.fromkeys(problems)),
        notes=tuple(notes),
    )


def _checked(
    place: Path, hashes: list[str], public_key: str, problems: list[str]
) -> list[Checkpoint]:
    try:
        found = read_checkpoints(place)
    except DataError as error:
        problems.append(f"{place}: {error}")
        return []
    wrong = checkpoint_problems(found, hashes, public_key=public_key)
    problems += [f"{place.name}: {problem}" for problem in wrong]
    return found
