"""The weights of one night as rows: every model asked, its share, and the reasons in words.

Belongs here: columns and sentences. Does not belong here: the rule (`weighting`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.forecasting.weighting import NAIVE, PartWeights, Weights

# One row a symbol, part and model that was asked. The three `odds` are factors, one is neutral;
# `loss_ratio` is the model's loss over naive drift's: squared error for the mean, pinball for the
# volatility, over `record_sessions` sessions in effect.
WEIGHT_COLUMNS: Final = (
    "symbol",
    "session",
    "as_of",
    "part",
    "model",
    "weight",
    "fit_odds",
    "realised_odds",
    "change_odds",
    "naive_share",
    "loss_ratio",
    "record_sessions",
    "variance_ratio",
    "variance_ratio_p_value",
    "change_sessions_ago",
    "reason",
)
_LOSS: Final = {"mean": "squared error", "volatility": "pinball loss"}


def weight_rows(
    weights: Weights,
    symbols: Sequence[str],
    silent: Mapping[str, Mapping[str, str]],
    *,
    session: dt.date,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """Rows of `WEIGHT_COLUMNS`, in the order of symbols, parts and models."""
    count, width = len(symbols), len(weights.parts) * len(weights.models)
    columns: dict[str, Any] = {
        "symbol": np.repeat(np.array(symbols, dtype=object), width),
        "session": session,
        "as_of": pd.Timestamp(as_of).as_unit("us"),
        "part": np.tile(np.repeat(list(weights.parts), len(weights.models)), count),
        "model": np.tile(list(weights.models), count * len(weights.parts)),
        "weight": _column([part.weights for part in weights.parts.values()]),
        "fit_odds": np.exp(_column([part.fit for part in weights.parts.values()])),
        "realised_odds": np.exp(_column([part.realised for part in weights.parts.values()])),
        "change_odds": np.exp(_column([part.change for part in weights.parts.values()])),
        "naive_share": _column(
            [
                np.broadcast_to(part.naive_share, part.weights.shape)
                for part in weights.parts.values()
            ]
        ),
        "loss_ratio": _column([part.loss_ratio for part in weights.parts.values()]),
        "record_sessions": _column([part.sessions for part in weights.parts.values()]),
        "variance_ratio": np.repeat(weights.variance_ratio, width),
        "variance_ratio_p_value": np.repeat(weights.variance_ratio_p_value, width),
        "change_sessions_ago": np.repeat(weights.change_sessions_ago, width),
        "reason": [
            silent[symbol].get(model) or _reason(weights, name, part, model, place, row)
            for row, symbol in enumerate(symbols)
            for name, part in weights.parts.items()
            for place, model in enumerate(weights.models)
        ],
    }
    return pd.DataFrame(columns, columns=list(WEIGHT_COLUMNS))


def _column(parts: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> Any:
    """(parts, models, symbols) as one column: symbols outermost, models innermost."""
    return np.stack(parts).transpose(2, 0, 1).ravel()


def _reason(
    weights: Weights, name: str, part: PartWeights, model: str, place: int, row: int
) -> str:
    if model == NAIVE:
        return _naive_reason(weights, name, part, row)
    said = []
    if part.sessions[place, row] > 0:
        said.append(
            f"{_LOSS[name]} {part.loss_ratio[place, row]:.3f} of naive drift's over "
            f"{part.sessions[place, row]:.0f} sessions: odds x "
            f"{np.exp(part.realised[place, row]):.2f}"
        )
    if part.fit[place, row] != 0.0:
        by = "explained variance" if name == "mean" else "Akaike's criterion"
        said.append(f"{by}: odds x {np.exp(part.fit[place, row]):.2f}")
    if part.change[place, row] != 0.0:
        ago = weights.change_sessions_ago[row]
        said.append(
            f"volatility changed {ago} sessions ago, quick models: odds x "
            f"{np.exp(part.change[place, row]):.2f}"
        )
    return "; ".join(said) or "nothing speaks for or against it"


def _naive_reason(weights: Weights, name: str, part: PartWeights, row: int) -> str:
    share = f"naive drift keeps {part.naive_share[row]:.2f}"
    if name != "mean" or not np.isfinite(weights.variance_ratio[row]):
        return share
    return (
        f"{share}: variance ratio {weights.variance_ratio[row]:.2f}, random walk with "
        f"p {weights.variance_ratio_p_value[row]:.2f}"
    )
