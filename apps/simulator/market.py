"""One symbol's simulated market: a house that quotes, others who take, a price that moves.

Belongs here: where liquidity comes from. Does not belong here: whose order it is and what it costs
(`exchange`). Seeded by the venue's seed and the symbol, so the same calls at the same times give
the same market.
"""

import datetime as dt
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from apps.simulator.instruments import Instrument
from quant.core.identity import seed_of
from quant.execution.broker import TimeInForce
from quant.execution.matching import BookOrder, Execution, OrderBook, Trade
from quant.execution.orders import Side

STEP_MS: Final = 100
# After a long silence the market has moved on, but not by every step that nobody watched.
STEPS_AT_ONCE_MAX: Final = 20
HOUSE: Final = "house"
OTHERS: Final = "others"


class Market:
    """The book of one instrument, kept alive by `advance`."""

    def __init__(self, instrument: Instrument, *, seed: int, start: dt.datetime) -> None:
        self.instrument = instrument
        self.book = OrderBook()
        self.last_price = instrument.start_price
        self._mid = float(instrument.start_price)
        self._random = random.Random(seed_of(seed, instrument.symbol))
        self._stepped_at = start
        self._names = 0
        self._quotes: list[str] = []
        self._requote()

    def advance(self, now: dt.datetime) -> Iterator[Trade]:
        """Every trade of the time since the last call."""
        steps = int((now - self._stepped_at) / dt.timedelta(milliseconds=STEP_MS))
        if steps <= 0:
            return
        self._stepped_at += dt.timedelta(milliseconds=STEP_MS) * steps
        for _ in range(min(steps, STEPS_AT_ONCE_MAX)):
            yield from self._step()

    def submit(self, order: BookOrder) -> Execution:
        """A client's order meets the book, and its trades move the price for good."""
        done = self.book.submit(order)
        if done.trades:
            self.last_price = done.trades[-1].price
            share = float(done.traded / self.instrument.level_size)
            # Square root, as impact is measured on real markets; never more than 2 % at once.
            moved_bps = min(self.instrument.impact_bps * math.sqrt(share), 200.0)
            self._mid *= 1 + order.side.sign * moved_bps / 10_000
        return done

    def _step(self) -> Iterator[Trade]:
        draw = self._random
        self._mid *= math.exp(draw.gauss(0, self.instrument.move_bps / 10_000))
        yield from self._requote()
        if draw.random() < self.instrument.taker_share:
            side = Side.BUY if draw.random() < 0.5 else Side.SELL
            part = Decimal(draw.randint(1, 20)) / 10
            yield from self._play(OTHERS, side, self.instrument.level_size * part, None)

    def _requote(self) -> list[Trade]:
        """New quotes around the price; where a client rests in the way, the house trades first."""
        for name in self._quotes:
            self.book.cancel(name)
        self._quotes = []
        rules = self.instrument.rules
        step = rules.price_step or Decimal("0.01")
        mid = max(rules.quantize_price(Decimal(repr(self._mid))), step * 20)
        # A level is a basis point wide, but at least a tick.
        gap = max(step, rules.quantize_price(mid / 10_000))
        trades: list[Trade] = []
        for level in range(1, self.instrument.levels + 1):
            for side in (Side.BUY, Side.SELL):
                price = mid - side.sign * gap * level
                if price > 0:
                    trades += self._play(HOUSE, side, self.instrument.level_size, price)
        return trades

    def _play(
        self, owner: str, side: Side, quantity: Decimal, limit: Decimal | None
    ) -> list[Trade]:
        self._names += 1
        name = f"{owner}-{self._names}"
        order = BookOrder(
            order_id=name,
            owner=owner,
            side=side,
            quantity=quantity,
            limit=limit,
            time_in_force=TimeInForce.IOC if limit is None else TimeInForce.GTC,
        )
        done = self.book.submit(order)
        if done.resting:
            self._quotes.append(name)
        if done.trades:
            self.last_price = done.trades[-1].price
        return list(done.trades)
