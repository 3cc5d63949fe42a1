"""Writes the calendar tables beside this file from the package exchange_calendars.

Run from the repository root when a table ends too soon or an exchange announces a closure:

    python quant/market/data/build_calendars.py --last 2030-12-31

The product itself reads only the JSON that this leaves behind, so that knowing a session costs a
file read and not the import of a calendar library. The tables in the repository were written with
exchange_calendars 4.13.2. Bucharest (XBSE) cannot be built with it under pandas 3.1, whose holiday
rules refuse the Orthodox Easter offset; it stands in `quant.market.calendars` as approximate.
"""

import argparse
import datetime as dt
import json
from pathlib import Path
from typing import Any

EXCHANGES = ("XNYS", "XJSE", "XKAR", "XZAG", "XLJU")
FIRST = dt.date(1990, 1, 1)
LAST = dt.date(2027, 12, 31)
HERE = Path(__file__).parent


def table(name: str, *, first: dt.date, last: dt.date) -> dict[str, Any]:
    """Everything that makes `name` differ from Monday to Friday at regular hours."""
    import exchange_calendars
    import pandas as pd

    calendar = exchange_calendars.get_calendar(name, start=str(first), end=str(last))
    (_, opens), (_, closes) = calendar.open_times[-1], calendar.close_times[-1]
    local = calendar.schedule[["open", "close"]].apply(lambda c: c.dt.tz_convert(calendar.tz))
    sessions = pd.DatetimeIndex(calendar.sessions)
    weekdays = pd.bdate_range(first, last)
    return {
        "calendar": name,
        "generator": f"exchange_calendars {exchange_calendars.__version__}",
        "time_zone": str(calendar.tz),
        "first": str(first),
        "last": str(last),
        "open": opens.isoformat("minutes"),
        "close": closes.isoformat("minutes"),
        "late_opens": _exceptions(local["open"], opens),
        "early_closes": _exceptions(local["close"], closes),
        "weekend_sessions": [str(day.date()) for day in sessions[sessions.day_of_week > 4]],
        "closures": [str(day.date()) for day in weekdays.difference(sessions)],
    }


def _exceptions(moments: Any, regular: dt.time) -> dict[str, str]:
    return {
        str(session.date()): moment.time().isoformat("minutes")
        for session, moment in moments.items()
        if moment.time() != regular
    }


def main() -> None:
    """Rewrite every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--last", type=dt.date.fromisoformat, default=LAST)
    last = parser.parse_args().last
    for name in EXCHANGES:
        text = json.dumps(table(name, first=FIRST, last=last), indent=1)
        (HERE / f"{name.lower()}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
