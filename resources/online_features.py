"""One symbol's features as they stand, read in milliseconds over a connection that is open.

Belongs here: the latest row of a symbol. Does not belong here: histories (assets.history).
"""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

from resources.warehouse import LINEAGE_COLUMNS, Warehouse

_KEYS = ("symbol", "session", "known_at", "feature_set_version", "code_hash", "input_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """The features of a session. A feature that needs what the bar lacks is None."""

    symbol: str
    session: dt.date
    known_at: dt.datetime
    feature_set_version: str
    code_hash: str
    input_hash: str
    run_id: str
    row_hash: str
    features: dict[str, float | None]


class OnlineFeatures:
    """The newest row of every symbol, held in memory for as long as the lake does not change.

    A query of a wide table costs tens of milliseconds, asking the catalog for its snapshot one or
    two; so each call asks only that, and the rows are read again after somebody has committed.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._snapshot = -1
        self._newest: dict[str, FeatureRow] = {}

    def latest(self, symbol: str) -> FeatureRow | None:
        """The newest row of a symbol; None when there is none."""
        snapshot = self._current_snapshot()
        if snapshot != self._snapshot:
            self._newest = self._read_newest()
            self._snapshot = snapshot
        return self._newest.get(symbol)

    def on(self, symbol: str, session: dt.date) -> FeatureRow | None:
        """The row of one session, read from the lake; None when there is none."""
        rows = self._rows("symbol = ? AND session = ?", [symbol, session])
        return rows[0] if rows else None

    def _current_snapshot(self) -> int:
        return int(self._warehouse.rows("SELECT id FROM ducklake_current_snapshot('lake')")[0][0])

    def _read_newest(self) -> dict[str, FeatureRow]:
        """The few sessions on which some symbol has its last row; files of others are skipped."""
        last = self._warehouse.rows(
            "SELECT symbol, max(session) FROM feature.daily_features GROUP BY symbol"
        )
        newest = dict(last)
        days = sorted(set(newest.values()))
        rows = self._rows("session IN (SELECT unnest(?::DATE[]))", [days]) if days else []
        return {row.symbol: row for row in rows if newest[row.symbol] == row.session}

    def _rows(self, where: str, parameters: list[object]) -> list[FeatureRow]:
        columns = list(self._warehouse.columns("feature.daily_features"))
        listed = ", ".join(f'"{name}"' for name in columns)
        found = self._warehouse.rows(
            f"SELECT {listed} FROM feature.daily_features WHERE {where}", parameters
        )
        return [_row(dict(zip(columns, values, strict=True))) for values in found]


def _row(values: dict[str, Any]) -> FeatureRow:
    kept = {name: values[name] for name in (*_KEYS, "run_id", "row_hash")}
    known = {*_KEYS, *LINEAGE_COLUMNS}
    features = {name: _number(value) for name, value in values.items() if name not in known}
    return FeatureRow(**kept, features=features)


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
