"""`pmx decisions report`: the decision rules on years of bundled prices, and what they prove."""

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult
from apps.cli.texts import check_new_file
from quant.core.errors import UsageError

if TYPE_CHECKING:
    from quant.portfolio.night import NightPolicies
    from quant.portfolio.walk import Prices
    from quant.portfolio.walk_figures import WalkReport
    from resources.desk import Desk

FIRST = "2004-01-02"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsReport(CommandResult):
    """Comparisons before and after the cost gate, and what follows from them."""

    symbols: int
    report: "WalkReport"
    written: Path | None

    def to_json(self) -> dict[str, Any]:
        """The finding first, then every figure."""
        from apps.decisions_page import CAVEATS

        return {
            "symbols": self.symbols,
            "finding": self.report.summary,
            "caveats": CAVEATS,
            "comparisons": [asdict(one) for one in self.report.comparisons],
            "starting_days": asdict(self.report.starting_days),
            "written": None if self.written is None else str(self.written),
        }

    def render(self, console: Any) -> None:
        """A block a comparison, then the finding."""
        from apps.decisions_page import CAVEATS, interval, rows, spared

        for one in self.report.comparisons:
            head = f"{one.name}, {one.first} to {one.last}, costs x {one.cost_multiple:g}"
            console.print(head, markup=False)
            console.print(f"  {'':<24}{'before':>12}{'after':>12}")
            for label, before, after in rows(one):
                console.print(f"  {label:<24}{before:>12}{after:>12}")
            console.print(f"  {one.finding}.{interval(one)}", soft_wrap=True)
            console.print(f"  {spared(one)}\n", soft_wrap=True)
        console.print(self.report.summary, soft_wrap=True)
        for caveat in CAVEATS:
            console.print(f"- {caveat}", soft_wrap=True)
        if self.written is not None:
            console.print(f"written  {self.written}")


def report(
    cli: Cli,
    first: Annotated[
        str, typer.Option("--from", help="First decision, YYYY-MM-DD.", metavar="DAY")
    ] = FIRST,
    write: Annotated[
        Path | None, typer.Option(help="Write the report as a page (Markdown) as well.")
    ] = None,
) -> DecisionsReport:
    """Walk the decision rules through the bundled prices, before and after the cost gate."""
    import numpy as np

    from apps.decisions_page import page_of
    from quant.market.bars import AssetClass
    from quant.portfolio.walk_figures import steps_of, walk
    from quant.signals.costs import CostPolicy
    from resources.desk import Desk

    start = day(first, option="--from")
    if write is not None:
        check_new_file(write, option="--write")
    with Desk(cli.settings) as desk:
        prices, policies = bundled_prices(desk), night_policies(desk)
        _require_sessions(start, prices)
        costs = desk.policy("costs", CostPolicy).prior_of(AssetClass.US_EQUITY)
    with cli.console.progress("walking", total=steps_of(policies)) as progress:
        found = walk(
            prices,
            costs=costs,
            policies=policies,
            start=np.datetime64(start, "D"),
            on_step=progress.advance,
        )
    symbols = len(prices.symbols)
    if write is not None:
        page = page_of(found, symbols=symbols, horizon_days=policies.edge.horizon_days)
        write.write_text(page, encoding="utf-8")
    return DecisionsReport(symbols=symbols, report=found, written=write)


def _require_sessions(start: dt.date, prices: "Prices") -> None:
    """A walk of nothing would look like a walk that found nothing."""
    first, last = prices.sessions[0].item(), prices.sessions[-1].item()
    if not first <= start < last:
        raise UsageError(
            f"--from holds {start}, and the bundled prices are of {first} to {last}",
            remedy="give a day between",
        )


def night_policies(desk: "Desk") -> "NightPolicies":
    """The policies that the nightly decides by."""
    from quant.portfolio.limits import LimitsPolicy
    from quant.portfolio.night import NightPolicies
    from quant.portfolio.sizing import SizingPolicy
    from quant.signals.edge import EdgePolicy
    from quant.signals.validator import ValidationPolicy

    return NightPolicies(
        edge=desk.policy("signals", EdgePolicy),
        validation=desk.policy("validation", ValidationPolicy),
        sizing=desk.policy("sizing", SizingPolicy),
        limits=desk.policy("limits", LimitsPolicy),
    )


def bundled_prices(desk: "Desk") -> "Prices":
    """Closes of the twenty bundled names as (symbols, sessions), dividends included."""
    import pandas as pd

    from quant.forecasting.policy import ForecastPolicy
    from quant.portfolio.walk import Prices

    path = desk.sample_folder / "us_equity_adjclose_daily.parquet"
    table = pd.read_parquet(path).pivot(index="symbol", columns="date", values="adj_close")
    return Prices(
        closes=table.to_numpy(dtype=float),
        sessions=pd.to_datetime(table.columns).to_numpy().astype("datetime64[D]"),
        symbols=tuple(table.index),
        forecasts=desk.policy("forecasts", ForecastPolicy),
    )
