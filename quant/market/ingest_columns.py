"""Which column of a foreign table is which field of a bar.

Belongs here: the names that vendors use, and the caller's own mapping (`close=Last`).
Does not belong here: what the cells hold.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from quant.core.errors import UsageError
from quant.market.ingest_table import RawTable
from quant.market.symbols import shown

# Vendor spellings after `_normal`: lower case without spaces, brackets or punctuation. Sources:
# Yahoo and Stooq downloads, Alpaca's and Alpha Vantage's answers, Binance's public klines. Words
# with more than one meaning ("last", "price") are left to the caller's mapping on purpose.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    # In order of preference: files that carry an epoch beside a printed date mean the same moment.
    "time": (
        *("unix", "epoch", "opentime", "timestamp", "datetime", "date", "day", "session"),
        *("t", "ts", "time", "index", ""),
    ),
    "symbol": ("symbol", "ticker", "sym", "instrument"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "adj_close": ("adjclose", "adjustedclose", "closeadjusted", "closeadj"),
    "volume": ("volume", "vol", "v"),
    "period": ("per", "period"),
}
FIELDS: Final = tuple(_NAMES)
# Words a person may use on the left of `--map` for the field that says when.
_TIME_WORDS: Final = frozenset({"date", "datetime", "timestamp", "time"})

KLINE_COLUMNS: Final = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "trades", "taker_buy_base", "taker_buy_quote", "ignore"),
)


def parse_mapping(pairs: Iterable[str]) -> Mapping[str, str]:
    """`["close=Last"]` as a mapping from our field to the file's column."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        field, sign, column = (part.strip() for part in pair.partition("="))
        if not sign or not column:
            raise UsageError(
                f"{shown(pair)} is not a column mapping", remedy="write FIELD=COLUMN: close=Last"
            )
        key = _field(field)
        if key in mapping:
            raise UsageError(f"the field {key} is mapped twice", remedy="map each field once")
        mapping[key] = column
    return MappingProxyType(mapping)


def recognise(table: RawTable, mapping: Mapping[str, str]) -> dict[str, str]:
    """Field to column name; the caller's mapping wins over what we know."""
    columns = list(table.frame.columns)
    chosen = {_field(field): _existing(table, column) for field, column in mapping.items()}
    for field in FIELDS:
        if field not in chosen and (column := _find(table, field, columns)) is not None:
            chosen[field] = column
    if chosen.get("time") is not None and "clock" not in chosen:
        chosen |= _separate_clock(chosen["time"], columns)
    return chosen


def _field(word: str) -> str:
    field = "time" if word.lower() in _TIME_WORDS else word.lower().replace(" ", "_")
    if field not in FIELDS:
        raise UsageError(
            f"{shown(word)} is not a field of a bar",
            remedy=f"use one of {', '.join(FIELDS)} on the left of the equals sign",
        )
    return field


def _existing(table: RawTable, column: str) -> str:
    if column not in table.frame.columns:
        raise UsageError(
            f"{table.file}, field {shown(column)}: the file has no such column",
            remedy=f"its columns are {_listed(table.frame.columns)}",
        )
    return column


def _find(table: RawTable, field: str, columns: Sequence[str]) -> str | None:
    found = [column for name in _NAMES[field] for column in columns if _normal(column) == name]
    same = [column for column in found if _normal(column) == _normal(found[0])]
    if len(same) > 1 or (len(found) > 1 and field != "time"):
        raise table.fault(
            field=field,
            problem=f"the columns {_listed(found)} all look like it",
            remedy=f"say which one to take: --map {field}={found[0]}",
        )
    return found[0] if found else None


def _separate_clock(date_column: str, columns: Sequence[str]) -> dict[str, str]:
    """Stooq and many terminals write the date and the time of day in two columns."""
    if _normal(date_column) != "date":
        return {}
    clocks = [column for column in columns if _normal(column) == "time"]
    return {"clock": clocks[0]} if clocks else {}


def _normal(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.lower())


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(shown(column) for column in list(columns)[:20])
