"""`pmx doctor`: is this installation sound, and if not, what to do.

Belongs here: running the checks and freeing what a killed run left behind. The checks themselves
are in `checks` (machine and files) and `stuck_runs` (Dagster).
"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.checks import Check, machine_checks
from apps.cli.result import Cli, CommandResult
from apps.cli.stuck_runs import stuck_runs_check


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor(CommandResult):
    """Every check with what was found."""

    checks: list[Check]

    @property
    def exit_code(self) -> int:
        """1 when a check failed; a warning is not a failure."""
        return 1 if any(check.status == "fail" for check in self.checks) else 0

    def to_json(self) -> dict[str, Any]:
        """The claim first."""
        return {"holds": self.exit_code == 0, "checks": self.checks}

    def render(self, console: Any) -> None:
        """One line a check, and a remedy where one is needed."""
        for check in self.checks:
            console.print(f"{check.status:<5} {check.name}: {check.found}")
            if check.remedy:
                console.print(f"      do this: {check.remedy}")


def run(
    cli: Cli,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mark runs of dead processes as failed, free their slots.")
    ] = False,
) -> Doctor:
    """Run every check."""
    settings = cli.settings
    checks = list(cli.console.track(machine_checks(settings), "checking"))
    return Doctor(checks=[*checks, stuck_runs_check(settings.dagster_home, fix=fix)])
