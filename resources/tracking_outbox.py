"""Where the nightly leaves its records for MLflow: small folders that appear whole or not at all.

Belongs here: writing, listing and sending records, and surviving a crash at any point of it.
Does not belong here: MLflow. `flush` is given the function that sends.

One record is one folder: `record.json` and a Parquet file per artifact. It is prepared under a name
that starts with a dot and renamed once it is complete and on disk. Sent means gone.
"""

import datetime as dt
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from quant.core.errors import DataError, PmxError, StorageUnavailableError
from resources.tracking_record import NightRecord, night_record

_RECORD = "record.json"
_FAILURE = "failure.json"
# A draft older than this belongs to a process that died while writing it.
_DRAFT_LIFE_S = 3600

Send = Callable[[NightRecord, list[Path]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRecord:
    """A record that is in MLflow now."""

    record: str
    model: str
    session: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A record that waits for the next flush, and why."""

    record: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReport:
    """What one flush did."""

    sent: tuple[SentRecord, ...] = ()
    kept: tuple[KeptRecord, ...] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for another process or JSON."""
        return {
            "sent": [asdict(one) for one in self.sent],
            "kept": [asdict(one) for one in self.kept],
            "note": self.note,
        }


class TrackingOutbox:
    """A folder of records that MLflow has not taken yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(
        self,
        model: str,
        session: dt.date,
        *,
        recorded_at: dt.datetime,
        params: Mapping[str, object],
        metrics: Mapping[str, float | Decimal | None],
        tags: Mapping[str, object],
        artifacts: Mapping[str, pd.DataFrame] | None = None,
    ) -> Path:
        """Leave a record; leaving the same content again changes nothing."""
        record = night_record(
            model,
            session,
            recorded_at=recorded_at,
            params=params,
            metrics=metrics,
            tags=tags,
            artifacts=artifacts,
        )
        place = self._directory / f"{session}-{model}-{record.identity}"
        if place.exists():
            return place
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self._directory))
            try:
                _write(draft, record, artifacts or {})
                _publish(draft, place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise StorageUnavailableError(
                f"the record for MLflow could not be written to {self._directory}: "
                f"{error.strerror}",
                remedy="free some space or make the folder writable; trading does not depend on it",
            ) from error
        return place

    def pending(self) -> list[Path]:
        """Records that wait, the oldest session first."""
        if not self._directory.is_dir():
            return []
        return sorted(p for p in self._directory.iterdir() if p.is_dir() and p.name[0] != ".")

    def flush(self, send: Send) -> FlushReport:
        """Send every record; keep what cannot be sent, with the reason beside it.

        A record that cannot be read is kept and the others go on. When MLflow itself fails, the
        rest is not tried: each attempt would wait for the same dead server.
        """
        if not self.pending():
            return FlushReport(note="nothing to send")
        with self._locked() as is_mine:
            if not is_mine:
                return FlushReport(note="another flush is under way")
            self._sweep()
            return self._send_all(send)

    def _send_all(self, send: Send) -> FlushReport:
        sent: list[SentRecord] = []
        kept: list[KeptRecord] = []
        down = ""
        for place in self.pending():
            if down:
                kept.append(KeptRecord(record=place.name, reason=down))
                continue
            try:
                record = _read(place)
                run_id = send(record, sorted(place.glob("*.parquet")))
            except PmxError as error:
                down = str(error) if isinstance(error, StorageUnavailableError) else ""
                kept.append(_keep(place, str(error)))
                continue
            sent.append(
                SentRecord(
                    record=place.name,
                    model=record.model,
                    session=record.session.isoformat(),
                    run_id=run_id,
                )
            )
            _remove(place)
        return FlushReport(sent=tuple(sent), kept=tuple(kept))

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """One flush at a time; the system frees the lock of a process that dies."""
        with (self._directory / ".lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _sweep(self) -> None:
        """Remove what a crash left: records that were sent, and drafts that nobody finishes."""
        now = dt.datetime.now(dt.UTC).timestamp()
        for left in self._directory.glob(".sent-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self._directory.glob(".draft-*"):
            if now - left.stat().st_mtime > _DRAFT_LIFE_S:
                shutil.rmtree(left, ignore_errors=True)


def _write(draft: Path, record: NightRecord, artifacts: Mapping[str, pd.DataFrame]) -> None:
    for name, frame in artifacts.items():
        frame.to_parquet(draft / f"{name}.parquet", index=False)
    (draft / _RECORD).write_text(record.to_json(), encoding="utf-8")
    for file in draft.iterdir():
        _sync(file)
    _sync(draft)


def _publish(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        # Another process left the same content first; a rename never replaces a filled folder.
        if not place.exists():
            raise
    _sync(place.parent)


def _read(place: Path) -> NightRecord:
    try:
        record = NightRecord.from_json((place / _RECORD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the record cannot be read: {error}") from error
    missing = [name for name in record.artifacts if not (place / f"{name}.parquet").is_file()]
    if missing:
        raise DataError(f"the record lacks its artifacts {', '.join(missing)}")
    if not place.name.endswith(record.identity):
        raise DataError("the record's content is not what it was when it was written")
    return record


def _keep(place: Path, reason: str) -> KeptRecord:
    """Write the reason beside the record, for whoever looks there; that may fail as well."""
    note = json.dumps({"reason": reason, "at": dt.datetime.now(dt.UTC).isoformat()})
    try:
        (place / _FAILURE).write_text(note, encoding="utf-8")
    except OSError as error:
        reason = f"{reason} (and the reason could not be written down: {error.strerror})"
    return KeptRecord(record=place.name, reason=reason)


def _remove(place: Path) -> None:
    """Renamed first: a crash in between must not leave half a record to be sent."""
    gone = place.with_name(f".sent-{re.sub('^[.]+', '', place.name)}")
    shutil.rmtree(gone, ignore_errors=True)
    place.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
