"""Daily bars as the sources deliver them, append-only."""

import datetime as dt

import dagster as dg

from assets.keys import BAR_KEY
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk

# Vendors correct recent bars; asking again for a week finds such restatements.
RESTATEMENT_DAYS = 7


@dg.asset(
    **stage_asset_arguments("raw", "daily_bars"),
    check_specs=[
        check("raw", "daily_bars", "sources_answered", description="no source was skipped")
    ],
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL),
)
def daily_bars(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session, source and moment of knowledge; a restatement is another row."""
    from quant.market.sources import BarRequest
    from resources.source_skips import record_skips

    night, universe = Night(context, desk), desk.universe
    fetched = desk.sources.fetch(
        BarRequest(
            symbols=universe.symbols,
            start=night.sessions[0] - dt.timedelta(days=RESTATEMENT_DAYS),
            end=night.sessions[-1],
            basis=universe.basis,
            asset_class=universe.asset_class,
        )
    )
    written = desk.warehouse.append_versions(
        night.table, fetched.bars, night.provenance, key=BAR_KEY, retrieved_at=desk.clock.now()
    )
    skipped = record_skips(desk.warehouse, fetched.skips, night.provenance, night.sessions[-1])
    answered = dg.AssetCheckResult(
        passed=skipped == 0,
        check_name="sources_answered",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"skips": skipped},
    )
    return night.result(
        len(fetched.bars),
        written,
        checks=[answered],
        symbols=int(fetched.bars["symbol"].nunique()),
        sources=", ".join(sorted(fetched.bars["source"].unique())),
    )
