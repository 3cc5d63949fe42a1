"""What language models were asked tonight, and what they said."""

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments(
        "signal",
        "llm_answers",
        deps=[
            "forecast.combined",
            "forecast.persistence",
            "model.verdicts",
            "clean.daily_bars",
            "raw.news",
            "signal.model_flags",
        ],
    )
)
def llm_answers(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a silent symbol and model asked; none where every symbol has a forecast."""
    from assets.signal.asking import answer_rows

    night = Night(context, desk)
    provenance = night.provenance
    frame = answer_rows(desk, night.sessions)
    written = night.publish(frame)
    return night.result(
        len(frame),
        written,
        answered=int((frame["outcome"] == "answered").sum()),
        cost_usd=float(frame["cost_usd"].sum()),
        snapshot=provenance.snapshot_id,
    )
