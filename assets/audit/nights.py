"""One row a night: what the book was worth and what became of the signals."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.pictures import line_picture
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger

# Sessions in the picture: a year.
SHOWN = 250


@dg.asset(
    **stage_asset_arguments("audit", "nights", deps=["order.intents", "order.fills"]),
    check_specs=[
        check(
            "audit",
            "nights",
            "signals_are_trades_and_refusals",
            description="no signal of a decided night is left without an end",
        )
    ],
)
def nights(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """Equity, cash, positions, trades, exits, refusals and signals of each session."""
    import pandas as pd

    night = Night(context, desk)
    provenance = night.provenance
    with desk.ledger() as ledger:
        rows = [_night(desk, ledger, session) for session in night.sessions]
        curve = [float(m.equity) for m in ledger.marks(desk.settings.book)][-SHOWN:]
    frame = pd.DataFrame(rows)
    written = night.publish(frame)
    decided = frame[frame["refusals"] + frame["intents"] > 0]
    whole = bool((decided["signals"] == decided["refusals"] + decided["intents"]).all())
    last = rows[-1]
    return night.result(
        len(frame),
        written,
        checks=[dg.AssetCheckResult(passed=whole, check_name="signals_are_trades_and_refusals")],
        equity=float(last["equity"] or 0),
        equity_curve=line_picture("equity", curve),
        trades=last["trades"],
        refusals=last["refusals"],
        snapshot=provenance.snapshot_id,
    )


def _night(desk: Desk, ledger: "Ledger", session: dt.date) -> dict[str, Any]:
    from assets.order.mirror import fills_frame, signal_count

    book = desk.settings.book
    marks = [mark for mark in ledger.marks(book) if mark.session <= session]
    mark = marks[-1] if marks else None
    wished = ledger.intents(book=book, session=session)
    # An exit is a decision of its own: the signal that it overrides is a refusal beside it.
    exits = {intent.decision_id for intent in wished if intent.exit_reason}
    intents = {intent.decision_id for intent in wished} - exits
    refused = {refusal.decision_id for refusal in ledger.refusals(book=book, session=session)}
    return {
        "session": session,
        "book": book,
        "equity": mark.equity if mark else None,
        "cash": mark.cash if mark else None,
        "positions": len(mark.prices) if mark else 0,
        "trades": len(fills_frame(ledger, book, [session])),
        "intents": len(intents),
        "exits": len(exits),
        "refusals": len(refused - intents - exits),
        "signals": signal_count(desk.warehouse, session),
    }
