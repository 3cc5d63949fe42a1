"""What became of what was not done: a refused decision, marked to the market later.

Belongs here: the return that a refusal gave up or spared. Does not belong here: when the future has
arrived, or whose prices are believed.
"""

import math
from dataclasses import dataclass

from quant.signals.generate import Action

# Gates that refuse nothing that would have changed the book: what it asked for stood there already,
# or another strategy had its place. Their outcome is told, and is no verdict on a gate.
NO_JUDGEMENT = frozenset({"no_change", "nothing_held", "quantity_step", "symbol_taken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """The result so far of one refusal; NaN where a price is missing, None where nothing follows.

    `forgone_return` is what the refused trade would have earned after its whole round trip: a gate
    that refused a loss has a negative one. `gate_was_right` is that comparison with zero.
    """

    market_return: float
    forgone_return: float
    gate_was_right: bool | None


def counterfactual(
    *, action: Action, gate: str, reference_price: float, price: float, round_trip_cost: float
) -> Counterfactual:
    """Mark a refusal to `price`.

    A refused purchase forgoes the market's return less the cost of in and out. A refused sale
    forgoes the fall that it would have avoided, less half a round trip: getting out costs once. A
    signal without a side forgoes nothing.
    """
    known = 0 < reference_price < math.inf and 0 < price < math.inf
    market = price / reference_price - 1.0 if known else math.nan
    forgone = {
        Action.BUY: market - round_trip_cost,
        Action.SELL: -market - round_trip_cost / 2.0,
        Action.NONE: math.nan,
    }[action]
    is_judged = gate not in NO_JUDGEMENT and math.isfinite(forgone)
    return Counterfactual(
        market_return=market,
        forgone_return=forgone,
        gate_was_right=forgone <= 0 if is_judged else None,
    )
