"""Where foreign bars lie on their exchange's calendar: the session, and when each bar was complete.

Belongs here: telling daily bars from intraday ones, and how long an intraday bar is.
Does not belong here: how a date is spelled (`ingest_times`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.market.calendars import closes_utc, get_calendar
from quant.market.ingest_options import IngestOptions
from quant.market.ingest_table import RawTable
from quant.market.ingest_times import Moments, check_zone, join_clock, parse_moments
from quant.market.sources import MINUTES_PER_DAY

_OLDEST: Final = np.datetime64("1800-01-01")
# Clock changes make days of 23 hours, so anything from here on counts as a day.
_SHORTEST_DAY_MINUTES: Final = 23 * 60
_LONGEST_USUAL_STEP_DAYS: Final = 5


def place_in_time(
    table: RawTable,
    frame: pd.DataFrame,
    chosen: Mapping[str, str],
    options: IngestOptions,
) -> int | None:
    """Add `session` and `event_time` to `frame`; the bar's length in minutes, None when daily."""
    exchange_zone = get_calendar(options.calendar_name).time_zone
    cells = table.frame[chosen["time"]]
    if "clock" in chosen:
        cells = join_clock(cells, table.frame[chosen["clock"]])
    moments = _moments(table, cells, options, exchange_zone)
    days = _days(frame, moments, exchange_zone, options.interval_minutes)
    if days is not None:
        _refuse_old(table, days, cells)
        _refuse_long_steps(table, frame["symbol"], days)
        frame["session"] = days.astype(object)
        frame["event_time"] = pd.DatetimeIndex(closes_utc(options.calendar_name, days), tz="UTC")
        return None
    interval = options.interval_minutes or _interval_minutes(table, frame["symbol"], moments)
    ends = moments.stamps + timedelta(minutes=0 if options.are_stamps_at_end else interval)
    # A bar that ends at midnight belongs to the day that it completes.
    inside = (ends - timedelta(microseconds=1)).tz_convert(exchange_zone).tz_localize(None)
    session = inside.to_numpy().astype("datetime64[D]")
    _refuse_old(table, session, cells)
    frame["session"] = session.astype(object)
    frame["event_time"] = ends
    frame["interval_minutes"] = interval
    return interval


def _moments(
    table: RawTable, cells: pd.Series, options: IngestOptions, exchange_zone: ZoneInfo
) -> Moments:
    """Each spelling is parsed once: a file of many symbols repeats every date for each of them."""
    codes, _ = pd.factorize(cells, use_na_sentinel=False)
    _, first = np.unique(codes, return_index=True)
    parsed = parse_moments(
        replace(table, frame=table.frame.iloc[first], places=table.places[first]),
        cells.iloc[first],
        zone=check_zone(options.timezone) if options.timezone else None,
        exchange_zone=exchange_zone,
        date_format=options.date_format,
    )
    return Moments(stamps=parsed.stamps.take(codes), is_date_only=parsed.is_date_only)


def _days(
    frame: pd.DataFrame, moments: Moments, exchange_zone: ZoneInfo, interval_minutes: int | None
) -> NDArray[np.datetime64] | None:
    """The sessions of daily bars, or None when the stamps are intraday.

    Daily bars come as dates, as midnights (of UTC, or of the exchange as Alpaca writes them) or, in
    Yahoo's own answers, as the moment of each day's opening.
    """
    if interval_minutes is not None and not moments.is_date_only:
        return None
    if moments.is_date_only:
        return moments.stamps.to_numpy().astype("datetime64[D]")
    utc = moments.stamps.tz_localize(None)
    local = moments.stamps.tz_convert(exchange_zone).tz_localize(None)
    for stamps in (utc, local):
        if (stamps == stamps.normalize()).all():
            return stamps.to_numpy().astype("datetime64[D]")
    steps = _steps_minutes(frame["symbol"], moments.stamps)
    if len(steps) and steps.min() >= _SHORTEST_DAY_MINUTES:
        return local.to_numpy().astype("datetime64[D]")
    return None


def _steps_minutes(symbols: pd.Series, stamps: pd.DatetimeIndex) -> NDArray[np.float64]:
    """Distances between neighbouring bars of the same symbol; repeated keys are left out."""
    moments = stamps.as_unit("us").asi8
    codes, _ = pd.factorize(symbols)
    order = np.lexsort((moments, codes))
    steps = np.diff(moments[order])[np.diff(codes[order]) == 0]
    minutes: NDArray[np.float64] = steps[steps > 0] / 60e6
    return minutes


def _interval_minutes(table: RawTable, symbols: pd.Series, moments: Moments) -> int:
    steps = _steps_minutes(symbols, moments.stamps)
    if not len(steps):
        raise table.fault(
            field="time",
            problem="one intraday bar does not tell how long it is",
            remedy="say it: --interval-minutes 5",
        )
    values, counts = np.unique(steps, return_counts=True)
    usual = float(values[np.argmax(counts)])
    if usual != int(usual) or usual >= MINUTES_PER_DAY or values[0] < usual:
        raise table.fault(
            field="time",
            problem=f"bars usually follow each other after {usual:g} minutes, the closest two "
            f"after {values[0]:g}; that is no regular interval of whole minutes",
            remedy="export bars of one length, or say it: --interval-minutes 5",
        )
    return int(usual)


def _refuse_old(table: RawTable, days: NDArray[np.datetime64], cells: pd.Series) -> None:
    if (bad := days < _OLDEST).any():
        raise table.fault_at(
            bad,
            field="time",
            problem=f"lies before {_OLDEST}",
            remedy="check that the column holds dates, or --date-format",
            values=cells,
        )


def _refuse_long_steps(table: RawTable, symbols: pd.Series, days: NDArray[np.datetime64]) -> None:
    steps = _steps_minutes(symbols, pd.DatetimeIndex(days)) / MINUTES_PER_DAY
    # A handful of rows may well be far apart; a long series with such a median is weekly.
    if len(steps) >= 5 and np.median(steps) >= _LONGEST_USUAL_STEP_DAYS:
        raise table.fault(
            field="time",
            problem=f"the bars are {np.median(steps):g} days apart, so they are not daily",
            remedy="export daily or intraday bars",
        )
