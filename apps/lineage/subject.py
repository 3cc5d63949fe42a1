"""What an id stands for: a fill, an order, a decision or a refusal, and the decision behind it.

Belongs here: looking ids up in the ledger and, for signals that never met a book, in the warehouse.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.lineage.lakes import Lakes
from quant.core.errors import UsageError
from quant.execution.events import FillRecorded, IntentRecorded, OrderSent, RefusalRecorded
from quant.execution.orders import Fill, Intent, Order, Refusal
from resources.desk import Desk

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger, Recorded

PREFIX_MIN = 8
KINDS = {"f-": "fill", "pmx-": "order", "d-": "decision", "r-": "refusal"}
WHERE_IDS_ARE = (
    "ids are printed by `pmx demo` and `pmx nightly`, stand in the report, and lie in the tables "
    "order.fills, order.intents, order.refusals and signal.daily_signals"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A record of the ledger with its place in the journal."""

    seq: int
    hash: str
    record: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The thing asked about, and everything the ledger holds on its decision in one book."""

    id: str
    kind: str
    decision_id: str
    intent: Noted | None = None
    order: Noted | None = None
    fill: Noted | None = None
    refusal: Noted | None = None

    @property
    def record(self) -> Intent | Refusal | None:
        """What the night decided: an intent, else a refusal; None for a signal without a book."""
        noted = self.intent or self.refusal
        return noted.record if noted else None


def find_subject(lakes: Lakes, identity: str) -> Subject:
    """The one thing that `identity`, an id or a prefix of one, stands for."""
    kind = _kind_of(identity)
    with open_ledger(lakes.desk) as ledger:
        full = _full_id(lakes, ledger, identity, kind)
        found = ledger.find(full) if ledger else []
        if ledger and found:
            return _subject(ledger, full, kind, found)
    return Subject(id=full, kind=kind, decision_id=full)


def fill_subjects(desk: Desk) -> list[Subject]:
    """Every fill of the book, in the order of trading."""
    with open_ledger(desk) as ledger:
        if ledger is None:
            return []
        events = _by_decision(ledger, desk.settings.book)
        return [
            _assembled(noted.record.fill_id, "fill", noted.record.decision_id, records, noted)
            for records in events.values()
            for noted in records
            if isinstance(noted.record, Fill)
        ]


def _kind_of(identity: str) -> str:
    for start, kind in KINDS.items():
        if identity.startswith(start) and len(identity) >= PREFIX_MIN:
            return kind
    raise UsageError(
        f"{identity!r} is no id: one begins with f- (fill), pmx- (order), d- (decision) or "
        f"r- (refusal), and at least {PREFIX_MIN} characters of it are needed",
        remedy=WHERE_IDS_ARE,
    )


@contextmanager
def open_ledger(desk: Desk) -> "Iterator[Ledger | None]":
    """The ledger for reading, or None where there is none yet."""
    if not (desk.settings.paths.ledger / "journal.jsonl").exists():
        yield None
        return
    with desk.ledger() as ledger:
        yield ledger


def _full_id(lakes: Lakes, ledger: "Ledger | None", identity: str, kind: str) -> str:
    """The one id that begins with `identity`; exact ids are not searched for."""
    if ledger and ledger.find(identity):
        return identity
    candidates = set(_ledger_ids(ledger, kind)) if ledger else set()
    found = {one for one in candidates if one.startswith(identity)}
    if kind == "decision":
        rows = lakes.newest.rows(
            "SELECT DISTINCT decision_id FROM signal.daily_signals "
            "WHERE starts_with(decision_id, ?)",
            [identity],
        )
        found |= {decision for (decision,) in rows}
    if not found:
        raise UsageError(f"there is no {kind} {identity}", remedy=WHERE_IDS_ARE)
    if len(found) > 1:
        some = ", ".join(sorted(found)[:4])
        raise UsageError(
            f"{identity} is the beginning of {len(found)} ids: {some}"
            f"{', ...' if len(found) > 4 else ''}",
            remedy="give more characters",
        )
    return found.pop()


def _ledger_ids(ledger: "Ledger", kind: str) -> Iterator[str]:
    for event in ledger.events():
        match event:
            case FillRecorded() if kind == "fill":
                yield event.fill.fill_id
            case OrderSent() if kind == "order":
                yield event.order.client_order_id
            case IntentRecorded() if kind in ("order", "decision"):
                intent = event.intent
                yield intent.client_order_id if kind == "order" else intent.decision_id
            case RefusalRecorded() if kind in ("refusal", "decision"):
                refusal = event.refusal
                yield refusal.refusal_id if kind == "refusal" else refusal.decision_id


def _subject(ledger: "Ledger", full: str, kind: str, found: "list[Recorded]") -> Subject:
    asked = [noted for noted in _noted(found) if _is_asked(noted.record, full)]
    first = (asked or list(_noted(found)))[0].record
    records = [
        noted for noted in _noted(ledger.find(first.decision_id)) if noted.record.book == first.book
    ]
    return _assembled(full, kind, first.decision_id, records, asked[0] if asked else None)


def _is_asked(record: Any, identity: str) -> bool:
    names = ("fill_id", "refusal_id")
    return any(getattr(record, name, None) == identity for name in names)


def _assembled(
    full: str, kind: str, decision: str, records: Iterable[Noted], asked: Noted | None
) -> Subject:
    by_type: dict[type, Noted] = {}
    for noted in records:
        by_type.setdefault(type(noted.record), noted)
    if asked is not None:
        by_type[type(asked.record)] = asked
    return Subject(
        id=full,
        kind=kind,
        decision_id=decision,
        intent=by_type.get(Intent),
        order=by_type.get(Order),
        fill=by_type.get(Fill) if kind != "refusal" else None,
        refusal=by_type.get(Refusal),
    )


def _noted(found: "Iterable[Recorded]") -> Iterator[Noted]:
    for one in found:
        record = _record_of(one.event)
        if record is not None:
            yield Noted(seq=one.seq, hash=one.hash, record=record)


def _record_of(event: Any) -> Any:
    match event:
        case FillRecorded():
            return event.fill
        case OrderSent():
            return event.order
        case IntentRecorded():
            return event.intent
        case RefusalRecorded():
            return event.refusal
    return None


def _by_decision(ledger: "Ledger", book: str) -> dict[str, list[Noted]]:
    """The records of every decision that was filled."""
    decisions = dict.fromkeys(fill.decision_id for fill in ledger.fills(book=book))
    return {
        decision: [one for one in _noted(ledger.find(decision)) if one.record.book == book]
        for decision in decisions
    }
