"""Reads a whole ledger again and lists every contradiction between journal, tables and arithmetic.

Belongs here: the checks that are too long for every opening. A ledger that passes has an unbroken
chain, tables that say what the journal says, entries that sum to zero, and orders that only made
legal moves.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from quant.core.errors import DataError
from quant.execution import codec
from quant.execution.book import Book, apply, book_of, postings_of
from quant.execution.broker_events import Alarm, AlarmRaised, FillReversed
from quant.execution.events import (
    BookOpened,
    Event,
    FillRecorded,
    OrderSent,
    OrderStateChanged,
)
from quant.execution.orders import OrderState
from resources.ledger import tables
from resources.ledger.journal import JOURNAL_NAME, Head, Record, scan
from resources.ledger.projection import Projection, payload_text

_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was read and what was wrong with it."""

    records: int
    head: Head
    torn_bytes: int
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def verify(directory: Path, projection: Projection, *, acknowledged: Head) -> VerifyReport:
    """Walk the journal from its first record and compare everything with it."""
    audit = _Audit()
    found = scan(directory / JOURNAL_NAME, audit.take, known=acknowledged)
    problems = [found.damage] if found.damage else []
    problems += audit.problems
    problems += [projection.trouble] if projection.trouble else []
    if not found.damage:
        problems += _compare(audit, projection, found.head)
    return VerifyReport(
        records=found.head.seq,
        head=found.head,
        torn_bytes=found.torn_bytes,
        problems=tuple(problems[:_SHOWN_MAX]),
    )


@dataclass(slots=True)
class _Audit:
    """The ledger, derived once more while the journal is read."""

    books: dict[str, Book | None] = field(default_factory=dict)
    states: dict[str, OrderState] = field(default_factory=dict)
    open_quantity: dict[str, Decimal] = field(default_factory=dict)
    # Record hash and digest of the payload, by number.
    seen: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    # Orders of which an alarm says that the venue filled too much: true, and no fault of ours.
    overfilled: set[str] = field(default_factory=set)

    def take(self, record: Record) -> None:
        self.seen[record.seq] = (record.hash, _digest(payload_text(record)))
        try:
            event = codec.from_payload(record.payload)
            self._money(record.seq, event)
        except DataError as error:
            self.problems.append(f"record {record.seq}: {error}")
        else:
            self._order(record.seq, event)

    def _money(self, seq: int, event: Event) -> None:
        name = book_of(event)
        before = self.books.get(name)
        if before is None and name and not isinstance(event, BookOpened):
            self.problems.append(f"record {seq}: book {name!r} was never opened")
            return
        total = sum((line.amount for line in postings_of(before, event)), start=Decimal(0))
        if total != 0:
            self.problems.append(f"record {seq}: its postings sum to {total}")
        self.books[name] = apply(before, event)

    def _order(self, seq: int, event: Event) -> None:
        match event:
            case OrderSent():
                self.states[event.order.client_order_id] = OrderState.SENT
                self.open_quantity[event.order.client_order_id] = event.order.quantity
            case OrderStateChanged():
                before = self.states.get(event.client_order_id)
                if before is not event.before:
                    self.problems.append(
                        f"record {seq}: order {event.client_order_id} moves from {event.before} "
                        f"and was {before}"
                    )
                self.states[event.client_order_id] = event.after
            case FillRecorded():
                self._fill(seq, event)
            case FillReversed():
                self.open_quantity[event.client_order_id] += event.quantity
            case AlarmRaised(alarm=Alarm.OVERFILL):
                self.overfilled.add(event.subject)

    def _fill(self, seq: int, event: FillRecorded) -> None:
        order = event.fill.client_order_id
        if order not in self.open_quantity:
            self.problems.append(f"record {seq}: fill {event.fill.fill_id} has no order")
            return
        self.open_quantity[order] -= event.fill.quantity
        if self.open_quantity[order] < 0 and order not in self.overfilled:
            self.problems.append(f"record {seq}: order {order} is filled beyond its quantity")


def _compare(audit: _Audit, projection: Projection, head: Head) -> list[str]:
    """What the tables say otherwise than the journal."""
    problems: list[str] = []
    table_head = projection.head()
    if (table_head.seq, table_head.hash) != (head.seq, head.hash):
        problems.append(f"the tables end at record {table_head.seq}, the journal at {head.seq}")
    with projection.engine.connect() as connection:
        problems += _compare_events(audit, connection)
        problems += _compare_orders(audit, connection)
        problems += _compare_postings(connection)
    for name, book in audit.books.items():
        shown = projection.book(name)
        if book is not None and (shown is None or shown.state_hash() != book.state_hash()):
            problems.append(f"the tables' book {name} is not the one the journal gives")
    return problems


def _compare_events(audit: _Audit, connection: sa.Connection) -> list[str]:
    table = tables.events.c
    rows = {
        row.seq: row for row in connection.execute(sa.select(table.seq, table.hash, table.payload))
    }
    problems = []
    for seq, seen in audit.seen.items():
        row = rows.pop(seq, None)
        if row is None:
            problems.append(f"the tables lack record {seq}")
        elif (row.hash, _digest(row.payload)) != seen:
            problems.append(f"the tables hold another record {seq}")
    return problems + [f"the tables hold a record {seq} of no journal" for seq in rows]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _compare_orders(audit: _Audit, connection: sa.Connection) -> list[str]:
    orders = tables.orders.c
    rows = connection.execute(sa.select(orders.client_order_id, orders.state))
    shown = {row.client_order_id: row.state for row in rows}
    wanted = {order: state.value for order, state in audit.states.items()}
    differing = sorted(
        order for order in shown.keys() | wanted.keys() if shown.get(order) != wanted.get(order)
    )
    return [
        f"the tables have order {order} as {shown.get(order)}, the journal as {wanted.get(order)}"
        for order in differing
    ]


def _compare_postings(connection: sa.Connection) -> list[str]:
    totals: dict[int, Decimal] = defaultdict(Decimal)
    postings = tables.postings.c
    for row in connection.execute(sa.select(postings.seq, postings.amount)):
        totals[row.seq] += row.amount
    return [f"the tables' postings of record {seq} sum to {t}" for seq, t in totals.items() if t]
