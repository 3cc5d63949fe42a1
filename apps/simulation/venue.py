"""The venue of a simulated world: it takes orders, trades them, and keeps the true account.

Belongs here: what really happened, which is what the ledger is judged by. Does not belong here:
what the client gets to hear of it (`line`).
"""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from quant.core.money import cash as to_cents
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    TimeInForce,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.matching import BookOrder, OrderBook, Trade
from quant.execution.order_states import OPEN_STATES, OrderState
from quant.execution.orders import Side

ZERO = Decimal(0)
TICK = Decimal("0.01")
FEE_SHARE = Decimal("0.0005")
OURS = "ours"
LEVEL_QUANTITY = 40
PRICE_START = Decimal(100)


@dataclass(slots=True)
class Resting:
    """An order as the venue knows it."""

    ticket: OrderTicket
    venue_id: str
    taken_at: float
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    state: OrderState = OrderState.WORKING
    reason: str = ""

    @property
    def left(self) -> Decimal:
        """What can still trade."""
        return self.ticket.quantity - self.filled


@dataclass(slots=True)
class _Market:
    book: OrderBook = field(default_factory=OrderBook)
    mid: Decimal = PRICE_START
    quotes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Told:
    """What the venue would tell a listener: an order's state, or a fill."""

    order: VenueOrder
    fill: VenueFill | None = None


class SimVenue:
    """One account, a few symbols; `tell` hears everything that happens to its orders."""

    def __init__(
        self,
        *,
        symbols: tuple[str, ...],
        cash: Decimal,
        draw: random.Random,
        moment_of: Callable[[float], dt.datetime],
        tell: Callable[[Told], None],
    ) -> None:
        self.orders: dict[str, list[Resting]] = {}
        self.open: dict[str, Resting] = {}
        self.fills: list[VenueFill] = []
        self.positions: dict[str, Decimal] = dict.fromkeys(symbols, ZERO)
        self.cash = cash
        self.can_trade = True
        self.is_open = False
        self.trades = 0
        self._draw = draw
        self._moment_of = moment_of
        self._tell = tell
        self._markets = {symbol: _Market() for symbol in symbols}
        self._names = 0
        self._now = 0.0

    # What a client may ask

    def submit(self, ticket: OrderTicket, now: float) -> VenueOrder:
        """Take an order in; an id that is in use is refused, as at most venues."""
        self._now = now
        if not self.is_open:
            raise OrderRejectedError("the market is closed", rule="session")
        if any(one.state in OPEN_STATES for one in self.orders.get(ticket.client_order_id, ())):
            raise OrderRejectedError("client id is in use", rule="client_order_id")
        if not self.can_trade:
            raise OrderRejectedError("the account may not trade", rule="account")
        self._names += 1
        order = Resting(ticket=ticket, venue_id=f"v{self._names}", taken_at=now)
        self.orders.setdefault(ticket.client_order_id, []).append(order)
        self.open[order.venue_id] = order
        self._quote(ticket.symbol, {ticket.side})
        self._match(order)
        return self.row(order)

    def cancel(self, client_order_id: str, now: float, *, fill_first: bool) -> VenueOrder:
        """End an order, unless it has ended; `fill_first` lets the market be quicker."""
        self._now = now
        order = self._latest(client_order_id)
        if fill_first and order.state in OPEN_STATES:
            self._out_of_book(order)
            self._fill(order, self._markets[order.ticket.symbol].mid, order.left)
        if order.state in OPEN_STATES:
            self._out_of_book(order)
            self._end(order, OrderState.CANCELED, "canceled")
        return self.row(order)

    def find(self, client_order_id: str) -> VenueOrder:
        """An order by the client's id."""
        return self.row(self._latest(client_order_id))

    def open_rows(self) -> tuple[VenueOrder, ...]:
        """Every order that can still trade."""
        return tuple(self.row(order) for order in self.open.values())

    def fills_since(self, moment: dt.datetime) -> tuple[VenueFill, ...]:
        """Executions at or after `moment`, oldest first."""
        start = len(self.fills)
        while start and self.fills[start - 1].event_time >= moment:
            start -= 1
        return tuple(self.fills[start:])

    def position_rows(self) -> tuple[VenuePosition, ...]:
        """What is held."""
        held = self.positions.items()
        return tuple(VenuePosition(symbol=name, quantity=number) for name, number in held if number)

    def account(self) -> VenueAccount:
        """Cash and permission."""
        return VenueAccount(
            account_id="sim",
            currency="USD",
            cash=self.cash,
            equity=None,
            buying_power=None,
            can_trade=self.can_trade,
        )

    # What happens by itself

    def step(self, now: float) -> None:
        """Prices move where our orders wait, and liquidity comes back."""
        self._now = now
        waiting: dict[str, set[Side]] = {}
        for order in self.open.values():
            waiting.setdefault(order.ticket.symbol, set()).add(order.ticket.side)
        for symbol, sides in waiting.items():
            market = self._markets[symbol]
            market.mid = max(TICK * 100, market.mid + TICK * self._draw.randint(-20, 20))
            self._quote(symbol, sides)
            for order in list(self.open.values()):
                if order.ticket.symbol == symbol and order.ticket.limit_price is None:
                    self._match(order)

    def close(self, now: float) -> None:
        """The bell: orders of the day end."""
        self._now, self.is_open = now, False
        for order in list(self.open.values()):
            self._out_of_book(order)
            self._end(order, OrderState.EXPIRED, "the session ended")

    def overfill(self, now: float, client_order_id: str) -> None:
        """The venue errs: it trades one share more than was ordered, and stands by it."""
        self._now = now
        order = self._latest(client_order_id)
        self._out_of_book(order)
        self._fill(order, self._markets[order.ticket.symbol].mid, max(order.left, ZERO) + 1)

    def price(self, symbol: str) -> Decimal:
        """The middle of the market."""
        return self._markets[symbol].mid

    def row(self, order: Resting) -> VenueOrder:
        """The order as the venue tells it now."""
        return VenueOrder(
            client_order_id=order.ticket.client_order_id,
            venue_order_id=order.venue_id,
            symbol=order.ticket.symbol,
            side=order.ticket.side,
            quantity=order.ticket.quantity,
            filled_quantity=order.filled,
            state=order.state,
            average_price=order.cost / order.filled if order.filled else None,
            reason=order.reason,
        )

    def _latest(self, client_order_id: str) -> Resting:
        known = self.orders.get(client_order_id)
        if not known:
            raise OrderNotFoundError(f"order {client_order_id} is not known")
        return known[-1]

    def _quote(self, symbol: str, sides: set[Side]) -> None:
        """Fresh quotes against `sides`; one that meets a resting order of ours trades with it."""
        market = self._markets[symbol]
        for name in market.quotes:
            market.book.cancel(name)
        market.quotes = []
        for side in [one for one in Side if one not in sides]:
            for level in (1, 2):
                self._names += 1
                name = f"h{self._names}"
                done = market.book.submit(
                    BookOrder(
                        order_id=name,
                        owner="house",
                        side=side,
                        quantity=Decimal(self._draw.randint(1, LEVEL_QUANTITY)),
                        limit=market.mid - side.sign * TICK * level * 2,
                    )
                )
                if done.resting:
                    market.quotes.append(name)
                for trade in done.trades:
                    self._settle_maker(trade)

    def _match(self, order: Resting) -> None:
        ticket = order.ticket
        market = self._markets[ticket.symbol]
        done = market.book.submit(
            BookOrder(
                order_id=order.venue_id,
                owner=OURS,
                side=ticket.side,
                quantity=order.left,
                limit=ticket.limit_price,
                time_in_force=TimeInForce.DAY if ticket.limit_price else TimeInForce.IOC,
            )
        )
        for trade in done.trades:
            self._fill(order, trade.price, trade.quantity)

    def _settle_maker(self, trade: Trade) -> None:
        order = self.open.get(trade.maker_id)
        if order is not None:
            self._fill(order, trade.price, trade.quantity)

    def _fill(self, order: Resting, price: Decimal, quantity: Decimal) -> None:
        ticket = order.ticket
        notional = to_cents(price * quantity)
        fee = to_cents(notional * FEE_SHARE)
        order.filled += quantity
        order.cost += price * quantity
        self.positions[ticket.symbol] += ticket.side.sign * quantity
        self.cash -= ticket.side.sign * notional + fee
        if order.left <= 0 and order.state in OPEN_STATES:
            order.state = OrderState.FILLED
            self.open.pop(order.venue_id, None)
        elif order.state in OPEN_STATES:
            order.state = OrderState.PARTIAL
        self.trades += 1
        fill = VenueFill(
            execution_id=f"x{self.trades}",
            client_order_id=ticket.client_order_id,
            venue_order_id=order.venue_id,
            symbol=ticket.symbol,
            side=ticket.side,
            quantity=quantity,
            price=price,
            fee_amount=fee,
            fee_currency="USD",
            event_time=self._moment_of(self._now),
        )
        self.fills.append(fill)
        self._tell(Told(self.row(order), fill))

    def _end(self, order: Resting, state: OrderState, reason: str) -> None:
        order.state, order.reason = state, reason
        self.open.pop(order.venue_id, None)
        self._tell(Told(self.row(order)))

    def _out_of_book(self, order: Resting) -> None:
        self._markets[order.ticket.symbol].book.cancel(order.venue_id)
