"""`pmx demo`: real prices to audited paper trades, offline, in one command."""

import datetime as dt
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult

# The last session of the bundled adjusted closes.
DEMO_END = "2022-12-28"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo(CommandResult):
    """What the demo ended with."""

    first_session: dt.date
    last_session: dt.date
    sessions: int
    trades: int
    refusals: int
    audits: int
    equity: Decimal
    gate: str
    gate_reason: str
    refused: tuple[str, ...]
    report: str
    fill_id: str
    refusals_by_gate: dict[str, int]
    language: str
    was_done_before: bool

    def render(self, console: Any) -> None:
        """The result and what to type next, for somebody who has never seen it."""
        start = "The demo had already run; nothing was done again." if self.was_done_before else ""
        if start:
            console.print(start)
        console.print(
            f"Paper book after {self.sessions} sessions, "
            f"{self.first_session} to {self.last_session}:"
        )
        gates = ", ".join(f"{count} {gate}" for gate, count in self.refusals_by_gate.items())
        for label, said in (
            ("equity", f"{self.equity:,.2f} USD (started with 100,000.00)"),
            ("trades", f"{self.trades} fills"),
            ("refusals", f"{self.refusals} ({gates})"),
            ("audits", f"{self.audits} nights of forecasts scored"),
            ("gate", f"{self.gate}: {self.gate_reason}"),
        ):
            console.print(f"  {label:<9} {said}")
        for reason in self.refused:
            console.print(f"  refused   {reason}")
        console.print(f"  {self.language}", soft_wrap=True)
        console.print(f"  report    {self.report}", soft_wrap=True)
        console.print(f"  one fill  {self.fill_id}")
        console.print("Next:")
        # Eight digits tell fills apart; `pmx why` asks for more where they do not.
        pmx, short = typed_name(), self.fill_id[:10]
        for command, purpose in (
            (f"{pmx} why {short}", "where that fill came from, to the raw rows"),
            (f"{pmx} up", "runs, lineage, models in a browser"),
            (f"{pmx} nightly", "one more night, as a schedule would"),
        ):
            console.print(f"  {command:<{len(pmx) + len(short) + 7}} {purpose}", soft_wrap=True)


def typed_name() -> str:
    """What a person has to type for `pmx` here: `make run` leaves the shell's PATH as it was."""
    own = Path(sys.prefix) / "bin" / "pmx"
    found = shutil.which("pmx")
    if not own.exists() or (found and Path(found).resolve() == own.resolve()):
        return "pmx"
    return shlex.quote(os.path.relpath(own))


def run(
    cli: Cli,
    sessions: Annotated[int, typer.Option(min=1, max=500, help="How many nights to run.")] = 60,
    until: Annotated[str, typer.Option(help="Last trading day (YYYY-MM-DD).")] = DEMO_END,
) -> Demo:
    """Load the bundled data, then run the nightly flow session by session on the paper book."""
    from apps.demo_run import run_demo

    return run_demo(cli, sessions=sessions, until=day(until, option="--until"))
