"""`pmx decisions report`: the decision rules on years of bundled prices, and what they prove."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.data import day_option
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from quant.portfolio.walk import Comparison, WalkFigures

FIRST = "2004-01-02"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsReport(CommandResult):
    """Comparisons before and after the cost gate, and what follows from them."""

    symbols: int
    finding: str
    caveats: tuple[str, ...]
    comparisons: tuple[Mapping[str, Any], ...]
    found: "tuple[Comparison, ...]"

    def to_json(self) -> dict[str, Any]:
        """Without the values that `comparisons` already tells."""
        names = ("symbols", "finding", "caveats", "comparisons")
        return {name: getattr(self, name) for name in names}

    def render(self, console: Any) -> None:
        """A block a comparison, then the finding."""
        for one in self.found:
            console.print(
                f"{one.name}, {one.first} to {one.last}, costs x {one.cost_multiple:g}",
                markup=False,
            )
            console.print(f"  {'':<22}{'before':>12}{'after':>12}")
            for label, before, after in zip(
                _LABELS, _values(one.before), _values(one.after), strict=True
            ):
                console.print(f"  {label:<22}{before:>12}{after:>12}")
            for gate in sorted({*one.before.refusals, *one.after.refusals}):
                numbers = [f.refusals.get(gate, 0) for f in (one.before, one.after)]
                console.print(f"  {'refused: ' + gate:<22}{numbers[0]:>12,}{numbers[1]:>12,}")
            console.print(f"  {one.finding}\n")
        console.print(self.finding, soft_wrap=True)
        for caveat in self.caveats:
            console.print(f"- {caveat}", soft_wrap=True)


_LABELS = (
    "decisions",
    "trades",
    "hit rate",
    "profit factor",
    "mean trade, net",
    "turnover a year",
    "cost paid a year",
    "return a year, net",
    "Sharpe ratio",
)


def _values(figures: "WalkFigures") -> tuple[str, ...]:
    return (
        f"{figures.decisions:,}",
        f"{figures.trades:,}",
        _percent(figures.hit_rate),
        "-" if figures.profit_factor is None else f"{figures.profit_factor:.2f}",
        _percent(figures.mean_trade_return),
        f"{figures.turnover_annual:.2f}",
        _percent(figures.cost_paid_annual),
        _percent(figures.return_annual),
        "-" if figures.sharpe is None else f"{figures.sharpe:.2f}",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def report(
    cli: Cli,
    first: Annotated[
        str, typer.Option("--from", help="First decision, YYYY-MM-DD.", metavar="DAY")
    ] = FIRST,
) -> DecisionsReport:
    """Walk the decision rules through the bundled prices, before and after the cost gate."""
    import numpy as np

    from quant.market.bars import AssetClass
    from quant.portfolio.limits import LimitsPolicy
    from quant.portfolio.night import NightPolicies
    from quant.portfolio.sizing import SizingPolicy
    from quant.portfolio.walk import summary, walk
    from quant.signals.costs import CostPolicy
    from quant.signals.edge import EdgePolicy
    from quant.signals.validator import ValidationPolicy
    from resources.desk import Desk

    start = day_option("--from", first) or dt.date.fromisoformat(FIRST)
    with Desk(cli.settings) as desk:
        closes, sessions, symbols = bundled_closes(desk)
        found = walk(
            closes,
            sessions,
            symbols,
            costs=desk.policy("costs", CostPolicy).prior_of(AssetClass.US_EQUITY),
            policies=NightPolicies(
                edge=desk.policy("signals", EdgePolicy),
                validation=desk.policy("validation", ValidationPolicy),
                sizing=desk.policy("sizing", SizingPolicy),
                limits=desk.policy("limits", LimitsPolicy),
            ),
            start=np.datetime64(start, "D"),
        )
    return DecisionsReport(
        symbols=len(symbols),
        finding=summary(found),
        caveats=CAVEATS,
        comparisons=tuple(asdict(one) for one in found),
        found=tuple(found),
    )


CAVEATS = (
    "The bundled names are survivors: their level of return is no evidence of skill, only the "
    "difference between before and after is looked at.",
    "The forecast is a yardstick (a year's drift, shrunk), not the product's models.",
    "Costs are the priors of costs.yaml in every year; spreads before 2010 were wider.",
)


def bundled_closes(desk: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """Closes of the twenty bundled names as (symbols, sessions), dividends included."""
    import pandas as pd

    path = desk.sample_folder / "us_equity_adjclose_daily.parquet"
    table = pd.read_parquet(path).pivot(index="symbol", columns="date", values="adj_close")
    days = pd.to_datetime(table.columns).to_numpy().astype("datetime64[D]")
    return table.to_numpy(dtype=float), days, tuple(table.index)
