"""Clocks that are set in mid-session: the real ccxt adapter, and a venue that looks at every order.

Belongs here: the steps and what the venue saw. Does not belong here: what it proves
(`limits_and_time`). The venue refuses what comes more than a second from the future or is older
than the receive window. Its clock and ours are virtual, so a step is exactly as large as it says.
"""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from apps.simulator.faults import Fault
from quant.core.errors import PmxError
from quant.execution.broker import RateLimitedError
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials
from tests.support.venue_rig import KEY, SECRET, Rig, rig

STEPS_S: Final = (-10.0, -7.0, -5.0, -2.0, -0.7, 0.7, 1.2, 2.0, 5.0, 10.0)
STEP_S_MAX: Final = 10.0
PAUSE_S: Final = 11.0


@dataclass
class Seen:
    """What became of the orders, by the venue's own eyes; ages are of steps of our clock."""

    counts: Counter[str] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)
    age_ms_max: float = 0.0
    weight_here: int = 0
    weight_there: int = 0


@dataclass
class Desk:
    """One adapter whose wall clock can be set, and its venue."""

    made: Rig
    seen: Seen
    broker: Any = None
    offset_s: float = 0.0
    names: int = 0
    # Whether it is our clock that was set, and nobody else's.
    is_ours: bool = False

    def wall(self) -> float:
        """What this machine believes the time to be."""
        return self.made.clock.now().timestamp() + self.offset_s

    def monotonic(self) -> float:
        """What nobody can set."""
        return self.made.clock.now().timestamp() - 1_700_000_000

    def wait(self, seconds: float) -> None:
        """Time passes, here and at the venue."""
        clock = self.made.clock
        clock.step_to(clock.now() + dt.timedelta(seconds=seconds))

    def order(self) -> str:
        """One resting order, sent and cancelled; in a word, what became of it."""
        self.names += 1
        ticket = self.made.resting(f"pmx-{self.names:028x}", "0.01")
        try:
            self.broker.submit(ticket)
            self.broker.cancel(ticket.client_order_id, symbol=ticket.symbol)
        except RateLimitedError as error:
            self.seen.counts["paused"] += 1
            if not error.remedy:
                self.seen.unclear.append(str(error))
            return "paused"
        except PmxError as error:
            return f"{type(error).__name__}: {error}"
        return "done"

    def expect(self, told: str, wanted: str, where: str) -> None:
        """A scenario that ends otherwise is kept for the report."""
        if told != wanted:
            self.seen.unclear.append(f"{where}: {told} instead of {wanted}")


@contextmanager
def desk_of(seen: Seen) -> Iterator[Desk]:
    """A connected adapter; the venue notes the age of every order that arrives."""
    from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker

    with rig("binance") as made:
        desk = Desk(made, seen)
        options = CcxtOptions(environment=Environment.SIMULATED, url=made.url, read_timeout_s=5.0)
        desk.broker = CcxtSpotBroker(
            Credentials(KEY, SECRET), options, wall=desk.wall, monotonic=desk.monotonic
        )
        desk.broker.connect()
        _look_at_orders(desk)
        yield desk


def _look_at_orders(desk: Desk) -> None:
    front: Any = desk.made.venue.binance
    judge = front._refuse

    def looked(ask: Any, asked: str, given: dict[str, str], struck: Any) -> Any:
        refused = judge(ask, asked, given, struck)
        if ask.method == "POST":
            watch, counts = desk.broker._watch, desk.seen.counts
            counts["orders sent"] += 1
            counts["refused for their time" if refused else "taken"] += 1
            counts["sent while a drift was known"] += not watch.is_trusted or watch.has_stepped()
            if not refused and desk.is_ours:
                age = abs(front._now_ms(struck) - int(given["timestamp"]))
                desk.seen.age_ms_max = max(desk.seen.age_ms_max, age)
        return refused

    front._refuse = looked


def live(seen: Seen, *, rounds: int, seed: int) -> None:
    """Every step in each of three ways; later rounds draw their steps."""
    draw = random.Random(seed)
    for number in range(rounds):
        drawn = [draw.uniform(-STEP_S_MAX, STEP_S_MAX) for _ in STEPS_S]
        with desk_of(seen) as desk:
            for step_s in STEPS_S if number == 0 else drawn:
                seen.counts["steps"] += 3
                ours_is_set(desk, step_s)
                venues_is_set(desk, step_s)
                venue_tells_a_wrong_time(desk, step_s)
            if number == 0:
                weigh_a_round(desk)


def ours_is_set(desk: Desk, step_s: float) -> None:
    """Noticed before anything leaves: no order is even refused."""
    before = desk.seen.counts["refused for their time"]
    desk.offset_s += step_s
    desk.is_ours = True
    desk.expect(desk.order(), "done", f"our clock set by {step_s:+.2f} s")
    desk.is_ours = False
    desk.wait(1.0)
    if desk.seen.counts["refused for their time"] != before:
        desk.seen.unclear.append(f"an order was refused after our clock was set by {step_s:+.2f} s")


def venues_is_set(desk: Desk, step_s: float) -> None:
    """Nobody here can know: the first order may be refused, is compared for, and sent again."""
    plan = desk.made.venue.plan
    plan.add(Fault.CLOCK_SKEW, skew_ms=step_s * 1000)
    desk.expect(desk.order(), "done", f"the venue's clock set by {step_s:+.2f} s")
    plan.clear()
    desk.expect(desk.order(), "done", f"the venue's clock set back by {step_s:+.2f} s")


def venue_tells_a_wrong_time(desk: Desk, step_s: float) -> None:
    """A comparison that does not cure: after our clock was set, nothing leaves until it is cured.

    Within its receive window the venue takes an order all the same; then there is no drift to it.
    """
    plan = desk.made.venue.plan
    plan.add(Fault.CLOCK_SKEW, on=("market",), skew_ms=step_s * 1000)
    desk.offset_s += 3.0
    is_taken = -5.0 <= step_s < 1.0
    sent = desk.seen.counts["orders sent"]
    told = desk.order()
    desk.expect(told, "done" if is_taken else "paused", f"a time that is {step_s:+.2f} s wrong")
    if not is_taken and desk.seen.counts["orders sent"] != sent:
        desk.seen.unclear.append(f"an order left with a comparison that is {step_s:+.2f} s wrong")
    plan.clear()
    desk.wait(PAUSE_S)
    desk.offset_s -= 3.0
    desk.expect(desk.order(), "done", f"after a time that was {step_s:+.2f} s wrong")


def weigh_a_round(desk: Desk) -> None:
    """One of every call, in a minute of its own: counted here as the venue counts it."""
    desk.wait(120.0)
    desk.order()
    desk.broker.open_orders()
    desk.broker.positions()
    desk.broker.account()
    desk.broker.fills_since(desk.made.clock.now())
    desk.seen.weight_here = desk.broker._session.calls._spent.used()
    front: Any = desk.made.venue.binance
    desk.seen.weight_there = front._budget.used
