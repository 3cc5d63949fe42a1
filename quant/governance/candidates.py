"""The record of a forecast model as a trading rule: what its sign would have earned, net.

Belongs here: from scored forecasts to net returns and costs, one a session. Does not belong here:
how forecasts are made, or what the real book earned (that has stops, sizes and money of its own).

The rule holds every scored symbol with equal weight and the sign of its forecast for the session
that follows. A symbol without a score that session is not held. Turnover pays half a round trip on
each change of weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quant.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Net returns and the costs inside them, by session."""

    returns: pd.Series
    costs: pd.Series


def sign_rule(
    scores: pd.DataFrame,
    *,
    model: str,
    round_trip: Mapping[str, float],
    horizon_days: int = 1,
) -> Record:
    """A model's record from rows of scores; `round_trip` is the cost of in and out, a fraction."""
    own = scores[(scores["model"] == model) & (scores["horizon_days"] == horizon_days)]
    if own.empty:
        raise DataError(
            f"{model} has no scored forecasts", remedy="pmx backfill computes past sessions"
        )
    wide = own.assign(mean=own["realised"] - own["error"]).pivot(
        index="session", columns="symbol", values=["mean", "realised"]
    )
    mean, realised = wide["mean"].sort_index(), wide["realised"].sort_index()
    is_known = mean.notna() & realised.notna()
    held = np.sign(mean.where(is_known, 0.0))
    count = np.maximum(is_known.to_numpy().sum(axis=1), 1)
    weights = held.div(count, axis=0)
    simple = np.expm1(realised.where(is_known, 0.0))
    change = weights.diff().abs()
    change.iloc[0] = weights.iloc[0].abs()
    side = pd.Series({symbol: round_trip[symbol] / 2.0 for symbol in weights.columns})
    costs = (change * side).sum(axis=1)
    return Record(returns=(weights * simple).sum(axis=1) - costs, costs=costs)
