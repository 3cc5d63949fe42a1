"""The bars that never came: rows that stand for them, so that rules can speak of them too.

Belongs here: comparing what was expected with what is there. Does not belong here: who is expected
(the universe decides, and a delisted symbol is expected by nobody).
"""

import datetime as dt
from collections.abc import Iterable

import numpy as np
import pandas as pd

from quant.market.bars import Basis
from quant.market.quality import DayArray, checked_calendar, day_of, days_of


def with_missing_bars(
    measured: pd.DataFrame,
    *,
    expected: Iterable[str],
    basis: Basis,
    sessions: DayArray,
    session: dt.date | np.datetime64,
) -> pd.DataFrame:
    """`measured` and one row for each expected symbol that has no bar on `session`.

    Such a row has nulls everywhere but in its key and in `staleness_sessions`, the number of
    sessions since the symbol's last bar (for one never seen, all sessions of the calendar).
    """
    missing = missing_bars(
        measured, expected=expected, basis=basis, sessions=sessions, session=session
    )
    return pd.concat([measured, missing], ignore_index=True) if len(missing) else measured


def missing_bars(
    measured: pd.DataFrame,
    *,
    expected: Iterable[str],
    basis: Basis,
    sessions: DayArray,
    session: dt.date | np.datetime64,
) -> pd.DataFrame:
    """The rows that `with_missing_bars` adds, alone."""
    calendar, day = checked_calendar(sessions), day_of(session)
    own = measured[(measured["basis"] == str(basis)) & measured["is_session"].fillna(False)]
    days = days_of(own["session"])
    known = days <= day
    last = pd.Series(days[known]).groupby(own["symbol"].astype(str).to_numpy()[known]).max()
    names = pd.Index(dict.fromkeys(expected))
    newest = last.reindex(names).to_numpy().astype("datetime64[D]")
    end = np.searchsorted(calendar, day, side="right")
    seen = np.where(np.isnat(newest), 0, np.searchsorted(calendar, newest, side="right"))
    stale = end - seen
    rows = measured.iloc[:0].reindex(range(int((stale > 0).sum())))
    rows["symbol"] = names[stale > 0].to_numpy()
    rows["basis"] = str(basis)
    rows["session"] = pd.Series(day.astype("datetime64[s]"), index=rows.index).astype(
        measured["session"].dtype
    )
    rows["staleness_sessions"] = stale[stale > 0].astype(float)
    return rows
