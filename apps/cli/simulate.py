"""`pmx simulate`: the production order manager in seeded worlds where everything goes wrong."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated(CommandResult):
    """What the worlds met, and which of them broke an invariant."""

    seeds: str
    days: int
    events: int
    records: int
    orders: int
    trades: int
    checks: int
    faults: dict[str, int]
    violations: tuple[dict[str, Any], ...]
    replays: int
    replays_that_differ: tuple[int, ...]
    cpu_s: float
    events_per_s: int

    @property
    def exit_code(self) -> int:
        """1 when an invariant broke or a replay differed."""
        return 1 if self.violations or self.replays_that_differ else 0

    def render(self, console: Any) -> None:
        """Broken seeds first, each with the command that shows it again."""
        for one in self.violations:
            name = f"invariant {one['invariant']}" if one["invariant"] else "the code"
            console.print(
                f"BROKEN  seed {one['seed']} at {one['at_s']:.3f} s, {name}: {one['what']}",
                soft_wrap=True,
                markup=False,
            )
            again = f"{one['seed']}:{one['seed'] + 1}"
            console.print(f"        pmx simulate --seeds {again} --days {one['days']} --trace")
        for seed in self.replays_that_differ:
            console.print(f"BROKEN  seed {seed} has another history in another process")
        met = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        console.print(f"faults: {met}", soft_wrap=True)
        console.print(
            f"{self.days} days, {self.events} events, {self.orders} orders, {self.trades} trades, "
            f"{self.checks} checks: {len(self.violations)} violations; "
            f"{self.events_per_s} events a second of one core"
        )


def run(
    cli: Cli,
    *,
    seeds: Annotated[
        str, typer.Option(help="One number, or a range such as 0:1000 without its end.")
    ] = "0:20",
    days: Annotated[int, typer.Option(min=1, help="Sessions a world.")] = 10,
    replays: Annotated[
        int, typer.Option(min=0, help="Live so many of the seeds again, in three processes.")
    ] = 0,
    trace: Annotated[bool, typer.Option("--trace", help="Print every event.")] = False,
) -> Simulated:
    """Every fault we know, drawn by seed; every invariant checked at every event."""
    import dataclasses

    from apps.simulation.run import differing_replays, simulate

    chosen = _range_of(seeds)
    with cli.console.progress("worlds", total=len(chosen)) as progress:
        tally = simulate(
            chosen,
            days,
            # A program that wants JSON on standard output gets the trace beside it.
            trace=(lambda line: typer.echo(line, err=cli.as_json)) if trace else None,
            advance=progress.advance,
        )
    again = list(chosen)[:replays]
    differing = differing_replays(again, days) if again else []
    return Simulated(
        seeds=seeds,
        days=tally.days,
        events=tally.events,
        records=tally.records,
        orders=tally.orders,
        trades=tally.trades,
        checks=tally.checks,
        faults=dict(sorted(tally.faults.items())),
        violations=tuple({**dataclasses.asdict(one), "days": days} for one in tally.violations),
        replays=len(again),
        replays_that_differ=tuple(differing),
        cpu_s=round(tally.cpu_s, 3),
        events_per_s=round(tally.events_per_s),
    )


def _range_of(text: str) -> range:
    from quant.core.errors import UsageError

    first, colon, last = text.partition(":")
    try:
        chosen = range(int(first), int(last) if colon else int(first) + 1)
    except ValueError:
        chosen = range(0)
    if not chosen or chosen.start < 0:
        raise UsageError(
            f"--seeds {text!r} names no seeds", remedy="give a number, or a range such as 0:1000"
        )
    return chosen
