"""Questions to the ledger: every query that the rest of the product asks of its tables.

Belongs here: reading, with the journal's answers already projected. Does not belong here: opening,
appending and repairing (`ledger`), or what the tables mean (`tables`).
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant.core.errors import UsageError
from quant.core.identity import content_hash
from quant.execution import codec
from quant.execution.book import Book, book_from
from quant.execution.broker_events import BreakerChanged
from quant.execution.control import Control
from quant.execution.events import (
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
    Order,
    OrderState,
    Refusal,
)

if TYPE_CHECKING:
    import sqlalchemy as sa

    from resources.ledger.projection import Projection


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


class LedgerQueries:
    """What can be asked; a damaged ledger answers as far as it goes, with every book paused."""

    def __init__(self, directory: Path, *, tables: "Projection", damage: str) -> None:
        self.directory = directory
        self.damage = damage
        self._tables = tables

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
        """What the book may send: the strictest of its mode, every book's and its breakers."""
        return Mode.PAUSE if self.damage else self.control().mode(book)

    def mode_changes(self) -> list[ModeChanged]:
        """Every change of a mode, oldest first."""
        return [one for one in self._typed("modes") if isinstance(one, ModeChanged)]

    def control(self) -> Control:
        """Modes and breakers of all books, as the events left them."""
        from resources.ledger import tables

        control = Control()
        kinds = (ModeChanged.kind, BreakerChanged.kind)
        for event in self._typed("events", tables.events.c.kind.in_(kinds)):
            control.take(event)
        return control

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

    def events(
        self,
        *,
        until_seq: int | None = None,
        book: str | None = None,
        kinds: Sequence[str] = (),
    ) -> list[Event]:
        """Recorded events in order; of some kinds, or of all."""
        return self._events(until_seq=until_seq, book=book, kinds=kinds)

    def state_hash(self) -> str:
        """Equal for ledgers in which the same things happened, whenever they were written down."""
        from resources.ledger import tables

        self._tables.flush()
        rows = self._rows(_select(tables.events.c.payload).order_by(tables.events.c.key))
        return content_hash([row.payload for row in rows])

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

    def _events(
        self, *, until_seq: int | None, book: str | None, kinds: Sequence[str] = ()
    ) -> list[Event]:
        from resources.ledger import tables

        events = tables.events.c
        query = _select(events.payload).order_by(events.seq)
        if until_seq is not None:
            query = query.where(events.seq <= until_seq)
        if book is not None:
            query = query.where(events.book == book)
        if kinds:
            query = query.where(events.kind.in_(kinds))
        return self._decoded(query)

    def _decoded(self, query: "sa.Select[Any]") -> list[Event]:
        self._tables.flush()
        return [_decode(row.payload) for row in self._rows(query)]

    def _rows(self, query: "sa.Select[Any]") -> "Sequence[sa.Row[Any]]":
        with self._tables.engine.connect() as connection:
            return connection.execute(query).all()

    def _hashes(self, seqs: list[int]) -> dict[int, str]:
        from resources.ledger import tables

        self._tables.flush()
        found: dict[int, str] = {}
        for start in range(0, len(seqs), 500):  # databases bound the number of parameters
            query = _select(tables.events.c.seq, tables.events.c.hash)
            query = query.where(tables.events.c.seq.in_(seqs[start : start + 500]))
            found |= {row.seq: row.hash for row in self._rows(query)}
        return found


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
