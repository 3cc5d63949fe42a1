"""One seeded world: a virtual clock, the production order manager and ledger, a venue, and faults.

Belongs here: what happens when, crashes and restarts included. Does not belong here: the faults of
single requests (`line`), or what must hold (`invariants`). Nothing reads a real clock and every
choice comes from the seed, so a seed is its whole history.
"""

import datetime as dt
import hashlib
import heapq
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from apps.simulation.faults import Fault, shares_of
from apps.simulation.invariants import Judge, ViolationError
from apps.simulation.line import Line
from apps.simulation.memory_journal import MemoryJournal
from apps.simulation.people import BOOK, People
from apps.simulation.venue import SimVenue, Told
from quant.execution import BookPolicy, PaperCostPolicy, SessionOpened, opening_of
from quant.execution.broker import RateLimitedError, VenueFill, VenueOrder
from quant.execution.commands import Command, ManagerPolicy, Surroundings
from quant.execution.event_base import Event
from quant.execution.limits import LimitData, TradeLimitsPolicy
from quant.execution.manager import Answer, OrderManager
from quant.execution.manager_state import ManagerState, state_from
from quant.execution.orders import Side

SYMBOLS: Final = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
START: Final = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
DAY_S: Final = 86_400.0
# An hour of trading a day: long enough for every timer of the manager, and no idle time.
SESSION_S: Final = 3_600.0
# Nothing goes wrong any more after the bell, and by then all must be settled.
SETTLE_S: Final = 1_200.0
TICK_S: Final = 5.0
INTENTS_A_DAY: Final = 60
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
        self.seed = seed
        self.now = 0.0
        self.events = self.ticks = 0
        self._draw = random.Random(seed)
        self._trace = trace
        self._log = hashlib.sha256()
        self._heap: list[tuple[float, int, str, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0
        self.journal = MemoryJournal()
        self.judge = Judge(mirror=ManagerState(name=BOOK))
        self.venue = SimVenue(
            symbols=SYMBOLS,
            cash=CASH,
            draw=self._draw,
            moment_of=self.moment,
            tell=self._tell,
        )
        self.line = Line(
            venue=self.venue,
            shares=shares or shares_of(self._draw),
            draw=self._draw,
            later=self.later,
            now=lambda: self.now,
        )
        self.line.client = self
        self.people = People(self._draw, seed=seed, symbols=SYMBOLS)
        self.manager: OrderManager | None = None
        self._epoch = 0
        self._policy = ManagerPolicy()
        self._session: dt.date | None = None
        self.external = {"positions": dict.fromkeys(SYMBOLS, Decimal(0)), "cash": Decimal(0)}

    def _tell(self, told: Told) -> None:
        self.line.tell(told)

    def moment(self, now: float) -> dt.datetime:
        """The virtual clock's date and time."""
        return START + dt.timedelta(seconds=now)

    def later(self, delay: float, name: str, call: Callable[..., None], *args: Any) -> None:
        """Let something happen after `delay` seconds."""
        self._planned += 1
        heapq.heappush(self._heap, (self.now + delay, self._planned, name, call, args))

    def run(self, days: int) -> str:
        """Live through `days` sessions; the hash of everything that happened."""
        self.record([opening_of(BOOK, BOOK_POLICY)])
        self._start()
        for day in range(days):
            self._plan_day(day)
            self._until(day * DAY_S + SESSION_S + SETTLE_S)
            self._require_settled(day)
        self._log.update(b"".join(self.journal.lines[-1:]))
        return self._log.hexdigest()

    # The clock

    def _until(self, end: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, name, call, args = heapq.heappop(heap)
            if name:
                self.events += 1
                line = f"{self.now:.6f} {name}"
                self._log.update(line.encode())
                if self._trace is not None:
                    self._trace(f"{self.moment(self.now).isoformat()} {name} {_words(args)}")
            call(*args)
        self.now = end

    def _plan_day(self, day: int) -> None:
        start = day * DAY_S
        delay = start - self.now
        draw = self._draw
        self.later(delay, "open", self._open, (START + dt.timedelta(days=day)).date())
        for _ in range(INTENTS_A_DAY):
            self.later(delay + draw.uniform(1, SESSION_S - 200), "wish", self._wish)
        for _ in range(6):
            self.later(delay + draw.uniform(60, SESSION_S - 200), "change", self._change_mind)
        if draw.random() < 0.3:
            at = delay + draw.uniform(60, SESSION_S - 900)
            self.later(at, "mode", self._mode, False)
            self.later(at + draw.uniform(30, 600), "mode back", self._mode, True)
        for number in range(int(SESSION_S // 20)):
            self.later(delay + 20.0 * number + 10, "market", self._market)
        self.later(delay, "", self._tick, start + SESSION_S + SETTLE_S)
        self.later(delay + SESSION_S - 120, "last orders", self._last_orders)
        self.later(delay + SESSION_S, "close", self._close)

    # The client's process

    def _start(self) -> None:
        """A process begins: all it knows comes out of the journal's bytes."""
        self._epoch += 1
        state = state_from(self.journal.read(), BOOK)
        if state.state_hash() != self.judge.mirror.state_hash():
            raise ViolationError(11, "the journal folds to another state than its events did")
        self.judge.restarted()
        self.manager = OrderManager(state, self._policy, now=self.now)
        if self._session is not None and self.venue.is_open:
            self.manager.offer(self._session, self._around(), now=self.now)
        self._pump()

    def _crash(self) -> None:
        self.manager = None
        self.later(self._draw.uniform(0.1, 60), "restart", self._start)

    def _pump(self) -> None:
        """Record, then send; each of the places between them can be the last."""
        if self.manager is None:
            return None
        step = self.manager.take()
        if not step.events and not step.commands:
            return None
        if step.events:
            if self.line.strikes(Fault.CRASH_BEFORE_RECORD):
                return self._crash()
            self.record(step.events, is_own=True)
            if self.line.strikes(Fault.CRASH_AFTER_RECORD):
                return self._crash()
        for command in step.commands:
            self.judge.leaves(command, self.now)
            self.line.carry(self._epoch, command)
            if self.line.strikes(Fault.CRASH_BETWEEN_CALLS):
                return self._crash()
        return None

    def record(self, events: list[Event], *, is_own: bool = False) -> None:
        """One commit of the ledger; what others record the manager is told."""
        fresh = self.journal.append_all(events, self.moment(self.now).isoformat())
        self.events += len(fresh)
        for event in fresh:
            if self._trace is not None:
                self._trace(f"    record {event.key}")
            self.judge.record(event)
            if not is_own and self.manager is not None:
                self.manager.observe(event)
        self.judge.commit_ended()

    def answered(self, epoch: int, command: Command, answer: Answer) -> None:
        """An answer reaches the process that asked, if it still lives."""
        if self.manager is None or epoch != self._epoch:
            return
        if isinstance(answer, RateLimitedError):
            until = self.now + answer.retry_after_s
            self.judge.told_to_wait(until, is_banned=answer.is_banned, now=self.now)
        self.manager.settle(command, answer, now=self.now)
        self._pump()

    def heard(self, message: VenueOrder | VenueFill) -> None:
        """A message of the stream."""
        if self.manager is None:
            return
        if isinstance(message, VenueFill):
            self.manager.on_fill(message, now=self.now)
        else:
            self.manager.on_report(message, now=self.now)
        self._pump()

    def _tick(self, until: float = 0.0) -> None:
        self.ticks += 1
        if self.now + TICK_S < until:
            self.later(TICK_S, "", self._tick, until)
        if self.manager is not None:
            self.manager.on_time(now=self.now)
            if self.manager.state.pending and self.manager.open_session is not None:
                self.manager.offer(self.manager.open_session, self._around(), now=self.now)
            self._pump()

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
        self._session = self.judge.session = session
        opened = SessionOpened(book=BOOK, session=session, run_id="sim", code_version="sim")
        self.record([opened, self.people.verdict(session)])
        if self.line.strikes(Fault.EXTERNAL_ORDER):
            at = self._draw.uniform(10, SESSION_S / 2)
            self.later(at, "external", self._external, self._draw.choice(SYMBOLS), 1)

    def _wish(self) -> None:
        state = self.judge.mirror
        assert self._session is not None
        as_of = self.moment(self.now)
        self.record([self.people.intent(state, self._session, as_of, self.venue.price)])
        if self.manager is not None:
            self.manager.offer(self._session, self._around(), now=self.now)
            self._pump()

    def _change_mind(self) -> None:
        """A person cancels or replaces an order, or the venue errs about one."""
        if self.manager is None or not self.manager.state.open:
            return
        key = self._draw.choice(list(self.manager.state.open))
        life = self.manager.state.open[key]
        if self.line.strikes(Fault.OVERFILL) and key in self.venue.orders:
            self.venue.overfill(self.now, key)
        if self._draw.random() < 0.3:
            self.manager.cancel(key, reason="changed my mind", now=self.now)
        else:
            # A limit a little off the market rests for a while.
            price = self.venue.price(life.order.symbol) - life.order.side.sign * Decimal("0.05")
            quantity = life.order.quantity - self._draw.randint(0, 3)
            if quantity > 0:
                self.manager.replace(
                    key, quantity=quantity, reason="repriced", now=self.now, limit_price=price
                )
        self._pump()

    def _mode(self, back: bool) -> None:
        self.record([self.people.mode(self.moment(self.now), back=back)])
        self._tick()

    def _market(self) -> None:
        self.venue.step(self.now)
        control = self.judge.mirror.control
        for one in control.tripped(BOOK):
            if self._draw.random() < 0.1:
                self.venue.can_trade = True
                self.record([self.people.reset(self.judge.mirror, one.breaker)])
        if self.line.strikes(Fault.SUSPENDED):
            self.venue.can_trade = False

    def _external(self, symbol: str, way: int) -> None:
        """Somebody trades the account by hand, and later trades back."""
        quantity = Decimal(7 * way)
        paid = quantity * self.venue.price(symbol)
        self.venue.positions[symbol] += quantity
        self.venue.cash -= paid
        self.external["cash"] -= paid  # type: ignore[operator]
        if way > 0:
            self.later(self._draw.uniform(300, 1200), "external back", self._external, symbol, -1)

    def _last_orders(self) -> None:
        if self.manager is not None:
            self.manager.end_session(now=self.now)
            self._pump()

    def _close(self) -> None:
        self.venue.close(self.now)
        self.line.is_calm = True
        self.venue.can_trade = True
        self.judge.session = None
        mirror = self.judge.mirror
        for one in mirror.control.tripped(BOOK):
            self.record([self.people.reset(mirror, one.breaker)])

    def _require_settled(self, day: int) -> None:
        """At rest, ledger and venue agree exactly, and nothing is open, held or unexplained."""
        mirror, venue = self.judge.mirror, self.venue
        if mirror.open:
            raise ViolationError(
                2, f"day {day}: {len(mirror.open)} orders are open after the close"
            )
        for symbol in SYMBOLS:
            ours, theirs = self.judge.positions[symbol], venue.positions[symbol]
            if ours != theirs:
                raise ViolationError(2, f"day {day}: {symbol} is {ours} here and {theirs} there")
        apart = venue.cash - self.judge.cash - self.external["cash"]  # type: ignore[operator]
        if apart:
            raise ViolationError(2, f"day {day}: the venue has {apart} more in cash")
        if mirror.held or not mirror.is_readable:
            raise ViolationError(2, f"day {day}: still held: {dict(mirror.held)}")
        for key, orders in venue.orders.items():
            if len(orders) > 1:
                raise ViolationError(3, f"the venue took order {key} {len(orders)} times")
            if key not in self.judge.orders:
                raise ViolationError(4, f"the venue has order {key}, and no record names it")
            life = mirror.lives[key]
            if life.filled != orders[0].filled:
                raise ViolationError(
                    2, f"order {key}: {life.filled} here, {orders[0].filled} there"
                )
            side = Side(life.order.side)
            if side is not orders[0].ticket.side:
                raise ViolationError(2, f"order {key} has two sides")


def _words(args: tuple[Any, ...]) -> str:
    return " ".join(str(one) for one in args)[:300]
