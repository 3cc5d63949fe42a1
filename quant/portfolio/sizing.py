"""From one signal to the weight it would get on its own: Kelly, scaled and capped.

Belongs here: the size of one position, for one signal (`propose`) and for thousands
(`propose_many`), with the same results. Does not belong here: what positions may be together
(`limits`).

Weights are fractions of equity and depend on signals, never on what is held: the same night gives
the same targets whatever the book looks like.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quant.core.policy import Policy
from quant.market.panel import FloatArray

TRADING_DAYS_A_YEAR = 252

Fraction = Annotated[float, Field(gt=0, le=1)]


class SizingPolicy(Policy):
    """Caps as fractions of equity."""

    # A quarter of what Kelly's formula asks for, and never more than a quarter of equity: the
    # formula believes its inputs, and a forecast's mean is the least certain number of all.
    kelly_fraction: Annotated[float, Field(gt=0, le=0.25)] = 0.25
    # A name that swings more than this a year gets proportionally less.
    volatility_target_annual: Fraction = 0.15
    # At most 2 % of equity is lost between entry and stop (SPEC F2).
    risk_at_stop_max: Annotated[float, Field(gt=0, le=0.02)] = 0.02
    single_position_max: Fraction = 0.10
    gross_max: Fraction = 1.0
    # A smaller change than this share of the target is not worth its cost.
    no_trade_band: Annotated[float, Field(ge=0, le=1)] = 0.20


# What bound a weight, by number; the last of them that had an effect is the one named.
BOUNDS = (
    "kelly",
    "risk_at_stop_max",
    "single_position_max",
    "not_sizeable",
    "positions_max",
    "pair_correlation_max",
    "sector_max",
    "gross_max",
    "frontier",
)
KELLY, RISK_AT_STOP, SINGLE_POSITION, NOT_SIZEABLE = range(4)
POSITIONS, PAIR, SECTOR, GROSS, FRONTIER = range(4, len(BOUNDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A signal to buy."""

    symbol: str
    expected_return: float  # over the horizon
    volatility: float  # of the log return over the horizon
    confidence: float
    cost: float  # of the round trip
    horizon_days: int
    price: float
    stop_price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A desired weight and the rule that bound it."""

    symbol: str
    weight: float
    volatility_annual: float
    bound_by: str


def propose(candidate: Candidate, policy: SizingPolicy, *, multiplier: float = 1.0) -> Target:
    """The weight of one candidate on its own: the obvious form.

    Kelly's fraction of (net return / variance), times confidence, times how calm the name is, times
    the strategy's multiplier; then the caps. What cannot be sized weighs nothing.
    """
    annual = candidate.volatility * math.sqrt(TRADING_DAYS_A_YEAR / candidate.horizon_days)
    loss_at_stop = 1.0 - candidate.stop_price / candidate.price if candidate.price > 0 else 0.0
    variance = candidate.volatility * candidate.volatility
    net = candidate.expected_return - candidate.cost
    numbers = (annual, loss_at_stop, variance, candidate.confidence, multiplier)
    if not (all(0 < number < math.inf for number in numbers) and 0 < net < math.inf):
        return Target(
            symbol=candidate.symbol, weight=0.0, volatility_annual=annual, bound_by="not_sizeable"
        )
    kelly = min(policy.kelly_fraction * (net / variance), policy.kelly_fraction)
    calm = min(policy.volatility_target_annual / annual, 1.0)
    bounds: Mapping[str, float] = {
        "kelly": kelly * min(candidate.confidence, 1.0) * calm * multiplier,
        "risk_at_stop_max": policy.risk_at_stop_max / loss_at_stop,
        "single_position_max": policy.single_position_max,
    }
    bound_by = min(bounds, key=lambda name: bounds[name])
    return Target(
        symbol=candidate.symbol,
        weight=bounds[bound_by],
        volatility_annual=annual,
        bound_by=bound_by,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposals:
    """Weights of many candidates, and the place in `BOUNDS` of what bound each."""

    weight: FloatArray
    volatility_annual: FloatArray
    bound_by: NDArray[np.int8]


def propose_many(
    *,
    expected_return: FloatArray,
    volatility: FloatArray,
    confidence: FloatArray,
    cost: FloatArray,
    price: FloatArray,
    stop_price: FloatArray,
    horizon_days: int,
    policy: SizingPolicy,
    multiplier: float = 1.0,
) -> Proposals:
    """The weights of many candidates at once; the same as `propose` on each."""
    annual = volatility * math.sqrt(TRADING_DAYS_A_YEAR / horizon_days)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore", under="ignore"):
        loss_at_stop = np.where(price > 0, 1.0 - stop_price / price, 0.0)
        variance = volatility * volatility
        net = expected_return - cost
        numbers = (annual, loss_at_stop, variance, confidence, net)
        sound = np.full(len(annual), 0 < multiplier < math.inf)
        for number in numbers:
            sound &= (number > 0) & (number < math.inf)
        kelly = np.minimum(policy.kelly_fraction * (net / variance), policy.kelly_fraction)
        calm = np.minimum(policy.volatility_target_annual / annual, 1.0)
        bounds = np.stack(
            [
                kelly * np.minimum(confidence, 1.0) * calm * multiplier,
                policy.risk_at_stop_max / loss_at_stop,
                np.full(len(annual), policy.single_position_max),
            ]
        )
    which = bounds.argmin(axis=0)
    weight = np.where(sound, bounds[which, np.arange(len(which))], 0.0)
    bound_by = np.where(sound, which, NOT_SIZEABLE).astype(np.int8)
    return Proposals(weight=weight, volatility_annual=annual, bound_by=bound_by)


def needs_trade(*, held: float, wanted: float, policy: SizingPolicy) -> bool:
    """Whether the change of weight is worth making; leaving and entering always are."""
    if wanted == held:
        return False
    if wanted == 0 or held == 0:
        return True
    return abs(wanted - held) > policy.no_trade_band * abs(wanted)
