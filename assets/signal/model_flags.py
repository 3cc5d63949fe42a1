"""The switches of the models as this night found them."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("session", "model", "is_on", "changed_by", "changed_at", "reason")


@dg.asset(**stage_asset_arguments("signal", "model_flags"))
def model_flags(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a model; what a decision read stays readable after the switch has moved on."""
    night = Night(context, desk)
    provenance = night.provenance
    frame = flag_rows(desk, night.sessions)
    written = night.publish(frame)
    off = sorted(frame.loc[~frame["is_on"].astype(bool), "model"].unique())
    return night.result(
        len(frame), written, switched_off=", ".join(off) or "none", snapshot=provenance.snapshot_id
    )


def flag_rows(desk: Desk, sessions: list[dt.date]) -> "pd.DataFrame":
    """The switches now; a night that is over keeps those that it was decided with."""
    import pandas as pd

    from quant.market.calendars import next_session
    from resources.flags import last_changes

    now, changes = desk.clock.now(), last_changes(desk.flags_record)
    known: dict[dt.date, list[dict[str, Any]]] = {}
    stored = desk.warehouse.rows(
        f"SELECT {', '.join(COLUMNS)} FROM signal.model_flags "
        "WHERE session IN (SELECT unnest(?::DATE[])) ORDER BY session, model",
        [sessions],
    )
    for row in stored:
        known.setdefault(row[0], []).append(dict(zip(COLUMNS, row, strict=True)))
    rows: list[dict[str, Any]] = []
    for session in sessions:
        is_over = now >= desk.as_of(next_session(desk.universe.calendar, session))
        if is_over and session in known:
            rows += known[session]
            continue
        for model, is_on in sorted(desk.flags.current().models.items()):
            change = changes.get(model)
            rows.append(
                {
                    "session": session,
                    "model": model,
                    "is_on": is_on,
                    "changed_by": change.changed_by if change else "",
                    "changed_at": dt.datetime.fromisoformat(change.changed_at) if change else None,
                    "reason": change.reason if change else "as shipped or edited by hand",
                }
            )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.assign(changed_at=pd.to_datetime(frame["changed_at"], utc=True))
