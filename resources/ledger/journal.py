"""The journal: one file, one JSON line a record, each line hashed over the one before.

Belongs here: appending durably, reading back, and telling a tail that was never acknowledged from
damage. Does not belong here: what the payloads mean (`quant.execution.events`) or queries
(`projection`).

A line is `{"hash":"<64 hex>","left":n,"payload":{...},"prev_hash":...,"recorded_at":...,"seq":n}`.
The hash is SHA-256 over the line's own bytes without its first member, so a verifier needs nothing
but a hash function. `left` counts the records of the same commit that follow: a commit that a crash
cut short is taken back whole. After each fsync the head file names the last acknowledged record; a
journal that ends before it has lost records, and a fragment after it never was a record.
"""

import datetime as dt
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from quant.core.clock import Clock
from quant.core.errors import LedgerDamagedError, StorageUnavailableError

GENESIS: Final = "0" * 64
JOURNAL_NAME: Final = "journal.jsonl"
_HASH_START = len('{"hash":"')
_BODY_START = _HASH_START + 64 + len('",')
_HEAD_WIDTH = 128
_READ_BYTES = 1 << 20

# Called with the name of each step of a commit; a test stops the process there.
Probe = Callable[[str], None]
# `os.pwrite`, or a disk that misbehaves.
PositionedWrite = Callable[[int, bytes, int], int]


def no_probe(_step: str) -> None:
    """Nothing watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One acknowledged event."""

    seq: int
    recorded_at: str
    prev_hash: str
    hash: str
    left: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last acknowledged record, and where the file ended after it where that is known."""

    seq: int = 0
    hash: str = GENESIS
    file_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TornTail:
    """Bytes after the last whole commit that a crash left; none of them was ever acknowledged."""

    after_seq: int
    byte_count: int
    kept_in: str = ""


@dataclass(slots=True)
class Scan:
    """What a walk over the file found; the sound part is everything before `sound_bytes`."""

    head: Head
    sound_bytes: int = 0
    torn_bytes: int = 0
    damage: str = ""


def scan(
    path: Path,
    visit: Callable[[Record], None],
    *,
    known: Head | None = None,
    anchors: Sequence[Head] = (),
    after: Head = Head(),
) -> Scan:
    """Walk the chain and give each record of each whole commit to `visit`.

    `known` is the last record that was acknowledged, and `anchors` are records that checkpoints
    name: what is missing up to the last of them is damage, what is broken after it is a torn tail
    if it looks like one. The walk begins at the first record, or behind `after` where the caller
    has read so far before.
    """
    every = (*anchors, known or Head())
    walk = _Walk(
        visit=visit,
        acknowledged=max(every, key=lambda head: head.seq),
        anchors={head.seq: head.hash for head in every},
        head=after,
        sound=after,
        sound_bytes=after.file_bytes,
        read_bytes=after.file_bytes,
    )
    if path.exists():
        with path.open("rb") as file:
            os.lseek(file.fileno(), after.file_bytes, os.SEEK_SET)
            for line in _lines(file.fileno()):
                if not walk.take(line):
                    break
            walk.file_bytes = os.fstat(file.fileno()).st_size
    return walk.result()


@dataclass(slots=True)
class _Walk:
    visit: Callable[[Record], None]
    acknowledged: Head
    anchors: Mapping[int, str]
    head: Head = Head()
    sound: Head = Head()
    sound_bytes: int = 0
    read_bytes: int = 0
    file_bytes: int = 0
    commit: list[Record] | None = None
    damage: str = ""
    is_torn: bool = False

    def take(self, line: bytes) -> bool:
        """Check one line; False ends the walk."""
        if not line.endswith(b"\n"):
            self.is_torn = True
            return False
        try:
            record = parse(line)
            self._check(record)
        except ValueError as error:
            self.damage = f"record {self.head.seq + 1} is damaged: {error}"
            return False
        self.read_bytes += len(line)
        self.head = Head(seq=record.seq, hash=record.hash)
        self.commit = [*(self.commit or []), record]
        if record.left == 0:
            self._accept()
        return True

    def _check(self, record: Record) -> None:
        if record.seq != self.head.seq + 1:
            raise ValueError(f"its number is {record.seq}")
        if record.prev_hash != self.head.hash:
            raise ValueError("it does not continue the record before it")
        expected = self.commit[-1].left - 1 if self.commit else record.left
        if record.left != expected:
            raise ValueError("its commit is not whole")
        if self.anchors.get(record.seq, record.hash) != record.hash:
            raise ValueError("it is not the record that was acknowledged under this number")

    def _accept(self) -> None:
        for record in self.commit or []:
            self.visit(record)
        self.commit = None
        self.sound, self.sound_bytes = self.head, self.read_bytes

    def result(self) -> Scan:
        torn = 0 if self.damage else self.file_bytes - self.sound_bytes
        missing = self.acknowledged.seq - self.sound.seq
        if not self.damage and missing > 0:
            self.damage = (
                f"the journal ends after record {self.sound.seq}, and "
                f"{self.acknowledged.seq} had been acknowledged"
            )
        if self.damage and missing > 0:
            self.damage += (
                f"; missing are the records {self.sound.seq + 1} to {self.acknowledged.seq}"
            )
        return Scan(
            head=self.sound, sound_bytes=self.sound_bytes, torn_bytes=torn, damage=self.damage
        )


def parse(line: bytes) -> Record:
    """The record that `line` is; `ValueError` says why it is none."""
    body = b"{" + line[_BODY_START:-1]
    stated = line[_HASH_START : _HASH_START + 64]
    framed = line.startswith(b'{"hash":"') and line[_BODY_START - 2 : _BODY_START] == b'",'
    if not framed or hashlib.sha256(body).hexdigest().encode() != stated:
        raise ValueError("its bytes do not match its hash")
    try:
        return Record(hash=stated.decode(), **json.loads(body))
    except TypeError as error:
        raise ValueError("it has other members than a record") from error


def render(*, seq: int, prev_hash: str, recorded_at: str, left: int, payload: Any) -> Record:
    """The record with its hash."""
    return stamped(
        seq=seq, prev_hash=prev_hash, recorded_at=recorded_at, left=left, payload=payload
    )[0]


def stamped(
    *, seq: int, prev_hash: str, recorded_at: str, left: int, payload: Any
) -> tuple[Record, bytes]:
    """The record with its hash, and its line: the bytes are made once."""
    body = _body(seq=seq, prev_hash=prev_hash, recorded_at=recorded_at, left=left, payload=payload)
    digest = hashlib.sha256(body).hexdigest()
    record = Record(
        seq=seq,
        prev_hash=prev_hash,
        recorded_at=recorded_at,
        left=left,
        payload=payload,
        hash=digest,
    )
    return record, b'{"hash":"' + digest.encode() + b'",' + body[1:] + b"\n"


# One encoder for all: `json.dumps` with options would build another one for each record.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _body(**parts: Any) -> bytes:
    return _encode(parts).encode()


def line_of(record: Record) -> bytes:
    """The record's bytes on disk."""
    return stamped(
        seq=record.seq,
        prev_hash=record.prev_hash,
        recorded_at=record.recorded_at,
        left=record.left,
        payload=record.payload,
    )[1]


def _lines(descriptor: int) -> Iterator[bytes]:
    """Lines with their ends, the last one as it is; bounded reads, so a file may be large."""
    rest = b""
    while chunk := os.read(descriptor, _READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def read_head(directory: Path) -> Head | None:
    """The last acknowledged record as the head file names it; None when it cannot say."""
    try:
        parts = (directory / "head").read_text().split()
        return Head(seq=int(parts[0]), hash=parts[1], file_bytes=int(parts[2]))
    except (OSError, ValueError, IndexError):
        # A power cut may tear it; the projection is the second witness.
        return None


def first_hash(directory: Path) -> str:
    """The hash of the first record as it stands in the file, which names the ledger; or nothing."""
    try:
        with (directory / JOURNAL_NAME).open("rb") as file:
            return parse(file.readline()).hash
    except (OSError, ValueError):
        return ""


def ends_with(path: Path, head: Head) -> bool:
    """Whether the file still has, at its place, the record that `head` names; reads one block."""
    if head.seq == 0:
        return True
    try:
        with path.open("rb") as file:
            start = max(0, head.file_bytes - _READ_BYTES)
            file.seek(start)
            block = file.read(head.file_bytes - start)
        line = block[block.rindex(b"\n", 0, -1) + 1 if b"\n" in block[:-1] else 0 :]
        return parse(line).hash == head.hash
    except (OSError, ValueError):
        return False


class Journal:
    """The one writer of a journal; hold it open for as long as nobody else may append."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        lock: "WriterLock",
        probe: Probe = no_probe,
        pwrite: PositionedWrite = os.pwrite,
    ) -> None:
        self.directory = directory
        self.path = directory / JOURNAL_NAME
        self.damage = ""
        self.torn: TornTail | None = None
        self._clock = clock
        self._lock = lock
        self._probe = probe
        self._pwrite = pwrite
        self._head = Head()
        self._size = 0
        self._file = -1
        self._head_file = -1

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Clock,
        lock: "WriterLock",
        visit: Callable[[Record], None],
        known: Head | None = None,
        anchors: Sequence[Head] = (),
        probe: Probe = no_probe,
        pwrite: PositionedWrite = os.pwrite,
    ) -> Self:
        """Verify the whole chain, and cut a tail that a crash tore; the lock goes with it."""
        journal = cls(directory, clock=clock, lock=lock, probe=probe, pwrite=pwrite)
        try:
            journal._load(visit, known or Head(), anchors)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def head(self) -> Head:
        """The last acknowledged record."""
        return self._head

    def append_all(self, payloads: Sequence[dict[str, Any]]) -> list[Record]:
        """Append as one commit: all are on disk when this returns, or none is."""
        if self.damage:
            raise LedgerDamagedError(
                f"the ledger in {self.directory} takes no records: {self.damage}",
                remedy="restore the journal from a copy, or salvage its sound part",
            )
        if not payloads:
            return []
        records, data = self._render(payloads)
        self._write(data)
        self._size += len(data)
        self._head = Head(seq=records[-1].seq, hash=records[-1].hash)
        self._probe("journal.synced")
        self._write_head()
        self._probe("journal.head_written")
        return records

    def close(self) -> None:
        """Let the next writer in."""
        for name in ("_file", "_head_file"):
            descriptor = getattr(self, name)
            setattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)
        self._lock.release()

    def step_aside(self) -> None:
        """Let other writers in until `step_in`; everything that was read stays known."""
        self._lock.release()

    def step_in(self, visit: Callable[[Record], None], *, wait_seconds: float) -> None:
        """Take the writer's place again, and give what others have appended to `visit`."""
        self._lock = WriterLock.take(self.directory, wait_seconds=wait_seconds)
        try:
            with storage_errors(self.directory):
                self._catch_up(visit)
        except BaseException:
            self._lock.release()
            raise

    def _catch_up(self, visit: Callable[[Record], None]) -> None:
        there, ours = self.path.stat(), os.fstat(self._file)
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            # Salvaged or restored from a copy: what was read before is of another file.
            self.damage = "another file has taken the journal's place: open it again"
        elif ours.st_size < self._size:
            self.damage = f"the journal has lost what it held up to record {self._head.seq}"
        elif ours.st_size > self._size:
            read = Head(seq=self._head.seq, hash=self._head.hash, file_bytes=self._size)
            known = max(read_head(self.directory) or read, read, key=lambda head: head.seq)
            self._take_up(scan(self.path, visit, known=known, after=read))

    def _load(self, visit: Callable[[Record], None], known: Head, anchors: Sequence[Head]) -> None:
        anchor = max(read_head(self.directory) or Head(), known, key=lambda head: head.seq)
        self._take_up(scan(self.path, visit, known=anchor, anchors=anchors))

    def _take_up(self, found: Scan) -> None:
        """Go on from what a walk has found."""
        self._head, self._size, self.damage = found.head, found.sound_bytes, found.damage
        if found.damage:
            return  # nothing is touched: what is left is evidence
        with storage_errors(self.directory):
            if self._file < 0:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o640)
                self._head_file = os.open(self.directory / "head", os.O_RDWR | os.O_CREAT, 0o640)
            if found.torn_bytes:
                self._cut(found)
            # A commit written but not yet synced when its writer died becomes durable here, before
            # anything is derived from it.
            os.fsync(self._file)
            sync_directory(self.directory)
        self._write_head()

    def _cut(self, found: Scan) -> None:
        """Set the torn bytes aside as evidence, then take them off the journal."""
        os.lseek(self._file, found.sound_bytes, os.SEEK_SET)
        tail = os.read(self._file, found.torn_bytes)
        name = f"torn-{found.head.seq}-{hashlib.sha256(tail).hexdigest()[:8]}.bin"
        (self.directory / name).write_bytes(tail)
        os.ftruncate(self._file, found.sound_bytes)
        os.fsync(self._file)
        self.torn = TornTail(after_seq=found.head.seq, byte_count=len(tail), kept_in=name)

    def _render(self, payloads: Sequence[dict[str, Any]]) -> tuple[list[Record], bytes]:
        moment = self._clock.now().astimezone(dt.UTC).isoformat()
        seq, previous = self._head.seq, self._head.hash
        records: list[Record] = []
        lines: list[bytes] = []
        for left in range(len(payloads) - 1, -1, -1):
            seq += 1
            record, line = stamped(
                seq=seq,
                prev_hash=previous,
                recorded_at=moment,
                left=left,
                payload=payloads[-left - 1],
            )
            previous = record.hash
            records.append(record)
            lines.append(line)
        return records, b"".join(lines)

    def _write(self, data: bytes) -> None:
        self._probe("journal.before_write")
        written = 0
        try:
            while written < len(data):
                written += self._pwrite(self._file, data[written:], self._size + written)
            self._probe("journal.written")
            _sync_data(self._file)
        except OSError as error:
            self._take_back(error)

    def _take_back(self, error: OSError) -> None:
        """Leave no half record; when even that fails, refuse everything until reopened."""
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError as second:
            self.damage = f"a failed write could not be taken back: {second}"
        raise StorageUnavailableError(
            f"the ledger in {self.directory} could not be written: {error.strerror}; "
            "nothing was recorded",
            remedy="free disk space or make the folder writable, then run the command again",
        ) from error

    def _write_head(self) -> None:
        # Not synced: it survives the process, and after a power cut an older head is still true.
        text = f"{self._head.seq} {self._head.hash} {self._size}".ljust(_HEAD_WIDTH - 1) + "\n"
        with suppress(OSError):  # the record is safe already, and so is an older head
            os.pwrite(self._head_file, text.encode(), 0)


class WriterLock:
    """Keeps a second writer out; the file names the process that holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path, *, wait_seconds: float = 0.0) -> Self:
        """Lock, or say which process holds the ledger."""
        with storage_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(directory / "writer.lock", os.O_RDWR | os.O_CREAT, 0o640)
        if not _locked(descriptor, wait_seconds):
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StorageUnavailableError(
                f"the ledger in {directory} is being written by process {holder}",
                remedy=f"wait for process {holder} to finish, or stop it, then try again",
            )
        with suppress(OSError):  # the number is a courtesy; on a full disk the lock still holds
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let go; the kernel does the same for a process that dies."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(descriptor: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


@contextmanager
def storage_errors(directory: Path) -> Iterator[None]:
    """Turn the system's refusals into the product's own."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailableError(
            f"the ledger in {directory} cannot be opened for writing: {error.strerror}",
            remedy="make the folder writable, or name another one",
        ) from error


# The data and the file's length become durable; the time of the change need not.
_sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


def sync_directory(directory: Path) -> None:
    """Make the names of new files durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
