"""The few queries that several stages share, each with its as-of rule in one place."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant.market.bars import Basis

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Warehouse


def bar_versions(
    warehouse: "Warehouse",
    table: str,
    *,
    basis: Basis,
    symbols: Sequence[str],
    start: dt.date,
    end: dt.date,
    known_by: dt.datetime,
) -> "pd.DataFrame":
    """Every version of the bars of a range that was known by a moment, oldest knowledge first."""
    frame: pd.DataFrame = warehouse.read(
        f"SELECT symbol, basis, session, event_time, known_at, source, asset_class, currency, "
        "open, high, low, close, volume, row_hash "
        f"FROM {table} WHERE basis = ? AND session BETWEEN ? AND ? AND known_at <= ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) ORDER BY symbol, session, known_at",
        [str(basis), start, end, known_by, list(symbols)],
    )
    return frame


def slice_of(
    warehouse: "Warehouse", table: str, sessions: Sequence[dt.date], *, order: str = "symbol"
) -> "pd.DataFrame":
    """The rows of a table for some sessions."""
    frame: pd.DataFrame = warehouse.read(
        f"SELECT * FROM {table} WHERE session IN (SELECT unnest(?::DATE[])) "
        f"ORDER BY session, {order}",
        [list(sessions)],
    )
    return frame
