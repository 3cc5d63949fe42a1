"""Persistence: tomorrow repeats today. It exists to be judged."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("persistence", deps=["clean.daily_bars"]))
def persistence(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "persistence")
