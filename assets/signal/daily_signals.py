"""Signals of every strategy: an action or a refusal for each symbol, with its arithmetic."""

import dagster as dg

from assets.pictures import line_picture
from assets.support import Night, check, expectations, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments(
        "signal",
        "daily_signals",
        deps=[
            "forecast.combined",
            "forecast.persistence",
            "model.verdicts",
            "clean.daily_bars",
            "signal.model_flags",
            "signal.llm_answers",
        ],
    ),
    check_specs=[
        expectations("signal", "daily_signals"),
        check(
            "signal",
            "daily_signals",
            "every_symbol_has_a_signal",
            description="silence is no decision: each strategy speaks on each symbol",
        ),
    ],
)
def daily_signals(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a strategy, symbol and session; `gate` names what refused it, empty for none."""
    from assets.signal.decide import signal_rows

    night = Night(context, desk)
    provenance = night.provenance
    frame = signal_rows(desk, night.sessions, provenance)
    keys = ("symbol", "session", "strategy")
    holds, written = night.publish_judged("signal_daily_signals", frame, keys=keys)
    expected = len(desk.universe.symbols) * len(night.sessions) * frame["strategy"].nunique()
    refused = int((frame["gate"] != "").sum())
    complete = dg.AssetCheckResult(
        passed=len(frame) == expected > 0,
        check_name="every_symbol_has_a_signal",
        metadata={"expected": expected, "found": len(frame)},
    )
    return night.result(
        len(frame),
        written,
        checks=[holds, complete],
        refused=refused,
        routed_to=dg.MetadataValue.json(
            {
                str(model or "none"): int(n)
                for model, n in frame["source_model"].value_counts().items()
            }
        ),
        refused_by_session=line_picture(
            "share of refused signals",
            (frame["gate"] != "").groupby(frame["session"]).mean().tolist(),
        ),
        refused_share=refused / max(len(frame), 1),
    )
