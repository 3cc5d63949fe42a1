"""Which days a market is shut, as far as it is announced in advance.

Belongs here: the weekly pattern and the scheduled closures that a calendar feature may look
forward to. Does not belong here: unscheduled closures (a storm, a state funeral); nobody knew them
beforehand, and a feature learns of them afterwards, from the list of sessions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from quant.market.panel import DayArray

_DAY = np.timedelta64(1, "D")
_NO_DAYS: DayArray = np.array([], dtype="datetime64[D]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduledCalendar:
    """A weekly pattern, Monday first ("1111100"), and the closures announced in advance."""

    weekmask: str = "1111100"
    closures: DayArray = field(default_factory=lambda: _NO_DAYS)

    def __post_init__(self) -> None:
        if len(self.weekmask) != 7 or set(self.weekmask) - {"0", "1"} or "1" not in self.weekmask:
            raise ValueError(f"weekmask must be seven of 0 and 1, was {self.weekmask!r}")
        days = np.unique(np.asarray(self.closures, dtype="datetime64[D]"))
        # A closure on a day of the weekend closes nothing.
        object.__setattr__(self, "closures", days[np.is_busday(days, weekmask=self.weekmask)])

    def busdays(self) -> np.busdaycalendar:
        """The same as numpy's calendar."""
        return np.busdaycalendar(weekmask=self.weekmask, holidays=self.closures)


def us_equity_closures(first_year: int = 1981, last_year: int = 2100) -> DayArray:
    """Full-day closures of the New York Stock Exchange by its rule 7.2, as it stands since 1981.

    Martin Luther King Day since 1998, Juneteenth since 2022; election days ended with 1980.
    """
    days = [day for year in range(first_year, last_year + 1) for day in _closures_of(year)]
    return np.array(days, dtype="datetime64[D]")


def _closures_of(year: int) -> Iterator[np.datetime64]:
    new_year = np.datetime64(f"{year}-01-01", "D")
    if _weekday(new_year) != 5:  # on a Saturday it is not made up: December 31 stays a session
        yield _observed(new_year)
    if year >= 1998:
        yield _nth_weekday(year, 1, weekday=0, nth=3)
    yield _nth_weekday(year, 2, weekday=0, nth=3)
    yield _easter_sunday(year) - 2 * _DAY
    yield _nth_weekday(year, 6, weekday=0, nth=1) - 7 * _DAY
    if year >= 2022:
        yield _observed(np.datetime64(f"{year}-06-19", "D"))
    yield _observed(np.datetime64(f"{year}-07-04", "D"))
    yield _nth_weekday(year, 9, weekday=0, nth=1)
    yield _nth_weekday(year, 11, weekday=3, nth=4)
    yield _observed(np.datetime64(f"{year}-12-25", "D"))


def _weekday(day: np.datetime64) -> int:
    # 1970-01-01, day zero of numpy's count, was a Thursday; Monday is 0.
    return int((day.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def _observed(day: np.datetime64) -> np.datetime64:
    """Saturday's holiday is kept on Friday, Sunday's on Monday."""
    return day + {5: -1, 6: 1}.get(_weekday(day), 0) * _DAY


def _nth_weekday(year: int, month: int, *, weekday: int, nth: int) -> np.datetime64:
    first = np.datetime64(f"{year}-{month:02d}-01", "D")
    return first + ((weekday - _weekday(first)) % 7 + 7 * (nth - 1)) * _DAY


def _easter_sunday(year: int) -> np.datetime64:
    """The anonymous Gregorian computus (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    lunar = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * lunar) // 433
    month, day = divmod(h + lunar - 7 * m + 114, 31)
    return np.datetime64(f"{year}-{month:02d}-{day + 1:02d}", "D")


US_EQUITIES = ScheduledCalendar(closures=us_equity_closures())

# Crypto: no closures at all, so month ends are calendar month ends.
EVERY_DAY = ScheduledCalendar(weekmask="1111111")
