"""Clusters, ways and table of MSSA-RL, learned anew once a week."""

import dagster as dg

from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments("model", "mssa_rl_fits", deps=["clean.daily_bars"]),
    check_specs=[
        check(
            "model",
            "mssa_rl_fits",
            "every_fit_is_usable",
            description="a failed fit is recorded with its reason and falls back",
        )
    ],
)
def mssa_rl_fits(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol and fit session; symbols of one cluster share a subspace and a table."""
    from assets.model.fitting import fit_result
    from assets.model.zoo import build_model

    return fit_result(Night(context, desk), build_model(desk, "mssa_rl"))
