"""Signal and recurrence of SAMOSSA for every symbol, decomposed anew once a week."""

import dagster as dg

from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments("model", "samossa_fits", deps=["clean.daily_bars"]),
    check_specs=[
        check(
            "model",
            "samossa_fits",
            "every_fit_is_usable",
            description="a failed fit is recorded with its reason and falls back",
        )
    ],
)
def samossa_fits(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol and fit session; between two fits the recurrence does not change."""
    from assets.model.fitting import fit_result
    from assets.model.zoo import build_model

    return fit_result(Night(context, desk), build_model(desk, "samossa"))
