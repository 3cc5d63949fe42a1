"""Verdicts: whether a model may be traded on, by how it did on sessions it was not fitted on."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.history import History, histories
from assets.model.zoo import MODELS, build_model
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk

# Naive drift is what the others are judged by.
JUDGED = tuple(name for name in MODELS if name != "naive")


@dg.asset(
    **stage_asset_arguments("model", "verdicts", deps=["clean.daily_bars"]),
    check_specs=[
        check(
            "model",
            "verdicts",
            "every_model_has_a_verdict",
            description="a model without a verdict trades nothing",
        )
    ],
)
def verdicts(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a judged model, on the sessions on which a new verdict was due."""
    import pandas as pd

    night = Night(context, desk)
    provenance = night.provenance
    due = due_sessions(desk, night.sessions)
    rows = [row for history in histories(desk, due) for row in judge(history)] if due else []
    written = desk.warehouse.publish(
        night.table,
        pd.DataFrame(rows, columns=COLUMNS),
        provenance,
        scope={"session": due or [night.sessions[-1]], "model": JUDGED if due else []},
    )
    known = desk.warehouse.rows(
        f"SELECT DISTINCT model FROM {night.table} WHERE session <= ?", [night.sessions[-1]]
    )
    missing = sorted(set(JUDGED) - {model for (model,) in known})
    complete = dg.AssetCheckResult(
        passed=not missing,
        check_name="every_model_has_a_verdict",
        metadata={"missing": ", ".join(missing) or "none"},
    )
    said = "\n".join(f"- {row['session']}: {row['reason']}" for row in rows) or "none was due"
    return night.result(len(rows), written, checks=[complete], verdicts=dg.MetadataValue.md(said))


COLUMNS = ["model", "session", "passed", "reason", "figures", "input_hash"]


def due_sessions(desk: Desk, sessions: Sequence[dt.date]) -> list[dt.date]:
    """The sessions that need a verdict: the first of each period, and of a book that starts later.

    Periods are counted on the calendar, so that a backfill and single nights judge the same days.
    """
    judged = {day for (day,) in desk.warehouse.rows("SELECT DISTINCT session FROM model.verdicts")}
    due: list[dt.date] = []
    for session in sorted(sessions):
        begins = period_start(desk, session)
        if session in judged or not any(begins <= day <= session for day in (*judged, *due)):
            due.append(session)
    return due


def period_start(desk: Desk, session: dt.date) -> dt.date:
    """The first session of the verdict period of `session`."""
    from quant.forecasting.cadence import fit_session_for
    from quant.forecasting.policy import ForecastPolicy
    from quant.governance.audits import GatesPolicy
    from quant.market.calendars import sessions as calendar_sessions

    universe, gates = desk.universe, desk.policy("gates", GatesPolicy)
    days = calendar_sessions(universe.calendar, universe.history_start, session)
    anchor = desk.policy("forecasts", ForecastPolicy).refit_anchor
    return fit_session_for(session, days, gates.verdict_every_sessions, anchor=anchor)


def judge(history: History) -> list[dict[str, Any]]:
    """A verdict on each judged model for each session of a history.

    By its hold-out alone: what has happened to the model since is not asked, so that the same
    session gives the same verdict again. Whether a demoted model may trade is the ledger's.
    """
    from assets.governing import gates_of
    from quant.core.identity import chain_hash
    from quant.forecasting.holdout import hold_out
    from quant.forecasting.policy import ForecastPolicy
    from quant.governance.audits import judge_model

    desk, rows = history.desk, []
    policy, gates = desk.policy("forecasts", ForecastPolicy), gates_of(desk)
    for session in history.sessions:
        seen = history.returns.until(session)
        inputs = chain_hash(history.input_hashes(session).values())
        for name in JUDGED:
            verdict = judge_model(hold_out(build_model(desk, name), seen, policy=policy), gates)
            rows.append(
                {
                    "model": name,
                    "session": session,
                    "passed": verdict.passed,
                    "reason": verdict.reason,
                    "figures": json.dumps(dict(verdict.figures), sort_keys=True),
                    "input_hash": inputs,
                }
            )
    return rows
