"""Runs one job of one sleeping step in DAGSTER_HOME; for tests that kill it."""

import sys
import time

import dagster as dg


@dg.op
def sleep() -> None:
    """Long enough to be killed in."""
    sys.stdout.write("sleeping\n")
    sys.stdout.flush()
    time.sleep(120)


@dg.job
def sleeper() -> None:
    """One step."""
    sleep()


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        sleeper.execute_in_process(instance=instance)
