"""Intents, refusals and fills: the ledger's records, mirrored here for queries; and exits.

Four tables in one module, because they are views of one journal and must agree: they are made by
one step, from one state of it. How positions were judged is not in the journal, only what came of
it, so a night that is decided no more keeps the rows of `exits` that it has. Deciding a session
happens here as well, in the ledger first; sending never does.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from assets.partitions import trading_days
from assets.support import (
    KINDS,
    OWNERS,
    SINGLE_RUN,
    Night,
    expectations,
    require_publishable,
    suite_check,
)
from resources.code_versions import code_version
from resources.desk import Desk


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
    name="order_records",
    specs=[
        _spec("intents", "What the strategies want to trade next session. Nothing is sent here."),
        _spec("refusals", "Every signal that does not trade, the gate that stopped it, and why."),
        _spec("exits", "How each held position was judged, before any signal was looked at."),
        _spec("fills", "What the trader traded in these sessions, and nobody else."),
    ],
    check_specs=[
        expectations("order", "fills"),
        dg.AssetCheckSpec(
            "every_signal_ends",
            asset=dg.AssetKey(["order", "intents"]),
            description="signals = intents + refusals, in every session that was decided now",
        ),
    ],
    partitions_def=trading_days,
    backfill_policy=SINGLE_RUN,
)
def order_records(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Decide what is still open to decision; mirror the ledger for every session asked for.

    Materialising a past session again decides nothing and sends nothing: it only mirrors.
    """
    from assets.order.decide import decide_session, may_decide
    from assets.order.exits import exits_frame
    from assets.order.mirror import fills_frame, intents_frame, refusals_frame, signals_ended
    from assets.policy_record import record_policy_changes
    from quant.market.calendars import previous_session

    night, book = Night(context, desk), desk.settings.book
    provenance = desk.provenance(context.run.run_id, "order")
    only_mirrored: dict[str, str] = {}
    judged: list[Mapping[str, Any]] = []
    with desk.ledger(write=True) as ledger:
        for session in night.sessions:
            closed = may_decide(desk, ledger, session)
            if closed:
                only_mirrored[session.isoformat()] = closed
            else:
                record_policy_changes(desk)
                judged += decide_session(desk, ledger, session, provenance).exits
        # The trader may have refused intents of the session before, so that one is told again.
        before = previous_session(desk.universe.calendar, night.sessions[0])
        sessions = [before, *night.sessions]
        frames = {
            "intents": intents_frame(ledger, book, sessions),
            "refusals": refusals_frame(ledger, book, sessions),
            "fills": fills_frame(ledger, book, sessions),
        }
    decided = [day for day in night.sessions if day.isoformat() not in only_mirrored]
    fills = dg.AssetKey(["order", "fills"])
    report = desk.quality.validate(
        "order_fills", frames["fills"], keys=("fill_id",), run_name=context.run.run_id
    )
    require_publishable(fills, report)
    yield suite_check(fills, report)
    # Books share these tables: what one of them writes leaves the rows of the others alone.
    scopes = {table: {"session": sessions, "book": [book]} for table in frames}
    frames["exits"], scopes["exits"] = exits_frame(judged), {"session": decided, "book": [book]}
    for table, scope in scopes.items():
        frame = frames[table]
        written = desk.warehouse.publish(f"order.{table}", frame, provenance, scope=scope)
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(["order", table]),
            metadata={
                "dagster/partition_row_count": len(frame),
                "rows_written": written.rows,
                "snapshot_read": provenance.snapshot_id,
            },
        )
    yield dg.AssetCheckResult(
        asset_key=dg.AssetKey(["order", "intents"]),
        check_name="every_signal_ends",
        passed=signals_ended(desk.warehouse, frames, decided),
        metadata={"decided": [day.isoformat() for day in decided], "only_mirrored": only_mirrored},
    )
