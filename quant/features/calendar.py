"""What the date alone tells: weekday, month and quarter ends, closures behind and ahead.

These come from the panel's list of sessions up to each day and from closures scheduled in advance,
never from later sessions: the list's own future is as unknown as a future price. So the last
session of a month is the last scheduled one, and an unscheduled closure is only ever seen behind.
A panel should hold symbols of one market; others deserve a panel and a calendar of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.features.bars import BoolArray
from quant.features.closures import ScheduledCalendar
from quant.features.feature import Family, Feature, Unit
from quant.market.panel import DayArray, FloatArray

_DAY = np.timedelta64(1, "D")
_DAYS_PER_YEAR = 365.2425


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SessionList:
    """The sessions of a panel and the calendar they were planned by."""

    sessions: DayArray
    calendar: ScheduledCalendar

    def next_scheduled(self) -> DayArray:
        """For each session the next planned one."""
        following: DayArray = np.busday_offset(
            self.sessions + _DAY, 0, roll="forward", busdaycal=self.calendar.busdays()
        )
        return following

    def closures_behind(self) -> DayArray:
        """Days of the weekly pattern without a session, and planned closures before the first."""
        if not len(self.sessions):
            return self.sessions
        days = np.arange(self.sessions[0], self.sessions[-1], dtype="datetime64[D]")
        pattern = days[np.is_busday(days, weekmask=self.calendar.weekmask)]
        shut = np.setdiff1d(pattern, self.sessions)
        planned = self.calendar.closures
        return np.concatenate([planned[planned < self.sessions[0]], shut])


def date_parts(days: SessionList) -> Sequence[FloatArray]:
    """Weekday (Monday 0), day of month and of year, month, quarter (all from 1)."""
    sessions = days.sessions
    month = _month_index(sessions)
    day_of_month = (sessions - sessions.astype("datetime64[M]")).astype(float) + 1
    day_of_year = (sessions - sessions.astype("datetime64[Y]")).astype(float) + 1
    return [_weekday(sessions), day_of_month, day_of_year, month, np.floor((month + 2) / 3)]


def date_waves(days: SessionList) -> Sequence[FloatArray]:
    """Weekday and day of year as points on a circle, so that Friday lies next to Monday."""
    sessions = days.sessions
    week = 2 * np.pi * _weekday(sessions) / 5
    since_new_year = (sessions - sessions.astype("datetime64[Y]")).astype(float)
    year = 2 * np.pi * since_new_year / _DAYS_PER_YEAR
    return [np.sin(week), np.cos(week), np.sin(year), np.cos(year)]


def period_edges(days: SessionList) -> Sequence[FloatArray]:
    """Whether a session is the first or last planned one of its month, quarter or year."""
    result: list[FloatArray] = []
    for months in (1, 3, 12):
        first, last = _planned_edges(days, months)
        result += [_claim(days.sessions == first), _claim(days.sessions == last)]
    return result


def month_position(days: SessionList) -> Sequence[FloatArray]:
    """Planned sessions since the month's first and until its last."""
    first, last = _planned_edges(days, 1)
    busdays = days.calendar.busdays()
    return [
        np.busday_count(first, days.sessions, busdaycal=busdays).astype(float),
        np.busday_count(days.sessions, last, busdaycal=busdays).astype(float),
    ]


def closure_distances(days: SessionList) -> Sequence[FloatArray]:
    """Calendar days since the last closure (any cause) and until the next planned one."""
    sessions = days.sessions
    behind, ahead = days.closures_behind(), days.calendar.closures
    since = _pick(behind, np.searchsorted(behind, sessions, side="left") - 1)
    until = _pick(ahead, np.searchsorted(ahead, sessions, side="right"))
    return [_days(sessions - since), _days(until - sessions)]


def closure_neighbours(days: SessionList) -> Sequence[FloatArray]:
    """Shut days just before and just after, and whether a holiday is among them."""
    sessions, following = days.sessions, days.next_scheduled()
    since, until = closure_distances(days)
    before = np.full(len(sessions), np.nan)
    before[1:] = _days(sessions[1:] - sessions[:-1]) - 1
    after = _days(following - sessions) - 1
    is_after = np.where(np.isnan(before), np.nan, _claim(since <= before))
    return [before, after, is_after, _claim(until <= after)]


def _weekday(sessions: DayArray) -> FloatArray:
    # 1970-01-01, day zero of numpy's count, was a Thursday.
    return ((sessions.astype(np.int64) + 3) % 7).astype(float)


def _month_index(sessions: DayArray) -> FloatArray:
    return (sessions.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(float)


def _planned_edges(days: SessionList, months: int) -> tuple[DayArray, DayArray]:
    """First and last planned session of the period of so many months around each session."""
    month = days.sessions.astype("datetime64[M]")
    start = month - (month.astype(np.int64) % months)
    busdays = days.calendar.busdays()
    first = np.busday_offset(start.astype("datetime64[D]"), 0, roll="forward", busdaycal=busdays)
    end = (start + months).astype("datetime64[D]") - _DAY
    return first, np.busday_offset(end, 0, roll="backward", busdaycal=busdays)


def _pick(days: DayArray, index: NDArray[np.intp]) -> DayArray:
    picked = np.full(len(index), np.datetime64("NaT", "D"))
    known = (index >= 0) & (index < len(days))
    picked[known] = days[index[known]]
    return picked


def _days(spans: NDArray[np.timedelta64]) -> FloatArray:
    return np.where(np.isnat(spans), np.nan, spans.astype("timedelta64[D]").astype(np.int64))


def _claim(condition: BoolArray) -> FloatArray:
    return condition.astype(float)


def _feature(name: str, unit: Unit, description: str, warm_up_bars: int = 0) -> Feature:
    return Feature(
        name=name,
        unit=unit,
        subject="calendar",
        inputs=(),
        warm_up_bars=warm_up_bars,
        description=description,
    )


FAMILIES = (
    Family(
        function=date_parts,
        on_sessions=True,
        features=(
            _feature("day_of_week_index", Unit.INDEX, "Weekday, Monday is 0."),
            _feature("day_of_month_index", Unit.INDEX, "Day of the month, from 1."),
            _feature("day_of_year_index", Unit.INDEX, "Day of the year, from 1."),
            _feature("month_index", Unit.INDEX, "Month, January is 1."),
            _feature("quarter_index", Unit.INDEX, "Quarter, from 1."),
        ),
    ),
    Family(
        function=date_waves,
        on_sessions=True,
        features=(
            _feature("day_of_week_sine_ratio", Unit.RATIO, "Sine of the weekday's angle."),
            _feature("day_of_week_cosine_ratio", Unit.RATIO, "Cosine of the weekday's angle."),
            _feature("day_of_year_sine_ratio", Unit.RATIO, "Sine of the season's angle."),
            _feature("day_of_year_cosine_ratio", Unit.RATIO, "Cosine of the season's angle."),
        ),
    ),
    Family(
        function=period_edges,
        on_sessions=True,
        features=tuple(
            _feature(f"is_{period}_{edge}", Unit.CLAIM, f"{word} planned session of the {period}.")
            for period in ("month", "quarter", "year")
            for edge, word in (("start", "First"), ("end", "Last"))
        ),
    ),
    Family(
        function=month_position,
        on_sessions=True,
        features=(
            _feature("since_month_start_bars", Unit.BARS, "Planned sessions since month start."),
            _feature("to_month_end_bars", Unit.BARS, "Planned sessions until month end."),
        ),
    ),
    Family(
        function=closure_distances,
        on_sessions=True,
        features=(
            _feature("since_closure_days", Unit.DAYS, "Days since the last weekday closure."),
            _feature("to_closure_days", Unit.DAYS, "Days until the next planned closure."),
        ),
    ),
    Family(
        function=closure_neighbours,
        on_sessions=True,
        features=(
            _feature("shut_before_days", Unit.DAYS, "Days without session just before.", 1),
            _feature("shut_after_days", Unit.DAYS, "Days without planned session just after."),
            _feature("is_after_closure", Unit.CLAIM, "A weekday closure lies just before.", 1),
            _feature("is_before_closure", Unit.CLAIM, "A planned closure lies just after."),
        ),
    ),
)
