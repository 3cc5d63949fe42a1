"""The ledger's records as frames for the warehouse; the journal stays the authority."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.warehouse import Warehouse

INTENT_COLUMNS = [
    "decision_id",
    "client_order_id",
    "book",
    "strategy",
    "symbol",
    "session",
    "side",
    "quantity",
    "target_weight",
    "reference_price",
    "equity",
    "ledger_seq",
    "exit_reason",
]
REFUSAL_COLUMNS = [
    "decision_id",
    "book",
    "strategy",
    "symbol",
    "session",
    "gate",
    "reason",
    "expected_return",
    "cost",
]
FILL_COLUMNS = [
    "fill_id",
    "client_order_id",
    "decision_id",
    "book",
    "strategy",
    "symbol",
    "session",
    "decision_session",
    "event_time",
    "side",
    "quantity",
    "price",
    "notional",
    "reference_price",
    "fee",
    "slippage",
    "price_row_hash",
]


def intents_frame(ledger: "Ledger", book: str, sessions: Sequence[dt.date]) -> pd.DataFrame:
    """One row an intent of these sessions."""
    rows = [
        {
            "decision_id": intent.decision_id,
            "client_order_id": intent.client_order_id,
            "book": intent.book,
            "strategy": intent.strategy,
            "symbol": intent.symbol,
            "session": intent.session,
            "side": intent.side.value,
            "quantity": intent.quantity,
            "target_weight": float(intent.target_weight),
            "reference_price": intent.reference_price,
            "equity": intent.equity,
            "ledger_seq": intent.ledger_head.seq,
            "exit_reason": intent.exit_reason,
        }
        for session in sessions
        for intent in ledger.intents(book=book, session=session)
    ]
    return pd.DataFrame(rows, columns=INTENT_COLUMNS)


def refusals_frame(ledger: "Ledger", book: str, sessions: Sequence[dt.date]) -> pd.DataFrame:
    """One row a refusal of these sessions, the trader's own included."""
    rows = [
        {
            "decision_id": refusal.decision_id,
            "book": refusal.book,
            "strategy": refusal.strategy,
            "symbol": refusal.symbol,
            "session": refusal.session,
            "gate": refusal.gate,
            "reason": refusal.reason,
            "expected_return": float(refusal.numbers.get("expected_return", "nan")),
            "cost": float(refusal.numbers.get("round_trip_cost", "nan")),
        }
        for session in sessions
        for refusal in ledger.refusals(book=book, session=session)
    ]
    return pd.DataFrame(rows, columns=REFUSAL_COLUMNS)


def fills_frame(ledger: "Ledger", book: str, sessions: Sequence[dt.date]) -> pd.DataFrame:
    """One row a fill that was traded in these sessions."""
    rows = [
        {
            "fill_id": fill.fill_id,
            "client_order_id": fill.client_order_id,
            "decision_id": fill.decision_id,
            "book": fill.book,
            "strategy": fill.strategy,
            "symbol": fill.symbol,
            "session": session,
            "decision_session": fill.session,
            "event_time": fill.event_time,
            "side": fill.side.value,
            "quantity": fill.quantity,
            "price": fill.price,
            "notional": fill.notional,
            "reference_price": fill.reference_price,
            "fee": fill.fee_amount,
            "slippage": fill.spread_amount + fill.slippage_amount + fill.impact_amount,
            "price_row_hash": fill.price_row_hash,
        }
        for session in sessions
        for fill in ledger.fills(book=book, valid_session=session)
    ]
    return pd.DataFrame(rows, columns=FILL_COLUMNS)


def signal_count(warehouse: "Warehouse", session: dt.date) -> int:
    """How many signals a session had."""
    rows = warehouse.rows("SELECT count(*) FROM signal.daily_signals WHERE session = ?", [session])
    return int(rows[0][0])


def signals_ended(
    warehouse: "Warehouse", frames: Mapping[str, pd.DataFrame], sessions: Sequence[dt.date]
) -> bool:
    """Whether every signal of these sessions became an intent or a refusal.

    Exits are decisions of their own, without a signal: they and their refusals are no ends of one.
    """
    ends = pd.concat([frames["intents"], frames["refusals"]])
    exits = frames["intents"].loc[frames["intents"]["exit_reason"] != "", "decision_id"]
    ends = ends[~ends["decision_id"].isin(exits)]
    return all(
        signal_count(warehouse, day) == ends.loc[ends["session"] == day, "decision_id"].nunique()
        for day in sessions
    )
