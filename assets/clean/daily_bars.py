"""Daily bars that were judged and published."""

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

from assets.pictures import line_picture
from assets.raw.daily_bars import RESTATEMENT_DAYS
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

CHECKS = [
    check("clean", "daily_bars", "no_critical_finding", description="nothing is in quarantine"),
    check(
        "clean", "daily_bars", "quality_allows_trading", description="the score is at least 0.95"
    ),
]


@dg.asset(
    **stage_asset_arguments(
        "clean", "daily_bars", deps=["raw.daily_bars", "raw.corporate_actions"]
    ),
    check_specs=CHECKS,
)
def daily_bars(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """The believable rows of raw; what was refused stays there, with its findings here."""
    from assets.clean.backlog import publish_backlog
    from assets.clean.publishing import Series, night_quality, publish_bars
    from quant.market.quality_rules import QualityPolicy, Severity
    from resources.warehouse import Written

    night, universe = Night(context, desk), desk.universe
    series = Series(basis=universe.basis, symbols=universe.symbols, calendar=universe.calendar)
    judged = publish_bars(desk, night.provenance, series, night.sessions)
    # Bars of the days before that a source restated or delivered late are judged as of now.
    before = night.sessions[0] - dt.timedelta(days=1)
    late = publish_backlog(
        desk,
        desk.provenance(context.run.run_id, "clean"),
        [(series, before - dt.timedelta(days=RESTATEMENT_DAYS), before)],
    )
    nights = night_quality(desk, night.sessions, recent_findings(night))
    desk.warehouse.publish(
        "clean.night_quality", nights, night.provenance, scope={"session": night.sessions}
    )
    critical = judged.findings[judged.findings["severity"] == Severity.CRITICAL.value]
    minimum = desk.policy("quality", QualityPolicy).quality_score_min
    lowest = float(nights["score"].min())
    sample = dg.MetadataValue.md(_as_table(critical.head(20)))
    return night.result(
        judged.rows,
        Written(table=night.table, rows=judged.published, snapshot_id=desk.warehouse.snapshot_id()),
        checks=[
            dg.AssetCheckResult(
                passed=critical.empty,
                check_name="no_critical_finding",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"findings": len(critical), "first": sample},
            ),
            dg.AssetCheckResult(
                passed=lowest >= minimum,
                check_name="quality_allows_trading",
                metadata={"lowest_score": lowest, "minimum": minimum},
            ),
        ],
        quality_score=lowest,
        quality_by_session=line_picture("quality score", nights["score"].tolist()),
        restated_rows=sum(part.published for part in late.values()),
        findings=len(judged.findings),
    )


def recent_findings(night: Night) -> "pd.DataFrame":
    """Findings that may still bind in these sessions: their own, and those of the days before."""
    universe = night.desk.universe
    frame: pd.DataFrame = night.desk.warehouse.read(
        "SELECT symbol, session, rule, column_name AS column, value, severity, message "
        "FROM clean.findings WHERE basis = ? AND session BETWEEN ? AND ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[]))",
        [
            str(universe.basis),
            night.sessions[0] - dt.timedelta(days=30),
            night.sessions[-1],
            list(universe.symbols),
        ],
    )
    return frame


def _as_table(findings: "pd.DataFrame") -> str:
    lines = [
        f"| {row.session:%Y-%m-%d} | {row.symbol} | {row.rule} | {row.message} |"
        for row in findings.itertuples()
    ]
    return "\n".join(["| session | symbol | rule | finding |", "|---|---|---|---|", *lines])
