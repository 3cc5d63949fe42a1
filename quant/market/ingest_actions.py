"""A foreign table of splits and dividends as corporate actions.

Belongs here: recognising such a table and checking its rows. Does not belong here: applying them.
"""

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from quant.market.bars import ACTION_COLUMNS
from quant.market.ingest_table import BoolArray, RawTable
from quant.market.ingest_times import parse_moments
from quant.market.symbols import SYMBOL_REMEDY, symbol_fault

KINDS: Final = ("split", "cash_dividend")
_VALUE_REMEDY: Final = (
    "a split's value is the factor on prices (0.5 for two-for-one), a dividend's the cash per share"
)
_DATE_NAMES: Final = ("ex_session", "ex_date", "date")


def is_actions_table(table: RawTable) -> bool:
    """Whether the columns are those of corporate actions and not of bars."""
    names = {column.lower() for column in table.frame.columns}
    return {"symbol", "kind", "value"} <= names and not names.isdisjoint(_DATE_NAMES)


def parse_actions(table: RawTable) -> pd.DataFrame:
    """The table as ACTION_COLUMNS; the first fault raises `DataError`.

    An action counts as known at 00:00 UTC of its ex-day, before that session opens: both kinds are
    announced earlier, but such tables do not say when.
    """
    raw = table.frame.rename(columns=str.lower)
    date_name = next(name for name in _DATE_NAMES if name in raw)
    symbols = raw["symbol"].astype("str").str.strip()
    faulty = symbols.isin([name for name in symbols.unique() if symbol_fault(name)])
    _refuse(table, "symbol", symbols, faulty, problem="is not a symbol", remedy=SYMBOL_REMEDY)
    kinds = raw["kind"].astype("str").str.strip()
    known = f"use one of {', '.join(KINDS)}"
    _refuse(table, "kind", kinds, ~kinds.isin(KINDS), problem="is no kind of action", remedy=known)
    values = pd.to_numeric(raw["value"], errors="coerce")
    bad = ~(np.isfinite(values) & (values > 0))
    _refuse(
        table, "value", raw["value"], bad, problem="is no positive number", remedy=_VALUE_REMEDY
    )
    moments = parse_moments(table, raw[date_name], zone=None, exchange_zone=ZoneInfo("UTC"))
    days = moments.stamps.tz_localize(None).to_numpy().astype("datetime64[D]")
    frame = pd.DataFrame(
        {
            "symbol": symbols.str.upper(),
            "ex_session": days.astype(object),
            "kind": kinds,
            "value": values.astype("float64"),
            "known_at": pd.DatetimeIndex(days.astype("datetime64[us]"), tz="UTC"),
            "source": f"folder/{table.file.rsplit('/', 1)[-1]}",
        }
    )
    twice = frame.duplicated(["symbol", "ex_session", "kind"])
    _refuse(
        table,
        "symbol and date",
        symbols,
        twice,
        problem="has the same action twice",
        remedy="keep one row of it",
    )
    return frame.sort_values(["symbol", "ex_session"], ignore_index=True)[list(ACTION_COLUMNS)]


def _refuse(
    table: RawTable, field: str, values: pd.Series, bad: pd.Series, *, problem: str, remedy: str
) -> None:
    mask: BoolArray = bad.to_numpy(dtype=bool)
    if mask.any():
        raise table.fault_at(mask, field=field, problem=problem, remedy=remedy, values=values)
