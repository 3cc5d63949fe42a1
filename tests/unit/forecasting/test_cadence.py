"""Which session's parameters are in force, from the calendar alone."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError, UsageError
from quant.forecasting.cadence import fit_session_for

# Two weeks and a bit; Monday 2022-12-26 was a holiday.
DAYS = np.busday_offset("2022-12-19", np.arange(10), holidays=["2022-12-26", "2023-01-02"]).astype(
    "datetime64[D]"
)


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ("2022-12-19", "2022-12-19"),
        ("2022-12-23", "2022-12-19"),
        ("2022-12-27", "2022-12-27"),
        ("2022-12-30", "2022-12-27"),
        ("2023-01-03", "2023-01-03"),
    ],
)
def test_every_five_means_the_first_session_of_each_week(session, expected):
    """Counted from a Monday, a holiday shortens its block and moves no other."""
    assert fit_session_for(_date(session), DAYS, 5) == _date(expected)


def test_every_one_is_the_session_itself():
    """Refitting each night."""
    assert all(fit_session_for(day.item(), DAYS, 1) == day.item() for day in DAYS)


@given(every=st.integers(1, 12), place=st.integers(30, 199), cut=st.integers(0, 12))
def test_a_single_night_and_a_backfill_agree(every, place, cut):
    """The answer needs neither the sessions after the night nor those long before it."""
    days = np.busday_offset("2021-03-03", np.arange(200))
    session = days[place].item()
    whole = fit_session_for(session, days, every)
    assert fit_session_for(session, days[cut : place + 1], every) == whole
    assert whole <= session
    assert np.busday_count(whole, session) < every


def test_a_session_that_is_found_missing_later_moves_no_other_block():
    """Repairing the calendar by one day leaves every other week's fit session where it was."""
    repaired = np.sort(np.append(DAYS, np.datetime64("2022-12-26")))
    for day in DAYS[:5].tolist() + DAYS[9:].tolist():
        assert fit_session_for(day, repaired, 5) == fit_session_for(day, DAYS, 5)


def test_a_day_off_the_list_and_a_cadence_of_nothing_are_refused():
    """A holiday has no fit session."""
    with pytest.raises(DataError, match="2022-12-26 is not on the list of sessions"):
        fit_session_for(_date("2022-12-26"), DAYS, 5)
    with pytest.raises(UsageError, match="every must be at least 1, was 0"):
        fit_session_for(_date("2022-12-27"), DAYS, 0)
