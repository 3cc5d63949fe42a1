"""The jobs of a night, and when they run.

A night is two halves with the market's answer between them: `collect` lands and judges the bars of
the session, then the trader settles what was sent the night before, then `decide` forecasts,
decides and audits. `nightly` is both halves in one run, for the schedule: there the trader is a
process of its own and has settled long before.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.partitions import CALENDAR

COLLECT = dg.AssetSelection.groups("raw", "clean")
REPORT = dg.AssetSelection.assets(dg.AssetKey(["audit", "report"]))
EVERYTHING = dg.AssetSelection.all()
# What depends on the book that the night before left behind, so it goes session by session.
TRADING = dg.AssetSelection.groups("order") | dg.AssetSelection.assets(
    dg.AssetKey(["audit", "nights"])
)
# What became of trades and refusals: it looks back on the book; no night of a range waits for it.
OUTCOMES = dg.AssetSelection.assets(
    dg.AssetKey(["audit", "closed_trades"]),
    dg.AssetKey(["audit", "cost_estimates"]),
    dg.AssetKey(["audit", "counterfactuals"]),
)
# Everything else depends on data and on what earlier nights left in the lake, so a range of nights
# is computed at once.
RESEARCH = EVERYTHING - TRADING - OUTCOMES - REPORT


def _job(name: str, selection: dg.AssetSelection, description: str) -> Any:
    """In one process: a night is many light steps, and each process start costs seconds."""
    return dg.define_asset_job(
        name,
        selection=selection,
        executor_def=dg.in_process_executor,
        description=description,
        tags={"dagster/max_runtime": "3600"},
    )


nightly = _job("nightly", EVERYTHING, "One whole night: from the sources to the report.")
collect = _job("collect", COLLECT, "The first half of a night: land and judge the bars.")
decide = _job("decide", EVERYTHING - COLLECT, "The second half: forecast, decide, audit, report.")
trading = _job("trading", TRADING, "Only what depends on the book: orders to the night's row.")
outcomes = _job("outcomes", OUTCOMES, "What became of the trades and refusals of a range.")
backfill = _job(
    "backfill", RESEARCH, "Everything that needs no book, for a range of sessions in one run."
)
research = _job(
    "research",
    dg.AssetSelection.groups("feature", "model", "forecast"),
    "Features, fits and forecasts again, after a change of code or policy.",
)
report = _job("report", REPORT, "The page of a session that is done.")

JOBS = [nightly, collect, decide, trading, outcomes, backfill, research, report]


@dg.schedule(
    job=nightly,
    # Half past midnight in New York, from Tuesday for Monday's session to Saturday for Friday's.
    cron_schedule="30 0 * * 2-6",
    execution_timezone="America/New_York",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night after a session; days without one say so and start nothing.",
)
def nightly_schedule(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the session that ended yesterday, if there was one."""
    import datetime as dt

    from quant.market.calendars import is_session

    yesterday = context.scheduled_execution_time.date() - dt.timedelta(days=1)
    if not is_session(CALENDAR, yesterday):
        yield dg.SkipReason(f"{yesterday} was no session of {CALENDAR}: nothing to do")
        return
    key = yesterday.isoformat()
    yield dg.RunRequest(run_key=f"nightly:{key}", partition_key=key)


SCHEDULES = [nightly_schedule]
