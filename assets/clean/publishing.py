"""Write, audit, publish: rows of raw are judged, and only believable ones reach `clean`.

Belongs here: the step that the asset `clean/daily_bars` and `pmx ingest` share.
Does not belong here: the rules (quant.market.quality) and how they are run (resources.quality).
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.keys import CLEAN_KEY
from quant.market.bars import Basis
from resources.desk import Desk
from resources.reads import bar_versions

if TYPE_CHECKING:
    import pandas as pd

    from quant.market.vintages import Vintage
    from resources.quality import SuiteReport
    from resources.warehouse import Provenance

SUITE = "raw_daily_bars"
# A robust scale needs a quarter of sessions behind the first judged bar; twice that bridges gaps.
LOOKBACK_DAYS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The bars that are judged together: one basis on one calendar."""

    basis: Basis
    symbols: tuple[str, ...]
    calendar: str
    # A universe expects every symbol every session; a file of history does not.
    is_expected_daily: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What became of the bars of some sessions."""

    rows: int
    published: int
    findings: "pd.DataFrame"
    reports: tuple["SuiteReport", ...]


def publish_bars(
    desk: Desk, provenance: "Provenance", series: Series, sessions: Sequence[dt.date]
) -> Judged:
    """Judge the bars of `sessions` as each evening saw them; publish the believable ones."""
    import pandas as pd

    from quant.market.quality_gate import is_publishable
    from quant.market.quality_rules import QualityPolicy

    policy = desk.policy("quality", QualityPolicy)
    reports, findings, published, rows = [], [], 0, 0
    for vintage in _vintages(desk, series, sessions):
        measured = _measured(desk, series, vintage)
        report = desk.quality.validate(SUITE, measured, run_name=provenance.run_id)
        reports.append(report)
        findings.append(report.findings)
        good = measured[is_publishable(measured, policy=policy)]
        rows += len(measured)
        published += desk.warehouse.append_versions(
            "clean.daily_bars",
            good.assign(raw_row_hash=good["row_hash"]),
            provenance,
            key=CLEAN_KEY,
        ).rows
    found = pd.concat(findings, ignore_index=True)
    _record_findings(desk, provenance, series, sessions, found)
    return Judged(rows=rows, published=published, findings=found, reports=tuple(reports))


def _vintages(desk: Desk, series: Series, sessions: Sequence[dt.date]) -> list["Vintage"]:
    from quant.market.vintages import vintages

    versions = bar_versions(
        desk.warehouse,
        "raw.daily_bars",
        basis=series.basis,
        symbols=series.symbols,
        start=min(sessions) - dt.timedelta(days=LOOKBACK_DAYS),
        end=max(sessions),
        known_by=desk.as_of(max(sessions), calendar=series.calendar),
    )
    return vintages(
        versions,
        sessions,
        as_of=lambda session: desk.as_of(session, calendar=series.calendar),
        delay=desk.decision_delay,
    )


def _measured(desk: Desk, series: Series, vintage: "Vintage") -> "pd.DataFrame":
    """The judged rows with their check columns, and a row for each bar that never came."""
    import numpy as np
    import pandas as pd

    from quant.market.calendars import sessions as calendar_sessions
    from quant.market.quality import measure
    from quant.market.quality_missing import missing_bars
    from quant.market.quality_rules import QualityPolicy

    judged = np.array(vintage.sessions, dtype="datetime64[D]")
    first = min(judged[0], *vintage.bars["session"].to_numpy().astype("datetime64[D]")[:1])
    days = calendar_sessions(series.calendar, first.item(), vintage.sessions[-1])
    policy = desk.policy("quality", QualityPolicy)
    measured = measure(
        vintage.bars, sessions=days, actions=_actions(desk, series, vintage), policy=policy
    )
    measured["row_hash"] = vintage.bars["row_hash"].to_numpy()
    in_question = measured[measured["session"].isin(pd.to_datetime(judged))]
    present = in_question.groupby("session")["symbol"].nunique()
    missing = [
        missing_bars(
            measured, expected=series.symbols, basis=series.basis, sessions=days, session=day
        )
        for day in judged
        if series.is_expected_daily and present.get(pd.Timestamp(day), 0) < len(series.symbols)
    ]
    return pd.concat([in_question, *(rows for rows in missing if len(rows))], ignore_index=True)


def _actions(desk: Desk, series: Series, vintage: "Vintage") -> "pd.DataFrame":
    return desk.warehouse.read(
        "SELECT symbol, ex_session, kind, value, known_at, source FROM raw.corporate_actions "
        "WHERE known_at <= ? AND symbol IN (SELECT unnest(?::VARCHAR[]))",
        [desk.as_of(vintage.sessions[-1], calendar=series.calendar), list(series.symbols)],
    )


def _record_findings(
    desk: Desk,
    provenance: "Provenance",
    series: Series,
    sessions: Sequence[dt.date],
    findings: "pd.DataFrame",
) -> None:
    frame = findings.assign(basis=str(series.basis), suite=SUITE, column_name=findings["column"])
    desk.warehouse.publish(
        "clean.findings",
        frame,
        provenance,
        scope={"session": sessions, "basis": [str(series.basis)], "symbol": series.symbols},
    )


def night_quality(
    desk: Desk, sessions: Sequence[dt.date], findings: "pd.DataFrame"
) -> "pd.DataFrame":
    """Per session: the score of its data, and the symbols that may only shrink."""
    import numpy as np
    import pandas as pd

    from quant.market.calendars import sessions as calendar_sessions
    from quant.market.quality_gate import quality_score, quarantine
    from quant.market.quality_rules import QualityPolicy

    universe, policy = desk.universe, desk.policy("quality", QualityPolicy)
    start = min(sessions) - dt.timedelta(days=3 * policy.lookback_sessions)
    days = np.asarray(calendar_sessions(universe.calendar, start, max(sessions)))
    return pd.DataFrame(
        {
            "session": session,
            "universe": universe.name,
            "score": quality_score(findings, session=session, universe=universe.symbols),
            "reduce_only": json.dumps(
                quarantine(findings, session=session, sessions=days, policy=policy)
            ),
        }
        for session in sessions
    )
