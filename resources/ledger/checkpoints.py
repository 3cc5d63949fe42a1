"""Signed checkpoints: what the journal's head was, said by a key, and copied to a second place.

Belongs here: making them, copying them, and what they say about a journal. A hash chain alone can
be computed again by whoever may write the file; a checkpoint that lies where that person cannot
write makes it evident. Nothing stronger is claimed. `docs/verify_ledger.py` checks both without
this project.

A line is `{"origin":...,"previous":...,"public_key":...,"root":...,"signature":...,"size":n,
"time":...}`: `root` is the hash of record `size`, `origin` that of the first record, `previous` the
SHA-256 of the line before. Ed25519 signs the line without its signature.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from quant.core.clock import Clock, SystemClock
from quant.core.errors import DataError, StateError
from resources.ledger.journal import Head, Record, sync_directory

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKPOINTS_NAME: Final = "checkpoints.jsonl"
# Records of these kinds are signed at once: the end of a day, and a person's or a breaker's act.
_AT_ONCE: Final = frozenset({"session_closed", "mode_changed", "breaker_changed"})
_RECORDS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """That the journal had `size` records and that the last of them had the hash `root`."""

    origin: str
    size: int
    root: str
    time: str
    previous: str
    public_key: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        fields = dataclasses.asdict(self)
        del fields["signature"]
        return _text(fields).encode()

    def line(self) -> bytes:
        """The checkpoint on disk."""
        return _text(dataclasses.asdict(self)).encode() + b"\n"

    def is_genuine(self) -> bool:
        """Whether its own key signed it."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.signature), self.signed_bytes())
        except (InvalidSignature, ValueError):
            return False
        return True


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def parse_checkpoint(line: bytes) -> Checkpoint:
    """The checkpoint that `line` is; `DataError` when it is none."""
    try:
        checkpoint = Checkpoint(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise DataError(f"a line of checkpoints cannot be read: {error}") from error
    if not isinstance(checkpoint.size, int) or checkpoint.size < 1:
        raise DataError(f"a checkpoint of {checkpoint.size!r} records is none")
    return checkpoint


def read_checkpoints(path: Path) -> list[Checkpoint]:
    """The checkpoints of a file in order; `DataError` for the first line that is none."""
    if not path.exists():
        return []
    return [parse_checkpoint(line) for line in path.read_bytes().splitlines()]


class Checkpointer:
    """Signs the head of one ledger and keeps the two copies of what it signed."""

    def __init__(
        self,
        directory: Path,
        *,
        key_file: Path,
        second_place: Path | None = None,
        clock: Clock | None = None,
        records_max: int = _RECORDS_MAX,
    ) -> None:
        self.path = directory / CHECKPOINTS_NAME
        self.trouble = ""
        self._key_file = key_file
        self._second_place = second_place
        self._clock = clock or SystemClock()
        self._records_max = records_max
        self._unsigned = 0

    def second_path(self, origin: str) -> Path | None:
        """The copy's file: named by the ledger, so that one place can serve several."""
        if self._second_place is None:
            return None
        return self._second_place / f"ledger-{origin[:16]}.jsonl"

    def anchors(self, origin: str) -> tuple[Head, ...]:
        """Every record that a checkpoint of either place names; unreadable lines name nothing."""
        places = [self.path, self.second_path(origin)]
        found: dict[int, Head] = {}
        for place in places:
            for checkpoint in _readable(place):
                head = Head(seq=checkpoint.size, hash=checkpoint.root)
                # Two places that disagree cannot both be true: the first stays, and `verify` says.
                found.setdefault(checkpoint.size, head)
        return tuple(found.values())

    def is_due(self, records: Sequence[Record]) -> bool:
        """Whether these new records call for a checkpoint now."""
        self._unsigned += len(records)
        if self._unsigned >= self._records_max:
            return True
        return any(record.payload["kind"] in _AT_ONCE for record in records)

    @property
    def has_unsigned(self) -> bool:
        """Whether records were acknowledged since the last checkpoint of this process."""
        return self._unsigned > 0

    def sign(self, head: Head, origin: str) -> None:
        """Write a checkpoint; what goes wrong is kept in `trouble`, for the records are safe."""
        try:
            self._sign(head, origin)
        except (OSError, DataError, StateError) as error:
            self.trouble = f"no checkpoint could be written: {error}"
        else:
            self._unsigned = 0

    def _sign(self, head: Head, origin: str) -> None:
        key = load_key(self._key_file)
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        if not lines or parse_checkpoint(lines[-1]).size < head.seq:
            draft = Checkpoint(
                origin=origin,
                size=head.seq,
                root=head.hash,
                time=self._clock.now().astimezone(dt.UTC).isoformat(),
                previous=previous,
                public_key=public_key_of(key),
            )
            signature = key.sign(draft.signed_bytes()).hex()
            lines.append(dataclasses.replace(draft, signature=signature).line())
            _append(self.path, lines[-1:])
        self._copy(lines, origin)

    def _copy(self, lines: list[bytes], origin: str) -> None:
        """Bring the second place up to date; lines that lie there are never changed."""
        self.trouble = ""
        path = self.second_path(origin)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            there = path.read_bytes().splitlines(keepends=True) if path.exists() else []
            if there != lines[: len(there)]:
                self.trouble = f"{path} holds other checkpoints of this ledger than {self.path}"
                return
            _append(path, lines[len(there) :])
        except OSError as error:
            self.trouble = f"the second place takes no checkpoint: {error}"


def _readable(path: Path | None) -> Iterable[Checkpoint]:
    if path is None or not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield parse_checkpoint(line)
        except DataError:
            continue


def _append(path: Path, lines: Sequence[bytes]) -> None:
    if not lines:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        os.write(descriptor, b"".join(lines))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def load_key(path: Path) -> "Ed25519PrivateKey":
    """The signing key, made on first use; a key that others may read is refused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Ed25519PrivateKey.generate()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, fresh.private_bytes_raw().hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return fresh
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StateError(f"{path} may be read by others", remedy=f"chmod 600 {path}")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise StateError(
            f"{path} holds no signing key", remedy="restore it from a copy, or move it away"
        ) from error


def public_key_of(key: "Ed25519PrivateKey") -> str:
    """The key that checks signatures, as hexadecimal text."""
    return key.public_key().public_bytes_raw().hex()


def checkpoint_problems(
    checkpoints: Sequence[Checkpoint], hashes: Sequence[str], *, public_key: str = ""
) -> list[str]:
    """What the checkpoints of one file say against a journal whose records have these hashes."""
    problems: list[str] = []
    previous, size = "", 0
    trusted = public_key or (checkpoints[0].public_key if checkpoints else "")
    for number, one in enumerate(checkpoints, start=1):
        name = f"checkpoint {number} of {one.size} records"
        if one.public_key != trusted:
            problems.append(f"{name} is signed by another key")
        if not one.is_genuine():
            problems.append(f"{name} has a false signature")
        # A copy may begin anywhere, so only its later lines have a predecessor here.
        if number > 1 and one.previous != previous:
            problems.append(f"{name} does not continue the one before it")
        if one.size <= size:
            problems.append(f"{name} does not follow {size} records")
        problems += _against_journal(one, hashes, name)
        previous, size = hashlib.sha256(one.line()).hexdigest(), one.size
    return problems


def _against_journal(one: Checkpoint, hashes: Sequence[str], name: str) -> list[str]:
    if len(hashes) < one.size:
        return [f"{name}: the journal has only {len(hashes)}"]
    if hashes[one.size - 1] != one.root:
        return [f"{name}: record {one.size} of the journal is not the one that was signed"]
    if hashes[0] != one.origin:
        return [f"{name}: it belongs to another ledger"]
    return []
