"""Dagster runs that say they are running although their process is gone.

Dagster's launcher for one machine does not notice a killed run (its run monitoring ends it only
after hours), and such a run keeps its pool slots. Belongs here: finding these runs, and on request
marking them failed. Does not belong here: any run on another machine, whose processes are not seen.
"""

import os
import time
from pathlib import Path
from typing import Any, Final

from apps.cli.checks import Check

# A run that was just launched has no process yet; importing the code takes a while.
START_GRACE_SECONDS: Final = 300


def stuck_runs_check(dagster_home: Path, *, fix: bool) -> Check:
    """Find them; with `fix`, mark them failed and free their slots."""
    if not (dagster_home / "history").exists():
        return Check(name="dagster runs", status="ok", found="no run recorded yet")
    import dagster as dg

    # The shipped dagster.yaml places its storage by this variable.
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        stuck = [record for record in _unfinished(instance) if not _is_alive(instance, record)]
        if not stuck:
            return Check(name="dagster runs", status="ok", found="none is stuck")
        ids = ", ".join(record.dagster_run.run_id for record in stuck)
        if not fix:
            return Check(
                name="dagster runs",
                status="fail",
                found=f"{len(stuck)} without a live process: {ids}",
                remedy="pmx doctor --fix marks them failed; their partitions can then run again",
            )
        for record in stuck:
            _end(instance, record.dagster_run)
        return Check(name="dagster runs", status="ok", found=f"marked failed: {ids}")


def _unfinished(instance: Any) -> list[Any]:
    import dagster as dg

    running = [
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return list(instance.get_run_records(dg.RunsFilter(statuses=running)))


def _is_alive(instance: Any, record: Any) -> bool:
    pids = [
        (entry.dagster_event.pid, entry.timestamp)
        for entry in instance.all_logs(record.dagster_run.run_id)
        if entry.dagster_event is not None and entry.dagster_event.pid is not None
    ]
    if not pids:
        return bool(time.time() - record.update_timestamp.timestamp() < START_GRACE_SECONDS)
    return any(_wrote(pid, at) for pid, at in set(pids))


def _wrote(pid: int, at: float) -> bool:
    """Whether the process that wrote at that time still lives; its number may have been reused."""
    import psutil

    try:
        process = psutil.Process(pid)
        # A second of slack, because the kernel counts a process's start in ticks since boot.
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at + 1.0)
    except psutil.NoSuchProcess:
        return False


def _end(instance: Any, run: Any) -> None:
    instance.report_run_failed(run, "Its process is gone; marked by pmx doctor --fix.")
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        storage.free_concurrency_slots_for_run(run.run_id)
