"""A code location of one asset, for tests of the servers around it."""

import dagster as dg


@dg.asset(group_name="raw")
def one() -> None:
    """Nothing; it is there to be listed."""


@dg.schedule(cron_schedule="0 22 * * *", target=[one])
def nightly() -> dg.RunRequest:
    """Never runs in a test."""
    return dg.RunRequest()


defs = dg.Definitions(assets=[one], schedules=[nightly])
