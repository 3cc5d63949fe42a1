"""From signals to desired weights: scaled by volatility, capped by what a stop may cost.

Weights are fractions of equity and depend on signals alone, never on what is held: the same night
gives the same targets whatever the book looks like.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from quant.core.policy import Policy
from quant.market.frontier import FrontierPolicy, cap_frontier_weights

TRADING_DAYS_A_YEAR = 252

Fraction = Annotated[float, Field(gt=0, le=1)]


class SizingPolicy(Policy):
    """Caps as fractions of equity."""

    # Each position is sized to contribute this much annual volatility on its own.
    position_volatility_annual: Fraction = 0.02
    # At most 2 % of equity is lost between entry and stop (SPEC F2).
    risk_at_stop_max: Fraction = 0.02
    single_position_max: Fraction = 0.10
    gross_max: Fraction = 1.0
    # A smaller change than this share of the target is not worth its cost.
    no_trade_band: Annotated[float, Field(ge=0, le=1)] = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A signal that passed its gates."""

    symbol: str
    volatility: float  # of the log return over the horizon
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


def size_targets(candidates: list[Candidate], policy: SizingPolicy) -> list[Target]:
    """Weights of all candidates of one night, scaled down together where they exceed the cap."""
    targets = [_size_one(candidate, policy) for candidate in candidates]
    gross = sum(target.weight for target in targets)
    if gross <= policy.gross_max:
        return targets
    share = policy.gross_max / gross
    return [
        Target(
            symbol=target.symbol,
            weight=target.weight * share,
            volatility_annual=target.volatility_annual,
            bound_by="gross_max",
        )
        for target in targets
    ]


def _size_one(candidate: Candidate, policy: SizingPolicy) -> Target:
    annual = candidate.volatility * math.sqrt(TRADING_DAYS_A_YEAR / candidate.horizon_days)
    loss_at_stop = 1.0 - candidate.stop_price / candidate.price
    if not (annual > 0 and math.isfinite(annual) and loss_at_stop > 0):
        return Target(
            symbol=candidate.symbol, weight=0.0, volatility_annual=annual, bound_by="not_sizeable"
        )
    bounds: Mapping[str, float] = {
        "volatility": policy.position_volatility_annual / annual,
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


def cap_frontier(targets: list[Target], policy: FrontierPolicy) -> list[Target]:
    """The targets with frontier positions cut to the caps of their exchange and of all of them."""
    capped = cap_frontier_weights({target.symbol: target.weight for target in targets}, policy)
    return [
        target
        if capped[target.symbol] == target.weight
        else replace(target, weight=capped[target.symbol], bound_by="frontier")
        for target in targets
    ]


def needs_trade(*, held: float, wanted: float, policy: SizingPolicy) -> bool:
    """Whether the change of weight is worth making; leaving and entering always are."""
    if wanted == held:
        return False
    if wanted == 0 or held == 0:
        return True
    return abs(wanted - held) > policy.no_trade_band * abs(wanted)
