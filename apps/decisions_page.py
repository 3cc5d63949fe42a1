"""The page of the decision rules' record: tables as they came out, with what they were made of.

Belongs here: `pmx decisions report` as Markdown. Does not belong here: any figure of its own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant.portfolio.walk_figures import Comparison, WalkFigures, WalkReport

LABELS = (
    "decisions",
    "signals to hold nothing",
    "purchases wanted",
    "hit rate",
    "profit factor",
    "mean purchase, net",
    "turnover a year",
    "cost paid a year",
    "return a year, net",
    "Sharpe ratio",
)

_INTRODUCTION = """# What the decision rules did with nineteen years of prices

Written by `pmx decisions report --write`; nothing on this page is edited by hand.

**{summary}**

How it was made: {symbols} bundled stocks, {first} to {last}, one decision a symbol every {horizon}
sessions through the product's own code: signal, cost gate, five layers, sizes, limits. *Before*
decides as if trading were free and pays for it all the same; *after* is the product. Both fill at
the next session's close. *Purchases wanted* are signals to hold a name, each judged over its own
horizon after a whole round trip; what the book pays is for what it turns over.

What it does not prove:
"""

CAVEATS = (
    "The bundled names are survivors: their level of return is no evidence of skill; only the "
    "difference between before and after is looked at.",
    "Each night's forecast is the product's own naive drift, made from the 252 sessions before; "
    "the ensemble that decides in the nightly is not refitted over nineteen years here.",
    "Costs are the priors of costs.yaml in every year; spreads before 2010 were wider. The "
    "comparisons at five and twenty times these costs show what happens then.",
    "Nothing was fitted to these prices, so every session is out of sample; the halves are told "
    "apart because a finding that holds in one alone is worth less.",
    "The 90 % interval is of circular half-year blocks (2,000 draws); t is of the paired "
    "differences, one a horizon.",
)


def page_of(report: "WalkReport", *, symbols: int, horizon_days: int) -> str:
    """Everything that was found, as Markdown."""
    whole = report.comparisons
    start = _INTRODUCTION.format(
        summary=report.summary,
        symbols=symbols,
        first=min(one.first for one in whole),
        last=max(one.last for one in whole),
        horizon=horizon_days,
    )
    parts = [start, *(f"- {caveat}" for caveat in CAVEATS), ""]
    for one in whole:
        parts += _section(one)
    other = report.starting_days
    parts += [
        "## Begun on another day",
        "",
        f"The whole walk at the shipped costs, begun on each of {other.starts} days: the gate "
        f"gained on {other.gains} of them. The difference lies between "
        f"{other.lowest_annual:+.2%} and {other.highest_annual:+.2%} a year, "
        f"{other.mean_annual:+.2%} on average.",
        "",
    ]
    return "\n".join(parts)


def _section(one: "Comparison") -> list[str]:
    lines = [
        f"## {one.name[0].upper()}{one.name[1:]}, costs x {one.cost_multiple:g}",
        "",
        f"{one.first} to {one.last}. {one.finding[0].upper()}{one.finding[1:]}.{interval(one)}",
        "",
        f"{spared(one)}",
        "",
        "| | before | after |",
        "|---|---|---|",
    ]
    lines += [f"| {label} | {before} | {after} |" for label, before, after in rows(one)]
    return [*lines, ""]


def interval(one: "Comparison") -> str:
    """The bootstrap's interval, where there is one."""
    if one.interval_90_annual is None:
        return ""
    low, high = one.interval_90_annual
    return f" 90 % interval of the difference: {low:+.2%} to {high:+.2%} a year."


def spared(one: "Comparison") -> str:
    """What became of the purchases that the gate took away."""
    gone = one.spared
    if gone.mean_return is None or gone.lost_share is None:
        return "It took away no purchase."
    return (
        f"It took away {gone.trades:,} purchases; after costs they would have made "
        f"{gone.mean_return:+.2%} each, and {gone.lost_share:.0%} of them would have lost."
    )


def rows(one: "Comparison") -> list[tuple[str, str, str]]:
    """Label, before, after; the gates last."""
    gates: Sequence[str] = [
        *one.before.refusals,
        *(gate for gate in one.after.refusals if gate not in one.before.refusals),
    ]
    found = list(zip(LABELS, values(one.before), values(one.after), strict=True))
    for gate in gates:
        numbers = [figures.refusals.get(gate, 0) for figures in (one.before, one.after)]
        found.append((f"refused: {gate}", f"{numbers[0]:,}", f"{numbers[1]:,}"))
    return found


def values(figures: "WalkFigures") -> tuple[str, ...]:
    """One for each of `LABELS`."""
    return (
        f"{figures.decisions:,}",
        f"{figures.exits:,}",
        f"{figures.trades:,}",
        _percent(figures.hit_rate),
        _number(figures.profit_factor),
        _percent(figures.mean_trade_return),
        f"{figures.turnover_annual:.2f}",
        _percent(figures.cost_paid_annual),
        _percent(figures.return_annual),
        _number(figures.sharpe),
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
