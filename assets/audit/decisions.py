"""The gate's decision on each model, from the audits of the last hundred sessions."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.audit.model_audits import AGAINST
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    from quant.governance.audits import GatesPolicy

# SPEC D4 knows sprints of 20 and 100 audits; the nightly gate looks at the longer one.
AUDITS_WINDOW = 100


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
    rows = [_decide(desk, session, model, gates) for session in night.sessions for model in AGAINST]
    written = night.publish(pd.DataFrame(rows))
    latest = "\n".join(
        f"- {row['model']}: {row['decision']} ({row['reason']})" for row in rows[-len(AGAINST) :]
    )
    return night.result(
        len(rows), written, latest=dg.MetadataValue.md(latest), snapshot=provenance.snapshot_id
    )


def _decide(desk: Desk, session: dt.date, model: str, gates: "GatesPolicy") -> dict[str, Any]:
    from quant.governance.audits import Audit, decide

    rows = desk.warehouse.rows(
        "SELECT model, baseline, session, horizon_days, observations, rmse, rmse_baseline "
        "FROM audit.model_audits WHERE model = ? AND session <= ? ORDER BY session DESC LIMIT ?",
        [model, session, AUDITS_WINDOW],
    )
    names = (
        "model",
        "baseline",
        "session",
        "horizon_days",
        "observations",
        "rmse",
        "rmse_baseline",
    )
    audits = [Audit(**dict(zip(names, row, strict=True))) for row in rows]
    decision = decide(audits, gates)
    return {
        "session": session,
        "model": model,
        "decision": decision.outcome.value,
        "violation_rate": decision.violation_rate,
        "effective_audits": decision.effective_audits,
        "reason": decision.reason,
    }
