"""From forecasts to signals: an action or a refusal for every symbol, with the arithmetic kept.

Missing data: a symbol without a finite forecast or price gets a refusal at the gate `forecast`,
never silence and never a zero. The order of the gates is the order of the checks below.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from quant.signals.costs import BPS, CostPrior
from quant.signals.edge import EdgePolicy, required_return


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
    confidence: float
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
    reduce_only: Collection[str] = (),
) -> Signal:
    """The signal of one symbol; `refused_model` is the reason why its model may not trade."""
    required = required_return(prior.round_trip, policy)
    if not (math.isfinite(outlook.mean) and outlook.std > 0 and outlook.price > 0):
        return _refuse(outlook, prior, required, "forecast", "no usable forecast or price")
    expected = math.expm1(outlook.mean)
    action, gate, reason = _side(expected, required, policy)
    if refused_model:
        gate, reason = "verdict", refused_model
    elif action is Action.BUY and outlook.symbol in reduce_only:
        gate, reason = "data_quality", "its data is in quarantine: positions may only shrink"
    stop, target = _exits(outlook, action, policy)
    return Signal(
        symbol=outlook.symbol,
        action=action,
        expected_return=expected,
        volatility=outlook.std,
        confidence=_confidence(outlook, prior.round_trip, action),
        round_trip_cost=prior.round_trip,
        required_return=required,
        stop_price=stop,
        target_price=target,
        gate=gate,
        reason=reason,
    )


def _side(expected: float, required: float, policy: EdgePolicy) -> tuple[Action, str, str]:
    if expected <= 0:
        # Long-only: a fall expected is a reason to hold nothing, which costs no edge to do.
        return Action.SELL, "", ""
    if expected < required:
        return (
            Action.BUY,
            "edge",
            f"expects {expected / BPS:.0f} bps over {policy.horizon_days} days, "
            f"{required / BPS:.0f} bps are required",
        )
    return Action.BUY, "", ""


def _confidence(outlook: Outlook, cost: float, action: Action) -> float:
    """The chance that the move pays its cost, under the forecast's own normal distribution."""
    hurdle = math.log1p(cost)
    side = 1.0 if action is Action.BUY else -1.0
    return 0.5 * math.erfc(-(side * outlook.mean - hurdle) / (outlook.std * math.sqrt(2.0)))


def _exits(outlook: Outlook, action: Action, policy: EdgePolicy) -> tuple[float, float]:
    distance = policy.stop_deviations * outlook.std
    side = 1.0 if action is Action.BUY else -1.0
    stop = outlook.price * math.exp(-side * distance)
    target = outlook.price * math.exp(2.0 * side * distance)
    return stop, target


def _refuse(outlook: Outlook, prior: CostPrior, required: float, gate: str, reason: str) -> Signal:
    return Signal(
        symbol=outlook.symbol,
        action=Action.NONE,
        expected_return=math.nan,
        volatility=math.nan,
        confidence=math.nan,
        round_trip_cost=prior.round_trip,
        required_return=required,
        stop_price=math.nan,
        target_price=math.nan,
        gate=gate,
        reason=reason,
    )
