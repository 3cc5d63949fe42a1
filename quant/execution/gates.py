"""The last gates before an order exists: pure checks that give an order or a refusal in words.

Belongs here: live window, verdict, reconciliation, mode and breakers, unresolved orders, our own
orders on the other side, sizes, short sales and cash. A venue's filters are in `venue_rules`,
limits on positions, sectors and correlations in `limits`; who reads modes and verdicts, and when,
is the trader's business.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

from quant.core.money import quantity as to_step
from quant.execution.actions import apply_ratio
from quant.execution.book import ZERO, Book, BookPolicy
from quant.execution.broker import OrderRejectedError, ticket_of
from quant.execution.broker_events import BreakerChanged
from quant.execution.events import EVERY_BOOK, Mode, Outcome, SubjectKind, VerdictRecorded
from quant.execution.limits import NO_LIMITS, LimitData, TradeLimitsPolicy, broken_limit
from quant.execution.orders import Intent, Order, Refusal, Side, trace_of
from quant.execution.paper import PaperCostPolicy, worst_cash
from quant.execution.venue_rules import VenueRules, require_allowed

VerdictReader = Callable[[SubjectKind, str], VerdictRecorded | None]
CostsOf = Callable[[str], PaperCostPolicy]
Objection = tuple[str, str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the gates may know about the session being traded."""

    session: dt.date
    book: Book
    mode: Mode
    verdict: VerdictReader
    policy: BookPolicy
    costs_of: CostsOf
    # Orders whose fate is unknown: each blocks its symbol and counts at its worst case.
    unknown: tuple[Order, ...] = ()
    # What is left of orders that the venue is known to work on: cash and shares are spoken for.
    working: tuple[Order, ...] = ()
    # Symbols that reconciliation holds, with the reason; `*` is the whole book.
    held: Mapping[str, str] = field(default_factory=dict)
    breakers: tuple[BreakerChanged, ...] = ()
    rules_of: Callable[[str], VenueRules] | None = None
    limits: TradeLimitsPolicy = NO_LIMITS
    limit_data: LimitData | None = None
    trades_today: int = 0
    # On paper sales settle before purchases; a venue pays when it has filled.
    sales_free_cash: bool = True
    # Exact price factors of the splits between decision and session, by decision.
    splits: Mapping[str, Fraction] = field(default_factory=dict)
    # How far from its decision's price an order may trade; None lets it trade at any.
    price_collar_bps: Decimal | None = None

    def split_of(self, intent: Intent) -> Fraction:
        """The factor by which splits changed the price since `intent` was decided."""
        return self.splits.get(intent.decision_id, Fraction(1))


@dataclass(slots=True)
class _Running:
    """What earlier orders of the same session have already claimed."""

    cash: Decimal
    held: dict[str, Decimal]
    sides: dict[str, Side] = field(default_factory=dict)
    sent: int = 0


def admit(intents: Iterable[Intent], desk: Desk) -> tuple[list[Order], list[Refusal]]:
    """Orders and refusals for `intents`: sales first, so that their cash can be spent.

    The order of the result depends on the intents alone, so a resumed session decides the same.
    """
    running = _Running(cash=desk.book.cash, held={})
    orders: list[Order] = []
    refusals: list[Refusal] = []
    for intent in sorted(intents, key=lambda one: (one.quantity > 0, one.symbol, one.decision_id)):
        outcome = _judge(intent, desk, running)
        if isinstance(outcome, Order):
            _claim(outcome, desk, running)
            orders.append(outcome)
        else:
            refusals.append(outcome)
    return orders, refusals


def is_reducing(held: Decimal, traded: Decimal) -> bool:
    """Whether a signed trade brings a position closer to zero without crossing it."""
    return held * traded < 0 and abs(traded) <= abs(held)


def _judge(intent: Intent, desk: Desk, running: _Running) -> Order | Refusal:
    traded = _tradable_quantity(intent, desk)
    order = _order(intent, desk, traded) if traded else None
    objection = (
        _window(intent, desk)
        or _exit(intent, desk, traded, running)
        or _verdict(intent, desk)
        or _reconciled(intent, desk)
        or _mode(intent, desk, traded, running)
        or _unknown(intent, desk)
        or _self_trade(intent, desk, running)
        or _size(intent, desk, traded)
        or _venue(order, desk)
        or _short(intent, desk, traded, running)
        or _limits(intent, desk, traded, running)
        or _cash(order, desk, running)
    )
    if order is not None and objection is None:
        return order
    assert objection is not None  # an order of nothing never passes the size gate
    gate, reason, numbers = objection
    return Refusal(**trace_of(intent), gate=gate, reason=reason, numbers=numbers)


def _order(intent: Intent, desk: Desk, traded: Decimal) -> Order:
    ratio = desk.split_of(intent)
    return Order(
        **trace_of(intent),
        client_order_id=intent.client_order_id,
        valid_session=intent.valid_session,
        side=intent.side,
        quantity=abs(traded),
        reference_price=_reference(intent, desk),
        split_ratio=f"{ratio.numerator}/{ratio.denominator}",
        limit_price=_collar(intent, desk),
    )


def _collar(intent: Intent, desk: Desk) -> Decimal | None:
    """The worst price at which the order may trade, never beyond the collar.

    An exit has none: whoever has to get out gets out.
    """
    if desk.price_collar_bps is None or intent.exit_reason:
        return None
    bound = _reference(intent, desk) * (1 + intent.side.sign * desk.price_collar_bps / 10_000)
    # Cents from one on, four digits below: no venue's grid of prices is finer.
    step = Decimal("0.01") if bound >= 1 else Decimal(1).scaleb(bound.adjusted() - 3)
    return bound.quantize(step, ROUND_FLOOR if intent.side is Side.BUY else ROUND_CEILING)


def _claim(order: Order, desk: Desk, running: _Running) -> None:
    held = _held(order.symbol, desk, running)
    running.held[order.symbol] = held + order.signed_quantity
    running.sides[order.symbol] = order.side
    running.sent += 1
    if order.side is Side.BUY:
        running.cash -= _worst_cash(order, desk)
    elif desk.sales_free_cash:
        # Only what closes a position frees cash: the proceeds of a short sale are not ours.
        closing = replace(order, quantity=min(order.quantity, held)) if held > 0 else None
        if closing:
            gross = closing.quantity * closing.reference_price
            running.cash += max(ZERO, 2 * gross - _worst_cash(closing, desk))


def _held(symbol: str, desk: Desk, running: _Running) -> Decimal:
    """Shares as they would be if everything sent in `symbol` were filled."""
    if symbol in running.held:
        return running.held[symbol]
    sent = (one.signed_quantity for one in desk.working if one.symbol == symbol)
    return sum(sent, start=desk.book.quantity(symbol))


def _tradable_quantity(intent: Intent, desk: Desk) -> Decimal:
    ratio = desk.split_of(intent)
    wanted = apply_ratio(intent.quantity, 1 / ratio)
    return to_step(wanted, step=desk.policy.quantity_step)


def _reference(intent: Intent, desk: Desk) -> Decimal:
    return apply_ratio(intent.reference_price, desk.split_of(intent))


def _worst_cash(order: Order, desk: Desk) -> Decimal:
    """What an order may cost when the price gaps against it by as much as the policy reserves."""
    gapped = order.reference_price * (1 + desk.policy.gap_reserve_bps / 10_000)
    return worst_cash(order.quantity, gapped, costs=desk.costs_of(order.symbol))


def _window(intent: Intent, desk: Desk) -> Objection | None:
    if intent.valid_session == desk.session:
        return None
    reason = f"it was valid in session {intent.valid_session} only, and this is {desk.session}"
    return "window", reason, {"valid_session": str(intent.valid_session)}


def _exit(intent: Intent, desk: Desk, traded: Decimal, running: _Running) -> Objection | None:
    """An exit only ever reduces, whatever happened to the position since it was decided."""
    held = _held(intent.symbol, desk, running)
    if not intent.exit_reason or is_reducing(held, traded):
        return None
    reason = f"{intent.exit_reason} would trade {traded} on top of {held}, which is no exit"
    return "exit", reason, {"held": str(held), "wanted": str(traded)}


def _verdict(intent: Intent, desk: Desk) -> Objection | None:
    # Leaving a position needs nobody's good opinion of what entered it.
    if intent.exit_reason:
        return None
    subjects = [(SubjectKind.STRATEGY, intent.strategy)]
    subjects += [(SubjectKind.MODEL, model) for model in intent.models]
    for kind, name in subjects:
        verdict = desk.verdict(kind, name)
        if verdict is None:
            return "verdict", f"the ledger holds no verdict on {kind} {name}", {"subject": name}
        if verdict.outcome is not Outcome.PASS:
            reason = f"the verdict on {kind} {name} is {verdict.outcome}: {verdict.reason}"
            return "verdict", reason, {"subject": name, "verdict_id": verdict.verdict_id}
    return None


def _reconciled(intent: Intent, desk: Desk) -> Objection | None:
    for scope in (EVERY_BOOK, intent.symbol):
        if scope in desk.held:
            reason = f"held by reconciliation: {desk.held[scope]}"
            return "reconciliation", reason, {"scope": scope}
    return None


def _mode(intent: Intent, desk: Desk, traded: Decimal, running: _Running) -> Objection | None:
    held = _held(intent.symbol, desk, running)
    if desk.mode is Mode.NORMAL or (desk.mode is Mode.REDUCE and is_reducing(held, traded)):
        return None
    numbers = {"mode": desk.mode.value, "held": str(held), "wanted": str(traded)}
    if desk.breakers:
        why = "; ".join(f"{one.breaker}: {one.reason}" for one in desk.breakers)
        return "breaker", f"a breaker has tripped ({why}), and this is no reduction", numbers
    if desk.mode is Mode.REDUCE:
        reason = f"the book only reduces, and {traded} on top of {held} is no reduction"
        return "mode", reason, numbers
    return "mode", f"the book is in mode {desk.mode} and sends nothing", numbers


def _unknown(intent: Intent, desk: Desk) -> Objection | None:
    for order in desk.unknown:
        if order.symbol == intent.symbol:
            reason = (
                f"an earlier order to {order.side} {order.quantity} {order.symbol} is unknown: "
                "reconcile it first"
            )
            return "unknown", reason, {"client_order_id": order.client_order_id}
    return None


def _self_trade(intent: Intent, desk: Desk, running: _Running) -> Objection | None:
    """An order that could meet one of our own in the book would be a wash trade."""
    sides = {one.side for one in desk.working if one.symbol == intent.symbol}
    sides |= {running.sides[intent.symbol]} if intent.symbol in running.sides else set()
    if not sides - {intent.side}:
        return None
    reason = f"an order of ours on the other side of {intent.symbol} is still open"
    return "self_trade", reason, {"symbol": intent.symbol}


def _venue(order: Order | None, desk: Desk) -> Objection | None:
    """The venue's own filters, so that the failed one is named before anything is sent."""
    if desk.rules_of is None or order is None:
        return None
    try:
        require_allowed(
            ticket_of(order), desk.rules_of(order.symbol), reference_price=order.reference_price
        )
    except OrderRejectedError as error:
        return "venue_rule", str(error), {"rule": error.rule}
    return None


def _limits(intent: Intent, desk: Desk, traded: Decimal, running: _Running) -> Objection | None:
    if is_reducing(_held(intent.symbol, desk, running), traded):
        return None
    after = {name: held.quantity for name, held in desk.book.positions.items()}
    for one in (*desk.unknown, *desk.working):
        before = after.get(one.symbol, ZERO)
        after[one.symbol] = max(before, before + one.signed_quantity, key=abs)
    after |= running.held
    after[intent.symbol] = _held(intent.symbol, desk, running) + traded
    return broken_limit(
        desk.limits,
        desk.limit_data,
        symbol=intent.symbol,
        after=after,
        trades_today=desk.trades_today + running.sent,
    )


def _size(intent: Intent, desk: Desk, traded: Decimal) -> Objection | None:
    step = desk.policy.quantity_step
    if traded == 0:
        reason = f"{intent.quantity} is less than one quantity step of {step}"
        return "quantity_step", reason, {"quantity": str(intent.quantity), "step": str(step)}
    notional = abs(traded) * _reference(intent, desk)
    # The rest of a position may always be sold, or dust could never be cleared.
    closes = traded == -desk.book.quantity(intent.symbol)
    if notional >= desk.policy.min_notional or closes:
        return None
    minimum = desk.policy.min_notional
    reason = f"its value of {notional:.2f} is below the minimum of {minimum}"
    return "min_notional", reason, {"notional": f"{notional:.2f}", "minimum": str(minimum)}


def _short(intent: Intent, desk: Desk, traded: Decimal, running: _Running) -> Objection | None:
    held = _held(intent.symbol, desk, running)
    after = held + traded
    if desk.policy.allows_short or after >= 0 or traded > 0:
        return None
    reason = f"selling {-traded} with {held} held would go short, which this book may not"
    return "short", reason, {"held": str(held), "wanted": str(traded)}


def _cash(order: Order | None, desk: Desk, running: _Running) -> Objection | None:
    if order is None or order.side is Side.SELL:
        return None
    needed = _worst_cash(order, desk)
    buys = (one for one in (*desk.unknown, *desk.working) if one.side is Side.BUY)
    reserved = sum((_worst_cash(one, desk) for one in buys), start=ZERO)
    free = running.cash - reserved
    # Written as what passes: a balance that is not a number buys nothing.
    if needed <= free:
        return None
    reason = f"it needs up to {needed} {desk.book.currency} and {free:.2f} is free"
    numbers = {"needed": str(needed), "free": f"{free:.2f}", "reserved": f"{reserved:.2f}"}
    return "cash", reason, numbers
