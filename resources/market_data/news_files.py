"""CSV, JSON Lines and Parquet files of news: all of a path, or one clear error and nothing.

Belongs here: opening files. Does not belong here: what a record must say (quant.market.news).
"""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from quant.core.errors import DataError, UsageError
from quant.market.news import BODY_CHARACTERS_MAX, NewsItem, parse_item
from quant.market.symbols import shown
from resources.market_data.tables import DAMAGED_PARQUET, label

SUFFIXES: Final = (".csv", ".jsonl", ".ndjson", ".parquet")
_FIELDS: Final = "event_time, known_at (if it is there), source, symbol, headline, body"


def read_news(path: Path, *, now: dt.datetime, until: dt.datetime | None = None) -> list[NewsItem]:
    """The items of one file, or of every file of news directly in a folder; none after `until`."""
    return [
        parse_item(record, place=place, source=file.stem[:60], now=now, until=until)
        for file in news_files(path)
        for place, record in _records(file)
    ]


def news_files(path: Path) -> list[Path]:
    """The file itself, or the files of news directly in a folder, by name."""
    if not path.exists():
        raise UsageError(f"{path} is not there", remedy="name a file or a folder of files")
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


def _records(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each record with its place, as a message names it."""
    match file.suffix.lower():
        case ".parquet":
            yield from _parquet(file)
        case ".jsonl" | ".ndjson":
            yield from _json_lines(file)
        case ".csv":
            yield from _csv(file)
        case _:
            raise UsageError(
                f"{label(file)} is no file of news", remedy=f"give one of {', '.join(SUFFIXES)}"
            )


def _csv(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # The module's own limit is below what a body may have; it cannot be set for one reader.
    csv.field_size_limit(4 * BODY_CHARACTERS_MAX)
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        if not {"event_time", "symbol", "headline"} <= set(reader.fieldnames or ()):
            raise DataError(
                f"{label(file)}, line 1, field header: event_time, symbol or headline is missing",
                remedy=f"name the columns {_FIELDS}",
            )
        for record in reader:
            yield f"{label(file)}, line {reader.line_num}", record
    except csv.Error as error:
        raise DataError(
            f"{label(file)}, line {reader.line_num}: {error}",
            remedy="put texts with commas, quotes or line breaks in quotes",
        ) from None


def _json_lines(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{label(file)}, line {number}"
        try:
            record = json.loads(line, object_pairs_hook=partial(_object, place=place))
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise DataError(
                f"{place}: it is no JSON object", remedy=f"write one object a line with {_FIELDS}"
            )
        yield place, record


def _object(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    """A JSON object; which of two values of one key was meant, nobody can tell."""
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise DataError(
                f"{place}, field {shown(name)}: the key stands twice", remedy="keep one of the two"
            )
        record[name] = value
    return record


def _parquet(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pandas as pd
    import pyarrow

    try:
        records = pd.read_parquet(file).to_dict("records")
    except (*DAMAGED_PARQUET, pyarrow.ArrowException) as error:
        raise DataError(
            f"{label(file)}: it cannot be read as Parquet", remedy="write the file again"
        ) from error
    for number, record in enumerate(records, start=1):
        yield f"{label(file)}, row {number}", {str(name): value for name, value in record.items()}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{label(file)}: byte {error.start} is not UTF-8",
            remedy="convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        ) from None
    except OSError as error:
        raise DataError(
            f"{label(file)}: it cannot be read: {error.strerror}", remedy="check the file's rights"
        ) from error
