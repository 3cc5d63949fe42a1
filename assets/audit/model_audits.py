"""One audit a night and model: its error beside that of the best simpler model."""

import dagster as dg

from assets.model.zoo import ENSEMBLED, MODELS
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk
from resources.reads import slice_of

# The combined forecast must justify itself against each of its parts, the others against drift.
AGAINST = {
    "combined": ENSEMBLED,
    **{model: ("naive",) for model in MODELS if model != "naive"},
}


@dg.asset(**stage_asset_arguments("audit", "model_audits", deps=["audit.forecast_scores"]))
def model_audits(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """Audits of one-day forecasts; a violation is an error more than a tenth larger."""
    import pandas as pd

    from assets.governing import gates_of
    from quant.governance.audits import audits_of
    from resources.night_records import record_audits

    night, gates = Night(context, desk), gates_of(desk)
    provenance = night.provenance
    scores = slice_of(
        desk.warehouse, "audit.forecast_scores", night.sessions, order="model, symbol"
    )
    rows = [
        {
            "model": audit.model,
            "session": audit.session,
            "baseline": audit.baseline,
            "horizon_days": audit.horizon_days,
            "observations": audit.observations,
            "rmse": audit.rmse,
            "rmse_baseline": audit.rmse_baseline,
            "excess_fraction": audit.excess_fraction,
            "is_violation": audit.is_violation(gates),
        }
        for model, against in AGAINST.items()
        for audit in audits_of(scores, model=model, against=against)
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    written = night.publish(frame)
    record_audits(desk, provenance, night.sessions[-1], frame)
    violations = sum(row["is_violation"] for row in rows)
    return night.result(len(rows), written, violations=violations, snapshot=provenance.snapshot_id)


COLUMNS = [
    "model",
    "session",
    "baseline",
    "horizon_days",
    "observations",
    "rmse",
    "rmse_baseline",
    "excess_fraction",
    "is_violation",
]
