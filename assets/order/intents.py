"""Intents and refusals: recorded in the ledger first, then mirrored here for queries."""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from assets.partitions import trading_days
from assets.support import KINDS, OWNERS, SINGLE_RUN, Night
from resources.code_versions import code_version
from resources.desk import Desk

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger


def _spec(table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        ["order", table],
        deps=[["signal", "daily_signals"], ["target", "daily_weights"]],
        group_name="order",
        owners=OWNERS,
        kinds=KINDS,
        tags={"stage": "order"},
        code_version=code_version("order"),
        description=description,
    )


@dg.multi_asset(
    name="order_decisions",
    specs=[
        _spec("intents", "What the strategies want to trade next session. Nothing is sent here."),
        _spec("refusals", "Every signal that does not trade, the gate that stopped it, and why."),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "every_signal_ends",
            asset=dg.AssetKey(["order", "intents"]),
            description="signals = intents + refusals, in every decided session",
        )
    ],
    partitions_def=trading_days,
    backfill_policy=SINGLE_RUN,
)
def order_decisions(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> Iterator[dg.MaterializeResult]:
    """Decide what is still open to decision; mirror the ledger for every session asked for.

    Materialising a past session again decides nothing and sends nothing: it only mirrors.
    """
    from assets.order.decide import decide_session, may_decide
    from assets.order.mirror import intents_frame, refusals_frame, signal_count

    night = Night(context, desk)
    provenance = desk.provenance(context.run_id, "order")
    undecided: dict[str, str] = {}
    with desk.ledger(write=True) as ledger:
        for session in night.sessions:
            closed = may_decide(desk, ledger, session)
            if closed:
                undecided[session.isoformat()] = closed
            else:
                decide_session(desk, ledger, session, provenance)
        sessions = mirrored_sessions(desk, ledger, night.sessions)
        intents = intents_frame(ledger, desk.settings.book, sessions)
        refusals = refusals_frame(ledger, desk.settings.book, sessions)
    complete = dg.AssetCheckResult(
        asset_key=dg.AssetKey(["order", "intents"]),
        check_name="every_signal_ends",
        passed=all(
            signal_count(desk.warehouse, day) == _ends(intents, day) + _ends(refusals, day)
            for day in night.sessions
            if day.isoformat() not in undecided
        ),
        metadata={"only_mirrored": undecided},
    )
    for table, frame in (("intents", intents), ("refusals", refusals)):
        written = desk.warehouse.publish(
            f"order.{table}", frame, provenance, scope={"session": sessions}
        )
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(["order", table]),
            metadata={"dagster/partition_row_count": len(frame), "rows_written": written.rows},
            check_results=[complete] if table == "intents" else [],
        )


def mirrored_sessions(desk: Desk, ledger: "Ledger", sessions: list[dt.date]) -> list[dt.date]:
    """The sessions asked for, and the one before: the trader may have refused some of its intents."""
    from quant.market.calendars import previous_session

    return [previous_session(desk.universe.calendar, sessions[0]), *sessions]


def _ends(frame, session: dt.date) -> int:  # type: ignore[no-untyped-def]
    return frame.loc[frame["session"] == session, "decision_id"].nunique()
