"""`pmx materialize ASSET`: any table of the graph for a session or a range, in this process."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Materialized(CommandResult):
    """What was made."""

    assets: tuple[str, ...]
    first_session: dt.date
    last_session: dt.date
    sessions: int
    run_id: str

    def render(self, console: Any) -> None:
        """One line, and where to look."""
        when = (
            f"{self.first_session}"
            if self.sessions == 1
            else f"{self.sessions} sessions, {self.first_session} to {self.last_session}"
        )
        console.print(f"Made {', '.join(self.assets)} for {when}.")
        console.print(f"Run {self.run_id}; `pmx up` shows it.")


def run(
    cli: Cli,
    assets: Annotated[
        list[str],
        typer.Argument(
            metavar="ASSET...", help="Such as forecast/naive or clean.daily_bars, or a stage."
        ),
    ],
    session: Annotated[
        str, typer.Option(help="Trading day (YYYY-MM-DD); default: the last one with data.")
    ] = "",
    first: Annotated[str, typer.Option("--from", help="First day of a range.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day of a range.")] = "",
) -> Materialized:
    """Make tables again from what is there, for a session or a range; the past sends nothing."""
    from apps.backfills import sessions_between
    from apps.night import night_runner
    from apps.nights import newest_session
    from apps.selections import selected_keys

    if (first or last) and (session or not (first and last)):
        raise UsageError(
            "a range needs --from and --to, and no --session",
            remedy="give --session DATE alone, or --from DATE --to DATE",
        )
    with night_runner(cli.settings) as runner:
        keys = selected_keys(runner.definitions, assets)
        if first:
            begin, end = day(first, option="--from"), day(last, option="--to")
        else:
            begin = end = (
                day(session, option="--session") if session else newest_session(runner.desk)
            )
        days = sessions_between(runner, begin, end)
        with cli.console.progress(f"{len(keys)} tables", total=1) as progress:
            run_id = runner.run_assets(keys, days[0], days[-1])
            progress.advance()
    return Materialized(
        assets=tuple(key.to_user_string() for key in keys),
        first_session=days[0],
        last_session=days[-1],
        sessions=len(days),
        run_id=run_id,
    )
