"""Exchange calendars as values: which days are sessions, and when each one opens and closes.

Belongs here: sessions, half-days, and the UTC moments they begin and end.
Does not belong here: schedules, partitions, or what to do on a holiday.

Every known calendar is one of three kinds. *Tabled* ones (XNYS and a few more) come from JSON files
that `data/build_calendars.py` wrote from exchange_calendars; asking beyond the table is an error.
`24/7` trades every UTC day and closes at the next midnight. *Approximate* ones know their weekdays
and hours but no holidays: a missing bar there may be a holiday, and callers can ask which they have
(`is_approximate`). Importing this module loads neither numpy nor pandas.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from quant.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    DayArray = NDArray[np.datetime64]

US_EQUITY_CALENDAR: Final = "XNYS"
ALWAYS_OPEN: Final = "24/7"
TABLED: Final = ("XNYS", "XJSE", "XKAR", "XZAG", "XLJU")

# Weekdays and hours (local time) as the exchanges publish them; no holidays. Names are ISO 10383
# market identifiers. Egypt and Bangladesh trade from Sunday to Thursday.
_APPROXIMATE: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "XNSA": ("Africa/Lagos", "1111100", "10:00", "14:30"),
    "XNAI": ("Africa/Nairobi", "1111100", "09:30", "15:00"),
    "XGHA": ("Africa/Accra", "1111100", "10:00", "15:00"),
    "XBRV": ("Africa/Abidjan", "1111100", "09:00", "15:00"),
    "XCAI": ("Africa/Cairo", "1111001", "10:00", "14:30"),
    "XCAS": ("Africa/Casablanca", "1111100", "09:30", "15:30"),
    "XDAR": ("Africa/Dar_es_Salaam", "1111100", "10:00", "16:00"),
    "XLUS": ("Africa/Lusaka", "1111100", "10:00", "14:00"),
    "XBOT": ("Africa/Gaborone", "1111100", "10:30", "13:30"),
    "XMAU": ("Indian/Mauritius", "1111100", "09:00", "13:30"),
    "XBUL": ("Europe/Sofia", "1111100", "10:00", "17:00"),
    "XBSE": ("Europe/Bucharest", "1111100", "10:00", "18:00"),
    "XBEL": ("Europe/Belgrade", "1111100", "09:30", "14:00"),
    "XCOL": ("Asia/Colombo", "1111100", "09:30", "14:30"),
    "XDHA": ("Asia/Dhaka", "1111001", "10:00", "14:30"),
    "XSTC": ("Asia/Ho_Chi_Minh", "1111100", "09:00", "15:00"),
}

_REBUILD: Final = (
    "rebuild the table with a later end: "
    "python quant/market/data/build_calendars.py --last YYYY-MM-DD"
)
_WEEKDAYS: Final = "1111100"
_ONE_DAY: Final = dt.timedelta(days=1)
# The longest closure in the tables is far below this; a search that walks further has left them.
_LONGEST_CLOSURE_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One exchange's year: regular weekdays and hours, and every day that differs."""

    name: str
    time_zone: ZoneInfo
    weekmask: str
    opens: dt.time
    closes: dt.time
    # A close at 00:00 belongs to the next day.
    closures: frozenset[dt.date] = frozenset()
    weekend_sessions: frozenset[dt.date] = frozenset()
    late_opens: Mapping[dt.date, dt.time] = field(default_factory=lambda: MappingProxyType({}))
    early_closes: Mapping[dt.date, dt.time] = field(default_factory=lambda: MappingProxyType({}))
    first: dt.date = dt.date.min
    last: dt.date = dt.date.max
    is_approximate: bool = False

    def require_known(self, day: dt.date) -> None:
        """Raise when `day` is outside of what the table covers."""
        if not self.first <= day <= self.last:
            raise DataError(
                f"calendar {self.name} covers {self.first} to {self.last}, not {day}",
                remedy=_REBUILD,
            )

    def has(self, day: dt.date) -> bool:
        """Whether the exchange trades on `day`."""
        self.require_known(day)
        if day in self.weekend_sessions:
            return True
        return self.weekmask[day.weekday()] == "1" and day not in self.closures

    def opening(self, day: dt.date) -> dt.datetime:
        """When `day` opens, or would if it were a session; UTC."""
        return self._utc(day, self.late_opens.get(day, self.opens))

    def closing(self, day: dt.date) -> dt.datetime:
        """When `day` closes, or would if it were a session; UTC."""
        time = self.early_closes.get(day, self.closes)
        return self._utc(day + _ONE_DAY if time == dt.time.min else day, time)

    def _utc(self, day: dt.date, time: dt.time) -> dt.datetime:
        return dt.datetime.combine(day, time, tzinfo=self.time_zone).astimezone(dt.UTC)


def calendar_names() -> tuple[str, ...]:
    """Every calendar that can be asked for."""
    return (*TABLED, ALWAYS_OPEN, *_APPROXIMATE)


@cache
def get_calendar(name: str) -> Calendar:
    """The calendar called `name`; `UsageError` lists the known ones."""
    if name in TABLED:
        return _from_table(name)
    if name == ALWAYS_OPEN:
        return Calendar(
            name=name,
            time_zone=ZoneInfo("UTC"),
            weekmask="1111111",
            opens=dt.time.min,
            closes=dt.time.min,
        )
    if name in _APPROXIMATE:
        zone, weekmask, opens, closes = _APPROXIMATE[name]
        return Calendar(
            name=name,
            time_zone=ZoneInfo(zone),
            weekmask=weekmask,
            opens=dt.time.fromisoformat(opens),
            closes=dt.time.fromisoformat(closes),
            is_approximate=True,
        )
    raise UsageError(
        f"no calendar is called {name[:40]!r}",
        remedy=f"use one of {', '.join(calendar_names())}",
    )


def is_approximate(calendar: str) -> bool:
    """Whether the calendar knows no holidays, so that a missing bar may be one."""
    return get_calendar(calendar).is_approximate


def closures(calendar: str) -> tuple[dt.date, ...]:
    """The regular weekdays on which the exchange stayed shut, in order."""
    return tuple(sorted(get_calendar(calendar).closures))


def early_closes(calendar: str) -> Mapping[dt.date, dt.time]:
    """Half-days: session to local closing time."""
    return get_calendar(calendar).early_closes


def is_session(calendar: str, day: dt.date) -> bool:
    """Whether the exchange trades on `day`."""
    return get_calendar(calendar).has(day)


def next_session(calendar: str, day: dt.date) -> dt.date:
    """The first session strictly after `day`."""
    return _walk(get_calendar(calendar), day, _ONE_DAY)


def previous_session(calendar: str, day: dt.date) -> dt.date:
    """The last session strictly before `day`."""
    return _walk(get_calendar(calendar), day, -_ONE_DAY)


def session_open(calendar: str, session: dt.date) -> dt.datetime:
    """When `session` opens, in UTC; `DataError` where the exchange is shut."""
    return _require_session(calendar, session).opening(session)


def session_close(calendar: str, session: dt.date) -> dt.datetime:
    """When `session` closes, in UTC, half-days and summer time included."""
    return _require_session(calendar, session).closing(session)


def sessions(calendar: str, start: dt.date, end: dt.date) -> DayArray:
    """Every session from `start` to `end`, both included, as datetime64[D]."""
    import numpy as np

    found = get_calendar(calendar)
    if end < start:
        return np.empty(0, dtype="datetime64[D]")
    found.require_known(start)
    found.require_known(end)
    days = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + 1)
    weekend = np.array(sorted(found.weekend_sessions), dtype="datetime64[D]")
    return days[np.is_busday(days, busdaycal=_busdays(calendar)) | np.isin(days, weekend)]


def closes_utc(calendar: str, days: DayArray) -> NDArray[np.datetime64]:
    """The closing moment of each day as datetime64[us] in UTC, fast for millions of rows.

    A day that is no session gets its regular closing time, because data often carries such rows and
    they must reach the quality rules with a moment of their own. So does a day outside of the
    table, such as one of 1985: its half-days are unknown, and a regular close is then later than
    the true one, never earlier, so that nothing is thought known too soon.
    """
    import numpy as np

    found = get_calendar(calendar)
    unique, position = np.unique(np.asarray(days, dtype="datetime64[D]"), return_inverse=True)
    moments = [found.closing(day).replace(tzinfo=None) for day in unique.tolist()]
    return np.array(moments, dtype="datetime64[us]")[position]


@cache
def _busdays(calendar: str) -> np.busdaycalendar:
    import numpy as np

    found = get_calendar(calendar)
    holidays = np.array(sorted(found.closures), dtype="datetime64[D]")
    return np.busdaycalendar(weekmask=found.weekmask, holidays=holidays)


def _require_session(calendar: str, day: dt.date) -> Calendar:
    found = get_calendar(calendar)
    if not found.has(day):
        raise DataError(
            f"{day} is not a session of {calendar}",
            remedy="ask is_session first, or take previous_session or next_session",
        )
    return found


def _walk(calendar: Calendar, day: dt.date, step: dt.timedelta) -> dt.date:
    for _ in range(_LONGEST_CLOSURE_DAYS):
        day = day + step
        if calendar.has(day):
            return day
    raise DataError(f"no session of {calendar.name} near {day}", remedy=_REBUILD)


def _from_table(name: str) -> Calendar:
    file = resources.files("quant.market") / "data" / f"{name.lower()}.json"
    raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Calendar(
        name=name,
        time_zone=ZoneInfo(raw["time_zone"]),
        weekmask=_WEEKDAYS,
        opens=dt.time.fromisoformat(raw["open"]),
        closes=dt.time.fromisoformat(raw["close"]),
        closures=frozenset(map(dt.date.fromisoformat, raw["closures"])),
        weekend_sessions=frozenset(map(dt.date.fromisoformat, raw["weekend_sessions"])),
        late_opens=_times(raw["late_opens"]),
        early_closes=_times(raw["early_closes"]),
        first=dt.date.fromisoformat(raw["first"]),
        last=dt.date.fromisoformat(raw["last"]),
    )


def _times(raw: dict[str, str]) -> Mapping[dt.date, dt.time]:
    return MappingProxyType(
        {dt.date.fromisoformat(day): dt.time.fromisoformat(time) for day, time in raw.items()}
    )
