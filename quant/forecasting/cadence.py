"""When parameters are estimated anew, as a function of the calendar alone.

A single night, a rerun of it and a backfill over years must use parameters of the same session, or
they would decide differently. So the answer may depend on nothing that has run before.
"""

import datetime as dt

import numpy as np

from quant.core.errors import DataError, UsageError
from quant.forecasting.policy import ForecastPolicy
from quant.market.panel import DayArray

_DEFAULT_ANCHOR: dt.date = ForecastPolicy().refit_anchor


def fit_session_for(
    session: dt.date, sessions: DayArray, every: int, *, anchor: dt.date = _DEFAULT_ANCHOR
) -> dt.date:
    """The session whose data gave the parameters that are in force on `session`.

    Time since `anchor` is cut into blocks of `every` weekdays; the first session of the block is
    its fit session. Weekdays are counted rather than rows of `sessions`, because a list that starts
    later, or a missing session that is repaired, would otherwise move every later fit session.
    A block that holds a holiday is therefore a session shorter. `sessions` has to reach back to the
    start of the block; where the data itself begins inside a block, its first session is taken.
    """
    if every < 1:
        raise UsageError(f"every must be at least 1, was {every}")
    days = np.asarray(sessions, dtype="datetime64[D]")
    day = np.datetime64(session, "D")
    position = int(np.searchsorted(days, day))
    if position == len(days) or days[position] != day:
        raise DataError(
            f"{session} is not on the list of sessions",
            remedy="ask for a trading day, or extend the calendar",
        )
    blocks = np.busday_count(np.datetime64(anchor, "D"), days[: position + 1]) // every
    first: dt.date = days[int(np.searchsorted(blocks, blocks[-1]))].item()
    return first
