"""MSSA-RL: a low rank shared by correlated symbols, and a learned answer to change."""

import dagster as dg

from assets.forecast.running import forecast_arguments, forecast_result
from assets.support import Night
from resources.desk import Desk


@dg.asset(**forecast_arguments("mssa_rl", deps=["clean.daily_bars", "model.mssa_rl_fits"]))
def mssa_rl(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon."""
    return forecast_result(Night(context, desk), "mssa_rl")
