"""CSV and Parquet files as bars: all of a path, or one clear error and nothing.

Belongs here: opening, decoding and splitting files, and the folder as a source of bars.
Does not belong here: what a cell means (`quant.market.ingest`), or writing to the warehouse.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from quant.core.clock import Clock
from quant.core.errors import DataError, SourceAnswerError, SourceRefusedError, UsageError
from quant.market.bars import (
    ACTION_COLUMNS,
    DAILY_BAR_COLUMNS,
    INTRADAY_BAR_COLUMNS,
    AssetClass,
    Basis,
)
from quant.market.ingest import empty_bars, parse_bars, require_one_owner
from quant.market.ingest_actions import is_actions_table, parse_actions
from quant.market.ingest_options import IngestOptions
from quant.market.sources import BarRequest
from quant.market.symbols import shown
from resources.market_data.tables import SUFFIXES, label, read_table

ProgressCall = Callable[[Path, int, int], None]
"""Called before each file with its path, its number from 1, and how many there are."""

_KEYS_DAILY: Final = ["symbol", "session"]
_KEYS_INTRADAY: Final = ["symbol", "event_time"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IngestResult:
    """Everything that a path held. `skipped` names the files that are no tables."""

    daily: pd.DataFrame
    intraday: pd.DataFrame
    actions: pd.DataFrame
    files: tuple[Path, ...]
    skipped: tuple[Path, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that has a bar."""
        return tuple(sorted({*self.daily["symbol"], *self.intraday["symbol"]}))


def read_bar_files(
    path: Path,
    *,
    now: dt.datetime,
    basis: Basis = Basis.RAW,
    asset_class: AssetClass = AssetClass.US_EQUITY,
    currency: str = "USD",
    mapping: Mapping[str, str] | None = None,
    timezone: str | None = None,
    calendar: str | None = None,
    date_format: str | None = None,
    interval_minutes: int | None = None,
    on_file: ProgressCall | None = None,
) -> IngestResult:
    """One file, or every CSV and Parquet file directly in a folder; all of them or none."""
    options = _options(
        basis=basis,
        asset_class=asset_class,
        currency=currency,
        mapping=mapping or {},
        timezone=timezone,
        calendar=calendar,
        date_format=date_format,
        interval_minutes=interval_minutes,
    )
    return read_with(path, options, now=now, on_file=on_file)


def read_with(
    path: Path,
    options: IngestOptions,
    *,
    now: dt.datetime,
    on_file: ProgressCall | None = None,
) -> IngestResult:
    """`read_bar_files` with options that are already values."""
    files, skipped = _files(path)
    daily: dict[str, pd.DataFrame] = {}
    intraday: dict[str, pd.DataFrame] = {}
    actions: dict[str, pd.DataFrame] = {}
    for number, file in enumerate(files, start=1):
        if on_file is not None:
            on_file(file, number, len(files))
        table = read_table(file)
        with _no_late_damage(file):
            if is_actions_table(table):
                actions[table.file] = parse_actions(table)
                continue
            parsed = parse_bars(table, options, now=now)
        (daily if parsed.interval_minutes is None else intraday)[table.file] = parsed.frame
    require_one_owner(daily, _KEYS_DAILY)
    require_one_owner(intraday, _KEYS_INTRADAY)
    return IngestResult(
        daily=_joined(daily, DAILY_BAR_COLUMNS),
        intraday=_joined(intraday, INTRADAY_BAR_COLUMNS),
        actions=_joined(actions, ACTION_COLUMNS),
        files=files,
        skipped=skipped,
    )


@contextmanager
def _no_late_damage(file: Path) -> Iterator[None]:
    """Arrow looks at the bytes of a text when it is used, long after the file was read."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"{label(file)}, field file: its texts are damaged", remedy="write the file again"
        ) from error


class FolderSource:
    """A folder behind the port for bars; reads it again when a file in it has changed."""

    def __init__(self, root: Path, *, options: IngestOptions, clock: Clock) -> None:
        self._root = root
        self._options = options
        self._clock = clock
        self._read: tuple[object, IngestResult] | None = None

    @property
    def name(self) -> str:
        """The word under which its rows are recorded."""
        return "folder"

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """The rows that match; empty when the folder's basis or class is another."""
        content = self._content()
        frame = content.daily if request.is_daily else content.intraday
        wanted = (
            frame["symbol"].isin(request.symbols)
            & (frame["basis"] == request.basis.value)
            & (frame["asset_class"] == request.asset_class.value)
            & frame["session"].between(request.start, request.end)
        )
        if not request.is_daily:
            wanted &= frame["interval_minutes"] == request.interval_minutes
        return frame[wanted].reset_index(drop=True)

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and dividends from the folder's actions file, if it has one."""
        frame = self._content().actions
        wanted = frame["symbol"].isin(symbols) & frame["ex_session"].between(start, end)
        return frame[wanted].reset_index(drop=True)

    def _content(self) -> IngestResult:
        state = self._state()
        if self._read is None or self._read[0] != state:
            try:
                content = read_with(self._root, self._options, now=self._clock.now())
            except DataError as error:
                raise SourceAnswerError(str(error), remedy=error.remedy) from error
            self._read = (state, content)
        return self._read[1]

    def _state(self) -> object:
        try:
            files, _ = _files(self._root)
            stats = [(file, file.stat()) for file in files]
        except (UsageError, OSError) as error:
            remedy = getattr(error, "remedy", "") or "check the folder's path and rights"
            raise SourceRefusedError(str(error), remedy=remedy) from error
        return [(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def _options(**values: Any) -> IngestOptions:
    from pydantic import ValidationError

    try:
        return IngestOptions(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"option {field}: {shown(first['input'])} is not valid: {first['msg']}",
            remedy=f"correct --{field.replace('_', '-')}",
        ) from error


def _files(path: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Tables, and what was left out. Hidden files and subfolders are not looked into."""
    try:
        if path.is_file():
            if path.suffix.lower() not in SUFFIXES:
                raise UsageError(
                    f"{label(path)}: {shown(path.suffix)} is no kind of file that is ingested",
                    remedy=f"use one of {', '.join(SUFFIXES)}; unpack archives first",
                )
            return (path,), ()
        if not path.is_dir():
            raise UsageError(
                f"there is no file or folder {shown(path, length_max=200)}", remedy="check the path"
            )
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{shown(path, length_max=200)} cannot be opened: "
            f"{getattr(error, 'strerror', None) or error}",
            remedy="check the path and its rights",
        ) from error
    files = tuple(e for e in entries if e.is_file() and e.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(
            f"the folder {shown(path, length_max=200)} holds no table",
            remedy=f"put files ending in {', '.join(SUFFIXES)} directly into it",
        )
    return files, tuple(entry for entry in entries if entry not in files)


def _joined(frames: Mapping[str, pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    if not frames:
        return empty_bars(columns)
    return pd.concat(frames.values(), ignore_index=True).loc[:, list(columns)]
