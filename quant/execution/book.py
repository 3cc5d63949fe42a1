"""A book: cash and positions at cost, derived from events by double entry and from nothing else.

Belongs here: what each event does to money, as postings that sum to exactly zero, and the book that
results. Does not belong here: where events are stored, or what a position should be.

Amounts are whole cents. A position keeps its total cost and not an average price, so a cost that
does not divide evenly loses nothing: the last share sold takes what is left.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.core.money import cash as to_cents
from quant.core.policy import Policy
from quant.execution.actions import ActionKind, apply_ratio, split_ratio
from quant.execution.broker_events import FillReversed
from quant.execution.events import (
    ActionApplied,
    BookKind,
    BookOpened,
    Event,
    FillRecorded,
    MarkRecorded,
    SessionClosed,
    SessionOpened,
)
from quant.execution.orders import Fill
from quant.market.bars import Basis

ZERO: Final = Decimal(0)
# The finest share that any venue we speak to can hold; a reverse split may leave a finer remainder.
SHARE_STEP: Final = Decimal("0.000000001")

# Which actions a book takes depends on what its prices have already been adjusted for: a split
# applied to split-adjusted prices would be counted twice.
_ACTIONS_TAKEN: Final[Mapping[Basis, frozenset[ActionKind]]] = {
    Basis.RAW: frozenset(ActionKind),
    Basis.SPLIT_ADJUSTED: frozenset({ActionKind.CASH_DIVIDEND}),
    Basis.TOTAL_RETURN: frozenset(),
}


class BookPolicy(Policy):
    """How a book starts and what it may hold; amounts are in the book's currency."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")] = "USD"
    initial_cash: Annotated[Decimal, Field(gt=0)] = Decimal(100_000)
    quantity_step: Annotated[Decimal, Field(ge=SHARE_STEP, le=1_000)] = Decimal("0.0001")
    min_notional: Annotated[Decimal, Field(ge=0)] = Decimal(10)
    # Cash kept for the night between decision and session, in which a price can move away.
    gap_reserve_bps: Annotated[Decimal, Field(ge=0, le=10_000)] = Decimal(100)
    allows_short: bool = False
    price_basis: Basis = Basis.RAW


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Shares held and what they cost; both are negative when short."""

    quantity: Decimal
    cost: Decimal

    @property
    def average_cost(self) -> Decimal:
        """Cost per share."""
        return self.cost / self.quantity


FLAT: Final = Position(quantity=ZERO, cost=ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of an entry; debits are positive. Position accounts also count shares."""

    account: str
    amount: Decimal
    symbol: str = ""
    quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything that money can ask of a book. Prices are the last ones it was marked at."""

    name: str
    kind: BookKind
    currency: str
    price_basis: Basis
    capital: Decimal
    cash: Decimal
    positions: Mapping[str, Position] = field(default_factory=lambda: MappingProxyType({}))
    prices: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    dividends: Decimal = ZERO
    opened_session: dt.date | None = None
    closed_session: dt.date | None = None

    def quantity(self, symbol: str) -> Decimal:
        """Shares held of `symbol`; zero when none."""
        return self.positions.get(symbol, FLAT).quantity

    @property
    def cost(self) -> Decimal:
        """What all positions cost."""
        return sum((one.cost for one in self.positions.values()), start=ZERO)

    def equity(self, prices: Mapping[str, Decimal] | None = None) -> Decimal:
        """Cash and positions at `prices`, or at the last marks; a position without price raises."""
        known = self.prices if prices is None else prices
        missing = sorted(symbol for symbol in self.positions if symbol not in known)
        if missing:
            raise DataError(
                f"book {self.name} holds {', '.join(missing)} without a price",
                remedy="give a price for every held symbol: an unknown price is not zero",
            )
        worth = (one.quantity * known[symbol] for symbol, one in self.positions.items())
        return to_cents(sum(worth, start=self.cash))

    def takes(self, action: ActionKind) -> bool:
        """Whether the book's prices still contain such actions."""
        return action in _ACTIONS_TAKEN[self.price_basis]

    def state_hash(self) -> str:
        """Equal for equal books, however their events were delivered."""
        return content_hash(self)


def opening_of(name: str, policy: BookPolicy, *, kind: BookKind = BookKind.PAPER) -> BookOpened:
    """The event that opens a book as the policy says."""
    return BookOpened(
        book=name,
        book_kind=kind,
        currency=policy.currency,
        initial_cash=policy.initial_cash,
        price_basis=policy.price_basis,
    )


def open_book(event: BookOpened) -> Book:
    """The book at its first moment."""
    capital = to_cents(event.initial_cash)
    return Book(
        name=event.book,
        kind=event.book_kind,
        currency=event.currency,
        price_basis=event.price_basis,
        capital=capital,
        cash=capital,
    )


def postings_of(book: Book | None, event: Event) -> tuple[Posting, ...]:
    """The double entry of `event`, given the book before it; empty when no money moves."""
    if isinstance(event, BookOpened):
        capital = to_cents(event.initial_cash)
        return (_post("cash", capital), _post("capital", -capital))
    if book is None:
        return ()
    if isinstance(event, FillRecorded):
        return _fill_postings(book, event.fill)
    if isinstance(event, FillReversed):
        return _trade_postings(
            book,
            event.symbol,
            signed=-event.side.sign * event.quantity,
            paid=-event.side.sign * event.notional,
            fee=-event.fee_amount,
        )
    if isinstance(event, ActionApplied):
        return _action_postings(book, event)
    return ()


def apply(book: Book | None, event: Event) -> Book | None:
    """The book after `event`; events of other books and kinds leave it as it was."""
    if isinstance(event, BookOpened):
        return open_book(event) if book is None else book
    if book is None or book_of(event) != book.name:
        return book
    match event:
        case FillRecorded() | FillReversed():
            return _post_all(book, postings_of(book, event))
        case ActionApplied():
            return _scale_price(_post_all(book, postings_of(book, event)), event)
        case MarkRecorded():
            return replace(book, prices=MappingProxyType(dict(event.prices)))
        case SessionOpened():
            return replace(book, opened_session=event.session)
        case SessionClosed():
            return replace(book, closed_session=event.session)
    return book


def book_from(events: Iterable[Event], name: str) -> Book | None:
    """The book `name` after `events`, in order; None when it was never opened."""
    book: Book | None = None
    for event in events:
        if book_of(event) == name:
            book = apply(book, event)
    return book


def book_of(event: Event) -> str:
    """The book an event belongs to; empty for those of all books."""
    for part in ("intent", "order", "fill", "refusal"):
        record = getattr(event, part, None)
        if record is not None:
            return str(record.book)
    return str(getattr(event, "book", ""))


def _post(account: str, amount: Decimal) -> Posting:
    return Posting(account=account, amount=amount)


def _fill_postings(book: Book, fill: Fill) -> tuple[Posting, ...]:
    return _trade_postings(
        book,
        fill.symbol,
        signed=fill.change,
        paid=fill.paid,
        fee=fill.fee_amount,
    )


def _trade_postings(
    book: Book, symbol: str, *, signed: Decimal, paid: Decimal, fee: Decimal
) -> tuple[Posting, ...]:
    held = book.positions.get(symbol, FLAT)
    closed = _closed_quantity(held.quantity, signed)
    # A trade that crosses zero closes the old position and opens a new one, each with its share of
    # the money; the share is rounded once and the rest is the remainder, so nothing is lost.
    paid_to_close = _share(paid, closed, signed)
    cost_closed = _share(held.cost, -closed, held.quantity)
    realised = -paid_to_close - cost_closed
    position = Posting(
        account="position",
        symbol=symbol,
        amount=paid - paid_to_close - cost_closed,
        quantity=signed,
    )
    lines = (
        _post("cash", -paid - fee),
        position,
        _post("fees", fee),
        _post("realised", -realised),
    )
    return tuple(line for line in lines if line.amount or line.quantity)


def _closed_quantity(held: Decimal, traded: Decimal) -> Decimal:
    """The part of a signed trade that reduces what is held."""
    if held * traded >= 0:
        return ZERO
    return traded if abs(traded) <= abs(held) else -held


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    if part == 0:
        return ZERO
    return amount if part == whole else to_cents(amount * part / whole)


def _action_postings(book: Book, event: ActionApplied) -> tuple[Posting, ...]:
    if not book.takes(event.action):
        raise DataError(
            f"a {event.action} of {event.symbol} cannot meet book {book.name}: its prices are "
            f"{book.price_basis}",
            remedy="open the book on raw prices, or leave its corporate actions out",
        )
    held = book.positions.get(event.symbol, FLAT)
    if held.quantity == 0:
        return ()
    if event.action is ActionKind.SPLIT:
        after = split_quantity(held.quantity, event.value)
        change = after - held.quantity
        return (Posting(account="position", symbol=event.symbol, amount=ZERO, quantity=change),)
    amount = to_cents(held.quantity * event.value)
    return (_post("cash", amount), _post("dividends", -amount))


def split_quantity(quantity: Decimal, price_factor: Decimal) -> Decimal:
    """Shares after a split; a remainder finer than any venue's step falls away, its cost stays."""
    after = apply_ratio(quantity, 1 / split_ratio(price_factor))
    return after.quantize(SHARE_STEP, rounding=ROUND_DOWN).normalize()


def _scale_price(book: Book, event: ActionApplied) -> Book:
    if event.action is not ActionKind.SPLIT or event.symbol not in book.prices:
        return book
    prices = dict(book.prices)
    prices[event.symbol] = apply_ratio(prices[event.symbol], split_ratio(event.value))
    return replace(book, prices=MappingProxyType(prices))


def _post_all(book: Book, postings: tuple[Posting, ...]) -> Book:
    totals = {"cash": ZERO, "fees": ZERO, "realised": ZERO, "dividends": ZERO}
    positions = dict(book.positions)
    for line in postings:
        if line.account == "position":
            _move(positions, line)
        else:
            totals[line.account] += line.amount
    return replace(
        book,
        positions=MappingProxyType(positions),
        cash=book.cash + totals["cash"],
        fees=book.fees + totals["fees"],
        realised=book.realised - totals["realised"],
        dividends=book.dividends - totals["dividends"],
    )


def _move(positions: dict[str, Position], line: Posting) -> None:
    held = positions.get(line.symbol, FLAT)
    after = Position(quantity=held.quantity + line.quantity, cost=held.cost + line.amount)
    if after.quantity == 0:
        positions.pop(line.symbol, None)
    else:
        positions[line.symbol] = after
