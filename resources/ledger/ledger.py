"""The ledger: what was intended, sent, filled, refused and judged, and what the books are worth.

Belongs here: one class that joins the journal (the authority) with its SQL projection, and the
queries that the rest of the product asks. SQLAlchemy is imported when a ledger is opened, since it
takes half a second.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from quant.core.clock import Clock, SystemClock
from quant.core.errors import LedgerDamagedError, StateError, StorageUnavailableError, UsageError
from quant.core.identity import content_hash
from quant.execution import codec
from quant.execution.book import Book, book_from
from quant.execution.events import (
    EVERY_BOOK,
    ActionApplied,
    Event,
    FillRecorded,
    IntentRecorded,
    MarkRecorded,
    Mode,
    ModeChanged,
    OrderSent,
    RefusalRecorded,
    SubjectKind,
    VerdictRecorded,
)
from quant.execution.orders import (
    OPEN_STATES,
    Fill,
    Intent,
    LedgerHead,
    Order,
    OrderState,
    Refusal,
)
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
    no_probe,
    read_head,
    scan,
)

if TYPE_CHECKING:
    import sqlalchemy as sa

    from resources.ledger.projection import Projection
    from resources.ledger.verify import VerifyReport

_TABLES: Final = "projection.sqlite"
_SEVERITY: Final = (Mode.NORMAL, Mode.REDUCE, Mode.PAUSE, Mode.EMERGENCY)
_DAMAGE_REMEDY: Final = (
    "restore the folder from a copy, or keep its sound part with salvage; if PMX_LEDGER_URL was "
    "pointed at the tables of another ledger, give this one its own"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event's place in the journal; `is_new` is False when it had been there before."""

    event: Event
    seq: int
    hash: str
    is_new: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus:
    """An order as it stands now."""

    order: Order
    state: OrderState
    moves: int
    filled_quantity: Any
    reason: str


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


class Ledger:
    """Open it to write (one process at a time) or read it beside a writer; close it when done."""

    def __init__(
        self,
        directory: Path,
        *,
        tables: "Projection",
        journal: Journal | None,
        keys: dict[str, int],
        damage: str,
    ) -> None:
        self.directory = directory
        self.damage = damage
        self._tables = tables
        self._journal = journal
        self._keys = keys

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        url: str | None = None,
        clock: Clock | None = None,
        on_damage: Literal["refuse", "pause"] = "refuse",
        wait_seconds: float = 0.0,
        probe: Probe = no_probe,
        pwrite: PositionedWrite = os.pwrite,
    ) -> Self:
        """Take the writer's place: verify the chain, compare the tables with it, repair them.

        A damaged journal raises `LedgerDamagedError`; with `on_damage="pause"` it opens instead
        with every book paused, readable as far as it goes, and refusing every new record.
        """
        lock = WriterLock.take(directory, wait_seconds=wait_seconds)
        try:
            tables = open_tables(directory, url)
            index = _Index(tables_head=tables.head())
            journal = Journal.open(
                directory,
                clock=clock or SystemClock(),
                lock=lock,
                visit=index.take,
                known=index.tables_head,
                probe=probe,
                pwrite=pwrite,
            )
        except BaseException:
            lock.release()
            raise
        ledger = cls(
            directory, tables=tables, journal=journal, keys=index.keys, damage=journal.damage
        )
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
        tables = _open_tables_to_read(directory, url)
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
            self._tables = _tables_in_memory()
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
                self._journal.close()
            self._tables.engine.dispose()

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
        return self._recorded(events, payloads, records)

    def head(self) -> LedgerHead:
        """The last acknowledged record, for a decision to name what it could have seen."""
        head = self._acknowledged()
        return LedgerHead(seq=head.seq, hash=head.hash)

    def book(self, name: str, *, until_seq: int | None = None) -> Book:
        """The book now, or derived again as it stood after the record `until_seq`."""
        if until_seq is None:
            self._tables.flush()
            book = self._tables.book(name)
        else:
            book = book_from(self._events(until_seq=until_seq, book=name), name)
        if book is None:
            raise UsageError(f"there is no book {name!r}", remedy="open it, or correct its name")
        return book

    def books(self) -> list[str]:
        """The names of all books."""
        from resources.ledger import tables

        self._tables.flush()
        return [row.name for row in self._rows(_select(tables.books.c.name).order_by("name"))]

    def mode(self, book: str) -> Mode:
        """What the book may send: the stricter of its own mode and the mode of every book."""
        if self.damage:
            return Mode.PAUSE
        modes = [self._latest_mode(scope) for scope in (book, EVERY_BOOK)]
        return max(modes, key=_SEVERITY.index)

    def intents(
        self,
        *,
        book: str | None = None,
        session: dt.date | None = None,
        valid_session: dt.date | None = None,
    ) -> list[Intent]:
        """Intents in the order of their recording."""
        found = self._typed("intents", book=book, session=session, valid_session=valid_session)
        return [event.intent for event in found if isinstance(event, IntentRecorded)]

    def pending_intents(self, book: str) -> list[Intent]:
        """Intents that were neither sent nor refused."""
        from resources.ledger import tables

        intents, orders, refusals = tables.intents, tables.orders, tables.refusals
        query = _select(tables.events.c.payload).join(intents, intents.c.seq == tables.events.c.seq)
        sent = _select(orders.c.seq).where(orders.c.client_order_id == intents.c.client_order_id)
        refused = _select(refusals.c.seq).where(
            refusals.c.decision_id == intents.c.decision_id, refusals.c.book == intents.c.book
        )
        query = query.where(intents.c.book == book, ~sent.exists(), ~refused.exists())
        found = self._decoded(query.order_by(intents.c.seq))
        return [event.intent for event in found if isinstance(event, IntentRecorded)]

    def orders(self, book: str, *, valid_session: dt.date | None = None) -> list[OrderStatus]:
        """Orders of a book with their present state."""
        from resources.ledger import tables

        wanted = {"book": book, "valid_session": valid_session}
        return self._statuses(_where(tables.orders, wanted))

    def open_orders(self, book: str) -> list[OrderStatus]:
        """Orders the venue may still act on; UNKNOWN ones are among them, never taken for flat."""
        from resources.ledger import tables

        states = [state.value for state in OPEN_STATES]
        return self._statuses([tables.orders.c.book == book, tables.orders.c.state.in_(states)])

    def fills(
        self,
        *,
        book: str | None = None,
        session: dt.date | None = None,
        symbol: str | None = None,
        valid_session: dt.date | None = None,
    ) -> list[Fill]:
        """Fills as recorded; decided after `session`, and sent in `valid_session`."""
        from resources.ledger import tables

        of_session = None
        if valid_session is not None:
            orders = tables.orders.c
            sent = _select(orders.client_order_id).where(orders.valid_session == valid_session)
            of_session = tables.fills.c.client_order_id.in_(sent)
        found = self._typed("fills", of_session, book=book, session=session, symbol=symbol)
        return [event.fill for event in found if isinstance(event, FillRecorded)]

    def refusals(
        self,
        *,
        book: str | None = None,
        session: dt.date | None = None,
        gate: str | None = None,
        valid_session: dt.date | None = None,
    ) -> list[Refusal]:
        """Refusals as recorded; `valid_session` finds those whose intents could be sent in it."""
        from resources.ledger import tables

        of_session = None
        if valid_session is not None:
            intents = tables.intents.c
            wanted = _select(intents.decision_id).where(intents.valid_session == valid_session)
            of_session = tables.refusals.c.decision_id.in_(wanted)
        found = self._typed("refusals", of_session, book=book, session=session, gate=gate)
        return [event.refusal for event in found if isinstance(event, RefusalRecorded)]

    def marks(self, book: str, *, session: dt.date | None = None) -> list[MarkRecorded]:
        """The book's worth after each session, or after one."""
        found = self._typed("marks", book=book, session=session)
        return [event for event in found if isinstance(event, MarkRecorded)]

    def actions(self, book: str) -> list[ActionApplied]:
        """Splits and dividends that met the book."""
        found = self._typed("events", book=book, kind=ActionApplied.kind)
        return [event for event in found if isinstance(event, ActionApplied)]

    def verdict(
        self, subject: str, *, kind: SubjectKind = SubjectKind.STRATEGY
    ) -> VerdictRecorded | None:
        """The verdict of the latest session on a strategy or model; None when nobody judged it.

        An old session judged again today is no news: it never replaces a later session's verdict.
        """
        last = self._latest("verdicts", by="session", subject=subject, subject_kind=kind.value)
        return last if isinstance(last, VerdictRecorded) else None

    def trial_count(self, family: str) -> int:
        """How many trials a hypothesis family has had, abandoned ones included."""
        return len(self._typed("trials", family=family))

    def snapshot_ids(self) -> frozenset[str]:
        """Every warehouse snapshot that a record names; none of these may expire."""
        from resources.ledger import tables

        self._tables.flush()
        rows = self._rows(_select(tables.events.c.snapshot_id).distinct())
        return frozenset(row.snapshot_id for row in rows if row.snapshot_id)

    def find(self, identity: str) -> list[Recorded]:
        """Everything recorded under a fill, order, decision, refusal, verdict or trial id."""
        from resources.ledger import tables

        events = tables.events.c
        columns = (events.decision_id, events.client_order_id, events.entity_id, events.key)
        self._tables.flush()
        query = _select(events.seq, events.hash, events.payload).order_by(events.seq)
        any_of = columns[0] == identity
        for column in columns[1:]:
            any_of = any_of | (column == identity)
        return [
            Recorded(event=_decode(row.payload), seq=row.seq, hash=row.hash)
            for row in self._rows(query.where(any_of))
        ]

    def events(self, *, until_seq: int | None = None, book: str | None = None) -> list[Event]:
        """Recorded events in order."""
        return self._events(until_seq=until_seq, book=book)

    def state_hash(self) -> str:
        """Equal for ledgers in which the same things happened, whenever they were written down."""
        from resources.ledger import tables

        self._tables.flush()
        rows = self._rows(_select(tables.events.c.payload).order_by(tables.events.c.key))
        return content_hash([row.payload for row in rows])

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

    def _hashes(self, seqs: list[int]) -> dict[int, str]:
        from resources.ledger import tables

        self._tables.flush()
        found: dict[int, str] = {}
        for start in range(0, len(seqs), 500):  # databases bound the number of parameters
            query = _select(tables.events.c.seq, tables.events.c.hash)
            query = query.where(tables.events.c.seq.in_(seqs[start : start + 500]))
            found |= {row.seq: row.hash for row in self._rows(query)}
        return found

    def _latest_mode(self, scope: str) -> Mode:
        last = self._latest("modes", scope=scope)
        return last.mode if isinstance(last, ModeChanged) else Mode.NORMAL

    def _typed(self, name: str, condition: Any = None, **wanted: Any) -> list[Event]:
        """Events of one table, filtered by its columns, in order."""
        query, table = _of_table(name, wanted)
        if condition is not None:
            query = query.where(condition)
        return self._decoded(query.order_by(table.c.seq))

    def _latest(self, name: str, *, by: str = "seq", **wanted: Any) -> Event | None:
        query, table = _of_table(name, wanted)
        latest_first = (table.c[by].desc(), table.c.seq.desc())
        found = self._decoded(query.order_by(*latest_first).limit(1))
        return found[0] if found else None

    def _statuses(self, conditions: list[Any]) -> list[OrderStatus]:
        from resources.ledger import tables

        orders = tables.orders
        names = ("state", "moves", "filled_quantity", "reason")
        query = _select(tables.events.c.payload, *(orders.c[name] for name in names))
        query = query.join(orders, orders.c.seq == tables.events.c.seq).where(*conditions)
        self._tables.flush()
        result: list[OrderStatus] = []
        for row in self._rows(query.order_by(orders.c.seq)):
            sent = _decode(row.payload)
            assert isinstance(sent, OrderSent)
            result.append(
                OrderStatus(
                    order=sent.order,
                    state=OrderState(row.state),
                    moves=row.moves,
                    filled_quantity=row.filled_quantity,
                    reason=row.reason,
                )
            )
        return result

    def _events(self, *, until_seq: int | None, book: str | None) -> list[Event]:
        from resources.ledger import tables

        events = tables.events.c
        query = _select(events.payload).order_by(events.seq)
        if until_seq is not None:
            query = query.where(events.seq <= until_seq)
        if book is not None:
            query = query.where(events.book == book)
        return self._decoded(query)

    def _decoded(self, query: "sa.Select[Any]") -> list[Event]:
        self._tables.flush()
        return [_decode(row.payload) for row in self._rows(query)]

    def _rows(self, query: "sa.Select[Any]") -> "Sequence[sa.Row[Any]]":
        with self._tables.engine.connect() as connection:
            return connection.execute(query).all()


def _select(*columns: Any) -> "sa.Select[Any]":
    import sqlalchemy as sa

    return sa.select(*columns)


def _of_table(name: str, wanted: dict[str, Any]) -> "tuple[sa.Select[Any], sa.Table]":
    from resources.ledger import tables

    table: sa.Table = getattr(tables, name)
    query = _select(tables.events.c.payload)
    if table is not tables.events:
        query = query.join(table, table.c.seq == tables.events.c.seq)
    return query.where(*_where(table, wanted)), table


def _where(table: "sa.Table", wanted: dict[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _decode(payload: str) -> Event:
    return codec.from_payload(json.loads(payload))


def open_tables(directory: Path, url: str | None) -> "Projection":
    """The tables, made anew when their file is beyond reading: they hold nothing of their own."""
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect, file_url, unavailable

    path = directory / _TABLES
    tables = Projection(connect(url or file_url(path)))
    try:
        tables.create()
        tables.head()
    except (sa.exc.DatabaseError, KeyError, ValueError) as error:
        tables.engine.dispose()
        if url is not None or unavailable(error):
            raise StorageUnavailableError(
                f"the ledger's tables cannot be opened: {error}",
                remedy="make the database reachable and writable, then try again",
            ) from error
        _set_aside(path)
        tables = Projection(connect(file_url(path)))
        tables.create()
    return tables


def _set_aside(path: Path) -> None:
    """Keep an unreadable file for whoever wants to know why, and take its name back."""
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(part.with_name(f"damaged-{part.name}"))


def _open_tables_to_read(directory: Path, url: str | None) -> "Projection":
    """The tables as they are, or derived in memory where they cannot be used."""
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect, file_url

    path = directory / _TABLES
    if url is None and not path.exists():
        return _tables_in_memory()
    tables = Projection(connect(url or file_url(path)))
    try:
        tables.head()
        is_current = tables.is_current()
    except (sa.exc.DatabaseError, KeyError, ValueError):
        is_current = False
    if is_current:
        return tables
    tables.engine.dispose()
    return _tables_in_memory()


def _tables_in_memory() -> "Projection":
    from resources.ledger.projection import Projection, connect

    tables = Projection(connect("sqlite://"))
    tables.create()
    return tables
