"""Dates: what is planned, what came as a surprise, and pandas' and the exchange's own answers."""

import numpy as np
import pandas as pd
import pytest

from quant.features import (
    EVERY_DAY,
    US_EQUITIES,
    ScheduledCalendar,
    compute_features,
    us_equity_closures,
)
from quant.market.panel import BarPanel, DayArray

CALENDAR_FEATURES = (
    "day_of_week_index",
    "is_month_start",
    "is_month_end",
    "is_quarter_start",
    "is_quarter_end",
    "is_year_end",
    "since_month_start_bars",
    "to_month_end_bars",
    "since_closure_days",
    "to_closure_days",
    "shut_before_days",
    "shut_after_days",
    "is_after_closure",
    "is_before_closure",
    "day_of_month_index",
    "day_of_year_index",
    "month_index",
    "quarter_index",
)


def on(sessions: DayArray, calendar: ScheduledCalendar = US_EQUITIES) -> pd.DataFrame:
    """Calendar features of one symbol that traded on all `sessions`."""
    ones = np.ones((1, len(sessions)))
    panel = BarPanel(
        symbols=("X",),
        sessions=sessions,
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        volume=ones,
    )
    result = compute_features(panel, names=CALENDAR_FEATURES, calendar=calendar)
    return pd.DataFrame(
        result.values[:, 0].T, columns=list(result.names), index=pd.DatetimeIndex(sessions)
    )


def planned(first: str, last: str, *, without: tuple[str, ...] = ()) -> DayArray:
    """All planned sessions but those that fell out unexpectedly."""
    days = np.arange(first, last, dtype="datetime64[D]")
    open_days = days[np.is_busday(days, holidays=US_EQUITIES.closures)]
    return np.setdiff1d(open_days, np.array(without, dtype="datetime64[D]"))


# exchange-calendars 4.13 trips over a deprecation of pandas 3.1.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray")
def test_the_rules_give_the_exchange_s_regular_holidays() -> None:
    """Against exchange-calendars, 1990 to 2026, without its ad hoc closures."""
    import exchange_calendars

    exchange = exchange_calendars.get_calendar("XNYS", start="1990-01-01", end="2027-01-01")
    days = pd.date_range("1990-01-02", "2026-12-31", freq="B")
    shut = days.difference(exchange.sessions).difference(pd.DatetimeIndex(exchange.adhoc_holidays))
    ours = pd.DatetimeIndex(us_equity_closures(1990, 2026))
    assert list(ours[ours > "1990-01-01"]) == list(shut)


def test_month_and_quarter_ends_agree_with_pandas_offsets() -> None:
    """With no closures planned the definitions are the same: last weekday of the period."""
    sessions = planned("2010-01-01", "2015-01-01")
    index = pd.DatetimeIndex(sessions)
    got = on(sessions, ScheduledCalendar())
    for name, offset in (
        ("is_month_end", pd.offsets.BMonthEnd()),
        ("is_month_start", pd.offsets.BMonthBegin()),
        ("is_quarter_end", pd.offsets.BQuarterEnd(startingMonth=3)),
        ("is_quarter_start", pd.offsets.BQuarterBegin(startingMonth=1)),
        ("is_year_end", pd.offsets.BYearEnd()),
    ):
        assert list(got[name]) == [float(offset.is_on_offset(day)) for day in index], name


def test_date_parts_are_those_of_pandas() -> None:
    """Monday is 0."""
    sessions = planned("2011-01-01", "2013-01-01")
    index, got = pd.DatetimeIndex(sessions), on(sessions)
    assert (got["day_of_week_index"] == index.day_of_week).all()
    assert (got["day_of_month_index"] == index.day).all()
    assert (got["day_of_year_index"] == index.day_of_year).all()
    assert (got["month_index"] == index.month).all()
    assert (got["quarter_index"] == index.quarter).all()


def test_the_last_planned_session_is_the_month_s_end_even_before_a_holiday() -> None:
    """Good Friday 2018 fell on March 30th: March and the quarter ended on Thursday the 29th."""
    got = on(planned("2018-01-01", "2018-06-01"))
    assert got.loc["2018-03-29", "is_month_end"] == 1
    assert got.loc["2018-03-29", "is_quarter_end"] == 1
    assert got.loc["2018-03-26":"2018-03-29", "to_month_end_bars"].tolist() == [3, 2, 1, 0]
    assert got.loc["2018-03-28", "is_month_end"] == 0


def test_distances_around_thanksgiving() -> None:
    """Closed on Thursday 2016-11-24, known long before."""
    got = on(planned("2016-10-03", "2016-12-10"))
    week = got.loc["2016-11-21":"2016-11-28"]
    assert week["to_closure_days"].tolist() == [3, 2, 1, 31, 28]
    assert week["since_closure_days"].tolist()[-2:] == [1, 4]
    assert week["is_before_closure"].tolist() == [0, 0, 1, 0, 0]
    assert week["is_after_closure"].tolist() == [0, 0, 0, 1, 0]
    assert week["shut_before_days"].tolist() == [2, 0, 0, 1, 2]
    assert week["shut_after_days"].tolist() == [0, 0, 1, 2, 0]


def test_a_storm_is_seen_only_behind() -> None:
    """Sandy shut New York on Monday and Tuesday, 2012-10-29 and 30; on Friday nobody knew."""
    sandy = on(planned("2012-09-04", "2012-12-01", without=("2012-10-29", "2012-10-30")))
    calm = on(planned("2012-09-04", "2012-12-01"))
    friday, wednesday = "2012-10-26", "2012-10-31"
    assert sandy.loc[:friday].equals(calm.loc[:friday])
    assert sandy.loc[wednesday, "since_closure_days"] == 1
    assert sandy.loc[wednesday, "shut_before_days"] == 4
    assert sandy.loc[wednesday, "is_after_closure"] == 1
    assert calm.loc[wednesday, "is_after_closure"] == 0


def test_a_market_that_never_shuts_has_calendar_month_ends() -> None:
    """Crypto: Sunday 2021-01-31 ends the month, and no closure is ever near."""
    got = on(np.arange("2020-12-01", "2021-03-01", dtype="datetime64[D]"), EVERY_DAY)
    assert got.loc["2021-01-31", "is_month_end"] == 1
    assert got["is_month_end"].sum() == 3
    assert got["since_closure_days"].isna().all()
    assert (got["is_before_closure"] == 0).all()


def test_a_mask_that_is_no_week_is_refused() -> None:
    """Seven of 0 and 1, not all 0."""
    with pytest.raises(ValueError, match="weekmask"):
        ScheduledCalendar(weekmask="0000000")
