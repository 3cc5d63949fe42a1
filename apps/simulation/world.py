"""One seeded world: a virtual clock, the production order manager and ledger, a venue, and faults.

Belongs here: what happens when, crashes and restarts included. Does not belong here: the faults of
single requests (`line`), or what must hold (`invariants`). Nothing reads a real clock and every
choice comes from the seed, so a seed is its whole history.
"""

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from apps.simulation.clock import START, VirtualClock
from apps.simulation.faults import Fault, shares_of
from apps.simulation.line import Line
from apps.simulation.people import BOOK, People
from apps.simulation.process import Process
from apps.simulation.settled import require_settled
from apps.simulation.venue import SimVenue, Told
from quant.execution import BookPolicy, PaperCostPolicy, SessionOpened, opening_of
from quant.execution.commands import Surroundings
from quant.execution.limits import LimitData, TradeLimitsPolicy

SYMBOLS: Final = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
DAY_S: Final = 86_400.0
# An hour of trading a day: long enough for every timer of the manager, and no idle time.
SESSION_S: Final = 3_600.0
# Nothing goes wrong any more after the bell, and by then all must be settled.
SETTLE_S: Final = 1_200.0
TICK_S: Final = 5.0
INTENTS_A_DAY: Final = 60
CHANGES_A_DAY: Final = 40
# Little enough for orders to compete for it.
CASH: Final = Decimal(40_000)
BOOK_POLICY: Final = BookPolicy(
    initial_cash=CASH, quantity_step=Decimal(1), min_notional=Decimal(10), allows_short=True
)
COSTS: Final = PaperCostPolicy()
LIMITS: Final = TradeLimitsPolicy(position_max=Decimal("0.5"))


class World:
    """Run it once; a broken invariant raises `ViolationError`."""

    def __init__(
        self,
        seed: int,
        *,
        shares: dict[Fault, float] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.clock = VirtualClock(trace)
        self._draw = random.Random(seed)
        self.venue = SimVenue(
            symbols=SYMBOLS,
            cash=CASH,
            draw=self._draw,
            moment_of=self.clock.moment_at,
            tell=self._tell,
        )
        self.line = Line(
            venue=self.venue,
            shares=shares or shares_of(self._draw),
            draw=self._draw,
            later=self.clock.later,
            now=lambda: self.clock.now,
        )
        self.people = People(self._draw, seed=seed, symbols=SYMBOLS)
        self.process = self.line.client = Process(self.clock, self.line, self._draw, self._around)
        # What somebody who trades the account by hand has paid.
        self.external_cash = Decimal(0)

    @property
    def events(self) -> int:
        """Messages, calls, answers, wishes and records; ticks in which nothing is due are none."""
        return self.clock.events + self.process.records

    def run(self, days: int) -> str:
        """Live through `days` sessions; the hash of everything that happened."""
        self.process.record([opening_of(BOOK, BOOK_POLICY)])
        self.process.start()
        for day in range(days):
            self._plan_day(day)
            self.clock.until(day * DAY_S + SESSION_S + SETTLE_S)
            require_settled(
                self.process.judge, self.venue, day=day, external_cash=self.external_cash
            )
        # The last line is chained to every record before it.
        self.clock.note(self.process.journal.lines[-1])
        return self.clock.history()

    def _tell(self, told: Told) -> None:
        self.line.tell(told)

    def _plan_day(self, day: int) -> None:
        start, draw, later = day * DAY_S, self._draw, self.clock.later
        delay = start - self.clock.now
        later(delay, "open", self._open, (START + dt.timedelta(days=day)).date())
        for _ in range(INTENTS_A_DAY):
            later(delay + draw.uniform(1, SESSION_S - 200), "wish", self._wish)
        for _ in range(CHANGES_A_DAY):
            later(delay + draw.uniform(60, SESSION_S - 200), "change", self._change_mind)
        if draw.random() < 0.3:
            at = delay + draw.uniform(60, SESSION_S - 900)
            later(at, "mode", self._mode, False)
            later(at + draw.uniform(30, 600), "mode back", self._mode, True)
        for number in range(int(SESSION_S // 20)):
            later(delay + 20.0 * number + 10, "market", self._market)
        later(delay, "", self._tick, start + SESSION_S + SETTLE_S)
        later(delay + SESSION_S - 120, "last orders", self._last_orders)
        later(delay + SESSION_S, "close", self._close)

    def _tick(self, until: float) -> None:
        if self.clock.now + TICK_S < until:
            self.clock.later(TICK_S, "", self._tick, until)
        self.process.tick()

    # The day

    def _around(self) -> Surroundings:
        prices = {symbol: self.venue.price(symbol) for symbol in SYMBOLS}
        return Surroundings(
            book_policy=BOOK_POLICY,
            costs_of=lambda _symbol: COSTS,
            limits=LIMITS,
            limit_data=LimitData(equity=CASH, prices=prices),
        )

    def _open(self, session: dt.date) -> None:
        self.line.is_calm = False
        self.venue.is_open = True
        self.process.session = self.process.judge.session = session
        opened = SessionOpened(book=BOOK, session=session, run_id="sim", code_version="sim")
        self.process.record([opened, self.people.verdict(session)])
        if self.line.strikes(Fault.EXTERNAL_ORDER):
            at = self._draw.uniform(10, SESSION_S / 2)
            self.clock.later(at, "external", self._external, self._draw.choice(SYMBOLS), 1)

    def _wish(self) -> None:
        process = self.process
        assert process.session is not None
        moment = self.clock.moment()
        wish = self.people.intent(process.judge.mirror, process.session, moment, self.venue.price)
        process.record([wish])
        process.offer()

    def _change_mind(self) -> None:
        """A person cancels or replaces an order, or the venue errs about one."""
        manager, now = self.process.manager, self.clock.now
        if manager is None or not manager.state.open:
            return
        key = self._draw.choice(list(manager.state.open))
        life = manager.state.open[key]
        if self.line.strikes(Fault.OVERFILL) and key in self.venue.orders:
            self.venue.overfill(now, key)
        if self._draw.random() < 0.3:
            manager.cancel(key, reason="changed my mind", now=now)
        else:
            # A limit a little off the market rests for a while.
            price = self.venue.price(life.order.symbol) - life.order.side.sign * Decimal("0.05")
            quantity = life.order.quantity - self._draw.randint(0, 3)
            if quantity > 0:
                manager.replace(
                    key, quantity=quantity, reason="repriced", now=now, limit_price=price
                )
        self.process.pump()

    def _mode(self, back: bool) -> None:
        self.process.record([self.people.mode(self.clock.moment(), back=back)])
        self.process.tick()

    def _market(self) -> None:
        self.venue.step(self.clock.now)
        control = self.process.judge.mirror.control
        for one in control.tripped(BOOK):
            if self._draw.random() < 0.1:
                self.venue.can_trade = True
                self.process.record([self.people.reset(self.process.judge.mirror, one.breaker)])
        if self.line.strikes(Fault.SUSPENDED):
            self.venue.can_trade = False

    def _external(self, symbol: str, way: int) -> None:
        """Somebody trades the account by hand, and later trades back."""
        quantity = Decimal(7 * way)
        paid = quantity * self.venue.price(symbol)
        self.venue.positions[symbol] += quantity
        self.venue.cash -= paid
        self.external_cash -= paid
        if way > 0:
            self.clock.later(
                self._draw.uniform(300, 1200), "external back", self._external, symbol, -1
            )

    def _last_orders(self) -> None:
        self.process.session = None
        if self.process.manager is not None:
            self.process.manager.end_session(now=self.clock.now)
            self.process.pump()

    def _close(self) -> None:
        self.venue.close(self.clock.now)
        self.line.is_calm = True
        self.venue.can_trade = True
        self.process.judge.session = None
        mirror = self.process.judge.mirror
        for one in mirror.control.tripped(BOOK):
            self.process.record([self.people.reset(mirror, one.breaker)])
