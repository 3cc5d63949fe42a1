"""How much of the usual size a strategy gets while it is unproven, doubted or proven.

Belongs here: the multipliers of SPEC F2 and the streaks that move them. Does not belong here: the
size itself (`sizing`), or the capital tiers of an account.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from quant.core.policy import Policy

Multiplier = Annotated[float, Field(gt=0, le=2)]
Streak = Annotated[int, Field(ge=1, le=50)]


class CapitalPolicy(Policy):
    """Factors on the usual size; their product stays between the two bounds."""

    exploration_multiplier: Multiplier = 0.50
    red_multiplier: Multiplier = 0.60
    green_multiplier: Multiplier = 1.20
    losing_streak_trades: Streak = 3
    losing_streak_multiplier: Multiplier = 0.50
    winning_streak_trades: Streak = 5
    winning_streak_multiplier: Multiplier = 1.50
    multiplier_min: Multiplier = 0.50
    multiplier_max: Multiplier = 2.00

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "CapitalPolicy":
        if self.multiplier_min > self.multiplier_max:
            raise ValueError("multiplier_min must not be above multiplier_max")
        return self


def size_multiplier(state: str, profits: Sequence[float], policy: CapitalPolicy) -> float:
    """The factor for a strategy in `state` ("exploration", "red" or "green").

    `profits` are its closed trades, oldest first; only the signs of the last few count. A state
    that nobody knows is unproven.
    """
    states = {"red": policy.red_multiplier, "green": policy.green_multiplier}
    factor = states.get(state, policy.exploration_multiplier) * _streak(profits, policy)
    return min(max(factor, policy.multiplier_min), policy.multiplier_max)


def _streak(profits: Sequence[float], policy: CapitalPolicy) -> float:
    losing, winning = policy.losing_streak_trades, policy.winning_streak_trades
    if len(profits) >= losing and all(profit < 0 for profit in profits[-losing:]):
        return policy.losing_streak_multiplier
    if len(profits) >= winning and all(profit > 0 for profit in profits[-winning:]):
        return policy.winning_streak_multiplier
    return 1.0
