"""Whether the file of the SQL tables is still as its last writer left it.

Belongs here: one small file beside the tables. Whoever writes holds a shared lock on it for as long
as it lives; the last to go leaves the tables' digest in it. So a writer that finds itself alone
knows: a digest that agrees is a file that nothing has touched, no digest is a writer that died, and
another digest is damage. SQLite checks the form of its pages and not what they say: a bit that
flips in a price would pass. Does not belong here: what to do about it (`opening`).
"""

import fcntl
import hashlib
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

_READ_BYTES: Final = 1 << 20


class TablesState(StrEnum):
    """What is known of the tables' file when a writer opens it."""

    SOUND = "sound"  # untouched since its last writer, or in the care of a living one
    UNSEALED = "unsealed"  # its last writer died
    CHANGED = "changed"  # something else than a writer has changed it


class Seal:
    """One writer's hold on the seal."""

    def __init__(self, tables: Path, descriptor: int, state: TablesState) -> None:
        self.state = state
        self._tables = tables
        self._descriptor = descriptor

    @classmethod
    def take(cls, tables: Path) -> Self:
        """Break the seal, since the tables are about to change; say what it said."""
        descriptor = os.open(seal_path(tables), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            if _alone(descriptor):
                state = _state(tables, os.pread(descriptor, 64, 0))
            else:
                # A writer that lives has seen to them; wait while one that goes is sealing.
                state = TablesState.SOUND
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.ftruncate(descriptor, 0)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(tables, descriptor, state)

    def close(self) -> None:
        """Leave the digest, unless another writer stays; a seal that cannot be left is no seal."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            if _alone(self._descriptor):
                os.pwrite(self._descriptor, digest_of(self._tables), 0)
        os.close(self._descriptor)
        self._descriptor = -1


def seal_path(tables: Path) -> Path:
    """Where the seal of these tables lies."""
    return tables.with_suffix(".seal")


def is_changed(tables: Path) -> bool:
    """Whether the file differs from what its last writer sealed; a reader's question."""
    seal = seal_path(tables)
    try:
        sealed = seal.read_bytes()
        # A writer may have broken the seal while the file was read: then nothing is said.
        return bool(sealed) and sealed != digest_of(tables) and sealed == seal.read_bytes()
    except OSError:
        return False


def digest_of(tables: Path) -> bytes:
    """SHA-256 over the file and the write-ahead log beside it, as hexadecimal text."""
    digest = hashlib.sha256()
    for path in (tables, tables.with_name(tables.name + "-wal")):
        if path.exists():
            with path.open("rb") as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
    return digest.hexdigest().encode()


def _state(tables: Path, sealed: bytes) -> TablesState:
    if not sealed:
        return TablesState.UNSEALED
    return TablesState.SOUND if sealed == digest_of(tables) else TablesState.CHANGED


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
