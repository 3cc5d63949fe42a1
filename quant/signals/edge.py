"""The edge gate: trade only where the expected return pays for the trade, with room to spare."""

from typing import Annotated

from pydantic import Field

from quant.core.policy import Policy
from quant.signals.costs import BPS


class EdgePolicy(Policy):
    """How much return a trade must promise, and over which horizon it is measured."""

    horizon_days: Annotated[int, Field(ge=1, le=20)] = 20
    expected_return_bps_min: Annotated[float, Field(ge=0)] = 30.0
    cost_multiple_min: Annotated[float, Field(ge=1)] = 1.25
    # A stop this many horizon standard deviations away, a target twice as far.
    stop_deviations: Annotated[float, Field(gt=0)] = 2.0
    long_only: bool = True
    # Confidence is this share of the edge's own score; the rest is the chance to earn the cost.
    edge_weight: Annotated[float, Field(ge=0, le=1)] = 0.40
    # The annual volatility that counts as the whole of risk when signals are put in order.
    risk_volatility_annual: Annotated[float, Field(gt=0, le=10)] = 1.0


def required_return(round_trip_cost: float, policy: EdgePolicy) -> float:
    """The return below which a trade is refused: the floor, or the multiple of its own cost."""
    floor = policy.expected_return_bps_min * BPS
    return max(floor, policy.cost_multiple_min * round_trip_cost)
