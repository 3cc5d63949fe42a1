"""Runs many worlds and sums up what they met; the same seeds give the same history anywhere.

Belongs here: counting and comparing. Run as a module it prints the hashes of seeds, which is how
replays in other processes are compared. Does not belong here: the command's words (`apps.cli`).
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from apps.simulation.invariants import ViolationError
from apps.simulation.world import World

# Three processes whose sets and dictionaries of strings are ordered differently.
HASH_SEEDS = ("0", "1", "4242")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenSeed:
    """A world that broke an invariant, or the code."""

    seed: int
    at_s: float
    invariant: int
    what: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What all worlds together met."""

    days: int = 0
    events: int = 0
    records: int = 0
    orders: int = 0
    trades: int = 0
    checks: int = 0
    cpu_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[BrokenSeed] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)

    @property
    def events_per_s(self) -> float:
        """A second of one core: what other processes take of it is not ours."""
        return self.events / self.cpu_s if self.cpu_s else 0.0


def simulate(
    seeds: Iterable[int],
    days: int,
    *,
    trace: Callable[[str], None] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Tally:
    """Live through `days` sessions in each world."""
    tally = Tally()
    start = time.process_time()
    for seed in seeds:
        world = World(seed, trace=trace)
        try:
            tally.hashes[seed] = world.run(days)
        except Exception as error:
            # A bug of the product is found here as well as a broken invariant.
            number = error.number if isinstance(error, ViolationError) else 0
            what = error.what if isinstance(error, ViolationError) else repr(error)
            tally.violations.append(
                BrokenSeed(seed=seed, at_s=world.clock.now, invariant=number, what=what)
            )
        tally.days += days
        tally.events += world.events
        tally.records += len(world.process.journal.lines)
        tally.orders += len(world.process.judge.orders)
        tally.trades += world.venue.trades
        tally.checks += world.process.judge.checks
        tally.faults += world.line.struck
        advance()
    tally.cpu_s = time.process_time() - start
    return tally


def differing_replays(seeds: Iterable[int], days: int) -> list[int]:
    """Seeds whose history differs between processes with different orders of hashing."""
    wanted = [str(seed) for seed in seeds]
    told: list[list[str]] = []
    for hash_seed in HASH_SEEDS:
        done = subprocess.run(
            [sys.executable, "-m", "apps.simulation.run", str(days), *wanted],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout.split())
    return [int(seed) for seed, *found in zip(wanted, *told, strict=True) if len(set(found)) > 1]


def main(arguments: list[str]) -> None:
    """Print one hash a seed: days, then seeds."""
    days, *seeds = (int(one) for one in arguments)
    tally = simulate(seeds, days)
    for seed in seeds:
        sys.stdout.write(tally.hashes.get(seed, "broken") + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
