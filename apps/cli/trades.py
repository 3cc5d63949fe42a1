"""`pmx trades`: every closed round trip, why it ended, what it cost and what it earned."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.data import day_option
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from quant.execution.attribution import Attribution

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades(CommandResult):
    """The round trips that match, oldest first, and their sums."""

    book: str
    count: int
    by_reason: Mapping[str, int]
    net_result: str
    costs: str
    dividends: str
    won: int
    # Of all round trips, the share of which nothing is missing; None without one.
    complete_share: float | None
    trades: tuple[Mapping[str, Any], ...]

    def render(self, console: Any) -> None:
        """One line a round trip, then the sums; every id is good for `pmx why`."""
        for one in self.trades[-_SHOWN:]:
            held = f"{one['sessions_held']}d"
            missing = f"  missing: {one['missing']}" if one["missing"] else ""
            console.print(
                f"{one['entry_session']} {one['session']} {one['symbol']:<8} {one['side']:<5} "
                f"{_short(one['quantity']):>12} {_short(one['entry_price']):>10} "
                f"{_short(one['exit_price']):>10} {held:>4} {one['net_result']:>11} "
                f"{one['reason']:<13} [{one['exit_decision_id']}]{missing}",
                soft_wrap=True,
                markup=False,
            )
        if self.count > _SHOWN:
            console.print(f"(the newest {_SHOWN} of them; --json lists all)")
        if not self.count:
            console.print(f"The book {self.book} has no closed trade that matches.")
            return
        for reason, count in self.by_reason.items():
            console.print(f"{count:>7}  {reason}")
        console.print(
            f"{self.count} round trips, {self.won} won: {self.net_result} after costs of "
            f"{self.costs} and with dividends of {self.dividends}; attribution complete in "
            f"{self.complete_share:.0%}.",
            soft_wrap=True,
        )


def run(
    cli: Cli,
    since: Annotated[
        str | None, typer.Option(help="Only those that ended on or after this day (YYYY-MM-DD).")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only this reason, such as TIME_EXIT or SIGNAL.")
    ] = None,
) -> Trades:
    """Read the book's round trips from the ledger: first in, first out, every cost in parts."""
    first = day_option("--since", since) or dt.date.min
    trips = [
        one
        for one in _attribution(cli)
        if one.exit_session >= first
        and symbol in (None, one.symbol)
        and reason in (None, one.reason)
    ]
    complete = sum(one.is_complete for one in trips)
    return Trades(
        book=cli.settings.book,
        count=len(trips),
        by_reason=dict(Counter(one.reason or "unknown" for one in trips).most_common()),
        net_result=_sum(one.net_result for one in trips),
        costs=_sum(one.costs for one in trips),
        dividends=_sum(one.entry.dividends for one in trips),
        won=sum(one.net_result > 0 for one in trips),
        complete_share=complete / len(trips) if trips else None,
        trades=tuple(_line(one) for one in trips),
    )


def _attribution(cli: Cli) -> Any:
    from assets.order.lots import attribution_of
    from resources.desk import Desk

    # An installation that never traded has no ledger, and that is no fault.
    if not (cli.settings.paths.ledger / "journal.jsonl").exists():
        return ()
    with Desk(cli.settings) as desk, desk.ledger() as ledger:
        found: Attribution = attribution_of(desk, ledger, cli.settings.book)
    return found.round_trips


def _line(trip: Any) -> dict[str, Any]:
    """As the table has it; money stays text, since JSON's numbers are floats."""
    from assets.audit.closed_trades import closed_row

    return {
        name: format(value, "f") if isinstance(value, Decimal) else _plain(value)
        for name, value in closed_row(trip).items()
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def _sum(amounts: Any) -> str:
    return f"{sum(amounts, start=Decimal(0)):.2f}"


def _short(number: str) -> str:
    """Six significant digits are enough for a line; --json has them all."""
    return f"{float(number):.6g}"
