"""A whole night of decisions at once: signals, cost gate, five layers, sizes, limits.

Belongs here: the order of the steps, on arrays of any number of symbols. Does not belong here: the
steps themselves (quant.signals, `sizing`, `limits`), or where the inputs come from.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quant.market.panel import FloatArray
from quant.portfolio.limits import Limited, LimitsPolicy, apply_limits
from quant.portfolio.sizing import Proposals, SizingPolicy, propose_many
from quant.signals.batch import (
    EDGE,
    PASSED,
    VALIDATOR,
    BoolArray,
    OutlookBatch,
    SignalBatch,
    decide_signals,
)
from quant.signals.edge import EdgePolicy
from quant.signals.validator import (
    EvidenceBatch,
    ValidationBatch,
    ValidationPolicy,
    validate_many,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPolicies:
    """Every number that a person decided and that a night obeys."""

    edge: EdgePolicy = field(default_factory=EdgePolicy)
    validation: ValidationPolicy = field(default_factory=ValidationPolicy)
    sizing: SizingPolicy = field(default_factory=SizingPolicy)
    limits: LimitsPolicy = field(default_factory=LimitsPolicy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What a night's decisions share: the recent past, the market's trend, the multiplier."""

    # Daily log returns, (symbols, sessions), newest last; NaN where a symbol had none.
    returns: FloatArray
    trend: float
    sector: NDArray[np.int64]
    multiplier: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NightDecisions:
    """One row a symbol; `rows` are the places of the purchases that the layers looked at."""

    signals: SignalBatch
    rows: NDArray[np.intp]
    validation: ValidationBatch
    proposals: Proposals
    limited: Limited

    @property
    def weight(self) -> FloatArray:
        """What to hold; zero for a refused purchase and for a signal to hold nothing."""
        return self.limited.weight


def decide_night(
    outlooks: OutlookBatch, around: Surroundings, policies: NightPolicies
) -> NightDecisions:
    """Every step of a night for all symbols of one strategy."""
    signals = decide_signals(outlooks, policies.edge)
    proposals = propose_many(
        expected_return=signals.expected_return,
        volatility=signals.volatility,
        confidence=signals.confidence,
        cost=signals.round_trip_cost,
        price=outlooks.price,
        stop_price=signals.stop_price,
        horizon_days=policies.edge.horizon_days,
        policy=policies.sizing,
        multiplier=around.multiplier,
    )
    rows = np.flatnonzero(signals.is_entry)
    alike = basket_correlations(
        around.returns,
        wanted_of(signals),
        observations_min=policies.limits.correlation_observations_min,
    )
    validation = validate_many(
        EvidenceBatch(
            probability=signals.probability[rows],
            trend=np.full(len(rows), around.trend),
            weight=proposals.weight[rows],
            correlation=alike[rows],
            cost=signals.round_trip_cost[rows],
            expected_return=signals.expected_return[rows],
        ),
        policies.validation,
    )
    gate = signals.gate.copy()
    gate[rows[~validation.is_approved]] = VALIDATOR
    signals = replace(signals, gate=gate)
    limited = apply_limits(
        np.where(signals.is_entry, proposals.weight, 0.0),
        bound_by=proposals.bound_by,
        priority=signals.priority,
        sector=around.sector,
        returns=around.returns,
        policy=policies.limits,
        sizing=policies.sizing,
    )
    return NightDecisions(
        signals=signals, rows=rows, validation=validation, proposals=proposals, limited=limited
    )


def wanted_of(signals: SignalBatch) -> BoolArray:
    """Purchases that somebody would make if trading were free.

    The basket of a night is made of these, so that what trading costs does not change who a
    purchase is compared with.
    """
    return np.asarray(signals.is_buy & ((signals.gate == PASSED) | (signals.gate == EDGE)))


def basket_correlations(
    returns: FloatArray, wanted: BoolArray, *, observations_min: int
) -> FloatArray:
    """Each symbol's correlation with the equal-weight basket of the other wanted ones.

    Zero where there is no other, NaN where the history is too short to know. One product for all:
    with the sum S of the wanted, the basket beside symbol i is S - r_i.
    """
    out = np.full(len(returns), np.nan)
    if returns.shape[1] < observations_min:
        return out
    known = np.isfinite(returns).all(axis=1)
    centred = returns - returns.mean(axis=1, keepdims=True)
    members = wanted & known
    total = centred[members].sum(axis=0)
    own = np.einsum("ij,ij->i", centred, centred)
    with_total = centred @ total
    inside = np.where(members, 1.0, 0.0)
    covariance = with_total - inside * own
    variance = float(total @ total) - inside * (2.0 * with_total - own)
    scale = np.sqrt(np.maximum(own * variance, 0.0))
    others = members.sum() - members
    moves = scale > 1e-15
    np.divide(covariance, scale, out=out, where=moves)
    # A symbol that never moves, or nothing to compare with, is like nothing.
    out[known & (~moves | (others == 0))] = 0.0
    for row in np.flatnonzero(~known):
        out[row] = _with_gaps(returns[row], total, observations_min)
    return np.asarray(np.clip(out, -1.0, 1.0), dtype=float)


def _with_gaps(own: FloatArray, total: FloatArray, observations_min: int) -> float:
    """A symbol with gaps is no member of the basket, so the whole basket is its measure."""
    days = np.isfinite(own)
    if days.sum() < observations_min:
        return np.nan
    mine, basket = own[days] - own[days].mean(), total[days] - total[days].mean()
    scale = float(np.sqrt((mine @ mine) * (basket @ basket)))
    return float(mine @ basket) / scale if scale > 1e-15 else 0.0


def trend_of(returns: FloatArray, *, window_sessions: int) -> float:
    """The market's trend: the sum of its mean daily returns over their deviation times root n.

    The market is the equal-weight mean of the symbols that have a return that day. NaN before half
    the window is there.
    """
    recent = returns[:, -window_sessions:]
    count = np.isfinite(recent).sum(axis=0)
    days = count > 0
    if days.sum() < max(2, window_sessions // 2):
        return float("nan")
    market = np.nansum(recent[:, days], axis=0) / count[days]
    deviation = float(market.std(ddof=1)) * float(np.sqrt(len(market)))
    return float(market.sum()) / deviation if deviation > 1e-15 else 0.0
