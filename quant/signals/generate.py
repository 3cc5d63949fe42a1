"""From forecasts to signals: an action or a refusal for every symbol, with the arithmetic kept.

Missing data: a symbol without a finite forecast or price gets a refusal at the gate `forecast`,
never silence and never a zero. The order of the gates is the order of the checks below. The same
rule for thousands of symbols at once is in `batch`, and gives the same numbers.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from quant.signals.costs import BPS, CostPrior
from quant.signals.edge import EdgePolicy, required_return

SESSIONS_A_YEAR = 252
# Of a signal's place in the queue, this share is its confidence; the rest is how little it risks.
PRIORITY_CONFIDENCE = 0.6
# A log return beyond this is no forecast; exp of it would overflow before anybody could refuse it.
_LOG_RETURN_MAX = 20.0


class Action(StrEnum):
    """What a signal asks for."""

    BUY = "buy"  # hold a long position
    SELL = "sell"  # hold none (long-only), or a short one where that is allowed
    NONE = "none"  # refused before a side was chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the models say of one symbol over the horizon, and what stands in the way."""

    symbol: str
    mean: float  # expected log return over the horizon
    std: float  # its standard deviation
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One decision before sizing. `gate` is empty where nothing refused it."""

    symbol: str
    action: Action
    expected_return: float
    volatility: float
    probability: float  # that the move pays its cost, under the forecast's own distribution
    confidence: float
    risk: float
    priority: float
    spread_bps: float
    slippage_bps: float
    fee_bps: float
    impact_bps: float
    round_trip_cost: float
    required_return: float
    stop_price: float
    target_price: float
    gate: str
    reason: str


def decide_signal(
    outlook: Outlook,
    *,
    policy: EdgePolicy,
    prior: CostPrior,
    refused_model: str = "",
    switched_off: str = "",
    reduce_only: Collection[str] = (),
) -> Signal:
    """The signal of one symbol; `refused_model` is the reason why its model may not trade."""
    cost = prior.round_trip
    required = required_return(cost, policy)
    if not is_usable(outlook.mean, outlook.std, outlook.price):
        return _refuse(outlook, prior, required)
    expected = math.expm1(outlook.mean)
    action = Action.BUY if expected > 0 else Action.SELL
    gate, reason = _edge(expected, required, policy)
    if switched_off:
        gate, reason = "flag", switched_off
    elif refused_model:
        gate, reason = "verdict", refused_model
    elif action is Action.BUY and outlook.symbol in reduce_only:
        gate, reason = "data_quality", "its data is in quarantine: positions may only shrink"
    side = 1.0 if action is Action.BUY else -1.0
    chance = probability(side * outlook.mean, outlook.std, cost)
    sure = confidence(side * expected, chance, cost, required, policy)
    risk = risk_of(outlook.std, policy)
    stop, target = _exits(outlook, side, policy)
    return Signal(
        symbol=outlook.symbol,
        action=action,
        expected_return=expected,
        volatility=outlook.std,
        probability=chance,
        confidence=sure,
        risk=risk,
        priority=priority(sure, risk),
        **_parts(prior),
        round_trip_cost=cost,
        required_return=required,
        stop_price=stop,
        target_price=target,
        gate=gate,
        reason=reason,
    )


def is_usable(mean: float, std: float, price: float) -> bool:
    """Whether a forecast and a price can be decided on; NaN and infinities cannot."""
    return abs(mean) <= _LOG_RETURN_MAX and 0 < std <= _LOG_RETURN_MAX and 0 < price < math.inf


def probability(gain: float, std: float, cost: float) -> float:
    """The chance that a log return of mean `gain` beats the cost, if it is normal."""
    return 0.5 * math.erfc((math.log1p(cost) - gain) / (std * math.sqrt(2.0)))


def confidence(
    expected: float, chance: float, cost: float, required: float, policy: EdgePolicy
) -> float:
    """A composite of the edge (0 without one, 1/2 where what is left equals what is required)
    and of the chance to earn the cost.
    """
    net = max(expected - cost, 0.0)
    total = net + required
    edge = net / total if total > 0 else 0.0
    return policy.edge_weight * edge + (1.0 - policy.edge_weight) * chance


def risk_of(std: float, policy: EdgePolicy) -> float:
    """Annual volatility on a scale from 0 to 1."""
    annual = std * math.sqrt(SESSIONS_A_YEAR / policy.horizon_days)
    return min(annual / policy.risk_volatility_annual, 1.0)


def priority(sure: float, risk: float) -> float:
    """A signal's place in the queue, the highest first (SPEC E4)."""
    return PRIORITY_CONFIDENCE * sure + (1.0 - PRIORITY_CONFIDENCE) * (1.0 - risk)


def _edge(expected: float, required: float, policy: EdgePolicy) -> tuple[str, str]:
    # Long-only: a fall expected is a reason to hold nothing, which costs no edge to do.
    if expected <= 0 or expected >= required:
        return "", ""
    return "edge", (
        f"expects {expected / BPS:.0f} bps over {policy.horizon_days} days, "
        f"{required / BPS:.0f} bps are required"
    )


def _exits(outlook: Outlook, side: float, policy: EdgePolicy) -> tuple[float, float]:
    distance = policy.stop_deviations * outlook.std
    stop = outlook.price * math.exp(-side * distance)
    target = outlook.price * math.exp(2.0 * side * distance)
    return stop, target


def _parts(prior: CostPrior) -> dict[str, float]:
    return {
        "spread_bps": prior.spread_bps,
        "slippage_bps": prior.slippage_bps,
        "fee_bps": prior.fee_bps,
        "impact_bps": prior.impact_bps,
    }


def _refuse(outlook: Outlook, prior: CostPrior, required: float) -> Signal:
    return Signal(
        symbol=outlook.symbol,
        action=Action.NONE,
        expected_return=math.nan,
        volatility=math.nan,
        probability=math.nan,
        confidence=math.nan,
        risk=math.nan,
        priority=math.nan,
        **_parts(prior),
        round_trip_cost=prior.round_trip,
        required_return=required,
        stop_price=math.nan,
        target_price=math.nan,
        gate="forecast",
        reason="no usable forecast or price",
    )
