"""Backfills: research over a range of past sessions, in chunks of one run each, and resumable.

Belongs here: which sessions a range has, how they are cut, which chunks are up to date. Does not
belong here: any computation, and nothing that could trade (the job `backfill` has no book in it).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.night import RANGE_END_TAG, RANGE_START_TAG, NightRunner
from quant.core.errors import UsageError
from quant.market.calendars import sessions

if TYPE_CHECKING:
    import dagster as dg

JOB = "backfill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Sessions that one run computes."""

    sessions: tuple[dt.date, ...]
    is_done: bool


def sessions_between(runner: NightRunner, first: dt.date, last: dt.date) -> list[dt.date]:
    """The sessions of a range; `UsageError` where there is none, or history has not begun."""
    universe = runner.desk.universe
    if last < first:
        raise UsageError(f"{first} lies after {last}", remedy="name the earlier day first")
    if first < universe.history_start:
        raise UsageError(
            f"{first} lies before {universe.history_start}, where the universe begins",
            remedy=f"begin on {universe.history_start} or later, or change history_start in "
            "config/universe.yaml",
        )
    newest = newest_partition()
    if last > newest:
        raise UsageError(
            f"the session of {last} is not over: {newest} is the newest one",
            remedy=f"end on {newest} or earlier",
        )
    found = [day.item() for day in sessions(universe.calendar, first, last)]
    if not found:
        raise UsageError(
            f"{universe.calendar} has no session from {first} to {last}",
            remedy="name a range with a trading day in it",
        )
    return found


def newest_partition() -> dt.date:
    """The last session that is over."""
    from assets.partitions import trading_days

    return dt.date.fromisoformat(str(trading_days.get_last_partition_key()))


def chunks(runner: NightRunner, days: Sequence[dt.date], *, size: int, again: bool) -> list[Chunk]:
    """The sessions cut into runs, each marked with whether it is up to date already."""
    done = set() if again else up_to_date(runner, days)
    parts = [tuple(days[begin : begin + size]) for begin in range(0, len(days), size)]
    return [Chunk(sessions=part, is_done=done.issuperset(part)) for part in parts]


def up_to_date(runner: NightRunner, days: Sequence[dt.date]) -> set[dt.date]:
    """The sessions that a successful backfill covered with this code and this policy.

    A row keeps the code version under which it first appeared when a later version says the same,
    so the runs are asked, and the lake only whether the last table of the flow is still there.
    """
    rows = runner.desk.warehouse.rows(
        "SELECT DISTINCT session FROM audit.decisions WHERE session BETWEEN ? AND ?",
        [days[0], days[-1]],
    )
    covered = list(_covered(runner))
    return {
        day for (day,) in rows if any(first <= day <= last for first, last in covered)
    }.intersection(days)


def _covered(runner: NightRunner) -> Iterator[tuple[dt.date, dt.date]]:
    import dagster as dg

    wanted = dg.RunsFilter(
        job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS], tags=runner.origin_tags
    )
    for run in runner.instance.get_runs(filters=wanted):
        yield _range_of(run)


def _range_of(run: "dg.DagsterRun") -> tuple[dt.date, dt.date]:
    one = run.tags.get("dagster/partition", "")
    first, last = run.tags.get(RANGE_START_TAG, one), run.tags.get(RANGE_END_TAG, one)
    return dt.date.fromisoformat(first), dt.date.fromisoformat(last)
