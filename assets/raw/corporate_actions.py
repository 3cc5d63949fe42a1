"""Splits and dividends as the sources deliver them, append-only."""

import datetime as dt

import dagster as dg

from assets.keys import ACTION_KEY
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

# Actions are announced ahead of their ex-session.
ANNOUNCED_DAYS_AHEAD = 60


@dg.asset(**stage_asset_arguments("raw", "corporate_actions"))
def corporate_actions(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row an action and moment of knowledge; prices are adjusted when they are read."""
    night = Night(context, desk)
    fetched = desk.sources.fetch_actions(
        desk.universe.symbols,
        night.sessions[0],
        night.sessions[-1] + dt.timedelta(days=ANNOUNCED_DAYS_AHEAD),
    )
    written = desk.warehouse.append_versions(
        night.table, fetched.bars, night.provenance, key=ACTION_KEY, retrieved_at=desk.clock.now()
    )
    return night.result(len(fetched.bars), written)
