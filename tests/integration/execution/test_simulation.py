"""The short form of the simulation: every fault, every invariant, the same history every time."""

from decimal import Decimal

import pytest

from apps.cli.main import main
from apps.simulation.faults import Fault
from apps.simulation.memory_journal import MemoryJournal
from apps.simulation.run import differing_replays, simulate
from apps.simulation.world import World
from quant.execution import Side
from tests.execution_values import fill, opened


def test_twenty_worlds_of_faults_break_no_invariant() -> None:
    """Each kind of fault but the rarest strikes, orders trade, and nothing breaks."""
    tally = simulate(range(20), 3)
    assert tally.violations == []
    assert tally.days == 60
    assert tally.orders > 2_500
    assert tally.trades > 6_000
    assert tally.checks > 30_000
    assert len(tally.faults) >= len(Fault) - 2


def test_a_seed_is_its_whole_history_whatever_the_hashing() -> None:
    """Three processes with other orders of sets and dictionaries live the same lives."""
    assert differing_replays(range(4), 2) == []


def test_the_trace_tells_the_same_story_twice() -> None:
    """What a failure prints is what happens again."""
    stories: list[list[str]] = []
    for _ in range(2):
        lines: list[str] = []
        World(7, trace=lines.append).run(1)
        stories.append(lines)
    assert stories[0] == stories[1]
    assert any("record sent:" in line for line in stories[0])


def test_another_seed_is_another_world() -> None:
    """And the history depends on the number of days that were lived."""
    first = simulate(range(3), 1).hashes
    assert len(set(first.values())) == 3
    assert simulate(range(1), 2).hashes[0] != first[0]


def test_without_faults_every_order_ends_as_it_should() -> None:
    """A healthy world fills or cancels everything, and no fault is counted."""
    world = World(3, shares=dict.fromkeys(Fault, 0.0))
    world.run(2)
    assert world.line.struck.total() == 0
    assert not any(key.startswith("alarm") for key in world.process.journal.keys)


@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_alone_and_often_is_survived(fault: Fault) -> None:
    """One disease at a time, much more of it than in a mixed world."""
    share = 0.03 if fault.value.startswith(("crash", "ban", "auth", "susp", "clock")) else 0.4
    # It is drawn once a day.
    share = 0.9 if fault is Fault.EXTERNAL_ORDER else share
    struck, alarms = 0, set()
    for seed in (1, 2, 3):
        world = World(seed, shares={**dict.fromkeys(Fault, 0.0), fault: share})
        world.run(1)
        struck += world.line.struck[fault.value]
        alarms |= {key.split(":")[2] for key in world.process.journal.keys if "alarm" in key}
        assert set(world.line.struck) <= {fault.value}
    assert struck
    # What a person must see is cried out, and nothing else is.
    assert alarms == ({"overfill"} if fault is Fault.OVERFILL else set())


def test_a_broken_seed_is_told_with_the_way_to_see_it_again(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue's account is moved behind everybody's back: the command names the seed."""
    honest = World._close

    def thief(world: World) -> None:
        honest(world)
        world.venue.cash -= Decimal("0.01")

    monkeypatch.setattr(World, "_close", thief)
    assert main(["simulate", "--seeds", "5", "--days", "1"]) == 1
    told = capfd.readouterr().out
    assert "BROKEN  seed 5" in told
    assert "invariant 2: day 0: the venue has -0.01 more in cash" in told
    assert "pmx simulate --seeds 5:6 --days 1 --trace" in told


def test_the_journal_in_memory_has_the_real_lines() -> None:
    """Written, read and refused like the one on disk: the chain breaks at a changed byte."""
    journal = MemoryJournal()
    events = [opened(), fill(Side.BUY, "1", "100")]
    assert journal.append_all(events, "now") == events
    assert journal.append_all(events, "now") == []
    assert journal.read() == events
    journal.lines[1] = journal.lines[1].replace(b'"1"', b'"2"', 1)
    with pytest.raises(ValueError, match="hash"):
        journal.read()
