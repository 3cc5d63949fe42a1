"""Desired weights: what the signals of a night ask for, whatever is held."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.support import Night, check, expectations, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from quant.portfolio.limits import LimitsPolicy


@dg.asset(
    **stage_asset_arguments(
        "target", "daily_weights", deps=["signal.daily_signals", "clean.daily_bars"]
    ),
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
    from assets.target.sizing import TargetPolicies, target_rows

    night, policies = Night(context, desk), TargetPolicies.of(desk)
    provenance, policy = night.provenance, policies.sizing
    frame = target_rows(desk, night.sessions)
    keys = ("symbol", "session", "strategy")
    holds, written = night.publish_judged("target_daily_weights", frame, keys=keys)
    gross = frame.groupby(["strategy", "session"])["weight"].sum()
    # Bills have a cap of their own where the barbell is on.
    risky = frame[frame["barbell_bucket"] != "safe"]
    largest = float(risky["weight"].max()) if len(risky) else 0.0
    gross_max = float(gross.max()) if len(gross) else 0.0
    within = dg.AssetCheckResult(
        passed=largest <= policy.single_position_max + 1e-9
        and (policies.barbell.is_enabled or gross_max <= policy.gross_max + 1e-9),
        check_name="weights_are_within_caps",
        metadata={"largest": largest, "gross": gross_max},
    )
    last = frame[frame["session"] == frame["session"].max()] if len(frame) else frame
    return night.result(
        len(frame),
        written,
        checks=[holds, within],
        gross=gross_max,
        sectors=dg.MetadataValue.md(_sector_table(last, policies.limits)),
        skipped=int((frame["impact_verdict"] == "skip").sum()),
        snapshot=provenance.snapshot_id,
    )


def _sector_table(frame: "pd.DataFrame", limits: "LimitsPolicy") -> str:
    """The last session's weights by sector beside their limit, as a reader sees them."""
    from quant.portfolio.limits import sector_matrix

    lines = ["| strategy | sector | weight | limit |", "| --- | --- | --- | --- |"]
    for strategy, rows in frame.groupby("strategy", sort=True):
        matrix = sector_matrix(rows["symbol"].tolist(), rows["weight"].tolist(), limits)
        lines += [
            f"| {strategy} | {sector} | {one['weight']:.2%} | {one['limit']:.0%} |"
            for sector, one in matrix.items()
        ]
    return "\n".join(lines)
