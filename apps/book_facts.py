"""What a book did, for sprints and the go/no-go list: closed trades, and whether fills have a past.

Belongs here: reading the ledger and the warehouse. Does not belong here: thresholds.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.desk import Desk

if TYPE_CHECKING:
    from quant.portfolio.trades import ClosedTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFacts:
    """Closed trades, oldest first; `attributed` fills lead to a stored signal: an exit to the one
    of its entry.
    """

    trades: "tuple[ClosedTrade, ...]"
    fills: int
    attributed: int

    def closed_between(self, first: dt.date, last: dt.date) -> "list[ClosedTrade]":
        """Trades that were closed in a range of sessions."""
        return [trade for trade in self.trades if first <= trade.closed <= last]


def book_facts(desk: Desk) -> BookFacts:
    """The book of this desk; an installation that never traded has none of it."""
    from quant.portfolio.trades import TradeFill, closed_trades

    if not (desk.settings.paths.ledger / "journal.jsonl").exists():
        return BookFacts(trades=(), fills=0, attributed=0)
    with desk.ledger() as ledger:
        fills = ledger.fills(book=desk.settings.book)
    signed = [
        TradeFill(
            symbol=fill.symbol,
            session=fill.event_time.date(),
            quantity=fill.change,
            price=fill.price,
            fee=fill.fee_amount,
        )
        for fill in fills
    ]
    known = _explained(desk) if fills else set()
    return BookFacts(
        trades=tuple(closed_trades(signed)),
        fills=len(fills),
        attributed=sum(fill.decision_id in known for fill in fills),
    )


def _explained(desk: Desk) -> set[str]:
    """Decisions with a stored signal, and exits whose entry has one."""
    rows = desk.warehouse.rows(
        "SELECT decision_id FROM signal.daily_signals UNION "
        'SELECT left_by.decision_id FROM "order".exits AS left_by '
        "JOIN signal.daily_signals AS entry ON entry.decision_id = left_by.entry_decision_id"
    )
    return {decision for (decision,) in rows}


def naive_time_columns(desk: Desk) -> tuple[int, tuple[str, ...]]:
    """How many tables the lake has, and its columns that hold a moment without a zone."""
    rows = desk.warehouse.rows(
        "SELECT table_schema || '.' || table_name, column_name, data_type "
        "FROM information_schema.columns WHERE table_schema IN "
        "('raw', 'clean', 'feature', 'model', 'forecast', 'signal', 'target', 'order', 'audit')"
    )
    # `session` is a day, for which a zone means nothing; a TIMESTAMP is a moment.
    naive = sorted(f"{table}.{column}" for table, column, kind in rows if kind == "TIMESTAMP")
    return len({table for table, _, _ in rows}), tuple(naive)
