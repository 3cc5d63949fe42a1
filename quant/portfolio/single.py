"""One decision between nights: a single purchase beside positions that are decided already.

Belongs here: the whole path for one symbol, and the room that the limits leave it. Does not belong
here: a whole night, where all purchases share the room (`night`).

What is held is prepared once (`Beside`), so that each further decision costs microseconds. Others
are not cut to make room: the newcomer takes what is left, and nothing where nothing is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.market.panel import FloatArray
from quant.portfolio.night import NightPolicies
from quant.portfolio.sizing import Candidate, propose
from quant.signals.costs import CostPrior
from quant.signals.generate import Action, Outlook, Signal, decide_signal
from quant.signals.validator import Evidence, Validation, validate

_STILL = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """Positions that are decided already, with what a newcomer is compared with."""

    scaled: FloatArray  # (positions, sessions), each centred and of length one
    basket: FloatArray  # the sum of their centred returns, of length one
    weight: FloatArray
    sector_weight: Mapping[int, float]
    gross: float

    @classmethod
    def of(cls, *, returns: FloatArray, weight: FloatArray, sector: NDArray[np.int64]) -> "Beside":
        """From daily log returns without gaps, (positions, sessions)."""
        centred = returns - returns.mean(axis=1, keepdims=True)
        sectors = {
            int(code): math.fsum(weight[sector == code].tolist()) for code in np.unique(sector)
        }
        return cls(
            scaled=np.array([_of_length_one(row) for row in centred]).reshape(returns.shape),
            basket=_of_length_one(centred.sum(axis=0)),
            weight=weight,
            sector_weight=sectors,
            gross=math.fsum(weight.tolist()),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newcomer:
    """What is known of the symbol; `refused_model` and `switched_off` say why it may not trade."""

    outlook: Outlook
    costs: CostPrior
    returns: FloatArray  # of the same sessions as the positions'
    sector: int
    refused_model: str = ""
    switched_off: str = ""
    is_reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDecision:
    """The signal with its gate, the layers where they were asked, and what to hold."""

    signal: Signal
    validation: Validation | None
    gate: str
    weight: float
    bound_by: str


def decide_one(
    new: Newcomer,
    beside: Beside,
    policies: NightPolicies,
    *,
    trend: float,
    multiplier: float = 1.0,
) -> OneDecision:
    """Signal, cost gate, size, five layers, limits."""
    signal = decide_signal(
        new.outlook,
        policy=policies.edge,
        prior=new.costs,
        refused_model=new.refused_model,
        switched_off=new.switched_off,
        reduce_only=(new.outlook.symbol,) if new.is_reduce_only else (),
    )
    if signal.gate or signal.action is not Action.BUY:
        return OneDecision(
            signal=signal, validation=None, gate=signal.gate, weight=0.0, bound_by="exit"
        )
    target = propose(
        Candidate(
            symbol=signal.symbol,
            expected_return=signal.expected_return,
            volatility=signal.volatility,
            confidence=signal.confidence,
            cost=signal.round_trip_cost,
            horizon_days=policies.edge.horizon_days,
            price=new.outlook.price,
            stop_price=signal.stop_price,
        ),
        policies.sizing,
        multiplier=multiplier,
    )
    enough = len(new.returns) >= policies.limits.correlation_observations_min
    own = _of_length_one(new.returns - new.returns.mean()) if enough else new.returns * math.nan
    validation = validate(
        Evidence(
            probability=signal.probability,
            trend=trend,
            weight=target.weight,
            correlation=_with_basket(own, beside),
            cost=signal.round_trip_cost,
            expected_return=signal.expected_return,
        ),
        policies.validation,
    )
    refused = validation.refused_by
    if refused is not None:
        return OneDecision(
            signal=signal,
            validation=validation,
            gate=refused.layer.value,
            weight=0.0,
            bound_by="exit",
        )
    weight, bound_by = target.weight, target.bound_by
    for name, room in _rooms(own, new.sector, beside, policies):
        if not weight <= room:
            weight, bound_by = max(room, 0.0), name
    return OneDecision(
        signal=signal, validation=validation, gate="", weight=weight, bound_by=bound_by
    )


def _of_length_one(centred: FloatArray) -> FloatArray:
    """A name that never moves stays at zero and is like nothing."""
    length = math.sqrt(float(centred @ centred))
    if length <= _STILL:
        return np.zeros_like(centred)
    return np.asarray(centred / length)


def _with_basket(own: FloatArray, beside: Beside) -> float:
    return float(own @ beside.basket) if len(beside.weight) else 0.0 * float(own @ own)


def _rooms(
    own: FloatArray, sector: int, beside: Beside, policies: NightPolicies
) -> tuple[tuple[str, float], ...]:
    """What each limit leaves; an unknown correlation counts as too high."""
    limits, sizing = policies.limits, policies.sizing
    alike = ~(beside.scaled @ own <= limits.pair_correlation_max)
    like_it = float(beside.weight @ alike)
    held = int(np.count_nonzero(beside.weight))
    whole = min(sizing.gross_max, 1.0 - limits.cash_min_fraction)
    return (
        ("positions_max", math.inf if held < limits.positions_max else 0.0),
        ("pair_correlation_max", sizing.single_position_max - like_it),
        ("sector_max", limits.sector_max - beside.sector_weight.get(sector, 0.0)),
        ("gross_max", whole - beside.gross),
    )
