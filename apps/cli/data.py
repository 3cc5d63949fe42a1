"""`pmx data quality`: what the rules found in the data, row by row."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult
from quant.market.bars import Basis
from quant.market.quality_rules import Severity

if TYPE_CHECKING:
    from resources.desk import Desk

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that broke one rule."""

    symbol: str
    basis: str
    session: dt.date | None
    rule: str
    severity: str
    column: str
    value: float | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality(CommandResult):
    """Every finding that matches, and how many there are of each rule."""

    findings: tuple[Finding, ...]
    by_rule: dict[str, int]
    docs: Path | None

    def render(self, console: Any) -> None:
        """One line a finding, newest last, then the sums."""
        for one in self.findings[-_SHOWN:]:
            console.print(
                f"{one.session} {one.symbol:<10} {one.severity:<8} {one.message}", soft_wrap=True
            )
        if len(self.findings) > _SHOWN:
            console.print(f"(the newest {_SHOWN} of them; --json lists all)")
        if not self.findings:
            console.print("No finding matches.")
        for rule, count in self.by_rule.items():
            console.print(f"{count:>7}  {rule}")
        if self.docs:
            console.print(f"Pages: {self.docs}", soft_wrap=True)


def quality(
    cli: Cli,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this day on (YYYY-MM-DD).")] = None,
    basis: Annotated[Basis | None, typer.Option(help="Only prices of this basis.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only findings this severe.")] = None,
    docs: Annotated[
        bool, typer.Option("--docs", help="Judge every table now and write pages about it.")
    ] = False,
) -> DataQuality:
    """List the findings on record; with --docs also write the pages."""
    from resources.desk import Desk

    first = day_option("--since", since)
    with Desk(cli.settings) as desk:
        page = _write_docs(cli, desk) if docs else None
        found = _findings(desk, symbol=symbol, since=first, basis=basis, severity=severity)
    rules = Counter(one.rule for one in found)
    return DataQuality(findings=found, by_rule=dict(rules.most_common()), docs=page)


def day_option(name: str, text: str | None) -> dt.date | None:
    """An option's day, or None when it was not given."""
    if text is None:
        return None
    return day(text, option=name)


def _write_docs(cli: Cli, desk: "Desk") -> Path:
    from apps.data_docs import BAR_SUITES, TABLE_SUITES, write_data_docs

    total = len(BAR_SUITES) + len(TABLE_SUITES) + 1
    with cli.console.progress("judging tables", total=total) as progress:
        return write_data_docs(desk, lambda words: progress.advance(note=words))


def _findings(
    desk: "Desk",
    *,
    symbol: str | None,
    since: dt.date | None,
    basis: Basis | None,
    severity: Severity | None,
) -> tuple[Finding, ...]:
    filters = {
        "symbol = ?": symbol.upper() if symbol else None,
        "session >= ?": since,
        "basis = ?": basis and str(basis),
        "severity = ?": severity and str(severity),
    }
    given = {clause: value for clause, value in filters.items() if value is not None}
    where = f"WHERE {' AND '.join(given)} " if given else ""
    rows = desk.warehouse.rows(
        "SELECT symbol, basis, session, rule, severity, column_name, "
        f"try_cast(value AS DOUBLE), message FROM clean.findings {where}"
        "ORDER BY session, symbol, basis, rule",
        list(given.values()),
    )
    names = ("symbol", "basis", "session", "rule", "severity", "column", "value", "message")
    return tuple(Finding(**dict(zip(names, row, strict=True))) for row in rows)
