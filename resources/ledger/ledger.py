"""The ledger: what was intended, sent, filled, refused and judged, and what the books are worth.

Belongs here: one class that joins the journal (the authority) with its SQL projection: opening,
appending, repairing. Does not belong here: queries (`queries`). SQLAlchemy is imported when a
ledger is opened, since it takes half a second.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from quant.core.clock import Clock, SystemClock
from quant.core.errors import LedgerDamagedError, StateError, StorageUnavailableError, UsageError
from quant.execution import codec
from quant.execution.events import (
    Event,
    FillRecorded,
)
from quant.execution.orders import (
    LedgerHead,
)
from resources.ledger.checkpoints import Checkpointer
from resources.ledger.journal import (
    JOURNAL_NAME,
    Head,
    Journal,
    PositionedWrite,
    Probe,
    Record,
    TornTail,
    WriterLock,
    ends_with,
    first_hash,
    no_probe,
    read_head,
    scan,
)
from resources.ledger.opening import open_tables, open_tables_to_read, tables_in_memory
from resources.ledger.queries import LedgerQueries, OrderStatus, Recorded

if TYPE_CHECKING:
    from resources.ledger.projection import Projection
    from resources.ledger.verify import VerifyReport

__all__ = ["Ledger", "OrderStatus", "Recorded"]

# Another writer holds the ledger for moments; a night that decides, for seconds.
TURN_WAIT_S: Final = 60.0
CLOSE_WAIT_S: Final = 1.0

_DAMAGE_REMEDY: Final = (
    "restore the folder from a copy, or keep its sound part with salvage; if PMX_LEDGER_URL was "
    "pointed at the tables of another ledger, give this one its own"
)


@dataclass(slots=True)
class _Index:
    """What one walk over the journal tells the ledger."""

    tables_head: Head
    keys: dict[str, int] = field(default_factory=dict)
    origin: str = ""
    is_foreign: bool = False

    def take(self, record: Record) -> None:
        """Note one record."""
        self.keys[record.payload["key"]] = record.seq
        self.origin = self.origin or record.hash
        if record.seq == self.tables_head.seq and record.hash != self.tables_head.hash:
            self.is_foreign = True


class Ledger(LedgerQueries):
    """Open it to write (one process at a time) or read it beside a writer; close it when done."""

    def __init__(
        self,
        directory: Path,
        *,
        tables: "Projection",
        journal: Journal | None,
        keys: dict[str, int],
        damage: str,
        checkpoints: Checkpointer | None = None,
    ) -> None:
        super().__init__(directory, tables=tables, damage=damage)
        self._journal = journal
        self._keys = keys
        self.checkpoints = checkpoints
        self._origin = ""
        self._is_aside = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        url: str | None = None,
        clock: Clock | None = None,
        on_damage: Literal["refuse", "pause"] = "refuse",
        wait_seconds: float = 0.0,
        checkpoints: Checkpointer | None = None,
        probe: Probe = no_probe,
        pwrite: PositionedWrite = os.pwrite,
    ) -> Self:
        """Take the writer's place: verify the chain, compare the tables with it, repair them.

        A damaged journal raises `LedgerDamagedError`; with `on_damage="pause"` it opens instead
        with every book paused, readable as far as it goes, and refusing every new record. With
        `checkpoints` the journal is held against what was signed, and new records are signed.
        """
        lock = WriterLock.take(directory, wait_seconds=wait_seconds)
        try:
            tables = open_tables(directory, url)
        except BaseException:
            lock.release()
            raise
        try:
            index = _Index(tables_head=tables.head())
            journal = Journal.open(
                directory,
                clock=clock or SystemClock(),
                lock=lock,
                visit=index.take,
                known=tables.witness or index.tables_head,
                anchors=checkpoints.anchors(first_hash(directory)) if checkpoints else (),
                probe=probe,
                pwrite=pwrite,
            )
        except BaseException:
            tables.close()
            lock.release()
            raise
        ledger = cls(
            directory,
            tables=tables,
            journal=journal,
            keys=index.keys,
            damage=journal.damage,
            checkpoints=checkpoints,
        )
        ledger._origin = index.origin
        try:
            ledger._settle(index, on_damage, is_shared=url is not None)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def read(cls, directory: Path, *, url: str | None = None) -> Self:
        """Look at the ledger without the writer's lock; damage shows as paused books."""
        if not directory.is_dir():
            raise UsageError(
                f"there is no ledger in {directory}", remedy="name the folder of a ledger"
            )
        tables = open_tables_to_read(directory, url)
        ledger = cls(directory, tables=tables, journal=None, keys={}, damage="")
        ledger.refresh()
        return ledger

    def refresh(self) -> None:
        """Let a reader see what a writer has acknowledged since."""
        if self._journal is not None:
            return
        path = self.directory / JOURNAL_NAME
        acknowledged = read_head(self.directory)
        known = self._tables.head()
        if acknowledged and acknowledged.seq == known.seq and ends_with(path, acknowledged):
            return
        limit = acknowledged.seq if acknowledged else None

        def visit(record: Record) -> None:
            # What lies beyond the head may still be lost; nothing may be derived from it.
            if record.seq > known.seq and (limit is None or record.seq <= limit):
                self._tables.add(record)

        anchor = max(acknowledged or Head(), known, key=lambda head: head.seq)
        try:
            self.damage = scan(path, visit, known=anchor).damage
            self._tables.flush()
        except StorageUnavailableError:
            # The folder cannot be written: derive the tables in memory instead.
            self._tables.engine.dispose()
            self._tables = tables_in_memory()
            self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Bring the tables up to date and let the next writer in."""
        try:
            self._tables.flush()
        finally:
            if self._journal is not None:
                if self.checkpoints and self.checkpoints.has_unsigned:
                    self._sign_last()
                self._journal.close()
            self._tables.close()

    @contextmanager
    def turn(self, *, wait_seconds: float = TURN_WAIT_S) -> Iterator[list[Event]]:
        """Hold the writer's place for the length of a block only, from the first such block on.

        Gives the events that other writers have recorded since the last turn. Between turns this
        ledger can be read, and others may write: a switch of mode never waits for a long session.
        """
        if self._journal is None:
            raise UsageError("this ledger was opened to be read", remedy="use Ledger.open")
        told: list[Event] = []

        def visit(record: Record) -> None:
            self._keys[record.payload["key"]] = record.seq
            self._tables.hold(record)
            told.append(codec.from_payload(record.payload))

        if self._is_aside:
            self._journal.step_in(visit, wait_seconds=wait_seconds)
            self._is_aside = False
        try:
            if damage := self._journal.damage:
                self.damage = damage
                raise LedgerDamagedError(
                    f"the journal in {self.directory} was damaged while it was open: {damage}",
                    remedy=_DAMAGE_REMEDY,
                )
            yield told
        finally:
            try:
                # The next writer compares the tables with the journal.
                self._tables.flush()
            finally:
                self._is_aside = True
                self._journal.step_aside()

    @property
    def torn(self) -> TornTail | None:
        """What a crashed writer had left unfinished and this opening took back, if anything."""
        return self._journal.torn if self._journal else None

    def append_all(self, events: Sequence[Event]) -> list[Recorded]:
        """Record events as one commit: on disk when this returns, or not recorded at all.

        An event whose key is known is not added again. A fill that comes back with other numbers
        under the same id is refused: history is not edited.
        """
        if self._journal is None:
            raise UsageError("this ledger was opened to be read", remedy="use Ledger.open")
        if self._is_aside:
            raise StateError("another process may be writing now", remedy="record inside a turn")
        payloads = [codec.to_payload(event) for event in events]
        fresh: dict[str, dict[str, Any]] = {}
        for payload in payloads:
            if payload["key"] not in self._keys:
                fresh.setdefault(payload["key"], payload)
            elif payload["kind"] == FillRecorded.kind:
                self._require_same_fill(payload)
        records = {r.payload["key"]: r for r in self._journal.append_all(list(fresh.values()))}
        for record in records.values():
            self._keys[record.payload["key"]] = record.seq
            self._tables.hold(record)
        if self.checkpoints and self.checkpoints.is_due(list(records.values())):
            self._sign()
        return self._recorded(events, payloads, records)

    def _sign_last(self) -> None:
        if not self._is_aside:
            self._sign()
            return
        # Whoever holds the ledger now signs our records with its own.
        with (
            suppress(StorageUnavailableError, LedgerDamagedError),
            self.turn(wait_seconds=CLOSE_WAIT_S),
        ):
            self._sign()

    def _sign(self) -> None:
        assert self.checkpoints is not None
        assert self._journal is not None
        if not self._origin:
            self._origin = first_hash(self.directory)
        self.checkpoints.sign(self._journal.head, self._origin)

    def head(self) -> LedgerHead:
        """The last acknowledged record, for a decision to name what it could have seen."""
        head = self._acknowledged()
        return LedgerHead(seq=head.seq, hash=head.hash)

    def verify(self) -> "VerifyReport":
        """Read everything again, journal and tables, and list every contradiction."""
        from resources.ledger.verify import verify

        self._tables.flush()
        return verify(self.directory, self._tables, acknowledged=self._acknowledged())

    def _acknowledged(self) -> Head:
        return self._journal.head if self._journal else self._tables.head()

    def _settle(self, index: _Index, on_damage: str, *, is_shared: bool) -> None:
        if self.damage:
            if on_damage == "refuse":
                raise LedgerDamagedError(
                    f"the journal in {self.directory} is damaged: {self.damage}",
                    remedy=_DAMAGE_REMEDY,
                )
            return
        origin = self._tables.origin()
        if origin and origin != index.origin and is_shared:
            raise StateError(
                "the tables at the ledger's database address belong to another ledger",
                remedy="give each ledger folder a database or schema of its own",
            )
        if index.is_foreign or not self._tables.is_current():
            self._tables.clear()
        if self._tables.head().seq < self.head().seq:
            scan(self.directory / JOURNAL_NAME, self._tables.add)
            self._tables.flush()

    def _require_same_fill(self, payload: dict[str, Any]) -> None:
        found = self.find(payload["key"])
        before = codec.to_payload(found[0].event)
        # Where a number came from may be told again in other words; what was traded may not.
        material = ("side", "quantity", "price", "notional", "fee_amount", "client_order_id")
        for name in material:
            if before["fill"][name] != payload["fill"][name]:
                raise StateError(
                    f"{payload['key']} is recorded with {name} {before['fill'][name]} and came "
                    f"again with {payload['fill'][name]}",
                    remedy="a fill is never edited: find out which source is wrong and record a "
                    "correction as an event of its own",
                )

    def _recorded(
        self, events: Iterable[Event], payloads: list[dict[str, Any]], records: dict[str, Record]
    ) -> list[Recorded]:
        known = [self._keys[p["key"]] for p in payloads if p["key"] not in records]
        hashes = self._hashes(known) if known else {}
        result: list[Recorded] = []
        told: set[str] = set()
        for event, payload in zip(events, payloads, strict=True):
            key = payload["key"]
            seq = self._keys[key]
            is_new = key in records and key not in told
            told.add(key)
            digest = records[key].hash if key in records else hashes[seq]
            result.append(Recorded(event=event, seq=seq, hash=digest, is_new=is_new))
        return result
