"""Forecasts scored on the night their future arrived."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.history import histories
from assets.model.zoo import MODELS
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

SCORED = (*MODELS, "combined")


@dg.asset(
    **stage_asset_arguments(
        "audit",
        "forecast_scores",
        deps=["clean.daily_bars", *(f"forecast.{model}" for model in SCORED)],
    )
)
def forecast_scores(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a forecast whose horizon ended in these sessions."""
    from resources.night_records import record_scores

    night = Night(context, desk)
    provenance = night.provenance
    frame = score_rows(desk, night.sessions)
    written = night.publish(frame)
    last = frame[frame["session"] == night.sessions[-1]]
    record_scores(desk, provenance, night.sessions[-1], last)
    figures: dict[str, float] = {}
    if len(frame):
        pooled = frame.groupby("model")["squared_error"].mean() ** 0.5
        figures = {f"rmse_{model}": float(value) for model, value in pooled.items()}
    return night.result(len(frame), written, snapshot=provenance.snapshot_id, **figures)


def score_rows(desk: Desk, sessions: Sequence[dt.date]) -> "pd.DataFrame":
    """Scores of all forecasts that came due on `sessions`, with the prices known then."""
    import pandas as pd

    from quant.forecasting.scoring import SCORE_COLUMNS, realise, score

    forecasts = _due_forecasts(desk, sessions)
    parts = [pd.DataFrame(columns=list(SCORE_COLUMNS))]
    for history in histories(desk, sessions):
        realised = realise(forecasts, history.panel)
        now_due = realised[realised["realised_session"].isin(history.sessions)]
        if len(now_due):
            parts.append(score(forecasts, now_due))
    scores = pd.concat(parts[1:] or parts, ignore_index=True)
    return scores.rename(columns={"session": "forecast_session", "realised_session": "session"})


def _due_forecasts(desk: Desk, sessions: Sequence[dt.date]) -> "pd.DataFrame":
    import pandas as pd

    # Twenty sessions are at most 32 calendar days, holidays at the turn of the year included.
    start = min(sessions) - dt.timedelta(days=40)
    parts = [
        desk.warehouse.read(
            f"SELECT * FROM forecast.{model} WHERE session BETWEEN ? AND ? "
            "ORDER BY session, symbol",
            [start, max(sessions)],
        )
        for model in SCORED
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(session=frame["session"].dt.date)
