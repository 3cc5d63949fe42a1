"""Feature rows of some sessions, with the hash of the history each was made from."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assets.history import History, histories
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Warehouse


def prepare_columns(warehouse: "Warehouse", table: str) -> list[str]:
    """Add the columns of features that are new in the catalogue."""
    from quant.features import CATALOGUE

    return warehouse.add_columns(table, dict.fromkeys(CATALOGUE.names(), "DOUBLE"))


def feature_rows(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "pd.DataFrame":
    """One row for each symbol that has a clean bar on a session."""
    import pandas as pd

    parts = [_rows(history) for history in histories(desk, sessions, warehouse=warehouse)]
    return pd.concat(parts, ignore_index=True)


def _rows(history: History) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    from quant.features import compute_features, feature_code_hash, feature_set_version

    days = np.array(history.sessions, dtype="datetime64[D]")
    wide = compute_features(history.panel).to_long(sessions=days)
    bars = history.bars[["symbol", "session", "known_at"]]
    frame = wide.assign(session=pd.to_datetime(wide["session"]).astype(bars["session"].dtype))
    frame = frame.merge(bars, on=["symbol", "session"], how="inner", validate="one_to_one")
    hashes = {
        (symbol, pd.Timestamp(session)): text
        for session in history.sessions
        for symbol, text in history.input_hashes(session).items()
    }
    keys = zip(frame["symbol"], frame["session"], strict=True)
    return frame.assign(
        input_hash=[hashes[key] for key in keys],
        feature_set_version=feature_set_version(),
        code_hash=feature_code_hash(),
    )
