"""Fills: what the trader traded, mirrored from the ledger for queries."""

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk


@dg.asset(**stage_asset_arguments("order", "fills", deps=["order.intents"]))
def fills(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One row a fill of these sessions; the orders behind them were sent by the trader alone."""
    from assets.order.mirror import fills_frame

    night = Night(context, desk)
    provenance = night.provenance
    with desk.ledger() as ledger:
        frame = fills_frame(ledger, desk.settings.book, night.sessions)
    written = night.publish(frame)
    fees = float(frame["fee"].sum()) if len(frame) else 0.0
    return night.result(len(frame), written, fees=fees, snapshot=provenance.snapshot_id)
