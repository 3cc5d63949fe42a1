"""Fills the SQL tables from journal records: one transaction a batch, each record at most once.

Belongs here: opening the database, its head, and what each event means for each table. The journal
stays the authority: any process may bring the tables up to date, and throwing them away loses
nothing. Does not belong here: queries (`ledger`).
"""

import dataclasses
import datetime as dt
import json
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from quant.core.errors import StorageUnavailableError, UsageError
from quant.execution import codec
from quant.execution.book import Book, Position, apply, book_of, postings_of
from quant.execution.broker_events import FillReversed
from quant.execution.events import (
    BookKind,
    Event,
    FillRecorded,
    IntentRecorded,
    MarkRecorded,
    ModeChanged,
    OrderSent,
    OrderStateChanged,
    RefusalRecorded,
    TrialRegistered,
    VerdictRecorded,
)
from quant.execution.orders import OrderState, Traced, trace_of
from quant.market.bars import Basis
from resources.ledger import tables
from resources.ledger.journal import GENESIS, Head, Record
from resources.ledger.seal import Seal

Row = dict[str, Any]
_BATCH = 2_000
_NOT_A_COLUMN = frozenset({"positions", "prices"})


def connect(url: str) -> sa.Engine:
    """An engine for `url`; SQLite gets a write-ahead log, so that readers never wait."""
    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise UsageError(
            f"the ledger's database address cannot be used: {error}",
            remedy="check PMX_LEDGER_URL, and that its driver (such as psycopg) is installed",
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune_sqlite)
        # The driver would otherwise begin transactions behind our back, and late.
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


# SQLite's own numbers for busy, locked, read-only, I/O error, full and cannot open: the place is
# the trouble and not the file's content.
_PLACE_ERRORS = frozenset({5, 6, 8, 10, 13, 14})


def unavailable(error: BaseException) -> bool:
    """Whether a database error speaks of its surroundings rather than of a damaged file."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return (code & 0xFF) in _PLACE_ERRORS


def file_url(path: Path) -> str:
    """The address of an SQLite file."""
    return f"sqlite:///{path}"


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=10000")
    connection.execute("PRAGMA journal_mode=WAL")
    # The journal is synced; a lost transaction of the projection is derived again.
    connection.execute("PRAGMA synchronous=NORMAL")


class Projection:
    """The tables, and how far they follow the journal."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # A file of our own is sealed when its last writer goes.
        self.seal: Seal | None = None
        # How far tables had come that were not trusted any more.
        self.witness: Head | None = None
        # Why a reader derived the tables instead of using those on disk.
        self.trouble = ""
        self._waiting: list[Record] = []

    def close(self) -> None:
        """Let go of the database; what lies in its log is moved into its file first."""
        if self.seal is not None:
            with suppress(sa.exc.DatabaseError), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.engine.dispose()
        if self.seal is not None:
            self.seal.close()

    def create(self) -> None:
        """Make the tables that are not there."""
        tables.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            if connection.execute(sa.select(tables.meta)).first() is None:
                rows = [
                    {"name": "seq", "value": "0"},
                    {"name": "hash", "value": GENESIS},
                    {"name": "origin", "value": ""},
                    {"name": "schema", "value": tables.SCHEMA_VERSION},
                ]
                connection.execute(sa.insert(tables.meta), rows)

    def clear(self) -> None:
        """Start again from nothing."""
        tables.metadata.drop_all(self.engine)
        self.create()

    def head(self) -> Head:
        """The last record that the tables contain."""
        with self.engine.connect() as connection:
            return _head(connection)

    def origin(self) -> str:
        """The hash of the first record: which journal these tables belong to."""
        with self.engine.connect() as connection:
            return _meta(connection)["origin"]

    def is_current(self) -> bool:
        """Whether the tables are of this version and hold as many events as their head says."""
        with self.engine.connect() as connection:
            if _meta(connection).get("schema") != tables.SCHEMA_VERSION:
                return False
            count = connection.execute(sa.select(sa.func.count()).select_from(tables.events))
            return count.scalar_one() == _head(connection).seq

    def add(self, record: Record) -> None:
        """Take a record; it is written with the next flush, and by itself when many wait."""
        self._waiting.append(record)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def hold(self, record: Record) -> None:
        """Take a record that the journal has acknowledged; that the tables lag is no failure."""
        self._waiting.append(record)
        if len(self._waiting) >= _BATCH:
            # Whoever next asks the tables a question hears of it; the record is safe either way.
            with suppress(StorageUnavailableError):
                self.flush()

    def flush(self) -> None:
        """Write what waits; a record that is already there is passed over."""
        if self._waiting:
            self._apply(self._waiting)
            self._waiting = []

    def _apply(self, batch: list[Record]) -> None:
        try:
            with self.engine.begin() as connection:
                # Writing first takes the database's lock, so two processes cannot both believe
                # that they are the one to add a record.
                touch = sa.update(tables.meta).where(tables.meta.c.name == "seq")
                connection.execute(touch.values(value=tables.meta.c.value))
                known = _head(connection)
                fresh = [record for record in batch if record.seq > known.seq]
                if fresh:
                    _Batch(connection).write(fresh)
        except sa.exc.OperationalError as error:
            raise StorageUnavailableError(
                f"the ledger's tables cannot be written: {error.orig}",
                remedy="free disk space or wait; the journal is whole and the tables will follow",
            ) from error

    def book(self, name: str) -> Book | None:
        """The book as the tables have it."""
        with self.engine.connect() as connection:
            return load_book(connection, name)


def _meta(connection: sa.Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(sa.select(tables.meta))}


def _head(connection: sa.Connection) -> Head:
    values = _meta(connection)
    return Head(seq=int(values["seq"]), hash=values["hash"])


@dataclass(slots=True)
class _Batch:
    """Rows of one transaction, gathered by table and written together."""

    connection: sa.Connection
    rows: dict[sa.Table, list[Row]] = field(default_factory=dict)
    new_orders: dict[str, Row] = field(default_factory=dict)
    old_orders: dict[str, Row] = field(default_factory=dict)
    books: dict[str, Book | None] = field(default_factory=dict)

    def write(self, records: list[Record]) -> None:
        for record in records:
            event = codec.from_payload(record.payload)
            self._add(tables.events, _event_row(record, event))
            self._add_typed(record.seq, event)
            self._add_money(record.seq, event)
        for table, rows in self.rows.items():
            self.connection.execute(sa.insert(table), rows)
        self._update_orders()
        for book in self.books.values():
            if book is not None:
                store_book(self.connection, book)
        self._move_head(records)

    def _add(self, table: sa.Table, row: Row) -> Row:
        self.rows.setdefault(table, []).append(row)
        return row

    def _add_typed(self, seq: int, event: Event) -> None:
        match event:
            case OrderSent():
                self.new_orders[event.order.client_order_id] = self._add(
                    tables.orders, _order_row(seq, event)
                )
            case OrderStateChanged():
                order = self._order(event.client_order_id)
                order.update(state=event.after.value, moves=event.sequence, reason=event.reason)
                if event.venue_order_id:
                    order["venue_order_id"] = event.venue_order_id
            case FillRecorded():
                self._add(tables.fills, {"seq": seq, **_columns(event.fill)})
                order = self._order(event.fill.client_order_id)
                if order:
                    order["filled_quantity"] += event.fill.quantity
            case FillReversed():
                order = self._order(event.client_order_id)
                if order:
                    order["filled_quantity"] -= event.quantity
            case _:
                self._add_other(seq, event)

    def _add_other(self, seq: int, event: Event) -> None:
        match event:
            case IntentRecorded():
                self._add(tables.intents, _intent_row(seq, event))
            case RefusalRecorded():
                row = {"refusal_id": event.refusal.refusal_id, **_columns(event.refusal)}
                del row["numbers"]
                self._add(tables.refusals, {"seq": seq, **row})
            case VerdictRecorded():
                row = {"verdict_id": event.verdict_id, **_columns(event)}
                del row["evidence"]
                self._add(tables.verdicts, {"seq": seq, **row})
            case ModeChanged():
                self._add(tables.modes, {"seq": seq, **_columns(event)})
            case TrialRegistered():
                self._add(tables.trials, {"seq": seq, **_columns(event)})
            case MarkRecorded():
                names = ("book", "session", "equity", "cash")
                self._add(tables.marks, {"seq": seq, **{n: getattr(event, n) for n in names}})

    def _order(self, client_order_id: str) -> Row:
        """The changing columns of an order, of this batch or of an earlier one."""
        if client_order_id in self.new_orders:
            return self.new_orders[client_order_id]
        if client_order_id not in self.old_orders:
            changing = ("state", "moves", "reason", "venue_order_id", "filled_quantity")
            query = sa.select(*(tables.orders.c[name] for name in changing))
            query = query.where(tables.orders.c.client_order_id == client_order_id)
            found = self.connection.execute(query).mappings().first()
            self.old_orders[client_order_id] = dict(found) if found else {}
        return self.old_orders[client_order_id]

    def _update_orders(self) -> None:
        for client_order_id, row in self.old_orders.items():
            if row:
                column = tables.orders.c.client_order_id
                change = sa.update(tables.orders).where(column == client_order_id)
                self.connection.execute(change.values(**row))

    def _add_money(self, seq: int, event: Event) -> None:
        name = book_of(event)
        if not name:
            return
        if name not in self.books:
            self.books[name] = load_book(self.connection, name)
        before = self.books[name]
        for line, posting in enumerate(postings_of(before, event)):
            row = {"seq": seq, "line": line, "book": name, **_columns(posting)}
            self._add(tables.postings, row)
        self.books[name] = apply(before, event)

    def _move_head(self, records: list[Record]) -> None:
        last = records[-1]
        values = {"seq": str(last.seq), "hash": last.hash}
        if records[0].seq == 1:
            values["origin"] = records[0].hash
        for name, value in values.items():
            change = sa.update(tables.meta).where(tables.meta.c.name == name)
            self.connection.execute(change.values(value=value))


def _columns(value: Any) -> Row:
    names = (item.name for item in dataclasses.fields(value))
    return {name: _scalar(getattr(value, name)) for name in names}


def _scalar(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _event_row(record: Record, event: Event) -> Row:
    carried = _carried(event)
    return {
        "seq": record.seq,
        "kind": event.kind,
        "key": event.key,
        "book": book_of(event),
        "decision_id": getattr(carried, "decision_id", ""),
        "client_order_id": getattr(carried, "client_order_id", ""),
        "entity_id": _entity_id(event),
        "snapshot_id": getattr(carried, "snapshot_id", ""),
        "recorded_at": dt.datetime.fromisoformat(record.recorded_at),
        "hash": record.hash,
        "payload": payload_text(record),
    }


def payload_text(record: Record) -> str:
    """The payload as the events table keeps it."""
    return json.dumps(record.payload, sort_keys=True, ensure_ascii=False)


def _carried(event: Event) -> Traced | Event:
    match event:
        case IntentRecorded():
            return event.intent
        case OrderSent():
            return event.order
        case FillRecorded():
            return event.fill
        case RefusalRecorded():
            return event.refusal
    return event


def _entity_id(event: Event) -> str:
    match event:
        case FillRecorded():
            return event.fill.fill_id
        case RefusalRecorded():
            return event.refusal.refusal_id
        case VerdictRecorded():
            return event.verdict_id
        case TrialRegistered():
            return event.trial_id
    return event.key


def _intent_row(seq: int, event: IntentRecorded) -> Row:
    intent = event.intent
    names = ("valid_session", "quantity", "target_weight", "reference_price", "equity")
    return {
        "seq": seq,
        **trace_of(intent),
        **{name: getattr(intent, name) for name in names},
        "client_order_id": intent.client_order_id,
        "head_seq": intent.ledger_head.seq,
        "head_hash": intent.ledger_head.hash,
    }


def _order_row(seq: int, event: OrderSent) -> Row:
    row = _columns(event.order)
    del row["split_ratio"], row["limit_price"]
    return {
        "seq": seq,
        **row,
        "state": OrderState.SENT.value,
        "moves": 0,
        "reason": "",
        "venue_order_id": "",
        "filled_quantity": Decimal(0),
    }


def load_book(connection: sa.Connection, name: str) -> Book | None:
    """The book from its rows; None when it was never opened."""
    table = tables.books
    found = connection.execute(sa.select(table).where(table.c.name == name)).mappings().first()
    if found is None:
        return None
    row = dict(found)
    held = sa.select(tables.positions).where(tables.positions.c.book == name)
    marked = sa.select(tables.prices).where(tables.prices.c.book == name)
    return Book(
        **{**row, "kind": BookKind(row["kind"]), "price_basis": Basis(row["price_basis"])},
        positions={
            one.symbol: Position(quantity=one.quantity, cost=one.cost)
            for one in connection.execute(held)
        },
        prices={one.symbol: one.price for one in connection.execute(marked)},
    )


def store_book(connection: sa.Connection, book: Book) -> None:
    """Replace the book's rows."""
    name = book.name
    for table, column in (
        (tables.books, tables.books.c.name),
        (tables.positions, tables.positions.c.book),
        (tables.prices, tables.prices.c.book),
    ):
        connection.execute(sa.delete(table).where(column == name))
    row = {key: value for key, value in _columns(book).items() if key not in _NOT_A_COLUMN}
    connection.execute(sa.insert(tables.books), row)
    held = [{"book": name, "symbol": s, **_columns(p)} for s, p in book.positions.items()]
    marked = [{"book": name, "symbol": s, "price": p} for s, p in book.prices.items()]
    if held:
        connection.execute(sa.insert(tables.positions), held)
    if marked:
        connection.execute(sa.insert(tables.prices), marked)
