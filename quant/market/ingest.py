"""Foreign tables as bars: everything between a file's cells and rows that may enter the warehouse.

Belongs here: the order of the checks without which a row has no meaning: a symbol, a moment, a
positive finite price, high not below low, no key twice.
Does not belong here: reading files (`resources.market_data.folder`), and doubts about rows that do
have a meaning, such as a close outside of the day's range, a stale price or a bar on a holiday.
Those are findings of the quality rules, and refusing the file would hide them.

A file says when a bar was traded, not when its vendor published it. So `known_at` is the bar's end
plus `publication_lag_minutes`; `event_time` of a daily bar is its session's close.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.market.bars import DAILY_BAR_COLUMNS, INTRADAY_BAR_COLUMNS, PRICE_COLUMNS, Basis
from quant.market.ingest_columns import recognise
from quant.market.ingest_options import IngestOptions
from quant.market.ingest_prices import parse_prices, parse_volume
from quant.market.ingest_sessions import place_in_time
from quant.market.ingest_table import RawTable
from quant.market.symbols import SYMBOL_REMEDY, shown, symbol_fault


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedBars:
    """The bars of one table, ordered by symbol and time."""

    frame: pd.DataFrame
    interval_minutes: int | None


def empty_bars(columns: tuple[str, ...]) -> pd.DataFrame:
    """No rows, but the types that rows would have, so that joining with rows changes nothing."""
    types = {
        "session": "object",
        "ex_session": "object",
        "event_time": "datetime64[us, UTC]",
        "known_at": "datetime64[us, UTC]",
        "interval_minutes": "int64",
        **dict.fromkeys((*PRICE_COLUMNS, "volume", "value"), "float64"),
    }
    return pd.DataFrame({name: pd.Series([], dtype=types.get(name, "str")) for name in columns})


def parse_bars(table: RawTable, options: IngestOptions, *, now: datetime) -> ParsedBars:
    """The table as DAILY_BAR_COLUMNS or INTRADAY_BAR_COLUMNS; the first fault raises `DataError`.

    Rows may stand in any order. Nothing is repaired, filled or dropped.
    """
    if not len(table):
        raise table.fault(
            field="rows",
            problem="the file has a header and no rows",
            remedy="export it again, or remove it",
        )
    chosen = recognise(table, options.mapping)
    _require_fields(table, chosen, options)
    _refuse_long_periods(table, chosen)
    frame = pd.DataFrame({"symbol": _symbols(table, chosen.get("symbol"))})
    interval = place_in_time(table, frame, chosen, options)
    _refuse_duplicates(table, frame)
    _refuse_future(table, frame, now)
    prices = parse_prices(table, chosen, basis=options.basis, asset_class=options.asset_class)
    for field, values in prices.items():
        frame[field] = values
    frame["volume"] = parse_volume(table, chosen.get("volume"))
    frame["known_at"] = frame["event_time"] + timedelta(minutes=options.publication_lag_minutes)
    frame["basis"] = options.basis.value
    frame["asset_class"] = options.asset_class.value
    frame["currency"] = options.currency
    frame["source"] = f"folder/{table.file.rsplit('/', 1)[-1]}"
    columns = DAILY_BAR_COLUMNS if interval is None else INTRADAY_BAR_COLUMNS
    ordered = frame.sort_values(["symbol", "event_time"], ignore_index=True, kind="stable")
    return ParsedBars(frame=ordered.loc[:, list(columns)], interval_minutes=interval)


def _require_fields(table: RawTable, chosen: Mapping[str, str], options: IngestOptions) -> None:
    missing = [field for field in ("time", "close") if field not in chosen]
    if missing == ["close"] and "adj_close" in chosen and options.basis is Basis.TOTAL_RETURN:
        return
    if missing:
        seen = ", ".join(shown(column) for column in list(table.frame.columns)[:20])
        raise table.fault(
            field=" and ".join(missing),
            problem=f"the file has no such column; its columns are {seen}",
            remedy=f"name the column that holds it: --map {missing[0]}=COLUMN",
        )


def _refuse_long_periods(table: RawTable, chosen: Mapping[str, str]) -> None:
    if "period" not in chosen:
        return
    periods = table.frame[chosen["period"]].astype("str").str.upper()
    if (bad := periods.isin(["W", "M", "Q", "Y"]).to_numpy()).any():
        raise table.fault_at(
            bad,
            field="period",
            problem="is longer than a day",
            remedy="export daily or intraday bars",
            values=periods,
        )


def _symbols(table: RawTable, column: str | None) -> pd.Series:
    """Upper case throughout: vendors disagree about case, and no two instruments differ by it."""
    if column is None:
        return _symbol_of_file(table)
    raw = table.frame[column]
    names = raw.astype("str").where(raw.notna(), "")
    faults = {name: fault for name in names.unique() if (fault := symbol_fault(name))}
    if faults:
        bad = names.isin(list(faults)).to_numpy()
        first = names[bad].iloc[0]
        raise table.fault_at(
            bad,
            field="symbol",
            problem=f"is not a symbol: {faults[first]}",
            remedy=SYMBOL_REMEDY,
            values=names,
        )
    return names.str.upper()


def _symbol_of_file(table: RawTable) -> pd.Series:
    name = table.symbol_of_file or ""
    if fault := symbol_fault(name):
        raise table.fault(
            field="symbol",
            problem=f"there is no such column, and the file's name gives {shown(name)}: {fault}",
            remedy="name the file after the symbol (AAPL.csv), or add a column 'symbol'",
        )
    return pd.Series(name.upper(), index=table.frame.index, dtype="str")


def _refuse_duplicates(table: RawTable, frame: pd.DataFrame) -> None:
    keys = ["symbol", "session" if "interval_minutes" not in frame else "event_time"]
    if (bad := frame.duplicated(keys).to_numpy()).any():
        position = int(np.flatnonzero(bad)[0])
        key = frame.loc[position, keys]
        same = (frame[keys] == key).all(axis=1).to_numpy()
        first = table.places[int(np.flatnonzero(same)[0])]
        raise table.fault_at(
            bad,
            field="symbol and time",
            problem=f"has the same key as {table.place_word} {first}",
            remedy="keep one row for each symbol and time",
            values=frame[keys].astype("str").agg(" ".join, axis=1),
        )


def _refuse_future(table: RawTable, frame: pd.DataFrame, now: datetime) -> None:
    if (bad := (frame["event_time"] > now).to_numpy()).any():
        raise table.fault_at(
            bad,
            field="time",
            problem=f"ends after now ({now:%Y-%m-%d %H:%M} UTC), so the bar is not complete",
            remedy="remove the row, or ingest again after the close",
            values=frame["event_time"],
        )


def require_one_owner(files: Mapping[str, pd.DataFrame], keys: list[str]) -> None:
    """Refuse a key that two files carry; which of them to believe is not ours to choose."""
    if len(files) < 2:
        return
    rows = pd.concat([frame[keys].assign(file=file) for file, frame in files.items()])
    twice = rows[rows.duplicated(keys, keep=False)]
    if len(twice):
        key = twice[keys].iloc[0]
        same = twice[(twice[keys] == key).all(axis=1)]["file"].tolist()
        raise DataError(
            f"{same[1]}, field symbol and time: {shown(' '.join(map(str, key)))} stands in "
            f"{same[0]} too",
            remedy="keep each symbol and time in one file",
        )
