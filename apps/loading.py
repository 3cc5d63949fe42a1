"""Loads history in bulk: land in raw, judge, publish the believable rows to clean.

Belongs here: what `pmx ingest` and `pmx demo` share. Does not belong here: reading files
(resources.market_data), the rules (quant.market.quality), or single nights (assets).

Each table is written in one commit, in the order in which a reader needs them, and what an
interrupted load left unjudged is judged by the next one. So a load may stop anywhere.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from assets.clean.backlog import publish_backlog
from assets.clean.publishing import Series
from assets.keys import ACTION_KEY, BAR_KEY, INTRADAY_KEY
from quant.market.bars import AssetClass, Basis
from quant.market.ingest_options import default_calendar
from resources.desk import Desk

if TYPE_CHECKING:
    from assets.clean.publishing import Judged
    from resources.warehouse import Provenance

OnStep = Callable[[str], None]
"""Called before each step with a few words for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLoad:
    """What became of one symbol's rows on one basis."""

    symbol: str
    basis: str
    first: dt.date
    last: dt.date
    rows: int
    landed: int
    published: int
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a load added; nothing at all when it was there already."""

    rows_delivered: int
    rows_landed: int
    rows_published: int
    actions_landed: int
    findings: int
    series: tuple[SeriesLoad, ...]


def land_and_publish(
    desk: Desk,
    bars: pd.DataFrame,
    actions: pd.DataFrame | None,
    *,
    run_id: str,
    calendar: str | None = None,
    on_step: OnStep | None = None,
) -> LoadResult:
    """Land bars (`DAILY_BAR_COLUMNS`) and actions in raw; judge and publish what is new.

    Bars of one basis and calendar are judged as one table. `calendar` overrides the calendar that
    each asset class has by default.
    """
    step = on_step or _say_nothing
    desk.policies  # noqa: B018 (a wrong policy file is refused before anything is written)
    tables = list(_tables(bars, calendar))
    for series, start, end in tables:
        _require_calendar(series, start, end)
    step("landing")
    raw = desk.provenance(run_id, "raw")
    lake = desk.warehouse
    actions_landed = 0
    if actions is not None and len(actions):
        written = lake.append_versions(
            "raw.corporate_actions", actions, raw, key=ACTION_KEY, retrieved_at=desk.clock.now()
        )
        actions_landed = written.rows
    now = desk.clock.now()
    landed = lake.append_versions("raw.daily_bars", bars, raw, key=BAR_KEY, retrieved_at=now).rows
    clean = desk.provenance(run_id, "clean")
    judged = publish_backlog(
        desk,
        clean,
        tables,
        on_series=lambda part: step(f"judging {part.basis} bars of {len(part.symbols)} symbols"),
    )
    return LoadResult(
        rows_delivered=len(bars),
        rows_landed=landed,
        rows_published=sum(part.published for part in judged.values()),
        actions_landed=actions_landed,
        findings=sum(len(part.findings) for part in judged.values()),
        series=_by_series(desk, bars, raw, clean, judged),
    )


def load_sample(
    desk: Desk, *, until: dt.date | None = None, run_id: str, on_step: OnStep | None = None
) -> LoadResult:
    """The bundled data; the universe's own series before `until`, the rest arrives by night."""
    from resources.market_data.sample import SampleSource

    source, universe = SampleSource(desk.sample_folder), desk.universe
    bars = source.all_daily_bars()
    if until is not None:
        own = (bars["basis"] == str(universe.basis)) & bars["symbol"].isin(universe.symbols)
        bars = bars[~own | (bars["session"] < until)]
    return land_and_publish(desk, bars, source.all_actions(), run_id=run_id, on_step=on_step)


def land_intraday(desk: Desk, bars: pd.DataFrame, *, run_id: str) -> int:
    """Land intraday bars in raw; gives the number of new rows. Nothing downstream reads them yet,
    so what was checked when they were parsed (keys, order, prices) is all that is judged."""
    if bars.empty:
        return 0
    written = desk.warehouse.append_versions(
        "raw.intraday_bars", bars, desk.provenance(run_id, "raw"), key=INTRADAY_KEY
    )
    return written.rows


def _require_calendar(series: Series, start: dt.date, end: dt.date) -> None:
    """Refuse before anything is written what could not be judged after."""
    from quant.market.calendars import get_calendar

    found = get_calendar(series.calendar)
    found.require_known(start)
    found.require_known(end)


def _say_nothing(_words: str) -> None:
    pass


def series_calendar(symbol: str, asset_class: AssetClass) -> str:
    """The exchange that the symbol names (MTNN.XNSA), else the asset class's own calendar."""
    from quant.market.calendars import calendar_names

    exchange = symbol.rpartition(".")[2]
    return exchange if exchange in calendar_names() else default_calendar(asset_class)


def _tables(bars: pd.DataFrame, calendar: str | None) -> Iterator[tuple[Series, dt.date, dt.date]]:
    if bars.empty:
        return
    names = bars[["symbol", "asset_class"]].drop_duplicates()
    of_series = {
        (symbol, kind): calendar or series_calendar(str(symbol), AssetClass(str(kind)))
        for symbol, kind in names.itertuples(index=False)
    }
    codes = bars.groupby(["symbol", "asset_class"], sort=True).ngroup()
    calendars = codes.map(dict(enumerate(of_series[key] for key in sorted(of_series))))
    for (basis, name), rows in bars.groupby(["basis", calendars], sort=True):
        series = Series(
            basis=Basis(str(basis)),
            symbols=tuple(sorted(rows["symbol"].unique())),
            calendar=str(name),
            is_expected_daily=False,
        )
        yield series, rows["session"].min(), rows["session"].max()


def _by_series(
    desk: Desk,
    bars: pd.DataFrame,
    raw: "Provenance",
    clean: "Provenance",
    judged: Mapping[Series, "Judged"],
) -> tuple[SeriesLoad, ...]:
    landed = _written(desk, "raw.daily_bars", raw)
    published = _written(desk, "clean.daily_bars", clean)
    findings: dict[tuple[str, str], int] = {}
    for series, part in judged.items():
        for symbol, count in part.findings["symbol"].value_counts().items():
            findings[str(symbol), str(series.basis)] = int(count)
    summary = bars.groupby(["symbol", "basis"])["session"].agg(["size", "min", "max"])
    return tuple(
        SeriesLoad(
            symbol=str(symbol),
            basis=str(basis),
            first=row["min"],
            last=row["max"],
            rows=int(row["size"]),
            landed=landed.get((symbol, basis), 0),
            published=published.get((symbol, basis), 0),
            findings=findings.get((symbol, basis), 0),
        )
        for (symbol, basis), row in summary.iterrows()
    )


def _written(desk: Desk, table: str, provenance: "Provenance") -> dict[tuple[str, str], int]:
    rows = desk.warehouse.rows(
        f"SELECT symbol, basis, count(*) FROM {table} WHERE run_id = ? AND snapshot_id = ? "
        "GROUP BY ALL",
        [provenance.run_id, provenance.snapshot_id],
    )
    return {(symbol, basis): count for symbol, basis, count in rows}
