"""The gate's decision on each model, from the audits of the last hundred sessions."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.audit.model_audits import AGAINST
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    from quant.governance.audits import Audit, GatesPolicy

# SPEC D4 knows sprints of 20 and 100 audits; the nightly gate looks at the longer one.
AUDITS_WINDOW = 100
_NAMES = ("model", "baseline", "session", "horizon_days", "observations", "rmse", "rmse_baseline")


@dg.asset(**stage_asset_arguments("audit", "decisions", deps=["audit.model_audits"]))
def decisions(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """KEEP, RESEARCH_ONLY, DISABLE_DEFAULT or INCONCLUSIVE, with the count behind it."""
    import pandas as pd

    from assets.governing import gates_of

    night = Night(context, desk)
    provenance = night.provenance
    gates = gates_of(desk)
    audits = _audits(desk, night.sessions)
    rows = [
        _decide(session, model, audits.get(model, ()), gates)
        for session in night.sessions
        for model in AGAINST
    ]
    written = night.publish(pd.DataFrame(rows))
    latest = "\n".join(
        f"- {row['model']}: {row['decision']} ({row['reason']})" for row in rows[-len(AGAINST) :]
    )
    return night.result(
        len(rows), written, latest=dg.MetadataValue.md(latest), snapshot=provenance.snapshot_id
    )


def _decide(
    session: dt.date, model: str, audits: Sequence["Audit"], gates: "GatesPolicy"
) -> dict[str, Any]:
    """What the newest audits up to `session` say; `audits` are one model's, newest first."""
    from quant.governance.audits import decide

    known = [audit for audit in audits if audit.session <= session]
    decision = decide(known[:AUDITS_WINDOW], gates)
    return {
        "session": session,
        "model": model,
        "decision": decision.outcome.value,
        "violation_rate": decision.violation_rate,
        "effective_audits": decision.effective_audits,
        "reason": decision.reason,
    }


def _audits(desk: Desk, sessions: Sequence[dt.date]) -> "dict[str, list[Audit]]":
    """Every audit that a decision of these sessions may look at, by model, newest first."""
    from quant.governance.audits import Audit

    rows = desk.warehouse.rows(
        f"SELECT {', '.join(_NAMES)} FROM audit.model_audits WHERE session <= ? "
        "QUALIFY session >= ? OR row_number() OVER (PARTITION BY model, session >= ? "
        "ORDER BY session DESC) <= ? ORDER BY model, session DESC",
        [max(sessions), min(sessions), min(sessions), AUDITS_WINDOW],
    )
    found: dict[str, list[Audit]] = {}
    for row in rows:
        audit = Audit(**dict(zip(_NAMES, row, strict=True)))
        found.setdefault(audit.model, []).append(audit)
    return found
