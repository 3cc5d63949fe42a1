"""`pmx heartbeat`: an empty Dagster run on this installation's own instance."""

from dataclasses import dataclass
from typing import Any

from apps.cli.result import Cli, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(CommandResult):
    """The run that was recorded."""

    run_id: str

    def render(self, console: Any) -> None:
        """One line."""
        console.print(f"Dagster recorded run {self.run_id}.")


def run(cli: Cli) -> Heartbeat:
    """Record one empty run: what any Dagster job costs here before it has done anything."""
    from apps.night import QUIET_CONSOLE, open_instance
    from jobs.heartbeat import build_defs

    instance = open_instance(cli.settings)
    job = build_defs().resolve_job_def("heartbeat")
    result = job.execute_in_process(instance=instance, run_config=QUIET_CONSOLE)
    return Heartbeat(run_id=str(result.run_id))
