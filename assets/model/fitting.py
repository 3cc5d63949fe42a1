"""Fits of one model for the sessions that need them: estimated once a week, then kept.

Belongs here: which fits are due and what they start from. Does not belong here: any estimation.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.history import History, histories
from assets.support import Night
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.port import FittedState, Forecaster, Params
    from resources.warehouse import Warehouse, Written


def due_fits(desk: Desk, sessions: Sequence[dt.date]) -> list[dt.date]:
    """The fit sessions in force on `sessions`, ascending."""
    from quant.forecasting.cadence import fit_session_for
    from quant.forecasting.policy import ForecastPolicy
    from quant.market.calendars import sessions as calendar_sessions

    universe, policy = desk.universe, desk.policy("forecasts", ForecastPolicy)
    days = calendar_sessions(universe.calendar, universe.history_start, max(sessions))
    every, anchor = policy.refit_every_sessions, policy.refit_anchor
    return sorted({fit_session_for(day, days, every, anchor=anchor) for day in sessions})


def fit_missing(night: Night, model: "Forecaster") -> "tuple[pd.DataFrame, Written]":
    """Estimate what is due and not yet stored for this history and code; returns what was new."""
    import pandas as pd

    from resources.warehouse import Written

    desk, provenance = night.desk, night.provenance
    fresh = [pd.DataFrame()]
    written = Written(table=night.table, rows=0, snapshot_id=provenance.snapshot_id)
    for history in histories(desk, due_fits(desk, night.sessions)):
        for session in history.sessions:
            hashes = history.input_hashes(session)
            if _is_fitted(desk.warehouse, night.table, session, hashes, provenance.code_version):
                continue
            frame = fit_rows(history, model, session, _start(desk, night.table, session))
            written = desk.warehouse.publish(
                night.table, frame, provenance, scope={"fit_as_of": [session]}
            )
            fresh.append(frame)
    return pd.concat(fresh, ignore_index=True), written


def fit_rows(
    history: History, model: "Forecaster", session: dt.date, start: "dict[str, Params]"
) -> "pd.DataFrame":
    """Fit every symbol of a session; the same history and start give the same rows, to the bit."""
    from quant.forecasting.port import states_to_frame

    returns = history.returns.until(session)
    frame = states_to_frame(model.fit(returns, session=session, start=start or None))
    hashes = history.input_hashes(session)
    return frame.assign(input_hash=[hashes.get(symbol, "") for symbol in frame["symbol"]])


def _is_fitted(
    warehouse: "Warehouse", table: str, session: dt.date, hashes: dict[str, str], code: str
) -> bool:
    rows = warehouse.rows(
        f"SELECT symbol, input_hash FROM {table} WHERE fit_as_of = ? AND code_version = ?",
        [session, code],
    )
    return bool(rows) and dict(rows) == dict(hashes)


def _start(desk: Desk, table: str, session: dt.date) -> "dict[str, Params]":
    """The parameters of the fit before: where the search begins."""
    from quant.forecasting.port import start_params

    return start_params(stored_states(desk.warehouse, table, before=session))


def stored_states(
    warehouse: "Warehouse", table: str, *, before: dt.date | None = None, at: dt.date | None = None
) -> "list[FittedState]":
    """The states fitted at one session, or the newest ones before it."""
    from quant.forecasting.port import states_from_frame

    newest = f"(SELECT max(fit_as_of) FROM {table} WHERE fit_as_of < ?)"
    frame = warehouse.read(
        f"SELECT * FROM {table} WHERE fit_as_of = {'?' if at else newest} ORDER BY symbol",
        [at or before],
    )
    return states_from_frame(frame)


def fit_result(night: Night, model: "Forecaster") -> dg.MaterializeResult:
    """Fit what is due, tell MLflow's outbox, and report to Dagster."""
    from resources.night_records import record_fits

    frame, written = fit_missing(night, model)
    failed = int((frame["error"] != "").sum()) if len(frame) else 0
    record = record_fits(night.desk, night.provenance, model, frame)
    usable = dg.AssetCheckResult(
        passed=failed == 0,
        check_name="every_fit_is_usable",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"fits": len(frame), "failed": failed},
    )
    return night.result(
        len(frame), written, checks=[usable], fits=len(frame), failed=failed, mlflow=record
    )
