"""`pmx impact TABLE KEY...`: what one bar touched, down to money."""

import dataclasses
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from apps.lineage.impact import BarImpact

WIDTH = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact(CommandResult):
    """Counts by table, and the money."""

    found: "BarImpact"

    def to_json(self) -> dict[str, Any]:
        """The fields, with the sentence on other symbols."""
        values = {
            item.name: getattr(self.found, item.name) for item in dataclasses.fields(self.found)
        }
        return {**values, "other_symbols": _others(self.found)}

    def render(self, console: Any) -> None:
        """One line a table, then money, then what reaches other symbols."""
        found = self.found
        versions = f", {found.versions} versions" if found.versions > 1 else ""
        console.print(f"{found.table}  {found.key}  close {found.close}{versions}")
        console.print(f"  row {found.row_hash}", style="dim")
        console.print("touched:")
        for one in found.touched:
            span = f"  {one.first_session} to {one.last_session}" if one.rows else ""
            console.print(f"  {one.table:<24} {one.rows:>7,}{span}")
        money = found.money
        console.print(f"money of the touched fills in the book {found.book}:")
        for label, amount in (
            ("traded", money.notional),
            ("fees", money.fees),
            ("slippage", money.slippage),
            ("realised", money.realised),
        ):
            console.print(f"  {label:<24} {amount:>14,.2f}")
        console.print(
            f"  position now: {money.position.normalize():f} {found.symbol}, worth "
            f"{money.position_worth:,.2f}, unrealised {money.unrealised:,.2f}"
        )
        for line in textwrap.wrap(_others(found), WIDTH):
            console.print(line)


def _others(found: "BarImpact") -> str:
    none = f"No row of another symbol is touched by {found.symbol}"
    if not found.verdicts.rows:
        return f"{none}; no verdict was made from it either."
    return (
        f"{none}, except through verdicts: {found.verdicts.rows} pooled over all symbols "
        f"({found.verdicts.first_session} to {found.verdicts.last_session}), under which "
        f"{found.other_decisions:,} signals of other symbols were decided."
    )


def run(
    cli: Cli,
    table: Annotated[str, typer.Argument(help="clean.daily_bars or raw.daily_bars.")],
    key: Annotated[list[str], typer.Argument(help="A symbol and a session (YYYY-MM-DD).")],
) -> Impact:
    """Follow the bar forwards; reads only."""
    from apps.lineage.impact import bar_impact
    from apps.lineage.lakes import open_lakes
    from resources.desk import Desk

    with Desk(cli.settings) as desk, open_lakes(desk) as lakes:
        return Impact(found=bar_impact(lakes, table, key))
