"""Goal 12: what venues limit, and what time it is.

Three bots behind one address for 24 hours of trading at a venue that enforces its limits; and
clocks that are set by up to ten seconds in mid-session, through the real ccxt.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from apps.simulation.invariants import ViolationError
from tests.reliability import clock_steps
from tests.reliability.goal import Form, Found
from tests.reliability.one_address import BOTS, OneAddress

SEED: Final = 12
VENUES: Final = ("binance", "alpaca")
# Hours of trading: a session of the simulated world is one.
HOURS: Final = {Form.SHORT: 1, Form.LONG: 24}
ROUNDS: Final = {Form.SHORT: 1, Form.LONG: 20}
SHARE_MAX: Final = 0.8


@dataclass(slots=True)
class Limits:
    """What the venues' own counts say."""

    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    shares: dict[str, float] = field(default_factory=dict)
    over_budget: int = 0
    told: int = 0
    broken: int = 0
    bans: int = 0
    violations: list[str] = field(default_factory=list)


def run(form: Form) -> Found:
    """Both halves; the same day without the shared count shows that the venue would tell."""
    limits, alone, seen = Limits(), Limits(), clock_steps.Seen()
    for venue in VENUES:
        live(limits, venue, HOURS[form], is_shared=True)
        live(alone, venue, 1, is_shared=False)
    clock_steps.live(seen, rounds=ROUNDS[form], seed=SEED)
    return _found(form, limits, alone, seen)


def live(limits: Limits, venue: str, hours: int, *, is_shared: bool) -> None:
    """So many hours at one venue."""
    with tempfile.TemporaryDirectory() as folder:
        world = OneAddress(venue, Path(folder), seed=SEED, is_shared=is_shared)
        try:
            world.live(hours)
        except ViolationError as error:
            limits.violations.append(f"{venue}: {error}")
        meter = world.meter
        limits.calls += meter.calls
        limits.refused += world.counted("refused")
        limits.shares[venue] = round(meter.weight_max / meter.limit, 3)
        limits.over_budget += meter.over_budget
        limits.told += meter.told
        limits.broken += len(meter.broken)
        limits.bans += meter.bans


def _found(form: Form, limits: Limits, alone: Limits, seen: clock_steps.Seen) -> Found:
    is_within = (
        all(share <= SHARE_MAX for share in limits.shares.values())
        and not limits.over_budget
        and not limits.broken
        and not limits.bans
        and not limits.refused["cancel"]
        and not limits.violations
    )
    counts = seen.counts
    is_in_time = (
        not counts["sent while a drift was known"]
        and not seen.unclear
        and counts["paused"] > 0
        and seen.weight_here == seen.weight_there
    )
    return Found(
        goal=12,
        title="Venue limits and time",
        claim="three bots behind one address stay below 80 % of a venue's budget, earn no ban, "
        "obey every Retry-After and can always cancel; no order leaves while a drift of the "
        "clock is known",
        form=form,
        holds=is_within and is_in_time and alone.bans > 0,
        figures={
            "simulated hours a venue": HOURS[form],
            "bots behind the address": BOTS,
            "calls": sum(limits.calls.values()),
            "of them sends": limits.calls["send"],
            "of them cancels": limits.calls["cancel"],
            **{f"largest share of a minute, {name}": one for name, one in limits.shares.items()},
            "calls over budget": limits.over_budget,
            "reads that waited for the budget": limits.refused["read"],
            "sends that waited for the budget": limits.refused["send"],
            "cancels refused for the budget": limits.refused["cancel"],
            "Retry-After told": limits.told,
            "of them not obeyed": limits.broken,
            "bans": limits.bans,
            "bans in one hour without the shared count": alone.bans,
            "clock steps of up to 10 s": counts["steps"],
            "orders sent": counts["orders sent"],
            "of them refused for their time": counts["refused for their time"],
            "sent while a drift was known": counts["sent while a drift was known"],
            "pauses until the venue took our time again": counts["paused"],
            "largest age of an order after our clock was set, ms": seen.age_ms_max,
            "weight of a round of calls, here": seen.weight_here,
            "weight of a round of calls, at the venue": seen.weight_there,
        },
        notes=(
            "In the hours of trading the requests of one command leave together, and what each "
            "costs is a table; the same weights were counted through the real ccxt.",
            "An order is refused for its time only where the venue's own clock was set: nobody "
            "here can know before.",
            *limits.violations[:3],
            *seen.unclear[:5],
        ),
    )
