"""Refusals whose horizon has passed, marked to the market: did the gate spare a loss?"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Warehouse

COLUMNS = (
    "session",
    "decision_id",
    "refused_session",
    "book",
    "strategy",
    "symbol",
    "gate",
    "action",
    "horizon_days",
    "expected_return",
    "round_trip_cost",
    "reference_price",
    "price",
    "market_return",
    "forgone_return",
    "gate_was_right",
)


@dg.asset(
    **stage_asset_arguments("audit", "counterfactuals", deps=["order.refusals", "clean.daily_bars"])
)
def counterfactuals(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a refusal whose horizon ended in these sessions; the gates' record so far."""
    night = Night(context, desk)
    provenance = night.provenance
    frame = counterfactual_rows(desk, night.sessions)
    written = night.publish(frame)
    judged = frame.dropna(subset=["gate_was_right"])
    right = judged["gate_was_right"].astype(float).groupby(judged["gate"]).agg(["mean", "size"])
    record = "\n".join(
        f"- {gate}: right in {row['mean']:.0%} of {row['size']:.0f}"
        for gate, row in right.iterrows()
    )
    return night.result(
        len(frame),
        written,
        gates=dg.MetadataValue.md(record or "no horizon ended"),
        snapshot=provenance.snapshot_id,
    )


def counterfactual_rows(desk: Desk, sessions: Sequence[dt.date]) -> "pd.DataFrame":
    """Marked with the closes that were known after each session."""
    import pandas as pd

    from quant.market.calendars import sessions as trading_days

    lake, universe = desk.warehouse, desk.universe
    start = min(sessions) - dt.timedelta(days=60)
    days = [day.item() for day in trading_days(universe.calendar, start, max(sessions))]
    place = {day: number for number, day in enumerate(days)}
    refused = _refused(lake, desk.settings.book, start, max(sessions))
    wanted = {place[session] for session in sessions}
    due = [
        (row, days[end])
        for row in refused
        if (end := place[row["refused_session"]] + row["horizon_days"]) in wanted
    ]
    closes = {session: _closes(desk, session) for session in {session for _, session in due}}
    rows = [_marked(row, session, closes[session].get(row["symbol"])) for row, session in due]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _refused(lake: "Warehouse", book: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
    """The first refusal of each decision, with the signal behind it."""
    rows = lake.rows(
        """
        SELECT r.decision_id, r.session, r.book, r.strategy, r.symbol, r.gate, s.action,
               s.horizon_days, s.expected_return, s.round_trip_cost, s.reference_price
        FROM "order".refusals AS r JOIN signal.daily_signals AS s USING (decision_id)
        WHERE r.book = ? AND r.session BETWEEN ? AND ?
        QUALIFY row_number() OVER (PARTITION BY r.decision_id ORDER BY r.gate) = 1
        ORDER BY r.session, r.strategy, r.symbol
        """,
        [book, start, end],
    )
    names = (
        *("decision_id", "refused_session", "book", "strategy", "symbol", "gate", "action"),
        *("horizon_days", "expected_return", "round_trip_cost", "reference_price"),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _closes(desk: Desk, session: dt.date) -> dict[str, float]:
    """The session's closes; a symbol without one that day is absent, and its result unknown."""
    rows = desk.warehouse.rows(
        "SELECT symbol, close FROM clean.daily_bars "
        "WHERE basis = ? AND session = ? AND known_at <= ? AND close IS NOT NULL "
        "QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY known_at DESC) = 1",
        [str(desk.universe.basis), session, desk.as_of(session)],
    )
    return dict(rows)


def _marked(row: dict[str, Any], session: dt.date, price: float | None) -> dict[str, Any]:
    from quant.signals.counterfactual import counterfactual
    from quant.signals.generate import Action

    nan = float("nan")
    result = counterfactual(
        action=Action(row["action"]),
        gate=row["gate"],
        reference_price=nan if row["reference_price"] is None else row["reference_price"],
        price=nan if price is None else price,
        round_trip_cost=row["round_trip_cost"],
    )
    return row | {
        "session": session,
        "price": nan if price is None else price,
        "market_return": result.market_return,
        "forgone_return": result.forgone_return,
        "gate_was_right": result.gate_was_right,
    }


def marks_so_far(desk: Desk, decision_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By decision, the price at the end of its horizon, or the newest while that lies ahead.

    The same closes as `counterfactual_rows`: those known after the session they are marked with.
    """
    from quant.market.calendars import sessions as trading_days
    from quant.signals.generate import Action

    signals = desk.warehouse.rows(
        "SELECT decision_id, symbol, session, action, horizon_days, reference_price, "
        "round_trip_cost FROM signal.daily_signals "
        "WHERE decision_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(decision_ids)],
    )
    newest = _newest_close(desk)
    if not signals or newest is None:
        return {}
    start = min(row[2] for row in signals)
    days = [day.item() for day in trading_days(desk.universe.calendar, start, newest)]
    place = {day: number for number, day in enumerate(days)}
    ends = {row[0]: place[row[2]] + row[4] for row in signals if row[2] in place}
    marked = {one: days[min(end, len(days) - 1)] for one, end in ends.items()}
    closes = _closes_of(desk, sorted(set(marked.values())))
    nan = float("nan")
    return {
        decision: {
            "action": Action(action),
            "reference_price": nan if reference is None else reference,
            "round_trip_cost": cost,
            "price": closes.get((symbol, marked[decision]), nan),
            "marked_session": marked[decision],
            "is_final": ends[decision] < len(days),
        }
        for decision, symbol, _, action, _, reference, cost in signals
        if decision in marked
    }


def _newest_close(desk: Desk) -> dt.date | None:
    rows = desk.warehouse.rows(
        "SELECT max(session) FROM clean.daily_bars WHERE basis = ?", [str(desk.universe.basis)]
    )
    newest: dt.date | None = rows[0][0]
    return newest


def _closes_of(desk: Desk, sessions: Sequence[dt.date]) -> dict[tuple[str, dt.date], float]:
    rows = desk.warehouse.rows(
        """
        WITH wanted AS (
            SELECT unnest(?::DATE[]) AS session, unnest(?::TIMESTAMPTZ[]) AS as_of)
        SELECT b.symbol, b.session, b.close FROM clean.daily_bars AS b JOIN wanted USING (session)
        WHERE b.basis = ? AND b.known_at <= wanted.as_of AND b.close IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY b.symbol, b.session ORDER BY b.known_at DESC) = 1
        """,
        [list(sessions), [desk.as_of(one) for one in sessions], str(desk.universe.basis)],
    )
    return {(symbol, session): close for symbol, session, close in rows}
