"""The data docs of everything that is stored: each table judged by its suite, as pages for people.

Belongs here: which table each suite speaks of, and judging them now. Does not belong here: the
suites and the pages (resources.quality, resources.quality_docs). Nothing is stored by this.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from apps.loading import series_calendar
from quant.core.errors import UsageError
from quant.market.bars import AssetClass, Basis
from resources.desk import Desk

if TYPE_CHECKING:
    from assets.clean.publishing import Series

BAR_SUITES: Final = {"raw_daily_bars": "raw.daily_bars", "clean_daily_bars": "clean.daily_bars"}
TABLE_SUITES: Final = {
    "feature_daily_features": "feature.daily_features",
    "forecast_daily_forecasts": "forecast.combined",
    "signal_daily_signals": "signal.daily_signals",
    "target_daily_weights": "target.daily_weights",
}


def write_data_docs(desk: Desk, on_suite: Callable[[str], None]) -> Path:
    """Judge every table that has rows; gives the index of the pages."""
    verdicts = []
    for suite, table in {**BAR_SUITES, **TABLE_SUITES}.items():
        on_suite(suite)
        frame = measured_bars(desk, table) if suite in BAR_SUITES else _rows(desk, table)
        if len(frame):
            verdicts.append(desk.quality.submit(suite, frame, run_name="pmx data quality"))
    if not verdicts:
        raise UsageError(
            "the warehouse is empty, so there is nothing to judge",
            remedy="load something first: pmx ingest sample",
        )
    on_suite("pages")
    reports = [verdict.result() for verdict in verdicts]
    return desk.quality.submit_docs(reports, desk.settings.home / "data-docs").result()


def measured_bars(desk: Desk, table: str) -> pd.DataFrame:
    """Every bar of the table in its newest version, with the columns that the rules speak of."""
    from assets.clean.backlog import measured_history

    spans = desk.warehouse.rows(f"SELECT min(session), max(session) FROM {table}")
    first, last = spans[0]
    parts = [
        measured_history(desk, series, first, last, table=table) for series in _all(desk, table)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _all(desk: Desk, table: str) -> list["Series"]:
    from assets.clean.publishing import Series

    groups: dict[tuple[str, str], set[str]] = {}
    for symbol, basis, kind in desk.warehouse.rows(
        f"SELECT DISTINCT symbol, basis, asset_class FROM {table}"
    ):
        calendar = series_calendar(symbol, AssetClass(kind))
        groups.setdefault((basis, calendar), set()).add(symbol)
    return [
        Series(
            basis=Basis(basis),
            symbols=tuple(sorted(symbols)),
            calendar=calendar,
            is_expected_daily=False,
        )
        for (basis, calendar), symbols in sorted(groups.items())
    ]


def _rows(desk: Desk, table: str) -> pd.DataFrame:
    frame: pd.DataFrame = desk.warehouse.read(f"SELECT * FROM {table}")
    return frame
