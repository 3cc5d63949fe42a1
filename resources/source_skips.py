"""Keeps a record of every source that was passed over, and why."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resources.warehouse import Provenance, Warehouse

if TYPE_CHECKING:
    from resources.market_data.skips import SourceSkip


def record_skips(
    warehouse: Warehouse, skips: Sequence["SourceSkip"], provenance: Provenance, session: dt.date
) -> int:
    """Make `skips` the record of one session; returns how many there were."""
    import pandas as pd

    columns = ["session", "source", "symbols", "reason", "message", "seconds"]
    rows = [
        (
            session,
            skip.source,
            ",".join(skip.symbols),
            skip.reason.value,
            skip.message,
            skip.seconds,
        )
        for skip in skips
    ]
    warehouse.publish(
        "raw.source_skips",
        pd.DataFrame(rows, columns=columns),
        provenance,
        scope={"session": [session]},
    )
    return len(rows)
