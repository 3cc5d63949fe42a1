"""Round trips: what was closed, out of which purchases, why, after how long, and what it earned.

Belongs here: lots, first in first out, through fills, splits and dividends, in exact money.
Does not belong here: the book itself (`book` keeps average cost and is the authority on cash), or
where events and the facts about a decision come from.

Nothing is lost and nothing invented: the net results of all round trips and the marked results of
all open lots add up to the book's change in equity, to the cent. A part of an amount is rounded
once and the last part takes what is left.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.core.money import CENT
from quant.core.money import cash as to_cents
from quant.execution.actions import ActionKind, apply_ratio, split_ratio
from quant.execution.book import ZERO, book_of, split_quantity
from quant.execution.events import (
    ActionApplied,
    BookOpened,
    Event,
    FillRecorded,
    IntentRecorded,
    OrderSent,
)
from quant.execution.exits import ExitReason
from quant.execution.orders import Fill, Intent
from quant.market.calendars import sessions as sessions_between

# Parts of the price paid are finer than a cent: they are an analysis, not money that moves.
_ANALYSIS_STEP: Final = Decimal("0.000001")


class CloseReason(StrEnum):
    """Why a round trip ended where no exit rule ended it."""

    SIGNAL = "SIGNAL"  # the strategy wanted none of it any more
    REBALANCE = "REBALANCE"  # it wanted less
    SPLIT_REMAINDER = "SPLIT_REMAINDER"  # a reverse split left less than any venue can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Money of a lot, or of a part of one; all but `notional` and `dividends` are costs."""

    notional: Decimal
    fee: Decimal
    spread: Decimal
    slippage: Decimal
    impact: Decimal
    dividends: Decimal = ZERO

    @property
    def price_costs(self) -> Decimal:
        """What the price was worse than the reference."""
        return self.spread + self.slippage + self.impact

    def part(self, share: Fraction) -> "Amounts":
        """A share of everything, each amount rounded once."""
        if share == 1:
            return self
        cents = {name: _share(getattr(self, name), share, CENT) for name in _CENTS}
        return Amounts(
            **cents,
            **{name: _share(getattr(self, name), share, _ANALYSIS_STEP) for name in _FINE},
        )

    def less(self, part: "Amounts") -> "Amounts":
        """What is left when `part` has been taken out."""
        return Amounts(
            **{name: getattr(self, name) - getattr(part, name) for name in (*_CENTS, *_FINE)}
        )


_CENTS: Final = ("notional", "fee", "dividends")
_FINE: Final = ("spread", "slippage", "impact")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLot:
    """Shares of one purchase (or short sale) that are still held; `quantity` is signed."""

    fill: Fill
    session: dt.date
    quantity: Decimal
    paid: Amounts
    # Price factor of all splits since the entry.
    ratio: Fraction = Fraction(1)

    @property
    def sign(self) -> int:
        """1 for a long lot, -1 for a short one."""
        return 1 if self.quantity > 0 else -1

    @property
    def entry_price(self) -> Decimal:
        """The price paid, in today's shares."""
        return apply_ratio(self.fill.price, self.ratio)

    def result(self, price: Decimal) -> Decimal:
        """What the lot has earned at `price`, its own costs paid and none for leaving it."""
        return self.quantity * price - self.sign * self.paid.notional - self._outgo

    @property
    def _outgo(self) -> Decimal:
        return self.paid.fee - self.paid.dividends


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """One lot, or a part of one, from its entry to its exit; prices are as they were paid."""

    trade_id: str
    book: str
    strategy: str
    symbol: str
    side: str  # long or short
    quantity: Decimal  # in shares of the exit, always positive
    entry_session: dt.date
    entry_time: dt.datetime
    entry_price: Decimal
    exit_session: dt.date
    exit_time: dt.datetime
    exit_price: Decimal
    split_ratio: str  # price factor between entry and exit
    reason: str
    sessions_held: int
    calendar_days_held: int
    entry: Amounts
    exit: Amounts
    entry_decision_id: str
    exit_decision_id: str
    entry_fill_id: str
    exit_fill_id: str
    barbell_bucket: str
    barbell_multiplier: Decimal | None
    missing: tuple[str, ...]

    @property
    def sign(self) -> int:
        """1 for a long trade, -1 for a short one."""
        return 1 if self.side == "long" else -1

    @property
    def fees(self) -> Decimal:
        """Both sides."""
        return self.entry.fee + self.exit.fee

    @property
    def costs(self) -> Decimal:
        """Spread, slippage, impact and fees of both sides."""
        return self.entry.price_costs + self.exit.price_costs + self.fees

    @property
    def net_result(self) -> Decimal:
        """What the round trip added to the book, in whole cents."""
        moved = self.sign * (self.exit.notional - self.entry.notional)
        return moved - self.fees + self.entry.dividends

    @property
    def gross_result(self) -> Decimal:
        """What the price did, at the reference prices: net = gross - costs + dividends."""
        return self.net_result - self.entry.dividends + self.costs

    @property
    def is_complete(self) -> bool:
        """Whether every part of the attribution is known."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """All round trips of a book in the order of their ends, and what is still held."""

    capital: Decimal
    round_trips: tuple[RoundTrip, ...]
    open_lots: tuple[OpenLot, ...]

    @property
    def complete_share(self) -> float | None:
        """The share of round trips of which everything is known; None without one."""
        if not self.round_trips:
            return None
        return sum(one.is_complete for one in self.round_trips) / len(self.round_trips)

    def result(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Closed and open together, at `prices`: the book's change in equity, to the cent."""
        missing = sorted({lot.fill.symbol for lot in self.open_lots} - set(prices))
        if missing:
            raise DataError(
                f"open lots of {', '.join(missing)} have no price",
                remedy="give a price for every held symbol: an unknown price is not zero",
            )
        closed = sum((one.net_result for one in self.round_trips), start=self.capital)
        worth = (lot.result(prices[lot.fill.symbol]) for lot in self.open_lots)
        # Rounded as the book rounds its equity: half a cent goes to the even one of its neighbours.
        return to_cents(sum(worth, start=closed)) - self.capital


def attribute(events: Iterable[Event], book: str, *, calendar: str) -> Attribution:
    """Match a book's fills, first in first out, through its corporate actions.

    Events of other books and kinds are passed over. What an intent did not record, or a missing
    intent would have said, is named as missing.
    """
    walk = _Walk(calendar=calendar)
    for event in events:
        if book_of(event) == book:
            walk.take(event)
    open_lots = tuple(lot for symbol in sorted(walk.lots) for lot in walk.lots[symbol])
    return Attribution(capital=walk.capital, round_trips=tuple(walk.closed), open_lots=open_lots)


class _Walk:
    """The state of the matching: open lots by symbol, oldest first."""

    def __init__(self, *, calendar: str) -> None:
        self.calendar = calendar
        self.capital = ZERO
        self.lots: dict[str, list[OpenLot]] = {}
        self.closed: list[RoundTrip] = []
        self._intents: dict[str, Intent] = {}
        self._sessions: dict[str, dt.date] = {}

    def take(self, event: Event) -> None:
        """Let one event of the book happen."""
        match event:
            case BookOpened(initial_cash=money):
                self.capital = to_cents(money)
            case IntentRecorded(intent=intent):
                self._intents[intent.decision_id] = intent
            case OrderSent(order=order):
                self._sessions[order.client_order_id] = order.valid_session
            case FillRecorded(fill=fill):
                self._fill(fill)
            case ActionApplied():
                self._act(event)

    def _fill(self, fill: Fill) -> None:
        session = self._sessions.get(fill.client_order_id, fill.event_time.date())
        rest = OpenLot(
            fill=fill,
            session=session,
            quantity=fill.change,
            paid=_amounts(fill),
        )
        lots = self.lots.setdefault(fill.symbol, [])
        while lots and rest.quantity and lots[0].sign != rest.sign:
            closing = min(abs(lots[0].quantity), abs(rest.quantity))
            entered, lots[0] = _split_off(lots[0], closing)
            left, rest = _split_off(rest, closing)
            self.closed.append(self._round_trip(entered, left, self._reason(fill)))
            if not lots[0].quantity:
                del lots[0]
        if rest.quantity:
            lots.append(rest)

    def _reason(self, fill: Fill) -> str:
        intent = self._intents.get(fill.decision_id)
        if intent is None:
            return ""
        if intent.exit_reason:
            return intent.exit_reason
        return (CloseReason.REBALANCE if intent.target_weight else CloseReason.SIGNAL).value

    def _round_trip(self, entered: OpenLot, left: OpenLot, reason: str) -> RoundTrip:
        decision = entered.fill.decision_id
        wish = self._intents.get(decision)
        missing = {
            "reason": not reason,
            "signal": wish is None,
            "barbell": wish is None or not wish.barbell_bucket,
        }
        first, last = entered.session, left.session
        identity = [entered.fill.fill_id, left.fill.fill_id, len(self.closed)]
        return RoundTrip(
            trade_id="t-" + content_hash(identity),
            **{name: getattr(entered.fill, name) for name in ("book", "strategy", "symbol")},
            side="long" if entered.sign > 0 else "short",
            quantity=abs(left.quantity),
            entry_session=first,
            entry_time=entered.fill.event_time,
            entry_price=entered.fill.price,
            exit_session=last,
            exit_time=left.fill.event_time,
            exit_price=left.fill.price,
            split_ratio=f"{entered.ratio.numerator}/{entered.ratio.denominator}",
            reason=reason,
            sessions_held=sessions_after(self.calendar, first, last),
            calendar_days_held=(last - first).days,
            entry=entered.paid,
            exit=left.paid,
            entry_decision_id=decision,
            exit_decision_id=left.fill.decision_id,
            entry_fill_id=entered.fill.fill_id,
            exit_fill_id=left.fill.fill_id,
            barbell_bucket=wish.barbell_bucket if wish else "",
            barbell_multiplier=wish.barbell_multiplier if wish else None,
            missing=tuple(name for name, is_missing in missing.items() if is_missing),
        )

    def _act(self, event: ActionApplied) -> None:
        lots = self.lots.get(event.symbol, [])
        if not lots:
            return
        if event.action is ActionKind.CASH_DIVIDEND:
            self.lots[event.symbol] = _with_dividend(lots, event.value)
            return
        scaled = _after_split(lots, event.value)
        for before, after in zip(lots, scaled, strict=True):
            if not after.quantity:
                self.closed.append(self._lost(before, event))
        self.lots[event.symbol] = [lot for lot in scaled if lot.quantity]

    def _lost(self, lot: OpenLot, event: ActionApplied) -> RoundTrip:
        """A lot of which a reverse split left nothing that can be held: it ends at no price."""
        nothing = Amounts(**dict.fromkeys(("notional", "fee", *_FINE), ZERO))
        ended = replace(lot, session=event.ex_session, paid=nothing)
        trip = self._round_trip(lot, ended, CloseReason.SPLIT_REMAINDER.value)
        return replace(trip, exit_price=ZERO)


def sessions_after(calendar: str, first: dt.date, last: dt.date) -> int:
    """Trading days after `first`, up to and including `last`; zero on the same day."""
    if last <= first:
        return 0
    return len(sessions_between(calendar, first + dt.timedelta(days=1), last))


def is_exit_rule(reason: str) -> bool:
    """Whether a round trip was ended by an exit rule and not by a signal."""
    return reason in {one.value for one in ExitReason}


def _amounts(fill: Fill) -> Amounts:
    return Amounts(
        notional=abs(fill.paid),
        fee=fill.fee_amount,
        spread=fill.spread_amount,
        slippage=fill.slippage_amount,
        impact=fill.impact_amount,
    )


def _split_off(lot: OpenLot, quantity: Decimal) -> tuple[OpenLot, OpenLot]:
    """`quantity` shares of a lot, and the rest of it."""
    taken = lot.paid.part(Fraction(quantity) / Fraction(abs(lot.quantity)))
    signed = lot.sign * quantity
    rest = replace(lot, quantity=lot.quantity - signed, paid=lot.paid.less(taken))
    return replace(lot, quantity=signed, paid=taken), rest


def _with_dividend(lots: list[OpenLot], per_share: Decimal) -> list[OpenLot]:
    """The book is paid on all it holds, rounded once; the newest lot takes the last cents."""
    held = sum((lot.quantity for lot in lots), start=ZERO)
    left = to_cents(held * per_share)
    out = []
    for place, lot in enumerate(lots):
        is_last = place == len(lots) - 1
        own = left if is_last else to_cents(lot.quantity * per_share)
        left -= own
        paid = replace(lot.paid, dividends=lot.paid.dividends + own)
        out.append(replace(lot, paid=paid))
    return out


def _after_split(lots: list[OpenLot], price_factor: Decimal) -> list[OpenLot]:
    """The book scales its whole holding, rounded once; the newest lot takes the last fraction."""
    held = sum((lot.quantity for lot in lots), start=ZERO)
    left, ratio = split_quantity(held, price_factor), split_ratio(price_factor)
    out = []
    for place, lot in enumerate(lots):
        is_last = place == len(lots) - 1
        own = left if is_last else split_quantity(lot.quantity, price_factor)
        left -= own
        out.append(replace(lot, quantity=own, ratio=lot.ratio * ratio))
    return out


def _share(amount: Decimal, share: Fraction, step: Decimal) -> Decimal:
    return apply_ratio(amount, share).quantize(step)


def premature_share(later: Mapping[str, Decimal], trips: Iterable[RoundTrip]) -> float | None:
    """The share of exits by rule after which the position would have earned more.

    `later` holds, by trade, the price at the end of the signal's horizon, in the exit's shares;
    a trade whose horizon has not passed is absent and not counted. None where none is counted.
    """
    judged = [
        one.sign * (later[one.trade_id] - one.exit_price) > 0
        for one in trips
        if is_exit_rule(one.reason) and one.trade_id in later
    ]
    return sum(judged) / len(judged) if judged else None
