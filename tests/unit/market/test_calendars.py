import datetime as dt
import subprocess
import sys

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError, UsageError
from quant.market import calendars

FIRST, LAST = dt.date(1990, 1, 1), dt.date(2026, 12, 31)


# exchange_calendars 4.13 uses what pandas 3.1 deprecates; the warnings are not ours to fix.
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.parametrize("name", calendars.TABLED)
def test_every_session_open_and_close_equals_exchange_calendars(name):
    """Thirty-seven years, session by session, against the library the tables came from."""
    reference = exchange_calendars.get_calendar(name, start=str(FIRST), end=str(LAST)).schedule
    ours = calendars.sessions(name, FIRST, LAST)
    assert (ours == reference.index.to_numpy().astype("datetime64[D]")).all()
    closes = pd.DatetimeIndex(calendars.closes_utc(name, ours), tz="UTC")
    assert (closes == reference["close"]).all()
    opens = [calendars.session_open(name, day) for day in ours.tolist()]
    assert (pd.DatetimeIndex(opens) == reference["open"]).all()


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (dt.date(2018, 12, 5), "mourning for President Bush"),
        (dt.date(2025, 1, 9), "mourning for President Carter"),
        (dt.date(2001, 9, 11), "the attacks of September 2001"),
        (dt.date(2012, 10, 29), "Hurricane Sandy"),
        (dt.date(2022, 6, 20), "Juneteenth, observed on Monday"),
    ],
)
def test_new_york_stays_shut_on_days_no_rule_predicts(day, why):
    assert not calendars.is_session("XNYS", day), why
    assert day in calendars.closures("XNYS")


@pytest.mark.parametrize(
    ("day", "hour_utc"),
    [
        (dt.date(2024, 11, 29), 18),  # the day after Thanksgiving closes at 13:00 New York
        (dt.date(2024, 7, 3), 17),  # a half-day in summer time
        (dt.date(2024, 3, 8), 21),  # the Friday before the clocks go forward
        (dt.date(2024, 3, 11), 20),  # the Monday after
        (dt.date(2024, 11, 1), 20),  # the Friday before the clocks go back
        (dt.date(2024, 11, 4), 21),
    ],
)
def test_a_session_closes_at_the_right_utc_hour(day, hour_utc):
    expected = dt.datetime(day.year, day.month, day.day, hour_utc, tzinfo=dt.UTC)
    assert calendars.session_close("XNYS", day) == expected


def test_half_days_carry_their_local_closing_time():
    assert calendars.early_closes("XNYS")[dt.date(2024, 12, 24)] == dt.time(13)


def test_the_days_around_a_long_weekend_find_each_other():
    assert calendars.next_session("XNYS", dt.date(2024, 8, 30)) == dt.date(2024, 9, 3)
    assert calendars.previous_session("XNYS", dt.date(2024, 9, 3)) == dt.date(2024, 8, 30)


@given(day=st.dates(dt.date(1990, 2, 1), dt.date(2027, 11, 30)))
def test_next_and_previous_are_neighbours_in_the_list_of_sessions(day):
    """Walking and listing are two ways to the same answer."""
    around = calendars.sessions(
        "XNYS", day - dt.timedelta(days=20), day + dt.timedelta(days=20)
    ).tolist()
    assert calendars.next_session("XNYS", day) == min(d for d in around if d > day)
    assert calendars.previous_session("XNYS", day) == max(d for d in around if d < day)
    assert calendars.is_session("XNYS", day) == (day in around)


@pytest.mark.parametrize("day", [dt.date(1989, 12, 29), dt.date(2028, 1, 3)])
def test_a_day_beyond_the_table_is_an_error_that_says_how_to_extend_it(day):
    for ask in (calendars.is_session, calendars.session_close, calendars.next_session):
        with pytest.raises(DataError, match="covers 1990-01-01 to 2027-12-31") as caught:
            ask("XNYS", day)
        assert "build_calendars.py" in caught.value.remedy
    with pytest.raises(DataError):
        calendars.sessions("XNYS", day, dt.date(2028, 2, 1))


def test_the_last_session_of_the_table_has_no_silent_successor():
    with pytest.raises(DataError, match="not 2028-01-01"):
        calendars.next_session("XNYS", dt.date(2027, 12, 31))


def test_a_holiday_has_no_close():
    with pytest.raises(DataError, match="2024-07-04 is not a session of XNYS"):
        calendars.session_close("XNYS", dt.date(2024, 7, 4))


def test_crypto_trades_every_utc_day_until_the_next_midnight():
    days = calendars.sessions("24/7", dt.date(2024, 2, 27), dt.date(2024, 3, 2))
    assert len(days) == 5
    assert calendars.session_open("24/7", dt.date(2024, 2, 29)) == dt.datetime(
        2024, 2, 29, tzinfo=dt.UTC
    )
    assert calendars.session_close("24/7", dt.date(2024, 2, 29)) == dt.datetime(
        2024, 3, 1, tzinfo=dt.UTC
    )


def test_cairo_trades_on_sunday_and_rests_on_friday():
    assert calendars.is_session("XCAI", dt.date(2024, 6, 2))
    assert not calendars.is_session("XCAI", dt.date(2024, 6, 7))


def test_a_calendar_without_holidays_says_that_it_is_approximate():
    assert calendars.is_approximate("XNSA")
    assert not calendars.is_approximate("XNYS")
    assert calendars.closures("XNSA") == ()


def test_every_calendar_answers_for_an_ordinary_week():
    for name in calendars.calendar_names():
        week = calendars.sessions(name, dt.date(2024, 6, 3), dt.date(2024, 6, 9))
        assert 4 <= len(week) <= 7, name
        for day in week.tolist():
            assert calendars.session_open(name, day) < calendars.session_close(name, day)


def test_a_day_that_is_no_session_still_gets_its_regular_close_in_bulk():
    """Phantom rows must reach the quality rules with a moment of their own."""
    [moment] = calendars.closes_utc("XNYS", np.array(["2024-07-04"], dtype="datetime64[D]"))
    assert moment == np.datetime64("2024-07-04T20:00")


def test_an_unknown_calendar_is_refused_with_the_list_of_known_ones():
    with pytest.raises(UsageError) as caught:
        calendars.sessions("XXXX", FIRST, LAST)
    assert "XNYS" in caught.value.remedy


def test_importing_calendars_and_reading_closures_loads_neither_numpy_nor_pandas():
    """The code location asks for closures at import, and every process pays for that."""
    code = (
        "import sys; from quant.market.calendars import closures; assert closures('XNYS');"
        "assert not {'numpy', 'pandas', 'exchange_calendars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
