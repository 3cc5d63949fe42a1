"""What happens after a run failed: it is written where people look, with what to do next."""

import datetime as dt
import json

import dagster as dg

from resources.settings import Settings


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Writes each failed run to PMX_HOME/logs/failed_runs.jsonl with its first cause.",
)
def failed_run_sensor(context: dg.RunFailureSensorContext) -> None:
    """One line a failed run; `pmx doctor` reads them."""
    logs = Settings.from_env().paths.logs
    logs.mkdir(parents=True, exist_ok=True)
    record = {
        "recorded_at": dt.datetime.now(dt.UTC).isoformat(),
        "run_id": context.dagster_run.run_id,
        "job": context.dagster_run.job_name,
        "partition": context.dagster_run.tags.get("dagster/partition"),
        "cause": context.failure_event.message,
        "remedy": "open the run in `pmx up`, mend the cause, then `pmx nightly --session DATE`",
    }
    with (logs / "failed_runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
