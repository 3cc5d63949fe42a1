"""Opening CSV and Parquet files as raw tables, or saying exactly why they cannot be opened.

Belongs here: encodings, delimiters, headers, vendors' shapes of file (Binance without a header,
yfinance with three). Does not belong here: what the columns mean (`quant.market.ingest_columns`).
"""

import codecs
import csv
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.market.ingest_columns import KLINE_COLUMNS
from quant.market.ingest_table import RawTable
from quant.market.symbols import shown

_TEXT_SUFFIXES: Final = (".csv", ".txt", ".tsv")
_PARQUET_SUFFIXES: Final = (".parquet", ".pq")
SUFFIXES: Final = (*_TEXT_SUFFIXES, *_PARQUET_SUFFIXES)

# What pandas raises of a file whose own description of itself is damaged.
DAMAGED_PARQUET: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)

_DELIMITERS: Final = (",", ";", "\t", "|")
_NUMERIC: Final = re.compile(r"\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*")
# Binance names its public files BTCUSDT-1h-2024-01.csv.
_KLINE_FILE: Final = re.compile(r"(.+?)-\d+(?:s|m|h|d|w|mo)(?:-\d{4}(?:-\d{2}){1,2})?")
_EXPORT_AGAIN: Final = "export the file again, or remove it"


def read_table(path: Path) -> RawTable:
    """The cells of one file; `DataError` names the file and what is wrong with it."""
    if path.suffix.lower() in _PARQUET_SUFFIXES:
        return _read_parquet(path)
    text = _decoded(label(path), _bytes(path))
    lines = _lines(text)
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if not filled:
        raise DataError(
            f"{label(path)}, field header: the file is empty",
            remedy="export it again, or remove it",
        )
    first = lines[filled[0] - 1]
    delimiter = max(_DELIMITERS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if _is_kline_row(header):
        return _table(path, text, list(KLINE_COLUMNS), filled, delimiter)
    if all(not name or _NUMERIC.fullmatch(name) for name in header):
        raise DataError(
            f"{label(path)}, line {filled[0]}, field header: numbers stand where the names of the "
            "columns must stand",
            remedy="add a first line such as date,open,high,low,close,volume",
        )
    if len(filled) > 2 and lines[filled[1] - 1].startswith("Ticker" + delimiter):
        return _yfinance_table(path, text, filled, delimiter, header)
    _refuse_repeated(path, header)
    return _table(path, text, header, filled, delimiter, header_lines=1)


def label(path: Path) -> str:
    """A file's name as it may stand in a message and in a row."""
    return path.name if path.name.isprintable() else shown(path.name, length_max=200).strip("'")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{label(path)}, field file: it cannot be read: {error.strerror}",
            remedy="check the file's rights and the disk",
        ) from error


def _decoded(name: str, raw: bytes) -> str:
    """UTF-8 or, with its mark, UTF-16; anything else would be a guess."""
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise DataError(
            f"{name}, line 1, field file: this is UTF-32",
            remedy="convert it: iconv -f UTF-32 -t UTF-8 FILE > NEW",
        )
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in raw:
        at = raw.index(b"\0")
        raise DataError(
            f"{name}, line {raw[:at].count(10) + 1}, field file: a NUL byte; this is binary data "
            "and not text",
            remedy="give the file its right ending, or export it as CSV",
        )
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(10) + 1
        raise DataError(
            f"{name}, line {line}, field file: byte {error.start} (0x{raw[error.start]:02x}) is "
            f"not {encoding.removesuffix('-sig').upper()}; the encoding is unknown",
            remedy="convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        ) from error


def _lines(text: str) -> list[str]:
    """Only line feeds end a line; `splitlines` would also break at exotic separators in a cell."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _is_kline_row(cells: list[str]) -> bool:
    return len(cells) == len(KLINE_COLUMNS) and all(_NUMERIC.fullmatch(cell) for cell in cells)


def _refuse_repeated(path: Path, header: list[str]) -> None:
    named = [name for name in header if name]
    for name in named:
        if named.count(name) > 1:
            raise DataError(
                f"{label(path)}, line 1, field {shown(name)}: two columns have this name",
                remedy="give each column its own name",
            )


def _table(
    path: Path,
    text: str,
    columns: list[str],
    filled: list[int],
    delimiter: str,
    *,
    header_lines: int = 0,
) -> RawTable:
    cells = _cells(path, text, len(columns), filled, delimiter, skip=header_lines)
    frame = pd.DataFrame(dict(enumerate(cells)))
    frame.columns = pd.Index(_unnamed_apart(columns), dtype="str")
    return RawTable(
        file=label(path),
        frame=frame,
        places=np.array(filled[header_lines:], dtype=np.int64),
        symbol_of_file=_symbol_of(path),
    )


def _unnamed_apart(columns: list[str]) -> list[str]:
    """Only a nameless first column may be an index; later ones get a name that is no field."""
    return [name or ("" if at == 0 else f"column {at + 1}") for at, name in enumerate(columns)]


def _cells(
    path: Path, text: str, width: int, filled: list[int], delimiter: str, *, skip: int
) -> list[Any]:
    """The columns as text. Arrow's reader is strict about the number of cells in a row."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    names = [str(at) for at in range(width)]
    if skip >= len(filled):
        return [pd.Series([], dtype="str")] * width
    lines = _lines(text)
    body = "\n".join(lines[number - 1] for number in filled[skip:])
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise DataError(
            f"{label(path)}, field file: it is no table of text: {shown(error, length_max=200)}",
            remedy=_EXPORT_AGAIN,
        ) from error
    if ragged:
        _refuse_ragged(path, ragged[0], len(ragged), filled[skip:])
    if table.num_rows != len(filled) - skip:
        raise DataError(
            f"{label(path)}, field file: {len(filled) - skip} lines give {table.num_rows} rows; a "
            "quotation mark is not closed",
            remedy=_EXPORT_AGAIN,
        )
    return [table.column(at).to_pandas() for at in range(width)]


def _refuse_ragged(path: Path, row: Any, count: int, filled: list[int]) -> None:
    number = row.number - 1 if row.number is not None else None
    where = f", line {filled[number]}" if number is not None and number < len(filled) else ""
    also = f" (and {count - 1} more)" if count > 1 else ""
    raise DataError(
        f"{label(path)}{where}, field row: it has {row.actual_columns} cells, the header has "
        f"{row.expected_columns}{also}",
        remedy=_EXPORT_AGAIN,
    )


def _yfinance_table(
    path: Path, text: str, filled: list[int], delimiter: str, header: list[str]
) -> RawTable:
    """`yfinance.download(...).to_csv()`: a line of fields, a line of tickers, a line "Date,,,"."""
    lines = _lines(text)
    tickers = next(csv.reader([lines[filled[1] - 1]], delimiter=delimiter))
    skip = 3 if lines[filled[2] - 1].lower().startswith("date") else 2
    cells = _cells(path, text, len(header), filled, delimiter, skip=skip)
    parts = []
    for ticker in dict.fromkeys(tickers[1:]):
        own = {
            field: cells[at] for at, field in enumerate(header) if at > 0 and tickers[at] == ticker
        }
        part = pd.DataFrame({"Date": cells[0], "Symbol": ticker, **own})
        part["place"] = filled[skip:]
        # A ticker that did not trade on another's day has an empty cell there, and no bar.
        parts.append(part[(part[list(own)] != "").any(axis=1)])
    frame = pd.concat(parts, ignore_index=True).fillna("")
    places = frame.pop("place").to_numpy(dtype=np.int64)
    return RawTable(file=label(path), frame=frame, places=places)


def _read_parquet(path: Path) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(path).to_pandas()
    except (*DAMAGED_PARQUET, pa.ArrowException) as error:
        raise DataError(
            f"{label(path)}, field file: it is no Parquet file that can be read: "
            f"{shown(error, length_max=200)}",
            remedy=_EXPORT_AGAIN,
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if not all(isinstance(column, str) for column in frame.columns):
        raise DataError(
            f"{label(path)}, field header: the columns have several levels",
            remedy="write one row per symbol and time: frame.stack()",
        )
    if len(frame.columns) == 0:
        raise DataError(f"{label(path)}, field header: the file is empty", remedy=_EXPORT_AGAIN)
    frame = frame.reset_index(drop=True)
    return RawTable(
        file=label(path),
        frame=frame,
        places=np.arange(1, len(frame) + 1),
        place_word="row",
        symbol_of_file=_symbol_of(path),
    )


def _symbol_of(path: Path) -> str:
    match = _KLINE_FILE.fullmatch(path.stem)
    return match.group(1) if match else path.stem
