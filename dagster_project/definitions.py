"""Assembly only: no logic, no environment reads at import."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.audit import (
    closed_trades,
    cost_estimates,
    counterfactuals,
    decisions,
    forecast_scores,
    model_audits,
    nights,
    report,
)
from assets.clean import daily_bars as clean_daily_bars
from assets.feature import daily_features
from assets.forecast import combined, garch, mssa_rl, naive, persistence, samossa, sarimax
from assets.model import garch_fits, mssa_rl_fits, samossa_fits, sarimax_fits, verdicts
from assets.order import records
from assets.raw import corporate_actions, daily_bars, news
from assets.signal import daily_signals, llm_answers, model_flags
from assets.target import daily_weights
from jobs.nightly import JOBS, SCHEDULES
from resources.desk import Desk
from sensors.failures import failed_run_sensor
from sensors.freshness import stale_night_sensor
from sensors.governance import audit_sensor, demotion_sensor, promotion_sensor

# In the order of the flow.
ASSET_MODULES = [
    daily_bars,
    corporate_actions,
    news,
    clean_daily_bars,
    daily_features,
    sarimax_fits,
    garch_fits,
    samossa_fits,
    mssa_rl_fits,
    verdicts,
    naive,
    persistence,
    sarimax,
    garch,
    samossa,
    mssa_rl,
    combined,
    model_flags,
    llm_answers,
    daily_signals,
    daily_weights,
    records,
    cost_estimates,
    closed_trades,
    counterfactuals,
    forecast_scores,
    model_audits,
    decisions,
    nights,
    report,
]


@dg.resource(description="Every adapter of this installation, opened when first used.")
def desk_resource(_context: dg.InitResourceContext) -> Iterator[Desk]:
    """The desk that PMX_* describes; closed at the end of the run."""
    with Desk.from_env() as desk:
        yield desk


def build_defs(*, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """The code location; a test or a command passes the desk it wants to use."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=[
            stale_night_sensor,
            failed_run_sensor,
            audit_sensor,
            promotion_sensor,
            demotion_sensor,
        ],
        resources={"desk": desk_resource, **(resources or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
