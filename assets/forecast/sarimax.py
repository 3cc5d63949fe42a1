"""SARIMAX of fixed small order on daily log returns."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("sarimax", deps=["clean.daily_bars", "model.sarimax_fits"]))
def sarimax(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "sarimax")
