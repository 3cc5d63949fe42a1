"""`pmx refusals`: what the gates said no to, and why."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.data import day_option
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from quant.execution import Refusal

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalLine:
    """One decision that a gate refused."""

    refusal_id: str
    decision_id: str
    session: dt.date
    symbol: str
    strategy: str
    gate: str
    reason: str
    numbers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals(CommandResult):
    """The refusals that match, oldest first."""

    book: str
    count: int
    by_gate: dict[str, int]
    refusals: tuple[RefusalLine, ...]

    def render(self, console: Any) -> None:
        """One line a refusal, then the sums; every id is good for `pmx why`."""
        for one in self.refusals[-_SHOWN:]:
            console.print(
                f"{one.session} {one.symbol:<8} {one.gate:<10} {one.reason}  [{one.refusal_id}]",
                soft_wrap=True,
                markup=False,
            )
        if self.count > _SHOWN:
            console.print(f"(the newest {_SHOWN} of them; --json lists all)")
        if not self.count:
            console.print(f"The book {self.book} has no refusal that matches.")
        for gate, count in self.by_gate.items():
            console.print(f"{count:>7}  {gate}")


def run(
    cli: Cli,
    since: Annotated[str | None, typer.Option(help="Only from this day on (YYYY-MM-DD).")] = None,
    gate: Annotated[
        str | None, typer.Option(help="Only this gate, such as edge or verdict.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
) -> Refusals:
    """Read the ledger's refusals of this book."""
    first = day_option("--since", since)
    matching = [
        one
        for one in _recorded(cli, gate)
        if (first is None or one.session >= first)
        and (symbol is None or one.symbol == symbol.upper())
    ]
    matching.sort(key=lambda one: (one.session, one.symbol, one.gate))
    return Refusals(
        book=cli.settings.book,
        count=len(matching),
        by_gate=dict(Counter(one.gate for one in matching).most_common()),
        refusals=tuple(_line(one) for one in matching),
    )


def _recorded(cli: Cli, gate: str | None) -> "list[Refusal]":
    from resources.desk import Desk

    # An installation that never decided anything has no ledger, and that is no fault.
    if not (cli.settings.paths.ledger / "journal.jsonl").exists():
        return []
    with Desk(cli.settings) as desk, desk.ledger() as ledger:
        return ledger.refusals(book=cli.settings.book, gate=gate)


def _line(refusal: "Refusal") -> RefusalLine:
    return RefusalLine(
        refusal_id=refusal.refusal_id,
        decision_id=refusal.decision_id,
        session=refusal.session,
        symbol=refusal.symbol,
        strategy=refusal.strategy,
        gate=refusal.gate,
        reason=refusal.reason,
        numbers=dict(refusal.numbers),
    )
