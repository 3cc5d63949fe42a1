"""SAMOSSA: a low-rank swing of the price path, continued by its recurrence."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("samossa", deps=["clean.daily_bars", "model.samossa_fits"]))
def samossa(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "samossa")
