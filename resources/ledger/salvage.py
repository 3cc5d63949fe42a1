"""Makes a damaged ledger usable again: keeps its sound part, sets the rest aside, pauses it all.

Belongs here: the one deliberate loss. A person asks for it after looking for a better copy; nothing
in the product calls it by itself. What was lost stays in the folder as evidence.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quant.core.clock import Clock
from quant.core.errors import UsageError
from quant.execution.events import EVERY_BOOK, Mode, ModeChanged
from resources.ledger.journal import (
    JOURNAL_NAME,
    Head,
    Record,
    Scan,
    WriterLock,
    read_head,
    scan,
    storage_errors,
    sync_directory,
)
from resources.ledger.ledger import Ledger
from resources.ledger.opening import open_tables

_COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What was kept, what was lost, and where the damaged journal lies now."""

    kept_seq: int
    lost: str
    kept_in: str


def salvage(directory: Path, *, clock: Clock, url: str | None = None) -> Salvage:
    """Cut the journal back to its sound part and pause every book until a person decides."""
    lock = WriterLock.take(directory)
    try:
        tables = open_tables(directory, url)
        found = _damage_of(directory, tables.witness or tables.head())
        kept_in = _set_aside(directory, found)
        tables.clear()
        tables.close()
    finally:
        lock.release()
    pause = ModeChanged(
        scope=EVERY_BOOK,
        mode=Mode.PAUSE,
        reason=f"the ledger was salvaged: {found.damage}",
        changed_by="salvage",
        changed_at=clock.now(),
    )
    with Ledger.open(directory, url=url, clock=clock) as ledger:
        ledger.append_all([pause])
    return Salvage(kept_seq=found.head.seq, lost=found.damage, kept_in=kept_in)


def _damage_of(directory: Path, known: Head) -> Scan:
    def pass_over(_record: Record) -> None:
        """Only where the chain breaks matters here."""

    anchor = max(read_head(directory) or Head(), known, key=lambda head: head.seq)
    found = scan(directory / JOURNAL_NAME, pass_over, known=anchor)
    if not found.damage:
        raise UsageError(
            f"the ledger in {directory} is sound", remedy="open it: there is nothing to salvage"
        )
    return found


def _set_aside(directory: Path, found: Scan) -> str:
    """Copy the sound part under another name first, so that a crash in here loses nothing."""
    journal, fresh = directory / JOURNAL_NAME, directory / "salvaged.jsonl"
    number = 1 + sum(1 for _ in directory.glob(f"damaged-*-{JOURNAL_NAME}"))
    kept = directory / f"damaged-{number}-{JOURNAL_NAME}"
    with storage_errors(directory):
        journal.touch()
        with journal.open("rb") as source, fresh.open("wb") as target:
            left = found.sound_bytes
            while left:
                left -= target.write(source.read(min(left, _COPY_BYTES)))
            target.flush()
            os.fsync(target.fileno())
        os.link(journal, kept)
        (directory / "head").unlink(missing_ok=True)
        fresh.replace(journal)
        sync_directory(directory)
    return kept.name
