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

from apps.trader.session_events import (
    TradeSummary,
    closing_events,
    idle,
    opening_events,
    require_in_order,
    split_ratios,
    told_again,
)
from quant.core.clock import Clock
from quant.core.errors import StateError
from quant.execution.actions import CorporateAction
from quant.execution.book import BookPolicy
from quant.execution.events import (
    Event,
    FillRecorded,
    OrderSent,
    OrderStateChanged,
    RefusalRecorded,
)
from quant.execution.gates import CostsOf, Desk, admit
from quant.execution.limits import NO_LIMITS, LimitData, TradeLimitsPolicy
from quant.execution.orders import Fill, Order, OrderState
from quant.execution.paper import NoFill, PaperCostPolicy, PriceReference, match
from resources.ledger import Ledger, OrderStatus

Prices = Mapping[str, PriceReference] | Callable[[str], PriceReference | None]


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
    limits: TradeLimitsPolicy
    limit_data: LimitData | None


def trade_session(
    ledger: Ledger,
    book: str,
    session: dt.date,
    *,
    prices: Prices,
    clock: Clock,
    costs: PaperCostPolicy | CostsOf,
    policy: BookPolicy,
    limits: TradeLimitsPolicy = NO_LIMITS,
    limit_data: LimitData | None = None,
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
        return idle(ledger, book, session, note=f"the ledger is damaged: {ledger.damage}")
    if before.closed_session is not None and session <= before.closed_session:
        return told_again(ledger, book, session)
    require_in_order(before, session)
    marked = prices if mark_prices is None else mark_prices
    desk = _Session(
        ledger=ledger,
        book=book,
        session=session,
        price_of=prices if callable(prices) else prices.get,
        mark_of=marked if callable(marked) else marked.get,
        costs_of=(lambda _symbol: costs) if isinstance(costs, PaperCostPolicy) else costs,
        policy=policy,
        limits=limits,
        limit_data=limit_data,
    )
    ledger.append_all(
        opening_events(before, session, actions, run_id=run_id, code_version=code_version)
    )
    ledger.append_all(_sending(desk))
    ledger.append_all(_matching(desk))
    ledger.append_all(
        closing_events(
            ledger, book, session, lambda name: desk.mark_of(name) or desk.price_of(name)
        )
    )
    return replace(told_again(ledger, book, session), was_traded_before=False)


def _require_not_future(session: dt.date, clock: Clock) -> None:
    today = clock.now().astimezone(dt.UTC).date()
    if session > today:
        raise StateError(
            f"session {session} lies after today, {today}",
            remedy="trade a session when its prices exist",
        )


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
        limits=desk.limits,
        limit_data=desk.limit_data,
        costs_of=desk.costs_of,
        unknown=_unresolved(ledger.open_orders(desk.book), desk.session),
        splits=split_ratios(ledger, desk.book, pending),
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
