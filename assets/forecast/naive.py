"""Naive drift: the mean and deviation of the last year, carried forward."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("naive", deps=["clean.daily_bars"]))
def naive(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "naive")
