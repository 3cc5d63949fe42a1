"""The accuracy table: every model beside naive drift, over the very same forecasts.

Belongs here: which forecasts count, the figures, and whether a difference is more than chance.
Does not belong here: making forecasts, or wording. A forecast counts where every model made one for
that symbol, session and horizon, so that no model is flattered by the days on which it was silent.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from quant.core.errors import DataError
from quant.forecasting.comparison import diebold_mariano

_KEY: Final = ["symbol", "session", "horizon_days"]
ACCURACY_COLUMNS: Final = (
    "model",
    "horizon_days",
    "count",
    "rmse",
    "mae",
    "pinball",
    "coverage_50",
    "coverage_90",
    "rmse_ratio",
    "pinball_ratio",
    "rmse_p_value",
    "pinball_p_value",
)


def common_forecasts(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of those symbols, sessions and horizons for which every model has one."""
    models = scores["model"].nunique()
    counts = scores.groupby(_KEY)["model"].transform("nunique")
    return scores[counts == models]


def accuracy_table(
    scores: pd.DataFrame, *, overlaps: Mapping[int, int], baseline: str = "naive"
) -> pd.DataFrame:
    """Rows of `ACCURACY_COLUMNS` by horizon, the smallest pinball loss first.

    `scores` are rows of `SCORE_COLUMNS`; `overlaps` says for each horizon how many origins lie
    within it. The p-values are those of Diebold and Mariano against `baseline`, on the mean over
    symbols at each origin; NaN for the baseline itself and where there are too few origins.
    """
    common = common_forecasts(scores)
    if common.empty or baseline not in set(common["model"]):
        raise DataError(
            f"there is no forecast that all models made, {baseline} included",
            remedy="look at the failures of the models",
        )
    rows = []
    for horizon, part in common.groupby("horizon_days", sort=True):
        groups = dict(iter(part.groupby("model", sort=True)))
        overlap = overlaps[int(str(horizon))]
        made = [_row(str(m), rows_of, groups[baseline], overlap) for m, rows_of in groups.items()]
        rows += sorted(made, key=lambda row: row["pinball"])
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))


def _row(model: str, own: pd.DataFrame, naive: pd.DataFrame, overlap: int) -> dict[str, Any]:
    rmse, naive_rmse = (math.sqrt(one["squared_error"].mean()) for one in (own, naive))
    pinball, naive_pinball = (float(one["pinball"].mean()) for one in (own, naive))
    return {
        "model": model,
        "horizon_days": int(own["horizon_days"].iloc[0]),
        "count": len(own),
        "rmse": rmse,
        "mae": float(own["absolute_error"].mean()),
        "pinball": pinball,
        "coverage_50": float(own["in_50"].mean()),
        "coverage_90": float(own["in_90"].mean()),
        "rmse_ratio": rmse / naive_rmse,
        "pinball_ratio": pinball / naive_pinball,
        "rmse_p_value": _p_value(own, naive, "squared_error", overlap),
        "pinball_p_value": _p_value(own, naive, "pinball", overlap),
    }


def _p_value(own: pd.DataFrame, naive: pd.DataFrame, loss: str, overlap: int) -> float:
    first, second = (one.groupby("session", sort=True)[loss].mean() for one in (own, naive))
    if own["model"].iloc[0] == naive["model"].iloc[0] or len(first) <= overlap + 1:
        return math.nan
    found = diebold_mariano(
        first.to_numpy(dtype=float), second.to_numpy(dtype=float), overlap=overlap
    )
    return found.p_value
