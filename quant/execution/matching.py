"""A price-time order book for one symbol: who trades with whom, and at which price.

Belongs here: matching, and nothing else. Does not belong here: accounts, fees, sessions or where
orders come from (the venue simulator), and paper fills against bars (`paper`). No clock, no chance:
the same calls give the same trades. The book itself changes; everything that it gives out is
frozen.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from quant.core.errors import DataError
from quant.execution.broker import TimeInForce
from quant.execution.orders import Side

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """What arrives at a book; without a limit it takes any price and never rests."""

    order_id: str
    owner: str
    side: Side
    quantity: Decimal
    limit: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC

    def __post_init__(self) -> None:
        for name, value in (("quantity", self.quantity), ("limit", self.limit)):
            if value is not None and not (value.is_finite() and value > 0):
                raise DataError(f"{name} of order {self.order_id} must be positive, was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One meeting of a resting maker and an arriving taker, at the maker's price."""

    price: Decimal
    quantity: Decimal
    maker_id: str
    taker_id: str
    taker_side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What became of an arriving order: traded + resting + ended = its quantity."""

    trades: tuple[Trade, ...]
    traded: Decimal
    resting: Decimal
    ended: Decimal
    # An order never trades with its owner's own: the rest of the taker ends instead.
    is_self_trade_prevented: bool = False


@dataclass(slots=True)
class _Resting:
    order_id: str
    owner: str
    quantity: Decimal


@dataclass(slots=True)
class _Ladder:
    """One side's price levels, the best first; each level is a queue in order of arrival."""

    side: Side
    keys: list[Decimal] = field(default_factory=list)
    queues: dict[Decimal, deque[_Resting]] = field(default_factory=dict)

    def add(self, price: Decimal, entry: _Resting) -> None:
        queue = self.queues.get(price)
        if queue is None:
            # Bids are kept under their negative price, so that the best is first on both sides.
            insort(self.keys, self._key(price))
            queue = self.queues[price] = deque()
        queue.append(entry)

    def best(self) -> Decimal | None:
        return self._price(self.keys[0]) if self.keys else None

    def drop(self, price: Decimal) -> None:
        self.keys.remove(self._key(price))
        del self.queues[price]

    def prices(self) -> Iterator[Decimal]:
        return (self._price(key) for key in self.keys)

    def _key(self, price: Decimal) -> Decimal:
        return -price if self.side is Side.BUY else price

    _price = _key


class OrderBook:
    """Bids and asks of one symbol."""

    def __init__(self) -> None:
        self._sides = {side: _Ladder(side) for side in Side}
        self._places: dict[str, tuple[Side, Decimal]] = {}

    def best(self, side: Side) -> Decimal | None:
        """The best resting price of `side`, or None when nobody rests there."""
        return self._sides[side].best()

    def depth(self, side: Side, *, levels: int = 10) -> list[tuple[Decimal, Decimal]]:
        """(price, quantity) of the best levels."""
        ladder = self._sides[side]
        found: list[tuple[Decimal, Decimal]] = []
        for price in ladder.prices():
            if len(found) == levels:
                break
            found.append((price, sum((e.quantity for e in ladder.queues[price]), _ZERO)))
        return found

    def resting(self, order_id: str) -> Decimal:
        """What of the order still rests here."""
        place = self._places.get(order_id)
        if place is None:
            return _ZERO
        queue = self._sides[place[0]].queues[place[1]]
        return next(entry.quantity for entry in queue if entry.order_id == order_id)

    def resting_ids(self) -> Iterable[str]:
        """Ids of everything that rests."""
        return self._places.keys()

    def submit(self, order: BookOrder) -> Execution:
        """Trade what crosses, then rest or end the remainder."""
        if order.order_id in self._places:
            raise DataError(f"order {order.order_id} rests in the book already")
        if order.time_in_force is TimeInForce.FOK and self._reachable(order) < order.quantity:
            return Execution(trades=(), traded=_ZERO, resting=_ZERO, ended=order.quantity)
        trades, left, is_prevented = self._take(order)
        is_resting = (
            left > 0
            and order.limit is not None
            and not is_prevented
            and order.time_in_force in {TimeInForce.DAY, TimeInForce.GTC}
        )
        if is_resting and order.limit is not None:
            self._rest(order, order.limit, left)
        return Execution(
            trades=tuple(trades),
            traded=order.quantity - left,
            resting=left if is_resting else _ZERO,
            ended=_ZERO if is_resting else left,
            is_self_trade_prevented=is_prevented,
        )

    def cancel(self, order_id: str) -> Decimal:
        """Take the order out and return what rested; zero when it does not rest here."""
        place = self._places.pop(order_id, None)
        if place is None:
            return _ZERO
        ladder = self._sides[place[0]]
        queue = ladder.queues[place[1]]
        entry = next(entry for entry in queue if entry.order_id == order_id)
        queue.remove(entry)
        if not queue:
            ladder.drop(place[1])
        return entry.quantity

    def _rest(self, order: BookOrder, limit: Decimal, quantity: Decimal) -> None:
        entry = _Resting(order.order_id, order.owner, quantity)
        self._sides[order.side].add(limit, entry)
        self._places[order.order_id] = (order.side, limit)

    def _take(self, order: BookOrder) -> tuple[list[Trade], Decimal, bool]:
        ladder = self._sides[_opposite(order.side)]
        trades: list[Trade] = []
        left = order.quantity
        while left > 0 and (price := ladder.best()) is not None and _crosses(order, price):
            queue = ladder.queues[price]
            maker = queue[0]
            if maker.owner == order.owner:
                return trades, left, True
            quantity = min(left, maker.quantity)
            left -= quantity
            maker.quantity -= quantity
            trades.append(
                Trade(
                    price=price,
                    quantity=quantity,
                    maker_id=maker.order_id,
                    taker_id=order.order_id,
                    taker_side=order.side,
                )
            )
            if maker.quantity == 0:
                queue.popleft()
                del self._places[maker.order_id]
                if not queue:
                    ladder.drop(price)
        return trades, left, False

    def _reachable(self, order: BookOrder) -> Decimal:
        """What the order could trade at once, up to the first of its owner's own orders."""
        ladder = self._sides[_opposite(order.side)]
        total = _ZERO
        for price in ladder.prices():
            if not _crosses(order, price):
                break
            for entry in ladder.queues[price]:
                if entry.owner == order.owner:
                    return total
                total += entry.quantity
        return total


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _crosses(order: BookOrder, price: Decimal) -> bool:
    if order.limit is None:
        return True
    return price <= order.limit if order.side is Side.BUY else price >= order.limit
