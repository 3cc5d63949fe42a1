"""Three bots behind one address: production order managers, one budget, and a venue that counts.

Belongs here: the world. Does not belong here: what it proves (`limits_and_time`). Time is virtual.
Each bot has its own account, ledger and line; the count of calls is the production one, in a file
that they share, and stands where the adapters ask it: before every request. What one command of the
order manager costs is what the adapter sends for it. The venue counts any sixty seconds, which is
stricter than a minute of the clock, answers 429 beyond its limit, and bans whoever does not obey.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from apps.simulation.clock import VirtualClock
from apps.simulation.faults import Fault
from apps.simulation.line import Line
from apps.simulation.people import BOOK, People
from apps.simulation.process import Process
from apps.simulation.settled import require_settled
from apps.simulation.venue import SimVenue
from apps.simulation.world import BOOK_POLICY, CASH, DAY_S, SESSION_S, SETTLE_S, SYMBOLS, World
from quant.execution import opening_of
from quant.execution.broker import RateLimitedError
from quant.execution.budget import VENUE_LIMITS, CallKind, CallLimits
from quant.execution.commands import (
    Cancel,
    Command,
    Find,
    ManagerPolicy,
    ReadFills,
    Send,
    TakeSnapshot,
)
from resources.brokers.shared_calls import SharedCalls

BOTS: Final = 3
MINUTE_S: Final = 60.0
# As `pmx trade` reads an account of which no stream tells.
POLICY: Final = ManagerPolicy(snapshot_every_s=5.0)
READ, SEND, CANCEL = CallKind.READ, CallKind.SEND, CallKind.CANCEL
Requests = tuple[int, ...]
# The weights of the requests that the adapters send for a command; a cancel looks the order up.
_BINANCE: Final[Mapping[type, Requests]] = {
    Send: (1,),
    Cancel: (1, 4),
    Find: (4,),
    ReadFills: (20,) * len(SYMBOLS),
    TakeSnapshot: (80, 20, 20),
}
_ALPACA: Final[Mapping[type, Requests]] = {
    Send: (1,),
    Cancel: (1, 1, 1),
    Find: (1,),
    ReadFills: (1,),
    TakeSnapshot: (1, 1, 1),
}
COSTS: Final = {"binance": _BINANCE, "alpaca": _ALPACA}
KINDS: Final[Mapping[type, CallKind]] = {Send: SEND, Cancel: CANCEL}
# What goes wrong besides limits; limits and bans are the venue's own here.
SHARES: Final = dict.fromkeys(Fault, 0.0) | {
    Fault.ACK_LOST: 0.02,
    Fault.ERROR_AFTER: 0.02,
    Fault.REFUSED_BEFORE: 0.01,
    Fault.STREAM_DROPPED: 0.03,
    Fault.FILL_ON_CANCEL: 0.05,
    Fault.CRASH_BETWEEN_CALLS: 0.0004,
}
# Orders of somebody else behind the address for silence, a day of each bot's session.
SILENCES_A_DAY: Final = 4
BAN_S: Final = 300.0
_NO_LIMITS: Final = CallLimits(per_minute=10**9)
# Calls in spite of a silence that earn a ban.
PATIENCE: Final = 3


@dataclass
class Meter:
    """The venue's own count of one address, and what it makes of it."""

    limit: int
    now: Callable[[], float]
    calls: Counter[str] = field(default_factory=Counter)
    weight_max: int = 0
    over_budget: int = 0
    told: int = 0
    broken: set[int] = field(default_factory=set)
    bans: int = 0
    # What the next call is told, for somebody else's sake.
    planned: deque[float] = field(default_factory=deque)
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _used: int = 0
    # From when on the address has heard that it must be silent, and until when.
    _heard_at: float = 0.0
    _until: float = 0.0
    _early: int = 0

    def arrive(self, kind: CallKind, weight: int, left_at: float) -> RateLimitedError | None:
        """One request; the error is the venue's 429 or 418."""
        now = self.now()
        self.calls[kind.value] += 1
        if self._heard_at <= left_at < self._until:
            return self._early_call(now)
        if now < self._until:
            return RateLimitedError("429", retry_after_s=self._until - now)
        while self._spent and now - self._spent[0][0] >= MINUTE_S:
            self._used -= self._spent.popleft()[1]
        if self.planned:
            return self._tell(now, self.planned.popleft())
        if self._used + weight > self.limit:
            self.over_budget += 1
            return self._tell(now, self._spent[0][0] + MINUTE_S - now)
        self._spent.append((now, weight))
        self._used += weight
        self.weight_max = max(self.weight_max, self._used)
        return None

    def heard(self) -> None:
        """The address has been told."""
        self._heard_at = min(self._heard_at, self.now())

    def _tell(self, now: float, seconds: float) -> RateLimitedError:
        self.told += 1
        self._heard_at, self._until, self._early = float("inf"), now + seconds, 0
        return RateLimitedError("429", retry_after_s=seconds)

    def _early_call(self, now: float) -> RateLimitedError:
        self.broken.add(self.told)
        self._early += 1
        if self._early >= PATIENCE:
            self.bans += 1
            self._until = now + BAN_S
        wait_s, is_banned = self._until - now, self._early >= PATIENCE
        return RateLimitedError("418", retry_after_s=wait_s, is_banned=is_banned)


class MeteredLine(Line):
    """Asks the shared count before a command leaves, as every adapter does, and meets the meter."""

    def __init__(
        self, *, meter: Meter, calls: SharedCalls, costs: Mapping[type, Requests], **more: Any
    ) -> None:
        super().__init__(**more)
        self.refused: Counter[str] = Counter()
        self.put_off: Counter[str] = Counter()
        self._meter = meter
        self._calls = calls
        self._costs = costs
        self._left_at: dict[int, float] = {}

    def carry(self, epoch: int, command: Command) -> None:
        """Every request of the command is counted, then all leave."""
        kind = KINDS.get(type(command), READ)
        try:
            for weight in self._weights(command):
                self._calls.ask(kind, weight)
        except RateLimitedError as error:
            is_budget = "share of" in str(error)
            (self.refused if is_budget else self.put_off)[kind.value] += 1
            assert self.client is not None
            self._later(0.0, "", self.client.answered, epoch, command, error)
            return
        self._left_at[id(command)] = self._now()
        super().carry(epoch, command)

    def _refusal_of(self, command: Command) -> RateLimitedError | None:
        left_at = self._left_at.pop(id(command))
        kind = KINDS.get(type(command), READ)
        for weight in self._weights(command):
            if error := self._meter.arrive(kind, weight, left_at):
                return error
        return None

    def _arrive(self, epoch: int, command: Command, fault: Fault | None) -> None:
        if error := self._refusal_of(command):
            assert self.client is not None
            self._later(0.05, "answer 429", self._limited, epoch, command, error)
            return
        super()._arrive(epoch, command, fault)

    def _limited(self, epoch: int, command: Command, error: RateLimitedError) -> None:
        """What the session does with such an answer: everybody of the address is told."""
        self._calls.silence(error.retry_after_s, is_banned=error.is_banned)
        self._meter.heard()
        assert self.client is not None
        self.client.answered(epoch, command, error)

    def _weights(self, command: Command) -> Requests:
        weights = self._costs[type(command)]
        if isinstance(command, TakeSnapshot) and command.fills_since is not None:
            return (*weights, *self._costs[ReadFills])
        return weights


class Bot(World):
    """One of the three: a world of its own but for the clock, the count and the meter."""

    def __init__(
        self, seed: int, *, clock: VirtualClock, meter: Meter, calls: SharedCalls, venue: str
    ) -> None:
        self.clock = clock
        self._draw = random.Random(seed)
        self.venue = SimVenue(
            symbols=SYMBOLS,
            cash=CASH,
            draw=self._draw,
            moment_of=clock.moment_at,
            tell=self._tell,
        )
        self.line: MeteredLine = MeteredLine(
            meter=meter,
            calls=calls,
            costs=COSTS[venue],
            venue=self.venue,
            shares=SHARES,
            draw=self._draw,
            later=clock.later,
            now=lambda: clock.now,
        )
        self.people = People(self._draw, seed=seed, symbols=SYMBOLS)
        self.process = Process(clock, self.line, self._draw, self._around, POLICY)
        self.line.client = self.process
        self.external_cash = Decimal(0)

    def begin(self) -> None:
        """The book opens and the process starts."""
        self.process.record([opening_of(BOOK, BOOK_POLICY)])
        self.process.start()

    def plan(self, day: int) -> None:
        """What shall happen in a day's session."""
        self._plan_day(day)


class OneAddress:
    """The three bots, the meter and the days they live through.

    Without `is_shared` every bot counts for itself and knows no limit, as most clients do.
    """

    def __init__(self, venue: str, folder: Path, *, seed: int, is_shared: bool = True) -> None:
        limits = VENUE_LIMITS[venue] if is_shared else _NO_LIMITS
        self.clock = VirtualClock(None)
        self.meter = Meter(limit=VENUE_LIMITS[venue].per_minute, now=lambda: self.clock.now)
        self._draw = random.Random(seed)
        self.bots = [
            Bot(
                seed * 100 + number,
                clock=self.clock,
                meter=self.meter,
                venue=venue,
                calls=SharedCalls(
                    venue,
                    limits,
                    folder=folder if is_shared else None,
                    monotonic=lambda: self.clock.now,
                ),
            )
            for number in range(BOTS)
        ]

    def live(self, days: int) -> None:
        """Sessions of an hour, one a day; a broken invariant raises `ViolationError`."""
        for bot in self.bots:
            bot.begin()
        for day in range(days):
            for bot in self.bots:
                bot.plan(day)
            start = day * DAY_S - self.clock.now
            for _ in range(SILENCES_A_DAY):
                at = start + self._draw.uniform(60, SESSION_S - 200)
                seconds = float(self._draw.randint(1, 60))
                self.clock.later(at, "somebody else", self.meter.planned.append, seconds)
            self.clock.until(day * DAY_S + SESSION_S + SETTLE_S)
            for bot in self.bots:
                require_settled(
                    bot.process.judge, bot.venue, day=day, external_cash=bot.external_cash
                )

    def counted(self, of: str) -> Counter[str]:
        """What all lines together refused or put off."""
        return sum((getattr(bot.line, of) for bot in self.bots), start=Counter())
