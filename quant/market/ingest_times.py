"""Foreign dates and times as moments in UTC, or an error that names the row.

Belongs here: the spellings (ISO, epochs, compact dates, month names, date and clock apart), time
zones, daylight saving. Does not belong here: calendars and sessions (`ingest`).

Nothing is guessed: 03/04/2024 needs a format, a naive time of day needs a zone, and a wall time
that a clock change skipped or repeated is refused.
"""

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from quant.core.errors import UsageError
from quant.market.ingest_table import BoolArray, RawTable
from quant.market.symbols import shown

_ISO: Final = (
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(?: ?(Z|UTC|[+-]\d{2}:?\d{2}))?"
)
_SLASHED: Final = r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*"
# Digits before the decimal point tell an epoch's unit for every date from 2001 to 2286.
_EPOCH_UNITS: Final = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_MONTH_NAME_FORMATS: Final = ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%y")
_FORMAT_REMEDY: Final = "write dates as 2024-01-31, or say how they read: --date-format %d/%m/%Y"
_ZONE_REMEDY: Final = "say in which zone the clock ran: --timezone America/New_York"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Either UTC instants, or naive wall times that have no time of day (`is_date_only`)."""

    stamps: pd.DatetimeIndex
    is_date_only: bool


def check_zone(name: str) -> ZoneInfo:
    """The time zone called `name`; `UsageError` when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            f"{shown(name)} is not a time zone",
            remedy="use a name of the IANA list: UTC, America/New_York, Africa/Lagos",
        ) from error


def parse_moments(
    table: RawTable,
    values: pd.Series,
    *,
    zone: ZoneInfo | None,
    exchange_zone: ZoneInfo,
    date_format: str | None = None,
) -> Moments:
    """Every cell as a moment. `zone` is for naive times; without it, only dates may be naive."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return Moments(stamps=_utc(_complete(table, values, values)), is_date_only=False)
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return _naive(table, values, _complete(table, values, values), zone)
    text = _as_text(values)
    _refuse(table, values, (text == "").to_numpy(), "is empty where a date must stand")
    if (unit := _epoch_unit(text)) is not None:
        return _epoch(text, unit)
    if date_format is not None:
        parsed = pd.to_datetime(text, format=date_format, errors="coerce")
        _refuse(table, values, parsed.isna().to_numpy(), f"does not read as {shown(date_format)}")
        if isinstance(parsed.dtype, pd.DatetimeTZDtype):
            return Moments(stamps=_utc(parsed), is_date_only=False)
        return _naive(table, values, parsed, zone)
    return _written(table, values, text, zone=zone, exchange_zone=exchange_zone)


def join_clock(dates: pd.Series, clock: pd.Series) -> pd.Series:
    """Date and time of day as one text; 153500 and 1535 read as 15:35."""
    time = _as_text(clock).str.replace(r"^(\d{2})(\d{2})(\d{2})?$", r"\1:\2:\3", regex=True)
    day = _as_text(dates).str.replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3", regex=True)
    return day + " " + time.str.rstrip(":")


def _as_text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values.dtype):
        values = values.map("{:.0f}".format)
    text = values.astype("str").str.strip()
    return text.where(values.notna(), "").replace({"nan": "", "None": "", "NaT": ""})


def _epoch_unit(text: pd.Series) -> str | None:
    lengths = text.str.extract(r"^(\d+)(?:\.\d+)?$", expand=False).str.len()
    if lengths.isna().any() or lengths.nunique() != 1:
        return None
    return _EPOCH_UNITS.get(int(lengths.iloc[0]))


def _epoch(text: pd.Series, unit: str) -> Moments:
    whole = pd.to_numeric(text.str.split(".").str[0]).to_numpy(dtype=np.int64)
    stamps = pd.DatetimeIndex(whole.astype(f"datetime64[{unit}]"), tz="UTC")
    return Moments(stamps=stamps.as_unit("us"), is_date_only=False)


def _written(
    table: RawTable,
    values: pd.Series,
    text: pd.Series,
    *,
    zone: ZoneInfo | None,
    exchange_zone: ZoneInfo,
) -> Moments:
    text = text.str.replace(r"^(\d{4})/(\d{1,2})/(\d{1,2})", r"\1-\2-\3", regex=True)
    text = text.str.replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3", regex=True)
    if text.str.contains(r"[A-Za-z]{3}", regex=True).all() and not text.str.endswith("UTC").any():
        return _naive(table, values, _complete(table, values, _month_names(text)), zone)
    is_iso = text.str.fullmatch(_ISO).to_numpy(dtype=bool)
    _refuse(table, values, ~is_iso & _matches(text, _SLASHED), "can be read in two ways")
    _refuse(table, values, ~is_iso, "is not a date we can read")
    offsets = text.str.extract(_ISO, expand=False).fillna("").replace({"UTC": "Z"})
    is_aware = (offsets != "").to_numpy()
    if not is_aware.any():
        parsed = pd.to_datetime(text, format="ISO8601", errors="coerce")
        return _naive(table, values, _complete(table, values, parsed), zone)
    mixed = ~is_aware if is_aware[0] else is_aware
    _refuse(table, values, mixed, "mixes times with and without a zone", remedy=_ZONE_REMEDY)
    bare = text.str.replace(" UTC", "Z", regex=False)
    parsed = _complete(
        table, values, pd.to_datetime(bare, format="ISO8601", utc=True, errors="coerce")
    )
    if offsets.nunique() > 1:
        _refuse_several_zones(table, values, offsets, _utc(parsed), zone or exchange_zone)
    return Moments(stamps=_utc(parsed), is_date_only=False)


def _month_names(text: pd.Series) -> pd.Series:
    for pattern in _MONTH_NAME_FORMATS:
        parsed = pd.to_datetime(text, format=pattern, errors="coerce")
        if parsed.notna().any():
            return parsed
    return pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")


def _refuse_several_zones(
    table: RawTable, values: pd.Series, offsets: pd.Series, utc: pd.DatetimeIndex, zone: ZoneInfo
) -> None:
    """One exchange's clock shows two offsets in a year; any other mixture is a mistake."""
    local = utc.tz_convert(zone)
    theirs = (local.tz_localize(None) - utc.tz_localize(None)).to_numpy()
    parts = offsets.str.extract(r"([+-])(\d{2}):?(\d{2})")
    minutes = pd.to_numeric(parts[1]).fillna(0) * 60 + pd.to_numeric(parts[2]).fillna(0)
    ours = (minutes * np.where(parts[0] == "-", -1, 1)).to_numpy().astype("timedelta64[m]")
    _refuse(
        table,
        values,
        ours != theirs,
        f"mixes time zones: the file has several offsets and this is not {zone}'s",
        remedy="write all times in UTC, or name the one zone they are in with --timezone",
    )


def _naive(table: RawTable, values: pd.Series, parsed: pd.Series, zone: ZoneInfo | None) -> Moments:
    stamps = pd.DatetimeIndex(parsed).as_unit("us")
    if (stamps == stamps.normalize()).all():
        return Moments(stamps=stamps, is_date_only=True)
    if zone is None:
        _refuse(
            table,
            values,
            np.asarray(stamps != stamps.normalize()),
            "has a time of day but no time zone",
            remedy=_ZONE_REMEDY,
        )
    local = stamps.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    _refuse(
        table,
        values,
        np.asarray(local.isna()),
        f"does not exist, or exists twice, on the clocks of {zone}",
        remedy="write the times in UTC",
    )
    return Moments(stamps=local.tz_convert("UTC"), is_date_only=False)


def _utc(parsed: pd.Series) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(parsed).tz_convert("UTC").as_unit("us")


def _complete(table: RawTable, values: pd.Series, parsed: pd.Series) -> pd.Series:
    _refuse(table, values, parsed.isna().to_numpy(), "is not a date we can read")
    return parsed


def _matches(text: pd.Series, pattern: str) -> BoolArray:
    return text.str.fullmatch(pattern, flags=re.IGNORECASE).to_numpy(dtype=bool)


def _refuse(
    table: RawTable,
    values: pd.Series,
    bad: BoolArray,
    problem: str,
    *,
    remedy: str = _FORMAT_REMEDY,
) -> None:
    if bad.any():
        raise table.fault_at(bad, field="time", problem=problem, remedy=remedy, values=values)
