"""Forecasts of one model for some sessions: its stored fit, run over what each session knew."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.history import History, histories
from assets.model.zoo import FITTED, build_model
from assets.support import Night, check, expectations, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.forecast import ForecastBatch
    from quant.forecasting.port import FittedState, Forecaster
    from quant.forecasting.returns import ReturnPanel
    from resources.warehouse import Warehouse

FAILURES = "forecast.failures"


def forecast_arguments(model: str, *, deps: Sequence[str]) -> dict[str, object]:
    """What the assets of all models share."""
    spec = check(
        "forecast",
        model,
        "every_symbol_is_forecast",
        description="the others have a recorded reason",
    )
    return {
        **stage_asset_arguments("forecast", model, deps=deps),
        "check_specs": [expectations("forecast", model), spec],
    }


def forecast_result(night: Night, model: str) -> dg.MaterializeResult:
    """Forecast, publish the answers and the failures, report."""
    import pandas as pd

    provenance = night.provenance
    batches = model_batches(night.desk, model, night.sessions)
    frame = pd.concat([rows for _, rows in batches], ignore_index=True)
    failures = pd.concat([batch.failures_frame() for batch, _ in batches], ignore_index=True)
    return publish_batches(night, model, frame, failures, snapshot=provenance.snapshot_id)


def publish_batches(
    night: Night, model: str, frame: "pd.DataFrame", failures: "pd.DataFrame", **metadata: object
) -> dg.MaterializeResult:
    """Write one model's rows and failures; the check says whether every symbol has an answer."""
    night.desk.warehouse.publish(
        FAILURES, failures, night.provenance, scope={"session": night.sessions, "model": [model]}
    )
    keys = ("symbol", "session", "horizon_days")
    holds, written = night.publish_judged("forecast_daily_forecasts", frame, keys=keys)
    complete = dg.AssetCheckResult(
        passed=failures.empty and not frame.empty,
        check_name="every_symbol_is_forecast",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"failures": len(failures)},
    )
    return night.result(
        len(frame), written, checks=[holds, complete], failures=len(failures), **metadata
    )


def model_batches(
    desk: Desk, name: str, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "list[tuple[ForecastBatch, pd.DataFrame]]":
    """For each session the model's batch, and its rows with the hash of the history behind them."""
    lake, model = warehouse or desk.warehouse, build_model(desk, name)
    return [
        _one_session(desk, lake, model, history, session)
        for history in histories(desk, sessions, warehouse=lake)
        for session in history.sessions
    ]


def _one_session(
    desk: Desk, lake: "Warehouse", model: "Forecaster", history: History, session: dt.date
) -> "tuple[ForecastBatch, pd.DataFrame]":
    from quant.forecasting.policy import ForecastPolicy

    returns = history.returns.until(session)
    batch = model.forecast(
        _states(desk, lake, model, returns, session),
        returns,
        session=session,
        as_of=desk.as_of(session),
        horizons=desk.policy("forecasts", ForecastPolicy).horizons_days,
    )
    hashes = history.input_hashes(session)
    rows = batch.forecasts
    return batch, rows.assign(input_hash=[hashes[symbol] for symbol in rows["symbol"]])


def _states(
    desk: Desk,
    lake: "Warehouse",
    model: "Forecaster",
    returns: "ReturnPanel",
    session: dt.date,
) -> "list[FittedState]":
    from assets.model.fitting import due_fits, stored_states

    if model.name not in FITTED:
        return model.fit(returns, session=session)
    (fit_session,) = due_fits(desk, [session])
    return stored_states(lake, f"model.{model.name}_fits", at=fit_session)
