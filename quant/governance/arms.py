"""Arms of an experiment that can be computed from what was scored: the same models, other weights.

Belongs here: the forecast errors that a flag's two sides would have made. Does not belong here: who
wins (`sprints`), the combination that is traded on (`quant.forecasting.combine`).

Both sides of `regime` join the same models by the inverse of their mean squared error (Bates and
Granger 1969) and differ in one thing: `off` looks at all errors so far, `on` at those made in the
regime of the evening, the calm, normal or wild third of the symbol's own past. An evening sees the
errors of sessions before the one it forecasts, and no others.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import DataError

FloatArray = NDArray[np.float64]

# Fewer errors of a regime say nothing of it; all errors then speak instead.
_ERRORS_MIN: Final = 60


def regime_arm(
    scores: pd.DataFrame, *, name: str, models: Sequence[str], knows_regimes: bool
) -> pd.DataFrame:
    """One-day scores of the arm, one row a session and symbol that every model was scored for.

    `scores` needs session, symbol, model, horizon_days, error and regime.
    """
    one_day = scores[(scores["horizon_days"] == 1) & scores["model"].isin(models)]
    missing = set(models) - set(one_day["model"])
    if missing:
        raise DataError(
            f"{', '.join(sorted(missing))} has no one-day scores",
            remedy="pmx backfill --from DAY --to DAY computes and scores past sessions",
        )
    errors = one_day.pivot(index=["session", "symbol"], columns="model", values="error")
    errors = errors[list(models)].dropna().sort_index()
    labels = one_day.drop_duplicates(["session", "symbol"]).set_index(["session", "symbol"])
    regimes = labels["regime"].reindex(errors.index).fillna("")
    sessions = errors.index.get_level_values("session")
    weights = _weights(errors.to_numpy(dtype=float), sessions.to_numpy(), np.zeros(len(errors)))
    if knows_regimes:
        own = _weights(errors.to_numpy(dtype=float), sessions.to_numpy(), regimes.to_numpy())
        weights = np.where(np.isnan(own), weights, own)
    equal = np.full_like(weights, 1.0 / len(models))
    weights = np.where(np.isnan(weights), equal, weights)
    joined = (weights * errors.to_numpy(dtype=float)).sum(axis=1)
    return errors.index.to_frame(index=False).assign(
        model=name, horizon_days=1, error=joined, squared_error=joined**2
    )


def _weights(errors: FloatArray, sessions: NDArray[np.object_], labels: FloatArray) -> FloatArray:
    """Each row's weights from the errors of its label on sessions before its own; NaN is unknown.

    Rows are in the order of their sessions.
    """
    found = np.full(errors.shape, np.nan)
    _days, starts = np.unique(sessions, return_index=True)
    first_of_day = starts[np.searchsorted(starts, np.arange(len(errors)), side="right") - 1]
    for label in pd.unique(labels):
        rows = np.flatnonzero(labels == label)
        squares = np.cumsum(np.vstack([np.zeros(errors.shape[1]), errors[rows] ** 2]), axis=0)
        # How many of the label's rows lie on earlier sessions.
        before = np.searchsorted(rows, first_of_day[rows])
        is_known = before >= _ERRORS_MIN
        precision = 1.0 / np.maximum(squares[before[is_known]], np.finfo(float).tiny)
        found[rows[is_known]] = precision / precision.sum(axis=1, keepdims=True)
    return found
