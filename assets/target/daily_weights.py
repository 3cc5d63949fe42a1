"""Desired weights: what the signals of a night ask for, whatever is held."""

import dagster as dg

from assets.support import Night, check, expectations, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments("target", "daily_weights", deps=["signal.daily_signals"]),
    check_specs=[
        expectations("target", "daily_weights"),
        check(
            "target",
            "daily_weights",
            "weights_are_within_caps",
            description="no weight above the single-position cap, no sum above the gross cap",
        ),
    ],
)
def daily_weights(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a signal that passed its gates; weight 0 asks to hold nothing."""
    from assets.target.sizing import target_rows
    from quant.market.frontier import FrontierPolicy
    from quant.portfolio.sizing import SizingPolicy

    night, policy = Night(context, desk), desk.policy("sizing", SizingPolicy)
    frontier = desk.policy("frontier", FrontierPolicy)
    provenance = night.provenance
    frame = target_rows(desk.warehouse, night.sessions, policy, frontier)
    keys = ("symbol", "session", "strategy")
    holds, written = night.publish_judged("target_daily_weights", frame, keys=keys)
    gross = frame.groupby(["strategy", "session"])["weight"].sum()
    largest = float(frame["weight"].max()) if len(frame) else 0.0
    gross_max = float(gross.max()) if len(gross) else 0.0
    within = dg.AssetCheckResult(
        passed=largest <= policy.single_position_max + 1e-9
        and gross_max <= policy.gross_max + 1e-9,
        check_name="weights_are_within_caps",
        metadata={"largest": largest, "gross": gross_max},
    )
    return night.result(
        len(frame),
        written,
        checks=[holds, within],
        gross=gross_max,
        snapshot=provenance.snapshot_id,
    )
