"""A synthetic market as a folder that the ingest takes like any vendor's.

Belongs here: files and their names. Does not belong here: the numbers (`quant.market.synthetic`).
Beside the tables lies `market.json` with the seed and the planted defects; the ingest skips it.
"""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from quant.core.errors import StorageUnavailableError, UsageError
from quant.market.symbols import shown
from quant.market.synthetic import SyntheticMarket

_BAR_FIELDS: Final = ("symbol", "session", "open", "high", "low", "close", "volume")
_ACTION_FIELDS: Final = ("symbol", "ex_session", "kind", "value")
Format = Literal["parquet", "csv"]


def write_market(
    market: SyntheticMarket,
    folder: Path,
    *,
    file_format: Format = "parquet",
    is_one_file_per_symbol: bool = False,
) -> tuple[Path, ...]:
    """Write bars, actions and `market.json`; the files in place, or nothing at all.

    The same market gives the same bytes. An existing folder must be empty: what lies in it would be
    ingested together with the market.
    """
    _require_free(folder)
    tables = _tables(market, is_one_file_per_symbol=is_one_file_per_symbol)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            building = Path(scratch) / "market"
            building.mkdir()
            for stem, frame in tables.items():
                _write_table(frame, building / f"{stem}.{file_format}")
            (building / "market.json").write_text(_about(market), encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            shutil.move(building, folder)
    except OSError as error:
        raise StorageUnavailableError(
            f"the folder {shown(folder, length_max=200)} cannot be written: {error.strerror}",
            remedy="choose a folder on a disk that has room and may be written",
        ) from error
    return tuple(sorted(folder.iterdir()))


def _require_free(folder: Path) -> None:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(
            f"{shown(folder, length_max=200)} exists and is not an empty folder",
            remedy="choose a new folder, or empty this one",
        )


def _tables(market: SyntheticMarket, *, is_one_file_per_symbol: bool) -> dict[str, pd.DataFrame]:
    bars = market.bars.loc[:, list(_BAR_FIELDS)].rename(columns={"session": "date"})
    tables = {"bars": bars}
    if is_one_file_per_symbol:
        tables = {
            _file_stem(str(symbol)): rows.drop(columns="symbol")
            for symbol, rows in bars.groupby("symbol", sort=True)
        }
    if len(market.actions):
        tables["actions"] = market.actions.loc[:, list(_ACTION_FIELDS)]
    return tables


def _file_stem(symbol: str) -> str:
    if "/" in symbol or symbol in ("actions", "bars"):
        raise UsageError(
            f"{shown(symbol)} cannot name a file", remedy="write one file for all symbols"
        )
    return symbol


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False, lineterminator="\n")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")


def _about(market: SyntheticMarket) -> str:
    days = market.regimes["session"]
    about = {
        "seed": market.seed,
        "symbols": int(market.bars["symbol"].nunique()),
        "first": days.min().isoformat(),
        "last": days.max().isoformat(),
        "bars": len(market.bars),
        "actions": len(market.actions),
        "defects": [
            dataclasses.asdict(defect) | {"session": defect.session.isoformat()}
            for defect in market.defects
        ],
    }
    return json.dumps(about, indent=1) + "\n"
