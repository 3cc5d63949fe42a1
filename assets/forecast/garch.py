"""GARCH(1,1): the volatility path of daily log returns."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("garch", deps=["clean.daily_bars", "model.garch_fits"]))
def garch(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "garch")
