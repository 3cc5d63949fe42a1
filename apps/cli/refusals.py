"""`pmx refusals`: what the gates said no to, why, and what came of it so far.

The result is marked to the close at the end of the signal's horizon, or to the newest close while
that is still ahead. Its arithmetic is quant.signals.counterfactual.
"""

import datetime as dt
import math
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
    # None where it is not known: no price, no side, or no warehouse yet.
    result_so_far: float | None = None
    market_return: float | None = None
    gate_was_right: bool | None = None
    marked_session: dt.date | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """How often a gate spared a loss, over the refusals whose horizon has passed."""

    gate: str
    judged: int
    right: int
    mean_forgone_return: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals(CommandResult):
    """The refusals that match, oldest first."""

    book: str
    count: int
    by_gate: dict[str, int]
    refusals: tuple[RefusalLine, ...]
    gate_records: tuple[GateRecord, ...] = ()

    def render(self, console: Any) -> None:
        """One line a refusal, then the sums; every id is good for `pmx why`."""
        for one in self.refusals[-_SHOWN:]:
            console.print(
                f"{one.session} {one.symbol:<8} {one.gate:<10} {_result(one):>9} "
                f"{one.reason}  [{one.refusal_id}]",
                soft_wrap=True,
                markup=False,
            )
        if self.count > _SHOWN:
            console.print(f"(the newest {_SHOWN} of them; --json lists all)")
        if not self.count:
            console.print(f"The book {self.book} has no refusal that matches.")
        for gate, count in self.by_gate.items():
            console.print(f"{count:>7}  {gate}{_record(gate, self.gate_records)}")
        if self.count:
            console.print(
                "The percentage is what the refused trade would have made after costs: "
                "negative is a loss spared, * is still open.",
                soft_wrap=True,
            )


def _result(one: RefusalLine) -> str:
    if one.result_so_far is None:
        return "-"
    return f"{one.result_so_far:+.2%}{' ' if one.is_final else '*'}"


def _record(gate: str, records: tuple[GateRecord, ...]) -> str:
    for one in records:
        if one.gate == gate:
            return (
                f"  (right in {one.right} of {one.judged}, "
                f"forgone on average {one.mean_forgone_return:+.2%})"
            )
    return ""


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
    marks = _marks(cli, matching)
    lines = tuple(_line(one, marks.get(one.decision_id)) for one in matching)
    return Refusals(
        book=cli.settings.book,
        count=len(matching),
        by_gate=dict(Counter(one.gate for one in matching).most_common()),
        refusals=lines,
        gate_records=_records(lines),
    )


def _marks(cli: Cli, matching: "list[Refusal]") -> dict[str, dict[str, Any]]:
    from resources.desk import Desk

    if not matching or (not cli.settings.paths.catalog.exists() and not cli.settings.catalog_url):
        return {}
    from assets.audit.counterfactuals import marks_so_far

    with Desk(cli.settings) as desk:
        return marks_so_far(desk, [one.decision_id for one in matching])


def _records(lines: tuple[RefusalLine, ...]) -> tuple[GateRecord, ...]:
    judged: dict[str, list[RefusalLine]] = {}
    for line in lines:
        if line.is_final and line.gate_was_right is not None:
            judged.setdefault(line.gate, []).append(line)
    return tuple(
        GateRecord(
            gate=gate,
            judged=len(own),
            right=sum(bool(line.gate_was_right) for line in own),
            mean_forgone_return=math.fsum(line.result_so_far or 0.0 for line in own) / len(own),
        )
        for gate, own in sorted(judged.items())
    )


def _recorded(cli: Cli, gate: str | None) -> "list[Refusal]":
    from resources.desk import Desk

    # An installation that never decided anything has no ledger, and that is no fault.
    if not (cli.settings.paths.ledger / "journal.jsonl").exists():
        return []
    with Desk(cli.settings) as desk, desk.ledger() as ledger:
        return ledger.refusals(book=cli.settings.book, gate=gate)


def _line(refusal: "Refusal", mark: dict[str, Any] | None) -> RefusalLine:
    return RefusalLine(
        refusal_id=refusal.refusal_id,
        decision_id=refusal.decision_id,
        session=refusal.session,
        symbol=refusal.symbol,
        strategy=refusal.strategy,
        gate=refusal.gate,
        reason=refusal.reason,
        numbers=dict(refusal.numbers),
        **_marked(refusal.gate, mark),
    )


def _marked(gate: str, mark: dict[str, Any] | None) -> dict[str, Any]:
    if mark is None:
        return {}
    from quant.signals.counterfactual import counterfactual

    result = counterfactual(
        action=mark["action"],
        gate=gate,
        reference_price=mark["reference_price"],
        price=mark["price"],
        round_trip_cost=mark["round_trip_cost"],
    )
    return {
        "result_so_far": _known(result.forgone_return),
        "market_return": _known(result.market_return),
        "gate_was_right": result.gate_was_right,
        "marked_session": mark["marked_session"],
        "is_final": mark["is_final"],
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
