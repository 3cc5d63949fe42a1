"""All features of the catalogue, one row a symbol and session."""

import dagster as dg

from assets.support import Night, check, expectations, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments("feature", "daily_features", deps=["clean.daily_bars"]),
    check_specs=[
        expectations("feature", "daily_features"),
        check(
            "feature",
            "daily_features",
            "every_symbol_has_features",
            description="each symbol with a clean bar has a row",
        ),
    ],
)
def daily_features(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """Wide: one column a feature; null where the bar lacks a field that the feature needs."""
    from assets.feature.rows import feature_rows, prepare_columns

    night = Night(context, desk)
    prepare_columns(desk.warehouse, night.table)
    provenance = night.provenance
    frame = feature_rows(desk, night.sessions)
    holds, written = night.publish_judged("feature_daily_features", frame)
    symbols = int(frame["symbol"].nunique()) if len(frame) else 0
    present = dg.AssetCheckResult(
        passed=symbols == len(desk.universe.symbols),
        check_name="every_symbol_has_features",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"symbols": symbols, "expected": len(desk.universe.symbols)},
    )
    columns = len(frame.columns)
    return night.result(
        len(frame),
        written,
        checks=[holds, present],
        columns=columns,
        snapshot=provenance.snapshot_id,
    )
