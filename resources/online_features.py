"""One symbol's features as they stand, read in milliseconds over a connection that is open.

Belongs here: the latest row of a symbol. Does not belong here: histories (assets.history).
"""

import datetime as dt
import math
from dataclasses import dataclass

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
    """Answers for one warehouse connection; the table's columns are looked up once."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._columns = list(warehouse.columns("feature.daily_features"))

    def latest(self, symbol: str, *, session: dt.date | None = None) -> FeatureRow | None:
        """The newest row of a symbol, or that of a session; None when there is none."""
        listed = ", ".join(f'"{name}"' for name in self._columns)
        bound = "AND session = ? " if session is not None else ""
        rows = self._warehouse.rows(
            f"SELECT {listed} FROM feature.daily_features WHERE symbol = ? {bound}"
            "ORDER BY session DESC LIMIT 1",
            [symbol, *([session] if session is not None else [])],
        )
        if not rows:
            return None
        values = dict(zip(self._columns, rows[0], strict=True))
        kept = {name: values[name] for name in (*_KEYS, "run_id", "row_hash")}
        known = {*_KEYS, *LINEAGE_COLUMNS}
        features = {name: _number(value) for name, value in values.items() if name not in known}
        return FeatureRow(**kept, features=features)


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
