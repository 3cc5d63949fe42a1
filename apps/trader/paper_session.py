"""Trades one session of a paper book: the only place where intents become fills on paper.

Belongs here: the order of the steps, so that a process killed between any two of them resumes where
it was. The decisions themselves are pure and elsewhere: what may be sent in
`quant.execution.gates`, at what price in `quant.execution.paper`.

Four commits make a session, and each step is decided from what the ledger holds:
1. the session opens and corporate actions meet the book;
2. refusals, and every order before it is matched;
3. fills, and the expiry of what could not be filled;
4. the mark, and the close: from here on nothing is ever sent for this session or an earlier one.
"""

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from quant.core.clock import Clock
from quant.core.errors import StateError
from quant.execution.actions import ActionKind, CorporateAction, split_ratio
from quant.execution.book import Book, BookPolicy
from quant.execution.events import (
    ActionApplied,
    Event,
    FillRecorded,
    MarkRecorded,
    Mode,
    OrderSent,
    OrderStateChanged,
    RefusalRecorded,
    SessionClosed,
    SessionOpened,
)
from quant.execution.gates import CostsOf, Desk, admit
from quant.execution.orders import Fill, Intent, Order, OrderState, Refusal
from quant.execution.paper import NoFill, PaperCostPolicy, PriceReference, match
from resources.ledger import Ledger, OrderStatus

Prices = Mapping[str, PriceReference] | Callable[[str], PriceReference | None]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """The fixed surroundings of one session."""

    ledger: Ledger
    book: str
    session: dt.date
    price_of: Callable[[str], PriceReference | None]
    mark_of: Callable[[str], PriceReference | None]
    costs_of: CostsOf
    policy: BookPolicy
    run_id: str
    code_version: str


def trade_session(
    ledger: Ledger,
    book: str,
    session: dt.date,
    *,
    prices: Prices,
    clock: Clock,
    costs: PaperCostPolicy | CostsOf,
    policy: BookPolicy,
    actions: Sequence[CorporateAction] = (),
    mark_prices: Prices | None = None,
    run_id: str = "",
    code_version: str = "",
) -> TradeSummary:
    """Send, match and mark what is pending for `session`; a session already closed does nothing.

    `prices` may only know prices of the session itself: an order without one expires unfilled.
    The book is marked at `mark_prices`, such as closes where orders met opens, else at `prices`.
    """
    _require_not_future(session, clock)
    before = ledger.book(book)
    if ledger.damage:
        return _idle(ledger, before, session, note=f"the ledger is damaged: {ledger.damage}")
    if before.closed_session is not None and session <= before.closed_session:
        return _told_again(ledger, before, session)
    _require_in_order(before, session)
    marked = prices if mark_prices is None else mark_prices
    desk = _Session(
        ledger=ledger,
        book=book,
        session=session,
        price_of=prices if callable(prices) else prices.get,
        mark_of=marked if callable(marked) else marked.get,
        costs_of=(lambda _symbol: costs) if isinstance(costs, PaperCostPolicy) else costs,
        policy=policy,
        run_id=run_id,
        code_version=code_version,
    )
    ledger.append_all(_opening(desk, before, actions))
    ledger.append_all(_sending(desk))
    ledger.append_all(_matching(desk))
    ledger.append_all(_closing(desk))
    return replace(_told_again(ledger, ledger.book(book), session), was_traded_before=False)


def _require_not_future(session: dt.date, clock: Clock) -> None:
    today = clock.now().astimezone(dt.UTC).date()
    if session > today:
        raise StateError(
            f"session {session} lies after today, {today}",
            remedy="trade a session when its prices exist",
        )


def _require_in_order(book: Book, session: dt.date) -> None:
    """A crashed session is finished before a later one begins, or its orders would be orphans."""
    begun, closed = book.opened_session, book.closed_session
    unfinished = begun is not None and (closed is None or begun > closed)
    if unfinished and begun != session:
        raise StateError(
            f"session {begun} of book {book.name} was begun and never closed",
            remedy=f"trade session {begun} again first: it goes on where it stopped",
        )


def _opening(desk: _Session, before: Book, actions: Sequence[CorporateAction]) -> list[Event]:
    opened = SessionOpened(
        book=desk.book, session=desk.session, run_id=desk.run_id, code_version=desk.code_version
    )
    events: list[Event] = [opened]
    for action in sorted(actions, key=lambda one: (one.symbol, one.kind)):
        if before.takes(action.kind) and _is_due(action, before, desk.session):
            events.append(
                ActionApplied(
                    book=desk.book,
                    symbol=action.symbol,
                    ex_session=action.ex_session,
                    action=action.kind,
                    value=action.value,
                    row_hash=action.row_hash,
                    run_id=desk.run_id,
                )
            )
    return events


def _is_due(action: CorporateAction, before: Book, session: dt.date) -> bool:
    """After the last session that was traded: an action may fall on a day between two."""
    last = before.closed_session
    if last is None:
        return action.ex_session == session
    return last < action.ex_session <= session


def _sending(desk: _Session) -> list[Event]:
    """Judge what was neither sent nor refused, on the book, mode and verdicts of this moment."""
    ledger = desk.ledger
    pending = [
        intent
        for intent in ledger.pending_intents(desk.book)
        if intent.valid_session <= desk.session
    ]
    surroundings = Desk(
        session=desk.session,
        book=ledger.book(desk.book),
        mode=ledger.mode(desk.book),
        breakers=ledger.control().tripped(desk.book),
        verdict=functools.cache(lambda kind, name: ledger.verdict(name, kind=kind)),
        policy=desk.policy,
        costs_of=desk.costs_of,
        unknown=_unresolved(ledger.open_orders(desk.book), desk.session),
        splits=_splits(desk, pending),
    )
    orders, refusals = admit(pending, surroundings)
    refused = [RefusalRecorded(refusal=refusal) for refusal in refusals]
    return [*refused, *(OrderSent(order=order) for order in orders)]


def _unresolved(working: Sequence[OrderStatus], session: dt.date) -> tuple[Order, ...]:
    """What an earlier order may still do: all of its open rest."""
    return tuple(
        replace(status.order, quantity=status.order.quantity - status.filled_quantity)
        for status in working
        if status.state is OrderState.UNKNOWN or status.order.valid_session != session
    )


def _splits(desk: _Session, pending: Sequence[Intent]) -> dict[str, Fraction]:
    """The price factors of splits that met the book after these intents were decided."""
    symbols = {intent.symbol for intent in pending}
    splits = [
        event
        for event in desk.ledger.actions(desk.book)
        if event.action is ActionKind.SPLIT and event.symbol in symbols
    ]
    ratios: dict[str, Fraction] = {}
    for intent in pending:
        for event in splits:
            if event.symbol == intent.symbol and event.ex_session > intent.session:
                before = ratios.get(intent.decision_id, Fraction(1))
                ratios[intent.decision_id] = before * split_ratio(event.value)
    return ratios


def _matching(desk: _Session) -> list[Event]:
    """Fill or expire the session's orders; an UNKNOWN one is left for reconciliation."""
    events: list[Event] = []
    for status in desk.ledger.open_orders(desk.book):
        order = status.order
        if status.state is OrderState.UNKNOWN or order.valid_session != desk.session:
            continue
        outcome = match(order, desk.price_of(order.symbol), costs=desk.costs_of(order.symbol))
        if isinstance(outcome, NoFill):
            events.append(_moved(status, OrderState.EXPIRED, outcome.reason))
        else:
            events += _filled(status, outcome)
    return events


def _filled(status: OrderStatus, fill: Fill) -> list[Event]:
    """A fill and what it makes of its order, which is good for its session only."""
    wanted = status.order.quantity
    if fill.quantity == wanted:
        return [FillRecorded(fill=fill), _moved(status, OrderState.FILLED, "")]
    partial = _moved(status, OrderState.PARTIAL, "")
    reason = f"{fill.quantity} of {wanted} filled: the rest is more than the day's volume takes"
    ended = replace(
        partial,
        sequence=partial.sequence + 1,
        before=OrderState.PARTIAL,
        after=OrderState.EXPIRED,
        reason=reason,
    )
    return [FillRecorded(fill=fill), partial, ended]


def _moved(status: OrderStatus, after: OrderState, reason: str) -> OrderStateChanged:
    return OrderStateChanged(
        book=status.order.book,
        decision_id=status.order.decision_id,
        client_order_id=status.order.client_order_id,
        sequence=status.moves + 1,
        before=status.state,
        after=after,
        reason=reason,
    )


def _closing(desk: _Session) -> list[Event]:
    book = desk.ledger.book(desk.book)
    mark = _mark(desk, book)
    orders = desk.ledger.orders(desk.book, valid_session=desk.session)
    states = [status.state for status in orders]
    closed = SessionClosed(
        book=desk.book,
        session=desk.session,
        sent=len(orders),
        filled=states.count(OrderState.FILLED),
        expired=states.count(OrderState.EXPIRED),
        refused=len(desk.ledger.refusals(book=desk.book, valid_session=desk.session)),
    )
    return [mark, closed]


def _mark(desk: _Session, book: Book) -> MarkRecorded:
    """Value what is held at today's prices, and where there is none at the last known one."""
    prices: dict[str, Decimal] = {}
    stale: list[str] = []
    for symbol in sorted(book.positions):
        reference = desk.mark_of(symbol) or desk.price_of(symbol)
        if reference is not None:
            prices[symbol] = reference.price
        else:
            stale.append(symbol)
            prices[symbol] = book.prices[symbol]
    return MarkRecorded(
        book=book.name,
        session=desk.session,
        equity=book.equity(prices),
        cash=book.cash,
        prices=prices,
        stale=tuple(stale),
    )


def _told_again(ledger: Ledger, book: Book, session: dt.date) -> TradeSummary:
    """What the ledger holds on a session that is over."""
    orders = ledger.orders(book.name, valid_session=session)
    mark = next(iter(ledger.marks(book.name, session=session)), None)
    return TradeSummary(
        book=book.name,
        session=session,
        mode=ledger.mode(book.name),
        was_traded_before=True,
        fills=tuple(ledger.fills(book=book.name, valid_session=session)),
        refusals=tuple(ledger.refusals(book=book.name, valid_session=session)),
        expired=tuple(
            f"{status.order.symbol}: {status.reason}"
            for status in orders
            if status.state is OrderState.EXPIRED
        ),
        equity=mark.equity if mark else None,
        note="" if mark else f"session {session} was never traded, and its window has passed",
    )


def _idle(ledger: Ledger, book: Book, session: dt.date, *, note: str) -> TradeSummary:
    return TradeSummary(
        book=book.name,
        session=session,
        mode=ledger.mode(book.name),
        was_traded_before=False,
        fills=(),
        refusals=(),
        expired=(),
        equity=None,
        note=note,
    )
