"""Whether the newest expected session is there; Dagster's own freshness cannot see partitions."""

import datetime as dt

import dagster as dg

from assets.partitions import CALENDAR, trading_days
from quant.market.calendars import is_session, session_close

# The schedule runs half past midnight in New York; six hours later the night must be done.
GRACE_HOURS = 12
WATCHED = dg.AssetKey(["audit", "nights"])


def expected_session(now: dt.datetime) -> dt.date:
    """The newest session whose night should be complete at `now`."""
    day = now.date()
    while not (
        is_session(CALENDAR, day)
        and session_close(CALENDAR, day) + dt.timedelta(hours=GRACE_HOURS) <= now
    ):
        day -= dt.timedelta(days=1)
    return day


@dg.sensor(
    minimum_interval_seconds=1800,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Says which session is missing when a night did not complete in time.",
)
def stale_night_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look only: a person or the watchdog decides what to do about a missing night."""
    expected = expected_session(dt.datetime.now(dt.UTC)).isoformat()
    done = context.instance.get_materialized_partitions(WATCHED)
    if expected in done:
        return dg.SkipReason(f"the night of {expected} is complete")
    behind = len([key for key in trading_days.get_partition_keys() if max(done, default="") < key])
    context.log.warning(f"the night of {expected} is missing; {behind} sessions behind")
    return dg.SkipReason(
        f"the night of {expected} is missing ({behind} sessions behind): run `pmx nightly`"
    )
