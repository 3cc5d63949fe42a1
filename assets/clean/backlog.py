"""Judges and publishes in one go what lies in `raw` and has not been judged yet.

Belongs here: bars that did not come by night (files, the bundled history), and those that an
interrupted load left behind. Does not belong here: nights, which judge each session as its own
evening saw it (`publishing`), or the rules (quant.market.quality).

Every series is judged with its whole stored history before the first new bar, and only verdicts of
bars that are new are written: what a night has found stays as the night saw it.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from assets.clean.publishing import LOOKBACK_DAYS, SUITE, Judged, Series
from assets.keys import CLEAN_KEY
from resources.desk import Desk

if TYPE_CHECKING:
    from resources.quality import SuiteReport
    from resources.warehouse import Provenance

_FINDING_COLUMNS = (
    "symbol", "basis", "session", "suite", "rule", "severity", "column_name", "value", "message"
)  # fmt: skip


def publish_backlog(
    desk: Desk,
    provenance: "Provenance",
    ranges: Sequence[tuple[Series, dt.date, dt.date]],
    *,
    on_series: Callable[[Series], None] = lambda _: None,
) -> dict[Series, Judged]:
    """Judge the bars of each range that nobody has judged; publish the believable ones.

    `provenance` must have been taken after the bars landed: it tells a verdict on them from one on
    an earlier version. All tables are handed to the judge before the first verdict is waited for.
    """
    submitted = []
    for series, start, end in ranges:
        pending = _pending(desk, series, start, end)
        if pending:
            before = min(pending.values()) - dt.timedelta(days=LOOKBACK_DAYS)
            history = measured_history(desk, series, before, end)
            is_pending = [key in pending for key in history["row_hash"].tolist()]
            measured = history[np.array(is_pending)].reset_index(drop=True)
            verdict = desk.quality.submit(SUITE, measured, run_name=provenance.run_id)
            submitted.append((series, measured, verdict))
    judged = {}
    for series, measured, verdict in submitted:
        on_series(series)
        judged[series] = _publish(desk, provenance, series, measured, verdict.result())
    return judged


def _publish(
    desk: Desk,
    provenance: "Provenance",
    series: Series,
    measured: pd.DataFrame,
    report: "SuiteReport",
) -> Judged:
    """Findings go first, so that a bar in `clean` always has its findings."""
    from quant.market.quality_gate import is_publishable
    from quant.market.quality_rules import QualityPolicy

    _record_findings(desk, provenance, series, measured, report.findings)
    good = measured[is_publishable(measured, policy=desk.policy("quality", QualityPolicy))]
    written = desk.warehouse.append_versions(
        "clean.daily_bars", good.assign(raw_row_hash=good["row_hash"]), provenance, key=CLEAN_KEY
    )
    return Judged(
        rows=len(measured), published=written.rows, findings=report.findings, reports=(report,)
    )


def _pending(desk: Desk, series: Series, start: dt.date, end: dt.date) -> dict[str, dt.date]:
    """Hash and session of each bar whose newest version is neither published nor refused.

    A refused bar is one with a finding that refuses it and is younger than the bar.
    """
    from quant.market.quality_gate import UNPUBLISHABLE_RULES

    rows = desk.warehouse.rows(
        f"WITH newest AS (SELECT symbol, session, row_hash, snapshot_id "
        f"{_newest('raw.daily_bars')}), "
        "judged AS (SELECT symbol, session, max(snapshot_id) AS judged_at FROM clean.findings "
        "WHERE basis = $basis AND suite = $suite "
        "AND rule IN (SELECT unnest($refusing::VARCHAR[])) GROUP BY ALL) "
        "SELECT n.row_hash, n.session FROM newest n LEFT JOIN judged USING (symbol, session) "
        "WHERE coalesce(judged_at, -1) <= n.snapshot_id AND NOT EXISTS "
        "(SELECT 1 FROM clean.daily_bars c WHERE c.raw_row_hash = n.row_hash)",
        {
            **_scope(series, start, end),
            "suite": SUITE,
            "refusing": list(UNPUBLISHABLE_RULES),
        },
    )
    return dict(rows)


def measured_history(
    desk: Desk, series: Series, start: dt.date, end: dt.date, *, table: str = "raw.daily_bars"
) -> pd.DataFrame:
    """The newest version of each bar of a range, with its check columns and its row's hash."""
    from quant.market.calendars import sessions
    from quant.market.quality import measure
    from quant.market.quality_rules import QualityPolicy

    bars = desk.warehouse.read(
        "SELECT symbol, basis, session, event_time, known_at, source, asset_class, currency, open, "
        f"high, low, close, volume, row_hash {_newest(table)} ORDER BY symbol, session",
        _scope(series, start, end),
    )
    days = sessions(series.calendar, bars["session"].min().date(), bars["session"].max().date())
    actions = desk.warehouse.read(
        "SELECT symbol, ex_session, kind, value, known_at, source FROM raw.corporate_actions "
        "WHERE symbol IN (SELECT unnest(?::VARCHAR[])) QUALIFY row_number() OVER "
        "(PARTITION BY symbol, ex_session, kind ORDER BY known_at DESC, row_hash) = 1",
        [list(series.symbols)],
    )
    policy = desk.policy("quality", QualityPolicy)
    measured = measure(bars, sessions=days, actions=actions, policy=policy)
    measured["row_hash"] = bars["row_hash"].to_numpy()
    return measured


def _newest(table: str) -> str:
    """Of each bar the version known last, whichever its source; ties always break the same way."""
    return (
        f"FROM {table} WHERE basis = $basis AND symbol IN (SELECT unnest($symbols::VARCHAR[])) "
        "AND session BETWEEN $start AND $end QUALIFY row_number() OVER "
        "(PARTITION BY symbol, session ORDER BY known_at DESC, row_hash) = 1"
    )


def _scope(series: Series, start: dt.date, end: dt.date) -> dict[str, object]:
    return {
        "basis": str(series.basis),
        "symbols": list(series.symbols),
        "start": start,
        "end": end,
    }


def _record_findings(
    desk: Desk,
    provenance: "Provenance",
    series: Series,
    judged: pd.DataFrame,
    findings: pd.DataFrame,
) -> None:
    """Write the findings of the judged bars; those of other bars stay what they were.

    A slice is replaced as a whole, so it is kept small: only sessions that have a finding, of the
    symbols that were judged.
    """
    found = findings.assign(basis=str(series.basis), suite=SUITE, column_name=findings["column"])
    before = _findings_before(desk, series, judged)
    keys = pd.MultiIndex.from_frame(judged[["symbol", "session"]].astype({"symbol": "str"}))
    others = before[~pd.MultiIndex.from_frame(before[["symbol", "session"]]).isin(keys)]
    sessions = sorted({*found["session"].dropna().dt.date, *before["session"].dt.date})
    if not sessions:
        return
    rows = pd.concat([frame.loc[:, list(_FINDING_COLUMNS)] for frame in (others, found)])
    kept = rows[rows["session"].isin(pd.to_datetime(sessions))]
    desk.warehouse.publish(
        "clean.findings",
        kept,
        provenance,
        scope={
            "session": sessions,
            "basis": [str(series.basis)],
            "suite": [SUITE],
            "symbol": series.symbols,
        },
    )


def _findings_before(desk: Desk, series: Series, judged: pd.DataFrame) -> pd.DataFrame:
    return desk.warehouse.read(
        f"SELECT {', '.join(_FINDING_COLUMNS)} FROM clean.findings WHERE basis = ? AND suite = ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) AND session BETWEEN ? AND ?",
        [
            str(series.basis),
            SUITE,
            list(series.symbols),
            judged["session"].min().date(),
            judged["session"].max().date(),
        ],
    )
