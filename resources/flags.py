"""The switches of models: one YAML file, read again when it changes, with a history of its own.

Belongs here: the file, its re-reading in running processes, and the append-only record of who moved
which switch when and why. Does not belong here: what a switch does to a strategy
(quant.signals.flags).

The record is written before the file: a crash between the two leaves a change that was announced
and not made, which `history` shows, and never one that nobody recorded.
"""

import datetime as dt
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from quant.core.errors import StateError, UsageError
from quant.core.identity import content_hash
from quant.signals.flags import FlagsPolicy
from resources.policy import load_policy

FILE_NAME = "flags.yaml"
HISTORY_NAME = "flag-changes.jsonl"
_MODEL = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChange:
    """One switch moved by somebody."""

    model: str
    before: bool | None  # None where the model had no switch
    after: bool
    changed_by: str
    changed_at: str  # ISO 8601, UTC
    reason: str
    previous: str  # the hash of the record before, empty for the first

    @property
    def hash(self) -> str:
        """Chains the record to all before it."""
        return content_hash(asdict(self))


class FlagReader:
    """The switches as they are now, for a process that lives long.

    It looks at the file at most every `recheck_seconds`, and reads it when its size, its time or
    its place on the disk has changed. A file that became unreadable raises: an unknown switch is
    never taken for one that is on.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._monotonic = monotonic
        self._looked_at = -float("inf")
        self._stamp: tuple[int, int, int] | None = None
        self._policy = FlagsPolicy()

    def current(self) -> FlagsPolicy:
        """The switches, at most `recheck_seconds` old."""
        now = self._monotonic()
        if self._stamp is None or now - self._looked_at >= self._policy.recheck_seconds:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._policy = load_policy(self.path, FlagsPolicy)
                self._stamp = stamp
            self._looked_at = now
        return self._policy

    def is_on(self, model: str) -> bool:
        """Whether a model may be traded on; one without a switch may not."""
        return self.current().models.get(model, False)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            # load_policy says what is wrong with it, and what to do.
            load_policy(self.path, FlagsPolicy)
            raise
        return found.st_mtime_ns, found.st_size, found.st_ino


def set_flag(
    config_dir: Path,
    record_dir: Path,
    model: str,
    *,
    is_on: bool,
    changed_by: str,
    reason: str,
    now: dt.datetime,
) -> FlagChange | None:
    """Move a switch and record it; None when it stood there already."""
    if not _MODEL.fullmatch(model):
        raise UsageError(f"{model!r} is no name of a model", remedy="see pmx flags show")
    record_dir.mkdir(parents=True, exist_ok=True)
    path, record = config_dir / FILE_NAME, record_dir / HISTORY_NAME
    with record.open("a+", encoding="utf-8") as file:
        # One writer at a time, whatever process it is in; readers need no lock.
        fcntl.flock(file, fcntl.LOCK_EX)
        before = load_policy(path, FlagsPolicy).models.get(model)
        if before is is_on:
            return None
        past = _parsed(record)
        change = FlagChange(
            model=model,
            before=before,
            after=is_on,
            changed_by=changed_by,
            changed_at=now.astimezone(dt.UTC).isoformat(),
            reason=reason,
            previous=past[-1].hash if past else "",
        )
        text = _edited(path.read_text(encoding="utf-8"), model, is_on=is_on)
        file.write(json.dumps(asdict(change) | {"hash": change.hash}) + "\n")
        file.flush()
        os.fsync(file.fileno())
        _replace(path, text)
    load_policy(path, FlagsPolicy)
    return change


def history(record_dir: Path) -> list[FlagChange]:
    """Every change, oldest first; `StateError` where the record was edited or is damaged."""
    path = record_dir / HISTORY_NAME
    return _parsed(path) if path.exists() else []


def last_changes(record_dir: Path) -> Mapping[str, FlagChange]:
    """The newest change of each model."""
    return {change.model: change for change in history(record_dir)}


def _parsed(path: Path) -> list[FlagChange]:
    changes: list[FlagChange] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = json.loads(line)
            stated = values.pop("hash")
            change = FlagChange(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, number) from error
        if stated != change.hash or change.previous != (changes[-1].hash if changes else ""):
            raise _damaged(path, number)
        changes.append(change)
    return changes


def _damaged(path: Path, number: int) -> StateError:
    return StateError(
        f"{path} was changed after it was written: record {number} does not fit",
        remedy="restore it from a backup, or move it away to begin a new record",
    )


def _edited(text: str, model: str, *, is_on: bool) -> str:
    """The file with one line changed or added, so that its comments stay."""
    value = "true" if is_on else "false"
    line = re.compile(rf"(?m)^(\s+{model}:[ \t]*)\S+")
    if line.search(text):
        return line.sub(rf"\g<1>{value}", text, count=1)
    head = re.compile(r"(?m)^models:[ \t]*(\{\})?[ \t]*$")
    if not head.search(text):
        raise UsageError(
            f"{FILE_NAME} does not list its models one a line",
            remedy=f"write `models:` and below it `  {model}: {value}`",
        )
    return head.sub(f"models:\n  {model}: {value}", text, count=1)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
