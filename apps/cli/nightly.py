"""`pmx nightly`: one night, from the sources to the report."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly(CommandResult):
    """What the nights did."""

    session: dt.date
    nights: int
    trades: int
    intents: int
    refusals: int
    equity: Decimal | None
    gate: str
    report: str
    run_ids: tuple[str, ...]
    note: str

    def render(self, console: Any) -> None:
        """A few lines a person reads in the morning."""
        worth = f"{self.equity:,.2f}" if self.equity is not None else "no session traded yet"
        console.print(f"Night of {self.session}: equity {worth}, gate {self.gate}.")
        console.print(
            f"{self.trades} fills, {self.intents} orders for the next session, "
            f"{self.refusals} refusals with reasons (pmx refusals)."
        )
        if self.note:
            console.print(self.note)
        console.print(f"Report: {self.report}", soft_wrap=True)


def run(
    cli: Cli,
    session: Annotated[
        str, typer.Option(help="Trading day (YYYY-MM-DD); default: the next one with data.")
    ] = "",
) -> Nightly:
    """Collect, trade what was pending, forecast, decide, audit, report; again changes nothing."""
    from apps.night import night_runner

    asked = day(session, option="--session") if session else None
    with night_runner(cli.settings) as runner:
        # After the runner, whose helper is at work while this process imports the rest.
        from apps.nights import next_night, night_facts

        night = asked or next_night(runner)
        with cli.console.progress(f"night of {night}", total=3) as progress:
            result = runner.run_night(night, on_step=lambda step: progress.advance(note=step))
        facts = night_facts(runner.desk, night)
        runner.send_to_mlflow()
    return Nightly(
        session=night,
        nights=1,
        trades=result.trades,
        intents=facts.intents,
        refusals=facts.refusals,
        equity=facts.equity,
        gate=facts.gate,
        report=facts.report,
        run_ids=result.run_ids,
        note=result.note,
    )
