"""The record of past one-day forecasts on a grid of sessions, as the ensemble looks at it.

Belongs here: scores and forecasts in, losses by model out. Does not belong here: what they mean for
a weight (`weighting`), or reading tables. One-day forecasts alone count: those over more days
overlap, so that sixty sessions hold three of twenty days, and arrive when the weights are old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.forecasting.forecast import QUANTILE_COLUMNS
from quant.forecasting.kernels import IntArray
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.scoring import pinball_loss
from quant.forecasting.weighting import Record
from quant.market.panel import DayArray, FloatArray

# What is read of scores; `session` is the one that brought the outcome.
SCORE_INPUTS: Final = ("symbol", "session", "model", "squared_error", "pinball")
# What is read of one-day forecasts; `session` is the one they were made after.
FORECAST_INPUTS: Final = ("symbol", "session", "model", "mean", *QUANTILE_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordGrid:
    """Losses of some models on every session of a panel, from which a night sees what was before.

    `squared` and `pinball` are (models, symbols, sessions), on the sessions of the outcomes.
    """

    models: tuple[str, ...]
    returns: ReturnPanel
    squared: FloatArray
    pinball: FloatArray

    def known_on(self, session: Any, *, sessions_count: int, window_sessions: int) -> Record:
        """The record as it stood after `session`."""
        returns = self.returns
        end = int(np.searchsorted(returns.sessions, np.datetime64(session, "D"), side="right"))
        lately = slice(max(end - sessions_count, 0), end)
        window = slice(max(end - window_sessions, 0), end)
        return Record(
            squared={m: self.squared[i][:, lately] for i, m in enumerate(self.models)},
            pinball={m: self.pinball[i][:, lately] for i, m in enumerate(self.models)},
            returns=returns.values[:, window],
        )


def unscored_sessions(scores: pd.DataFrame, sessions: DayArray) -> DayArray:
    """Those of `sessions` whose outcomes no score tells about."""
    covered = _days(scores["session"])
    missing: DayArray = sessions[~np.isin(sessions, covered)]
    return missing


def record_grid(
    scores: pd.DataFrame, forecasts: pd.DataFrame, returns: ReturnPanel, *, models: Sequence[str]
) -> RecordGrid:
    """Losses from `scores`, and from one-day `forecasts` on sessions that no score tells about.

    Both give the same numbers; a session's scores are simply written after its forecasts are
    combined, and in a run over many sessions after those of all.
    """
    names = tuple(models)
    shape = (len(names), len(returns.symbols), len(returns.sessions))
    squared, pinball = np.full(shape, np.nan), np.full(shape, np.nan)
    told, cells = _place(scores, names, returns, later=0)
    squared[cells], pinball[cells] = _numbers(told, "squared_error"), _numbers(told, "pinball")

    open_sessions = unscored_sessions(scores, returns.sessions)
    made, cells = _place(forecasts, names, returns, later=1)
    is_open = np.isin(returns.sessions[cells[2]], open_sessions)
    made, cells = made[is_open], (cells[0][is_open], cells[1][is_open], cells[2][is_open])
    outcome = returns.values[cells[1], cells[2]]
    error = outcome - _numbers(made, "mean")
    losses = pinball_loss(outcome, made[list(QUANTILE_COLUMNS)].to_numpy(dtype=float))
    squared[cells], pinball[cells] = error * error, losses.mean(axis=1)
    return RecordGrid(models=names, returns=returns, squared=squared, pinball=pinball)


Cells = tuple[IntArray, IntArray, IntArray]


def _place(
    frame: pd.DataFrame, models: Sequence[str], returns: ReturnPanel, *, later: int
) -> tuple[pd.DataFrame, Cells]:
    """The rows that have a cell, `later` sessions after their own, and these cells."""
    model = pd.Index(models).get_indexer(pd.Index(frame["model"]))
    symbol = pd.Index(returns.symbols).get_indexer(pd.Index(frame["symbol"]))
    days = _days(frame["session"])
    session = np.searchsorted(returns.sessions, days)
    is_known = returns.sessions[np.minimum(session, len(returns.sessions) - 1)] == days
    session = session + later
    inside = (model >= 0) & (symbol >= 0) & is_known & (session < len(returns.sessions))
    return frame[inside], (
        np.asarray(model[inside], dtype=np.int64),
        np.asarray(symbol[inside], dtype=np.int64),
        np.asarray(session[inside], dtype=np.int64),
    )


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    return frame[column].to_numpy(dtype=float)


def _days(column: pd.Series) -> DayArray:
    return pd.to_datetime(column).to_numpy().astype("datetime64[D]")
