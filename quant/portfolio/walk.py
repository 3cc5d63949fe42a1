"""Years of decisions on past prices: does the cost gate earn its keep?

Belongs here: the walk itself, its figures, and the finding in words. Does not belong here: reading
prices, or printing.

The forecast is a yardstick, not the product's models: a year's drift shrunk halfway to the mean of
all symbols, and an exponentially weighted deviation. Nothing in it or in the gate was fitted to
these prices, so every session is out of sample for the gate; the two halves are told apart all the
same, since a finding that holds in one of them alone is worth less.

Decisions are made every horizon, so each counts once and trades do not overlap. The book follows
the nightly's rules: a refused purchase leaves what is held alone. A trade's own return pays a whole
round trip; the book pays for what it really turns over.

Missing data: a symbol without a year of returns or without tonight's price has no forecast and is
refused; one that is delisted inside the horizon closes at its last price.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quant.market.panel import DayArray, FloatArray
from quant.portfolio.limits import sector_codes
from quant.portfolio.night import (
    NightDecisions,
    NightPolicies,
    Surroundings,
    decide_night,
    trend_of,
)
from quant.signals.batch import GATES, OutlookBatch
from quant.signals.costs import BPS, IMPACT_BPS_MIN, CostPrior
from quant.signals.validator import LAYERS

_YEAR = 252
_DECAY = 0.94
# Beyond two standard errors is what is called a difference here.
_T_MIN = 2.0


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
class Comparison:
    """Before and after the gate, over one stretch and at one level of costs."""

    name: str
    first: str
    last: str
    cost_multiple: float
    before: WalkFigures
    after: WalkFigures
    difference_annual: float  # of the return after costs, after less before
    t_statistic: float | None
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """What one way of deciding did, by period and by trade."""

    net: FloatArray  # returns of the book by period
    cost: FloatArray
    traded: FloatArray  # one-way turnover by period
    trade_returns: list[FloatArray]  # after costs, by period
    refusals: list[Mapping[str, int]]
    decisions: NDArray[np.int64]
    exits: NDArray[np.int64]


def walk(
    closes: FloatArray,
    sessions: DayArray,
    symbols: Sequence[str],
    *,
    costs: CostPrior,
    policies: NightPolicies,
    start: np.datetime64,
    cost_multiples: Sequence[float] = (1.0, 5.0, 20.0),
) -> list[Comparison]:
    """Before and after the gate: the first half, the second, the whole; then at higher costs.

    "Before" decides as if trading were free, and pays for it all the same.
    """
    nights = _nights(sessions, start, policies.edge.horizon_days)
    outlooks = [_outlook(closes, night) for night in nights]
    half = len(nights) // 2
    stretches = {
        "first half": slice(0, half),
        "second half": slice(half, None),
        "all": slice(0, None),
    }
    found = []
    for multiple in cost_multiples:
        dear = scaled(costs, multiple)
        paths = [
            _walk(closes, nights, outlooks, symbols, price, dear, policies)
            for price in (None, dear)
        ]
        for name, part in stretches.items():
            if multiple == cost_multiples[0] or name == "all":
                found.append(_compare(name, part, multiple, paths, nights, sessions, policies))
    return found


def scaled(costs: CostPrior, multiple: float) -> CostPrior:
    """All parts of the costs, `multiple` times."""
    return CostPrior(**{name: value * multiple for name, value in costs.model_dump().items()})


def _nights(sessions: DayArray, start: np.datetime64, horizon: int) -> list[int]:
    """Columns of the decisions: every horizon, as long as the whole horizon lies in the data."""
    first = max(int(np.searchsorted(sessions, start)), _YEAR)
    return list(range(first, len(sessions) - horizon, horizon))


def _outlook(closes: FloatArray, night: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Daily returns of the year before, drift and deviation; only columns up to `night`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(closes[:, night - _YEAR : night + 1])
    returns = np.diff(logs, axis=1)
    drift = returns.mean(axis=1)  # NaN where any day is missing
    known = np.isfinite(drift)
    middle = drift[known].mean() if known.any() else 0.0
    weights = _DECAY ** np.arange(_YEAR - 1, -1, -1)
    deviation = np.sqrt((returns**2 * weights).sum(axis=1) / weights.sum())
    return returns, (drift + middle) / 2.0, deviation


def _walk(
    closes: FloatArray,
    nights: Sequence[int],
    outlooks: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
    symbols: Sequence[str],
    believed: CostPrior | None,
    paid: CostPrior,
    policies: NightPolicies,
) -> _Path:
    """Decide with the believed costs (None: free), settle with those that are paid."""
    if believed is None:
        free = policies.edge.model_copy(update={"expected_return_bps_min": 0.0})
        policies = replace(policies, edge=free)
    sector = sector_codes(symbols, policies.limits.sectors)
    one_way = paid.round_trip / 2.0
    held = np.zeros(len(symbols))
    net, cost, traded, trades, refusals = [], [], [], [], []
    decisions, exits = [], []
    for night, (returns, drift, deviation) in zip(nights, outlooks, strict=True):
        batch = _batch(closes[:, night], drift, deviation, believed, policies.edge.horizon_days)
        around = Surroundings(
            returns=returns[:, -policies.validation.correlation_window_sessions :],
            trend=trend_of(returns, window_sessions=policies.validation.trend_window_sessions),
            sector=sector,
        )
        decided = decide_night(batch, around, policies)
        weight = _after_orders(decided, held, policies)
        ahead = _ahead(closes, night, policies.edge.horizon_days)
        turned = float(np.abs(weight - held).sum())
        gross = float(weight @ ahead)
        net.append(gross - turned * one_way)
        cost.append(turned * one_way)
        traded.append(turned / 2.0)
        trades.append(ahead[decided.weight > 0] - paid.round_trip)
        refusals.append(_refused(decided))
        decisions.append(len(weight))
        exits.append(int((~decided.signals.is_buy & (decided.signals.gate == 0)).sum()))
        # What is held drifts with its prices until the next decision.
        held = weight * (1.0 + ahead) / (1.0 + gross)
    return _Path(
        net=np.array(net),
        cost=np.array(cost),
        traded=np.array(traded),
        trade_returns=trades,
        refusals=refusals,
        decisions=np.array(decisions),
        exits=np.array(exits),
    )


def _after_orders(decided: NightDecisions, held: FloatArray, policies: NightPolicies) -> FloatArray:
    """What the book holds once the night's orders are filled, by the rules of the nightly run.

    A refusal leaves what is held alone, an exit leaves, a change inside the band is not made, and
    purchases share what cash there is.
    """
    wanted = decided.weight
    is_refused = decided.signals.gate != 0
    entering_or_leaving = (wanted == 0) | (held == 0)
    is_small = np.abs(wanted - held) <= policies.sizing.no_trade_band * wanted
    keeps = is_refused | (is_small & ~entering_or_leaving)
    target = np.where(keeps, held, wanted)
    bought = np.maximum(target - held, 0.0)
    cash = 1.0 - policies.limits.cash_min_fraction - float((target - bought).sum())
    needed = float(bought.sum())
    share = 1.0 if needed <= max(cash, 0.0) else max(cash, 0.0) / needed
    return np.asarray(target - bought * (1.0 - share))


def _batch(
    price: FloatArray,
    drift: FloatArray,
    deviation: FloatArray,
    costs: CostPrior | None,
    horizon: int,
) -> OutlookBatch:
    # Free but for the floor of impact, below which no cost is believed.
    free = CostPrior(spread_bps=0, slippage_bps=0, fee_bps=0, impact_bps=IMPACT_BPS_MIN)
    parts = (costs or free).model_dump()
    return OutlookBatch(
        mean=drift * horizon,
        std=deviation * math.sqrt(horizon),
        price=price,
        barred=np.zeros(len(price), dtype=np.int8),
        **{name: np.full(len(price), value) for name, value in parts.items()},
    )


def _ahead(closes: FloatArray, night: int, horizon: int) -> FloatArray:
    """Simple returns to the end of the horizon, or to the last price before it."""
    window = closes[:, night : night + horizon + 1]
    last = np.where(np.isfinite(window), np.arange(window.shape[1]), 0).max(axis=1)
    end = window[np.arange(len(window)), last]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nan_to_num(end / window[:, 0] - 1.0))


def _refused(decided: NightDecisions) -> Mapping[str, int]:
    """By gate; what the layers refused stands under the first layer that did."""
    gates = {
        name: int((decided.signals.gate == code).sum())
        for code, name in enumerate(GATES)
        if name not in ("", "validator")
    }
    return gates | decided.validation.refused_by()


def _compare(
    name: str,
    part: slice,
    multiple: float,
    paths: Sequence[_Path],
    nights: Sequence[int],
    sessions: DayArray,
    policies: NightPolicies,
) -> Comparison:
    before, after = paths
    horizon = policies.edge.horizon_days
    difference = after.net[part] - before.net[part]
    t_statistic = _t(difference)
    annual = float(difference.mean()) * _YEAR / horizon if len(difference) else 0.0
    columns = nights[part]
    return Comparison(
        name=name,
        first=str(sessions[columns[0]]) if columns else "",
        last=str(sessions[columns[-1]]) if columns else "",
        cost_multiple=multiple,
        before=_figures(before, part, horizon),
        after=_figures(after, part, horizon),
        difference_annual=annual,
        t_statistic=t_statistic,
        finding=finding(annual, t_statistic),
    )


def finding(difference_annual: float, t_statistic: float | None) -> str:
    """What a difference means, without being kinder to the gate than the numbers are."""
    if t_statistic is None:
        return "the gate changed nothing here"
    size = f"{abs(difference_annual):.2%} a year, t = {t_statistic:.1f}"
    if abs(t_statistic) < _T_MIN:
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


def _figures(path: _Path, part: slice, horizon: int) -> WalkFigures:
    periods_a_year = _YEAR / horizon
    net, pieces = path.net[part], path.trade_returns[part]
    trades = np.concatenate(pieces) if pieces else np.zeros(0)
    won, lost = trades[trades > 0].sum(), -trades[trades < 0].sum()
    refusals = {
        gate: sum(night[gate] for night in path.refusals[part])
        for gate in (*GATES[1:-1], *(layer.value for layer in LAYERS))
    }
    count = len(net)
    volatility = float(net.std(ddof=1)) * math.sqrt(periods_a_year) if count > 1 else 0.0
    annual = float(net.mean()) * periods_a_year if count else 0.0
    return WalkFigures(
        decisions=int(path.decisions[part].sum()),
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


def summary(found: Sequence[Comparison]) -> str:
    """The finding of the whole report: what holds at the shipped costs, out of sample."""
    later = next((one for one in found if one.name == "second half"), None)
    if later is None:
        return "there is too little history to say anything"
    gone = later.before.trades - later.after.trades
    saved = (later.before.cost_paid_annual - later.after.cost_paid_annual) / BPS
    return (
        f"From {later.first} on {later.finding}. It took away {gone} of {later.before.trades} "
        f"trades and changed the cost paid by {-saved:+.1f} bps a year."
    )
