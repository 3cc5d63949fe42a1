"""The one partitions definition of the product: trading days of the New York exchange.

Symbols are rows, never partitions (a partition per symbol and day does not scale). Imports stay
light on purpose: this module is on the path of every command that loads the code location.
"""

import datetime as dt

import dagster as dg

from quant.market.calendars import closures

CALENDAR = "XNYS"
# Where the bundled data with every kind of bar begins; earlier history needs no partition, it is
# loaded by `pmx ingest`.
FIRST_SESSION = dt.date(2004, 1, 2)
_SATURDAYS, _SUNDAYS = "0 0 * * 6", "0 0 * * 0"


def _exclusions() -> list[str | dt.datetime]:
    holidays = [
        dt.datetime(day.year, day.month, day.day)  # noqa: DTZ001 (Dagster wants local midnight)
        for day in closures(CALENDAR)
        if day >= FIRST_SESSION
    ]
    return [_SATURDAYS, _SUNDAYS, *holidays]


trading_days = dg.DailyPartitionsDefinition(
    start_date=FIRST_SESSION.isoformat(),
    timezone="America/New_York",
    exclusions=_exclusions(),
)
