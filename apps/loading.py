"""Loads history in bulk: land in raw, judge, publish the believable rows to clean.

Belongs here: what `pmx ingest` and `pmx demo` share. Does not belong here: reading files
(resources.market_data), the rules (quant.market.quality), or single nights (assets).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from assets.clean.publishing import CLEAN_KEY, SUITE
from assets.raw.corporate_actions import ACTION_KEY
from assets.raw.daily_bars import BAR_KEY
from quant.market.bars import AssetClass, Basis
from resources.desk import Desk

if TYPE_CHECKING:
    import numpy as np

    from resources.warehouse import Provenance

# Crypto trades every day; everything else here follows New York.
_CALENDARS = {AssetClass.CRYPTO: "24/7"}
_DEFAULT_CALENDAR = "XNYS"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a load added; nothing at all when it was there already."""

    rows_delivered: int
    rows_landed: int
    rows_published: int
    findings: int
    series: int


def land_and_publish(
    desk: Desk, bars: pd.DataFrame, actions: pd.DataFrame | None, *, run_id: str
) -> LoadResult:
    """Land bars and actions in raw; judge each basis and calendar as one table, then publish."""
    lake = desk.warehouse
    raw, clean = desk.provenance(run_id, "raw"), desk.provenance(run_id, "clean")
    if actions is not None and len(actions):
        lake.append_versions("raw.corporate_actions", actions, raw, key=ACTION_KEY)
    landed = lake.append_versions("raw.daily_bars", bars, raw, key=BAR_KEY).rows
    published = findings = series = 0
    if landed:
        for basis, calendar, rows in _tables(bars):
            part = _judge_and_publish(desk, clean, basis, calendar, rows)
            published += part[0]
            findings += part[1]
            series += rows["symbol"].nunique()
    return LoadResult(
        rows_delivered=len(bars),
        rows_landed=landed,
        rows_published=published,
        findings=findings,
        series=series,
    )


def load_sample(desk: Desk, *, until: dt.date | None = None, run_id: str) -> LoadResult:
    """The bundled data; the universe's own series before `until`, the rest arrives by night."""
    from resources.market_data.sample import SampleSource

    source, universe = SampleSource(desk.sample_folder), desk.universe
    bars = source.all_daily_bars()
    if until is not None:
        own = (bars["basis"] == str(universe.basis)) & bars["symbol"].isin(universe.symbols)
        bars = bars[~own | (bars["session"] < until)]
    return land_and_publish(desk, bars, source.all_actions(), run_id=run_id)


def _tables(bars: pd.DataFrame) -> Iterator[tuple[Basis, str, pd.DataFrame]]:
    calendars = bars["asset_class"].map(
        lambda name: _CALENDARS.get(AssetClass(name), _DEFAULT_CALENDAR)
    )
    for (basis, calendar), rows in bars.groupby(["basis", calendars], sort=True):
        yield Basis(basis), str(calendar), rows


def _judge_and_publish(
    desk: Desk, provenance: "Provenance", basis: Basis, calendar: str, delivered: pd.DataFrame
) -> tuple[int, int]:
    from quant.market.quality import measure
    from quant.market.quality_gate import is_publishable
    from quant.market.quality_rules import QualityPolicy

    policy = desk.policy("quality", QualityPolicy)
    symbols = sorted(delivered["symbol"].unique())
    rows = _stored(desk, basis, symbols, delivered)
    measured = measure(
        rows, sessions=_sessions(rows, calendar), actions=_actions(desk, basis), policy=policy
    )
    report = desk.quality.validate(SUITE, measured, run_name=provenance.run_id)
    measured["raw_row_hash"] = rows["row_hash"].to_numpy()
    good = measured[is_publishable(measured, policy=policy)]
    written = desk.warehouse.append_versions("clean.daily_bars", good, provenance, key=CLEAN_KEY)
    found = report.findings.assign(
        basis=str(basis), suite=SUITE, column_name=report.findings["column"]
    )
    desk.warehouse.publish(
        "clean.findings", found, provenance, scope={"basis": [str(basis)], "symbol": symbols}
    )
    return written.rows, len(found)


def _stored(desk: Desk, basis: Basis, symbols: list[str], delivered: pd.DataFrame) -> pd.DataFrame:
    """The newest version of every raw bar of these series: a rule needs the whole history."""
    return desk.warehouse.read(
        "SELECT * FROM raw.daily_bars WHERE basis = ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) "
        "AND asset_class IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY symbol, basis, session, source "
        "ORDER BY known_at DESC) = 1 ORDER BY symbol, session",
        [str(basis), symbols, sorted(delivered["asset_class"].unique())],
    )


def _sessions(rows: pd.DataFrame, calendar: str) -> "np.ndarray":
    from quant.market.calendars import sessions

    return sessions(calendar, rows["session"].min().date(), rows["session"].max().date())


def _actions(desk: Desk, basis: Basis) -> pd.DataFrame | None:
    """Actions explain jumps in raw prices; adjusted prices have none left to explain."""
    if basis is not Basis.RAW:
        return None
    return desk.warehouse.read(
        "SELECT symbol, ex_session, kind, value, known_at, source FROM raw.corporate_actions"
    )
