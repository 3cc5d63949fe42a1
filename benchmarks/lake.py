"""The warehouse against plain Parquet: commit of a day, one-day read, one-symbol read.

The table is `clean.daily_bars` with all its columns, 1.25 million rows of 500 symbols, every value
of lineage included. The product writes and reads through `Warehouse`; the rival is what a careful
person does with pyarrow alone: the same rows and columns, sorted alike (session, then symbol), in
one file with small row groups, so that its own statistics can skip most of the file, and one more
file for each day that is committed, written beside and renamed. Its reads are
`pyarrow.dataset` with a filter on an open dataset, sorted where the product sorts. It keeps no
snapshots, checks no content, and two of its writers may step on each other.

Both sides end in a pandas frame with the same rows; that is checked before the clock starts. The
two take turns in one process and the medians are compared.
"""

import datetime as dt
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from resources.settings import project_root
from resources.warehouse import LakeLocation, Provenance, Warehouse

SYMBOLS = 500
SESSIONS = 2500
REPETITIONS = 15
READ_LIMIT_RATIO = 2.0
TABLE = "clean.daily_bars"
# pyarrow's default of a million rows would make the rival read everything for one day.
RIVAL_ROW_GROUP_ROWS = 32 * 1024
RUN_ID, CODE = "00000000-0000-0000-0000-000000000000", "0" * 16


def run(
    *, symbols: int = SYMBOLS, sessions: int = SESSIONS, repetitions: int = REPETITIONS
) -> list[dict[str, object]]:
    """Median time of the product over that of the rival, for each of the three."""
    with tempfile.TemporaryDirectory(prefix="pmx-bench-lake-") as folder:
        days = _days(sessions + repetitions + 1)
        history = _bars(symbols, days[:sessions], seed=7)
        ours, theirs = _Product(Path(folder) / "lake"), _Rival(Path(folder) / "parquet")
        ours.write(history, days[:sessions])
        # The rival has the very rows that the product stored, lineage included.
        theirs.write_history(ours.everything())
        try:
            return [
                _compare("lake_commit_day", _commits(ours, theirs, symbols, days[sessions:]), None),
                _compare("lake_read_day", _day_reads(ours, theirs, days[:sessions], repetitions)),
                _compare("lake_read_symbol", _symbol_reads(ours, theirs, symbols, repetitions)),
            ]
        finally:
            ours.lake.close()


Pair = tuple[Callable[[], object], Callable[[], object]]


def _compare(
    name: str, pairs: list[Pair], limit: float | None = READ_LIMIT_RATIO
) -> dict[str, object]:
    """Time both of each pair, who goes first alternating; the first pair only warms up."""
    spent: tuple[list[float], list[float]] = ([], [])
    for index, pair in enumerate(pairs):
        for which in (0, 1) if index % 2 == 0 else (1, 0):
            start = time.perf_counter()
            pair[which]()
            spent[which].append(time.perf_counter() - start)
    product, rival = (statistics.median(seconds[1:]) for seconds in spent)
    ratio = product / rival
    return {
        "name": name,
        "ratio": round(ratio, 3),
        "limit": limit,
        "holds": limit is None or round(ratio, 3) <= limit,
        "product_ms": round(product * 1e3, 2),
        "rival_ms": round(rival * 1e3, 2),
        "repetitions": len(pairs) - 1,
    }


def _commits(ours: "_Product", theirs: "_Rival", symbols: int, days: list[dt.date]) -> list[Pair]:
    pairs: list[Pair] = []
    for index, day in enumerate(days):
        frame = _bars(symbols, [day], seed=index)
        pairs.append(
            (
                lambda frame=frame, day=day: ours.write(frame, [day]),
                lambda frame=frame, day=day: theirs.commit_day(frame, day),
            )
        )
    return pairs


def _day_reads(
    ours: "_Product", theirs: "_Rival", days: list[dt.date], repetitions: int
) -> list[Pair]:
    step = max(1, len(days) // (repetitions + 1))
    chosen = [days[(index * step) % len(days)] for index in range(repetitions + 1)]
    _require_same(ours.day(chosen[-1]), theirs.day(chosen[-1]))
    return [(lambda d=day: ours.day(d), lambda d=day: theirs.day(d)) for day in chosen]


def _symbol_reads(ours: "_Product", theirs: "_Rival", symbols: int, repetitions: int) -> list[Pair]:
    chosen = [_symbol((index * 37) % symbols) for index in range(repetitions + 1)]
    _require_same(ours.symbol(chosen[-1]), theirs.symbol(chosen[-1]))
    return [(lambda s=one: ours.symbol(s), lambda s=one: theirs.symbol(s)) for one in chosen]


def _require_same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """The rival must return the same rows, or its time means nothing."""
    if len(ours) == 0 or len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} rows here, {len(theirs)} there")
    np.testing.assert_array_equal(ours["symbol"], theirs["symbol"])
    np.testing.assert_array_equal(ours["event_time"], theirs["event_time"])
    np.testing.assert_array_equal(ours["close"], theirs["close"])


class _Product:
    """The warehouse as the product uses it."""

    def __init__(self, folder: Path) -> None:
        migrations = project_root() / "duckdb/migrations"
        self.lake = Warehouse.open(LakeLocation.in_folder(folder), migrations=migrations)

    def write(self, frame: pd.DataFrame, sessions: list[dt.date]) -> None:
        origin = Provenance(run_id=RUN_ID, snapshot_id=self.lake.snapshot_id(), code_version=CODE)
        self.lake.publish(TABLE, frame, origin, scope={"session": sessions})

    def everything(self) -> pd.DataFrame:
        return self.lake.read(f"SELECT * FROM {TABLE} ORDER BY session, symbol")

    def day(self, day: dt.date) -> pd.DataFrame:
        return self.lake.read(f"SELECT * FROM {TABLE} WHERE session = ? ORDER BY symbol", [day])

    def symbol(self, symbol: str) -> pd.DataFrame:
        return self.lake.read(f"SELECT * FROM {TABLE} WHERE symbol = ? ORDER BY session", [symbol])


class _Rival:
    """A folder of Parquet files and pyarrow."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.dataset: pads.FileSystemDataset | None = None

    def write_history(self, frame: pd.DataFrame) -> None:
        self._write(frame, "history", row_group_size=RIVAL_ROW_GROUP_ROWS)

    def commit_day(self, frame: pd.DataFrame, day: dt.date) -> None:
        # The rival says as much of the origin, but hashes no content.
        lineage = {"run_id": RUN_ID, "snapshot_id": 0, "code_version": CODE, "row_hash": ""}
        self._write(frame.assign(**lineage), day.isoformat())

    def _write(self, frame: pd.DataFrame, name: str, **options: int) -> None:
        table = pa.Table.from_pandas(frame.assign(session=_as_date(frame)), preserve_index=False)
        beside = self.folder / f".{name}"
        pq.write_table(table, beside, **options)
        os.replace(beside, self.folder / f"{name}.parquet")
        self.dataset = None

    def day(self, day: dt.date) -> pd.DataFrame:
        return self._read(pads.field("session") == day, "symbol")

    def symbol(self, symbol: str) -> pd.DataFrame:
        return self._read(pads.field("symbol") == symbol, "session")

    def _read(self, rows: pads.Expression, order: str) -> pd.DataFrame:
        if self.dataset is None:
            self.dataset = pads.dataset(sorted(map(str, self.folder.glob("*.parquet"))))
        return self.dataset.to_table(filter=rows).sort_by(order).to_pandas()


def _as_date(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(pd.to_datetime(frame["session"]).astype("datetime64[s]").dt.date)


def _symbol(index: int) -> str:
    return f"S{index:03d}"


def _days(count: int) -> list[dt.date]:
    return [day.date() for day in pd.bdate_range("2013-01-02", periods=count)]


def _bars(symbols: int, days: list[dt.date], *, seed: int) -> pd.DataFrame:
    """Random bars with every column of the table, sorted by session and symbol."""
    rng = np.random.default_rng(seed)
    rows = symbols * len(days)
    close = np.round(100 * np.exp(rng.normal(0, 0.3, rows)), 2)
    session = np.repeat(np.array(days, dtype="datetime64[s]"), symbols)
    closed = pd.Series(session + np.timedelta64(21, "h")).dt.tz_localize("UTC")
    return pd.DataFrame(
        {
            "symbol": np.tile([_symbol(index) for index in range(symbols)], len(days)),
            "basis": "raw",
            "session": session,
            "event_time": closed,
            "known_at": closed + pd.Timedelta(minutes=20),
            "source": "bench",
            "asset_class": "us_equity",
            "currency": "USD",
            "open": close + 0.01,
            "high": close + 0.02,
            "low": close - 0.01,
            "close": close,
            "volume": rng.integers(10**5, 10**7, rows).astype(float),
            "raw_row_hash": [f"{value:032x}" for value in rng.integers(0, 2**62, rows)],
        }
    )


if __name__ == "__main__":
    print(json.dumps({"bench": "lake", "rows": run()}))
