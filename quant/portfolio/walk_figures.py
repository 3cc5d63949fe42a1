"""What a walk proves: figures before and after the cost gate, and the finding in words.

Belongs here: figures, paired differences and how sure they are. Does not belong here: the walk
itself (`walk`), or printing.

"Before" decides as if trading were free, and pays for it all the same; "after" is the product. The
difference is taken night by night on the same prices, so what both earn from the market falls out.
It is called a difference beyond two standard errors only, and where 19 of 20 bootstrap draws of
half-year blocks have its sign. Whoever starts on another day trades on other days, so the walk is
also begun on each day of a horizon.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quant.market.panel import FloatArray
from quant.portfolio.night import NightPolicies
from quant.portfolio.walk import Path, Prices, nights_of, outlooks_of, scaled, walk_path
from quant.signals.batch import GATES
from quant.signals.costs import BPS, CostPrior
from quant.signals.validator import LAYERS

_YEAR = 252
_T_MIN = 2.0
_BLOCK_SESSIONS = 126
_DRAWS = 2_000
_SEED = 20_040_102


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkFigures:
    """What came of one way of deciding; returns and costs are fractions of equity."""

    decisions: int
    trades: int
    refusals: Mapping[str, int]
    exits: int  # signals to hold nothing
    hit_rate: float | None
    profit_factor: float | None
    mean_trade_return: float | None  # after its costs
    turnover_annual: float
    cost_paid_annual: float
    return_annual: float
    volatility_annual: float
    sharpe: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """Purchases that were made before the gate and are not made after it."""

    trades: int
    mean_return: float | None  # after costs; the gate is right where this is negative
    lost_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Before and after the gate, over one stretch and at one level of costs."""

    name: str
    first: str
    last: str
    cost_multiple: float
    before: WalkFigures
    after: WalkFigures
    spared: Spared
    difference_annual: float  # of the return after costs, after less before
    t_statistic: float | None
    interval_90_annual: tuple[float, float] | None
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingDays:
    """The difference of the whole walk, begun on each day of a horizon."""

    starts: int
    gains: int
    lowest_annual: float
    mean_annual: float
    highest_annual: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkReport:
    """All comparisons, how much the first day matters, and what follows."""

    comparisons: tuple[Comparison, ...]
    starting_days: StartingDays
    summary: str


def walk(
    prices: Prices,
    *,
    costs: CostPrior,
    policies: NightPolicies,
    start: np.datetime64,
    cost_multiples: Sequence[float] = (1.0, 5.0, 20.0),
    on_step: Callable[[], object] = lambda: None,
) -> WalkReport:
    """The first half, the second, the whole; then at higher costs; then from other days.

    `on_step` is called once for each of `steps_of`.
    """
    horizon = policies.edge.horizon_days
    nights = nights_of(prices, start, horizon=horizon)
    outlooks = outlooks_of(prices, nights, horizon=horizon)
    found = []
    for multiple in cost_multiples:
        dear = scaled(costs, multiple)
        before, after = (
            walk_path(prices, outlooks, believed=believed, paid=dear, policies=policies)
            for believed in (None, dear)
        )
        for name, part in _stretches(len(nights)).items():
            if multiple == cost_multiples[0] or name == "all":
                days = [str(prices.sessions[night]) for night in nights[part]]
                found.append(_compare(name, part, multiple, before, after, days, horizon))
        on_step()
    other = _other_starts(prices, start, costs, policies, on_step)
    return WalkReport(comparisons=tuple(found), starting_days=other, summary=summary(found, other))


def steps_of(policies: NightPolicies, *, cost_multiples: int = 3) -> int:
    """How often `walk` calls `on_step`."""
    return cost_multiples + policies.edge.horizon_days


def _stretches(count: int) -> dict[str, slice]:
    half = count // 2
    return {
        "first half": slice(0, half),
        "second half": slice(half, None),
        "all": slice(0, None),
    }


def _other_starts(
    prices: Prices,
    start: np.datetime64,
    costs: CostPrior,
    policies: NightPolicies,
    on_step: Callable[[], object],
) -> StartingDays:
    horizon = policies.edge.horizon_days
    differences = []
    for offset in range(horizon):
        nights = nights_of(prices, start, horizon=horizon, offset=offset)
        outlooks = outlooks_of(prices, nights, horizon=horizon)
        before, after = (
            walk_path(prices, outlooks, believed=believed, paid=costs, policies=policies)
            for believed in (None, costs)
        )
        if nights:
            differences.append(float((after.net - before.net).mean()) * _YEAR / horizon)
        on_step()
    known = differences or [0.0]
    return StartingDays(
        starts=len(differences),
        gains=sum(one > 0 for one in differences),
        lowest_annual=min(known),
        mean_annual=math.fsum(known) / len(known),
        highest_annual=max(known),
    )


def _compare(
    name: str,
    part: slice,
    multiple: float,
    before: Path,
    after: Path,
    days: Sequence[str],
    horizon: int,
) -> Comparison:
    difference = after.net[part] - before.net[part]
    t_statistic = _t(difference)
    annual = float(difference.mean()) * _YEAR / horizon if len(difference) else 0.0
    interval = _interval(difference, horizon) if t_statistic is not None else None
    return Comparison(
        name=name,
        first=days[0] if days else "",
        last=days[-1] if days else "",
        cost_multiple=multiple,
        before=_figures(before, part, horizon),
        after=_figures(after, part, horizon),
        spared=_spared(before, after, part),
        difference_annual=annual,
        t_statistic=t_statistic,
        interval_90_annual=interval,
        finding=finding(annual, t_statistic, interval),
    )


def finding(
    difference_annual: float,
    t_statistic: float | None,
    interval: tuple[float, float] | None = None,
) -> str:
    """What a difference means, without being kinder to the gate than the numbers are."""
    if t_statistic is None:
        return "the gate changed nothing here"
    size = f"{abs(difference_annual):.2%} a year, t = {t_statistic:.1f}"
    spans_zero = interval is not None and interval[0] <= 0 <= interval[1]
    if abs(t_statistic) < _T_MIN or spans_zero:
        way = "gains" if difference_annual > 0 else "costs"
        return f"the gate {way} {size}: not to be told from chance"
    return f"the gate {'helps by' if difference_annual > 0 else 'hurts by'} {size}"


def _t(values: FloatArray) -> float | None:
    if len(values) < 2:
        return None
    deviation = float(values.std(ddof=1))
    if deviation <= 1e-15:
        return None
    return float(values.mean()) / deviation * math.sqrt(len(values))


def _interval(values: FloatArray, horizon: int) -> tuple[float, float]:
    """Nine tenths of the means of circular blocks of half a year, by the year."""
    count, length = len(values), max(1, min(len(values), _BLOCK_SESSIONS // horizon))
    blocks = -(-count // length)
    rng = np.random.default_rng(_SEED)
    starts = rng.integers(0, count, (_DRAWS, blocks, 1))
    places = ((starts + np.arange(length)) % count).reshape(_DRAWS, -1)[:, :count]
    low, high = np.quantile(values[places].mean(axis=1), (0.05, 0.95)) * _YEAR / horizon
    return float(low), float(high)


def _spared(before: Path, after: Path, part: slice) -> Spared:
    gone = before.bought[part] & ~after.bought[part]
    returns = before.trade_returns[part][gone]
    return Spared(
        trades=len(returns),
        mean_return=float(returns.mean()) if len(returns) else None,
        lost_share=float((returns < 0).mean()) if len(returns) else None,
    )


def _figures(path: Path, part: slice, horizon: int) -> WalkFigures:
    periods_a_year = _YEAR / horizon
    net = path.net[part]
    trades = path.trade_returns[part][path.bought[part]]
    won, lost = trades[trades > 0].sum(), -trades[trades < 0].sum()
    refusals = {
        gate: sum(night[gate] for night in path.refusals[part])
        for gate in (*GATES[1:-1], *(layer.value for layer in LAYERS))
    }
    count = len(net)
    volatility = float(net.std(ddof=1)) * math.sqrt(periods_a_year) if count > 1 else 0.0
    annual = float(net.mean()) * periods_a_year if count else 0.0
    return WalkFigures(
        decisions=count * path.decisions_a_night,
        trades=len(trades),
        refusals={gate: number for gate, number in refusals.items() if number},
        exits=int(path.exits[part].sum()),
        hit_rate=float((trades > 0).mean()) if len(trades) else None,
        profit_factor=float(won / lost) if lost > 0 else None,
        mean_trade_return=float(trades.mean()) if len(trades) else None,
        turnover_annual=float(path.traded[part].mean()) * periods_a_year if count else 0.0,
        cost_paid_annual=float(path.cost[part].mean()) * periods_a_year if count else 0.0,
        return_annual=annual,
        volatility_annual=volatility,
        sharpe=annual / volatility if volatility > 0 else None,
    )


def summary(found: Sequence[Comparison], other: StartingDays) -> str:
    """The finding of the whole report: what holds at the shipped costs, out of sample."""
    later = next((one for one in found if one.name == "second half"), None)
    if later is None or not later.first:
        return "there is too little history to say anything"
    spared = later.spared
    said = (
        f"From {later.first} on {later.finding}. It changed the cost paid by "
        f"{(later.after.cost_paid_annual - later.before.cost_paid_annual) / BPS:+.1f} bps a year "
        f"and took away {spared.trades} of {later.before.trades} purchases"
    )
    if spared.mean_return is not None:
        said += f", which would have made {spared.mean_return:+.2%} each after costs"
    return (
        f"{said}. Over all years, begun on each of {other.starts} days, it gained on "
        f"{other.gains} of them, {other.mean_annual:+.2%} a year on average."
    )
