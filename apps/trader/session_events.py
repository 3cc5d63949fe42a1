"""How a session of a book begins and ends, wherever its orders are filled.

Belongs here: the events before the first order and after the last, what is told of a session that
is over, and the order in which sessions may follow each other. Does not belong here: sending
(`paper_session`, `venue_session`).
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from quant.core.errors import StateError
from quant.execution.actions import ActionKind, CorporateAction, split_ratio
from quant.execution.book import Book
from quant.execution.events import (
    ActionApplied,
    Event,
    MarkRecorded,
    Mode,
    SessionClosed,
    SessionOpened,
)
from quant.execution.orders import Fill, Intent, OrderState, Refusal
from quant.execution.paper import PriceReference
from resources.ledger import Ledger

PriceOf = Callable[[str], PriceReference | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSummary:
    """What a session did, or had already done."""

    book: str
    session: dt.date
    mode: Mode
    was_traded_before: bool
    fills: tuple[Fill, ...]
    refusals: tuple[Refusal, ...]
    expired: tuple[str, ...]
    equity: Decimal | None
    note: str = ""


def require_in_order(book: Book, session: dt.date) -> None:
    """A crashed session is finished before a later one begins, or its orders would be orphans."""
    begun, closed = book.opened_session, book.closed_session
    unfinished = begun is not None and (closed is None or begun > closed)
    if unfinished and begun != session:
        raise StateError(
            f"session {begun} of book {book.name} was begun and never closed",
            remedy=f"run `pmx nightly --session {begun}` first: it goes on where it stopped",
        )


def opening_events(
    before: Book,
    session: dt.date,
    actions: Sequence[CorporateAction],
    *,
    run_id: str,
    code_version: str,
) -> list[Event]:
    """The session opens and corporate actions meet the book."""
    opened = SessionOpened(
        book=before.name, session=session, run_id=run_id, code_version=code_version
    )
    events: list[Event] = [opened]
    for action in sorted(actions, key=lambda one: (one.symbol, one.kind)):
        if before.takes(action.kind) and _is_due(action, before, session):
            events.append(
                ActionApplied(
                    book=before.name,
                    symbol=action.symbol,
                    ex_session=action.ex_session,
                    action=action.kind,
                    value=action.value,
                    row_hash=action.row_hash,
                    run_id=run_id,
                )
            )
    return events


def _is_due(action: CorporateAction, before: Book, session: dt.date) -> bool:
    """After the last session that was traded: an action may fall on a day between two."""
    last = before.closed_session
    if last is None:
        return action.ex_session == session
    return last < action.ex_session <= session


def split_ratios(ledger: Ledger, book: str, pending: Sequence[Intent]) -> dict[str, Fraction]:
    """The price factors of splits that met the book after these intents were decided."""
    symbols = {intent.symbol for intent in pending}
    splits = [
        event
        for event in ledger.actions(book)
        if event.action is ActionKind.SPLIT and event.symbol in symbols
    ]
    ratios: dict[str, Fraction] = {}
    for intent in pending:
        for event in splits:
            if event.symbol == intent.symbol and event.ex_session > intent.session:
                before = ratios.get(intent.decision_id, Fraction(1))
                ratios[intent.decision_id] = before * split_ratio(event.value)
    return ratios


def closing_events(ledger: Ledger, book: str, session: dt.date, price_of: PriceOf) -> list[Event]:
    """The mark, and the close: from here on nothing is sent for this session or an earlier one."""
    orders = ledger.orders(book, valid_session=session)
    states = [status.state for status in orders]
    closed = SessionClosed(
        book=book,
        session=session,
        sent=len(orders),
        filled=states.count(OrderState.FILLED),
        expired=states.count(OrderState.EXPIRED),
        refused=len(ledger.refusals(book=book, valid_session=session)),
    )
    return [_mark(ledger.book(book), session, price_of), closed]


def _mark(book: Book, session: dt.date, price_of: PriceOf) -> MarkRecorded:
    """Value what is held at today's prices, and where there is none at the last known one."""
    prices: dict[str, Decimal] = {}
    stale: list[str] = []
    for symbol in sorted(book.positions):
        reference = price_of(symbol)
        if reference is not None:
            prices[symbol] = reference.price
        else:
            stale.append(symbol)
            prices[symbol] = book.prices[symbol]
    return MarkRecorded(
        book=book.name,
        session=session,
        equity=book.equity(prices),
        cash=book.cash,
        prices=prices,
        stale=tuple(stale),
    )


def told_again(ledger: Ledger, book: str, session: dt.date) -> TradeSummary:
    """What the ledger holds on a session that is over."""
    orders = ledger.orders(book, valid_session=session)
    mark = next(iter(ledger.marks(book, session=session)), None)
    return TradeSummary(
        book=book,
        session=session,
        mode=ledger.mode(book),
        was_traded_before=True,
        fills=tuple(ledger.fills(book=book, valid_session=session)),
        refusals=tuple(ledger.refusals(book=book, valid_session=session)),
        expired=tuple(
            f"{status.order.symbol}: {status.reason}"
            for status in orders
            if status.state is OrderState.EXPIRED
        ),
        equity=mark.equity if mark else None,
        note="" if mark else f"session {session} was never traded, and its window has passed",
    )


def idle(ledger: Ledger, book: str, session: dt.date, *, note: str) -> TradeSummary:
    """A session in which nothing could be done, and why."""
    return TradeSummary(
        book=book,
        session=session,
        mode=ledger.mode(book),
        was_traded_before=False,
        fills=(),
        refusals=(),
        expired=(),
        equity=None,
        note=note,
    )
