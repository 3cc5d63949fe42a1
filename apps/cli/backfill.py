"""`pmx backfill`: research over a range of past sessions; it trades nothing."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult

# About a year: a chunk that fails costs at most that, and its frames stay small.
CHUNK_SESSIONS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill(CommandResult):
    """What was computed and what was up to date."""

    first_session: dt.date
    last_session: dt.date
    sessions: int
    chunks: int
    computed: int
    skipped: int
    run_ids: tuple[str, ...]

    def render(self, console: Any) -> None:
        """What happened, and that the book is untouched."""
        console.print(
            f"{self.sessions} sessions, {self.first_session} to {self.last_session}: "
            f"{self.computed} computed, {self.skipped} were up to date."
        )
        if self.skipped:
            console.print("--again computes those too.")
        console.print("No order was made: a backfill has no book in it.")


def run(
    cli: Cli,
    first: Annotated[str, typer.Option("--from", help="First day (YYYY-MM-DD).")],
    last: Annotated[str, typer.Option("--to", help="Last day (YYYY-MM-DD).")],
    again: Annotated[
        bool, typer.Option("--again", help="Compute what is up to date as well.")
    ] = False,
    chunk: Annotated[
        int, typer.Option(min=1, max=2500, help="Sessions a run; a failure costs one run.")
    ] = CHUNK_SESSIONS,
) -> Backfill:
    """Compute bars to audits for past sessions; stopped at any moment, the same command goes on."""
    from apps.backfills import JOB, chunks, sessions_between
    from apps.night import night_runner

    begin, end = day(first, option="--from"), day(last, option="--to")
    with night_runner(cli.settings) as runner:
        days = sessions_between(runner, begin, end)
        parts = chunks(runner, days, size=chunk, again=again)
        run_ids = []
        with cli.console.progress("research of past sessions", total=len(days)) as progress:
            for part in parts:
                if not part.is_done:
                    run_ids.append(runner.run_job(JOB, part.sessions[0], part.sessions[-1]))
                note = f"up to {part.sessions[-1]}{' (was up to date)' if part.is_done else ''}"
                progress.advance(len(part.sessions), note=note)
        if run_ids:
            runner.send_to_mlflow().result()
    skipped = sum(len(part.sessions) for part in parts if part.is_done)
    return Backfill(
        first_session=days[0],
        last_session=days[-1],
        sessions=len(days),
        chunks=len(parts),
        computed=len(days) - skipped,
        skipped=skipped,
        run_ids=tuple(run_ids),
    )
