"""What a portfolio looks like after a trade: Sharpe ratio, drawdown, correlation, best size.

Belongs here: the comparison of the night's weights with and without one of them, and EXECUTE or
SKIP with reasons. Does not belong here: the caps that every portfolio must keep (`limits`).

Expected returns are the forecasts'; risk is what the recent past shows. A history with gaps uses
the sessions that every position has; with fewer than two nothing is known, and the trade is
skipped.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from quant.market.panel import FloatArray
from quant.portfolio.limits import ImpactPolicy


class ImpactVerdict(StrEnum):
    """What the analyser advises."""

    EXECUTE = "execute"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """One trade's effect on the portfolio of the night. Ratios are per horizon, not annual."""

    verdict: ImpactVerdict
    reasons: tuple[str, ...]
    sharpe_before: float
    sharpe_after: float
    drawdown_before: float
    drawdown_after: float
    correlation: float
    optimal_weight: float


def analyse_impacts(
    weights: FloatArray,
    expected_returns: FloatArray,
    returns: FloatArray,
    *,
    horizon_days: int,
    policy: ImpactPolicy,
) -> list[Impact]:
    """The impact of each position of a night: everything, against everything without it.

    `returns` are daily log returns, (positions, sessions), of which the recent past is made.
    """
    days = returns[:, np.isfinite(returns).all(axis=0)] if len(returns) else returns
    if days.shape[-1] < 2:
        return [_unknown() for _ in weights]
    own = np.expm1(days)
    whole = weights @ own
    mean = float(weights @ expected_returns)
    after = _sharpe(mean, whole, horizon_days)
    depth = _drawdown(whole)
    return [
        _compare(
            float(weights[i]),
            float(expected_returns[i]),
            own[i],
            whole - weights[i] * own[i],
            mean - float(weights[i] * expected_returns[i]),
            after,
            depth,
            horizon_days,
            policy,
        )
        for i in range(len(weights))
    ]


def _compare(
    weight: float,
    expected: float,
    own: FloatArray,
    rest: FloatArray,
    rest_mean: float,
    sharpe_after: float,
    drawdown_after: float,
    horizon_days: int,
    policy: ImpactPolicy,
) -> Impact:
    before, depth = _sharpe(rest_mean, rest, horizon_days), _drawdown(rest)
    covariance = float(np.cov(own, rest, ddof=1)[0, 1]) * horizon_days
    variance = float(own.var(ddof=1)) * horizon_days
    spread = float(own.std(ddof=1) * rest.std(ddof=1)) * horizon_days
    correlation = covariance / spread if spread > 1e-15 else 0.0
    optimal = optimal_weight(expected, covariance, variance, policy)
    reasons = _reasons(before, sharpe_after, depth, drawdown_after, correlation, optimal, policy)
    return Impact(
        verdict=ImpactVerdict.SKIP if reasons else ImpactVerdict.EXECUTE,
        reasons=reasons or (_praise(weight, optimal, before, sharpe_after),),
        sharpe_before=before,
        sharpe_after=sharpe_after,
        drawdown_before=depth,
        drawdown_after=drawdown_after,
        correlation=correlation,
        optimal_weight=optimal,
    )


def optimal_weight(
    expected: float, covariance: float, variance: float, policy: ImpactPolicy
) -> float:
    """The weight beside the rest that has the highest mean less risk aversion times half the
    variance: (expected / aversion - covariance with the rest) / own variance.
    """
    if variance <= 0:
        return math.nan
    return (expected / policy.risk_aversion - covariance) / variance


def _reasons(
    before: float,
    after: float,
    depth: float,
    depth_after: float,
    correlation: float,
    optimal: float,
    policy: ImpactPolicy,
) -> tuple[str, ...]:
    found = []
    # Losing to a portfolio of nothing is impossible: its ratio is zero, not unknown.
    if not after >= before * (1.0 - policy.sharpe_loss_max_fraction):
        found.append(f"the Sharpe ratio falls from {before:.2f} to {after:.2f}")
    if not depth_after <= depth + policy.drawdown_rise_max_fraction:
        found.append(f"the deepest drawdown grows from {depth:.1%} to {depth_after:.1%}")
    if not correlation <= policy.correlation_max:
        found.append(f"it moves with the rest ({correlation:.2f})")
    if not optimal > 0:
        found.append(f"the best weight beside the rest is {optimal:.1%}")
    return tuple(found)


def _praise(weight: float, optimal: float, before: float, after: float) -> str:
    return (
        f"Sharpe {before:.2f} to {after:.2f}; it weighs {weight:.1%}, "
        f"{optimal:.1%} would be best beside the rest"
    )


def _sharpe(mean: float, daily: FloatArray, horizon_days: int) -> float:
    deviation = float(daily.std(ddof=1)) * math.sqrt(horizon_days)
    return mean / deviation if deviation > 1e-12 else 0.0


def _drawdown(daily: FloatArray) -> float:
    value = np.cumprod(np.concatenate([[1.0], 1.0 + daily]))
    return float((1.0 - value / np.maximum.accumulate(value)).max())


def _unknown() -> Impact:
    nan = math.nan
    return Impact(
        verdict=ImpactVerdict.SKIP,
        reasons=("too little common history to know its effect",),
        sharpe_before=nan,
        sharpe_after=nan,
        drawdown_before=nan,
        drawdown_after=nan,
        correlation=nan,
        optimal_weight=nan,
    )
