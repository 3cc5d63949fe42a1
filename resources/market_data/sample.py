"""The bundled sample as a source: real market data that needs no key, no network and no server.

Belongs here: which file holds what, on which price basis, and how its rows become bars.
Does not belong here: repairing them. The files carry real defects (phantom sessions, missing and
stale bars), and finding those is the work of the quality rules.

The files do not say when their vendor published a bar, so a lag is stated: a daily bar counts as
known 15 minutes after its session closed, an intraday bar one minute after it was complete. A split
or dividend counts as known at 00:00 UTC of its ex-day, before that session opens: both are always
announced earlier, but the files do not say when. Adjusted series were adjusted with later
knowledge; their `known_at` speaks of the bar, not of the adjustment.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import SourceAnswerError, SourceRefusedError
from quant.market.bars import (
    ACTION_COLUMNS,
    DAILY_BAR_COLUMNS,
    INTRADAY_BAR_COLUMNS,
    PRICE_COLUMNS,
    AssetClass,
    Basis,
    require_columns,
)
from quant.market.calendars import ALWAYS_OPEN, US_EQUITY_CALENDAR, closes_utc
from quant.market.ingest import empty_bars
from quant.market.sources import BarRequest

DAILY_LAG: Final = dt.timedelta(minutes=15)
INTRADAY_LAG: Final = dt.timedelta(minutes=1)
_RESTORE: Final = "restore data/sample from the repository: git checkout -- data/sample"
_ACTIONS_FILE: Final = "corporate_actions_2004_2014"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """How one file reads. `basis` None: the file's own column `basis` says it row by row."""

    stem: str
    asset_class: AssetClass
    basis: Basis | None
    calendar: str = US_EQUITY_CALENDAR
    close: str = "close"
    symbol: str | None = None
    interval_minutes: int | None = None


DAILY_FILES: Final = (
    SampleFile(
        stem="us_equity_adjclose_daily",
        asset_class=AssetClass.US_EQUITY,
        basis=Basis.TOTAL_RETURN,
        close="adj_close",
    ),
    SampleFile(
        stem="us_equity_ohlcv_daily",
        asset_class=AssetClass.US_EQUITY,
        basis=Basis.SPLIT_ADJUSTED,
    ),
    SampleFile(
        stem="us_equity_raw_2004_2014_daily", asset_class=AssetClass.US_EQUITY, basis=Basis.RAW
    ),
    SampleFile(stem="index_daily", asset_class=AssetClass.INDEX, basis=Basis.RAW),
    SampleFile(stem="etf_daily", asset_class=AssetClass.ETF, basis=None, close="price"),
    SampleFile(
        stem="crypto_btcusd_daily",
        asset_class=AssetClass.CRYPTO,
        basis=Basis.RAW,
        calendar=ALWAYS_OPEN,
        symbol="BTC-USD",
    ),
)
INTRADAY_FILES: Final = (
    SampleFile(
        stem="crypto_btcusd_15min",
        asset_class=AssetClass.CRYPTO,
        basis=Basis.RAW,
        calendar=ALWAYS_OPEN,
        symbol="BTC-USD",
        interval_minutes=15,
    ),
)
# The words of the files' own `basis` column.
_BASIS_WORDS: Final = {
    "close_split_adjusted": Basis.SPLIT_ADJUSTED.value,
    "adj_close": Basis.TOTAL_RETURN.value,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One file's rows on one basis, as the catalogue lists them."""

    name: str
    basis: Basis
    asset_class: AssetClass
    symbols: tuple[str, ...]
    first: dt.date
    last: dt.date
    rows: int
    file_sha256: str
    interval_minutes: int | None


class SampleSource:
    """The bundled files behind the port for bars; reads each file once, when first asked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._frames: dict[str, pd.DataFrame] = {}

    @property
    def name(self) -> str:
        """The word under which its rows are recorded."""
        return "sample"

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """The rows that match symbols, range, basis, asset class and interval."""
        files = [
            file
            for file in (DAILY_FILES if request.is_daily else INTRADAY_FILES)
            if file.asset_class == request.asset_class
            and file.basis in (None, request.basis)
            and file.interval_minutes == request.interval_minutes
        ]
        found = [_select(self._frame(file), request) for file in files]
        columns = DAILY_BAR_COLUMNS if request.is_daily else INTRADAY_BAR_COLUMNS
        return _joined([frame for frame in found if len(frame)], columns)

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and cash dividends whose ex-session lies in the range."""
        rows = self._actions
        wanted = rows["symbol"].isin(symbols) & rows["ex_session"].between(start, end)
        return rows[wanted].reset_index(drop=True)

    def all_actions(self) -> pd.DataFrame:
        """Every split and dividend that the sample knows."""
        return self._actions.copy()

    def all_daily_bars(self) -> pd.DataFrame:
        """Every daily bar of every file, ordered by symbol, basis and session."""
        frame = _joined([self._frame(file) for file in DAILY_FILES], DAILY_BAR_COLUMNS)
        return frame.sort_values(["symbol", "basis", "event_time"], ignore_index=True)

    def catalogue(self) -> list[Dataset]:
        """What there is: one entry for each file and basis."""
        return [
            dataset
            for file in (*DAILY_FILES, *INTRADAY_FILES)
            for dataset in _describe(file, self._frame(file), _sha256(self._path(file.stem)))
        ]

    def _frame(self, file: SampleFile) -> pd.DataFrame:
        if file.stem not in self._frames:
            self._frames[file.stem] = _bars(file, self._read(file.stem))
        return self._frames[file.stem]

    @cached_property
    def _actions(self) -> pd.DataFrame:
        raw = self._read(_ACTIONS_FILE)
        frame = raw.rename(columns={"date": "ex_session"}).astype({"symbol": "str", "kind": "str"})
        frame["known_at"] = pd.to_datetime(frame["ex_session"], utc=True).astype(
            "datetime64[us, UTC]"
        )
        frame["source"] = f"sample/{_ACTIONS_FILE}"
        return require_columns(frame, ACTION_COLUMNS, what=_ACTIONS_FILE)

    def _read(self, stem: str) -> pd.DataFrame:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._path(stem)
        try:
            frame: pd.DataFrame = pq.read_table(path).to_pandas()
        except FileNotFoundError as error:
            raise SourceRefusedError(
                f"the bundled file {path.name} is missing in {self._root}", remedy=_RESTORE
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise SourceAnswerError(
                f"the bundled file {path.name} cannot be read: {error}", remedy=_RESTORE
            ) from error
        return frame

    def _path(self, stem: str) -> Path:
        return self._root / f"{stem}.parquet"


def _bars(file: SampleFile, raw: pd.DataFrame) -> pd.DataFrame:
    days, event_time = _moments(file, raw)
    lag = DAILY_LAG if file.interval_minutes is None else INTRADAY_LAG
    frame = pd.DataFrame(
        {
            "symbol": _text(raw, "symbol", file.symbol),
            "basis": _basis(file, raw),
            "session": days.astype(object),
            "event_time": _utc(event_time),
            "known_at": _utc(event_time + np.timedelta64(lag)),
            "source": f"sample/{file.stem}",
            "asset_class": file.asset_class.value,
            "currency": "USD",
        }
    )
    for field in PRICE_COLUMNS:
        frame[field] = _floats(raw, file.close if field == "close" else field)
    frame["volume"] = _floats(raw, "volume")
    if file.interval_minutes is not None:
        frame["interval_minutes"] = file.interval_minutes
    return frame


def _moments(
    file: SampleFile, raw: pd.DataFrame
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Session and completion of each row.

    An intraday row is stamped with its beginning. The bar that ends at midnight belongs to the day
    that it completes, as the daily bar does.
    """
    if file.interval_minutes is None:
        days = pd.to_datetime(raw["date"]).to_numpy().astype("datetime64[D]")
        return days, closes_utc(file.calendar, days)
    begin = raw["ts"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return begin.astype("datetime64[D]"), begin + np.timedelta64(file.interval_minutes, "m")


def _utc(moments: NDArray[np.datetime64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(moments.astype("datetime64[us]"), tz="UTC")


def _basis(file: SampleFile, raw: pd.DataFrame) -> Any:
    if file.basis is not None:
        return file.basis.value
    return raw["basis"].astype("str").map(_BASIS_WORDS)


def _text(raw: pd.DataFrame, column: str, constant: str | None) -> Any:
    return raw[column].astype("str") if constant is None else constant


def _floats(raw: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if column in raw:
        return raw[column].to_numpy(dtype=np.float64)
    return np.full(len(raw), np.nan)


def _select(frame: pd.DataFrame, request: BarRequest) -> pd.DataFrame:
    wanted = (
        frame["symbol"].isin(request.symbols)
        & (frame["basis"] == request.basis.value)
        & frame["session"].between(request.start, request.end)
    )
    return frame[wanted]


def _joined(frames: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    if not frames:
        return empty_bars(columns)
    return pd.concat(frames, ignore_index=True).loc[:, list(columns)]


def _describe(file: SampleFile, frame: pd.DataFrame, file_sha256: str) -> list[Dataset]:
    return [
        Dataset(
            name=file.stem,
            basis=Basis(str(basis)),
            asset_class=file.asset_class,
            symbols=tuple(sorted(rows["symbol"].unique())),
            first=rows["session"].min(),
            last=rows["session"].max(),
            rows=len(rows),
            file_sha256=file_sha256,
            interval_minutes=file.interval_minutes,
        )
        for basis, rows in frame.groupby("basis")
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
