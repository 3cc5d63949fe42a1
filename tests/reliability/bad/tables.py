"""Wrong tables: bars and news as CSV, Parquet and JSON Lines, with one cell or one shape wrong."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from resources.market_data.folder import read_bar_files
from resources.market_data.news_files import read_news
from tests.reliability.bad.case import Case, Refused, Workshop, attempt

NOW: Final = dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
Row = dict[str, Any]
Words = tuple[str, ...]

BAR: Final[Row] = {
    "symbol": "AAA",
    "date": "2024-01-02",
    "open": 10.0,
    "high": 11.0,
    "low": 9.0,
    "close": 10.5,
    "volume": 100.0,
}
NEWS: Final[Row] = {
    "event_time": "2024-01-02T14:30:00Z",
    "known_at": "2024-01-02T14:31:00Z",
    "source": "wire",
    "symbol": "AAPL",
    "headline": "Apple sells more",
    "body": "",
}

PRICE: Final[Mapping[str, tuple[Any, Words]]] = {
    "nothing": (None, ("empty", "NaN", "None")),
    "NaN": (float("nan"), ("empty", "NaN")),
    "infinity": (float("inf"), ("infinite",)),
    "minus infinity": (float("-inf"), ("infinite",)),
    "zero": (0.0, ("zero",)),
    "minus zero": (-0.0, ("zero",)),
    "a negative number": (-1.5, ("negative",)),
    "1e308": (1e308, ("above", "high", "low")),
    "text": ("ten", ("number",)),
    "a currency": ("$1.50", ("number",)),
    "a thousands separator": ("1,234.5", ("number",)),
    "Arabic digits": ("\u0661\u0662", ("number",)),
    "full-width digits": ("\uff11\uff12", ("number",)),
    "hexadecimal": ("0x1f", ("number",)),
    "a spreadsheet's error": ("#REF!", ("number",)),
    "a claim": ("TRUE", ("number",)),
    "an underscore": ("1_0", ("number",)),
}
VOLUME: Final = {
    name: told
    for name, told in PRICE.items()
    if name not in {"nothing", "NaN", "zero", "minus zero"}
} | {"1e308": (1e308, ("above",))}
DAY: Final[Mapping[str, tuple[Any, Words]]] = {
    "nothing": (None, ("empty",)),
    "no such day": ("2024-02-30", ("date",)),
    "no such month": ("2024-13-02", ("date",)),
    "prose": ("yesterday", ("date",)),
    "the year 9999": ("9999-12-31", ("after", "future", "date")),
    "the year 1": ("0001-01-01", ("before 1800",)),
    "tomorrow's": ("2025-06-03", ("after", "not complete", "now")),
    "two readings": ("03/04/2024", ("two ways",)),
    "a serial number": ("45293", ("date",)),
    "an infinite date": ("inf", ("date",)),
    "full-width digits": ("\uff12\uff10\uff12\uff14-01-02", ("date",)),
    "a null character": ("2024-01-02\0", ("date", "NUL")),
}
SYMBOL: Final[Mapping[str, tuple[Any, Words]]] = {
    "nothing": (None, ("empty",)),
    "a path": ("../../etc/passwd", ("path",)),
    "a percent-encoded path": ("%2e%2e%2fetc", ("'%'",)),
    "an absolute path": ("/etc/passwd", ("path",)),
    "a Windows path": ("..\\..\\boot.ini", ("path", "\\\\")),
    "300 characters": ("A" * 300, ("300 characters",)),
    "a Cyrillic letter": ("\u0410APL", ("CYRILLIC",)),
    "a zero-width space": ("AAPL\u200b", ("ZERO WIDTH",)),
    "a right-to-left mark": ("AAPL\u202e", ("RIGHT-TO-LEFT",)),
    "an escape sequence": ("A\x1b[2J", ("control character",)),
    "a null character": ("A\0B", ("control character", "NUL")),
    "a formula": ("=cmd|' /C calc'!A0", ("it contains", "it starts")),
    "SQL": ("A'; DROP TABLE raw.daily_bars;--", ("it contains",)),
    "an emoji": ("\U0001f680", ("ROCKET",)),
}
FIELDS: Final[Mapping[str, Mapping[str, tuple[Any, Words]]]] = {
    **dict.fromkeys(("open", "high", "low", "close"), PRICE),
    "volume": VOLUME,
    "date": DAY,
    "symbol": SYMBOL,
}
# A column of a table has the name that the product gives it.
SHOWN: Final = {"date": "time"}
TIME: Final[Mapping[str, tuple[Any, Words]]] = {
    "nothing": (None, ("empty", "missing", "no time", "not a time")),
    "prose": ("yesterday", ("time",)),
    "no zone": ("2024-01-02T14:30:00", ("zone",)),
    "no such day": ("2024-02-30T14:30:00Z", ("time",)),
    "no such hour": ("2024-01-02T25:30:00Z", ("time",)),
    "in the future": ("2999-01-02T14:30:00Z", ("future", "before event_time")),
    "a number": (1704205800, ("time",)),
}
HEADLINE: Final[Mapping[str, tuple[Any, Words]]] = {
    "nothing": (None, ("0 characters",)),
    "empty text": ("  ", ("0 characters",)),
    "300,000 characters": ("x" * 300_000, ("300000 characters",)),
}
NEWS_FIELDS: Final[Mapping[str, Mapping[str, tuple[Any, Words]]]] = {
    "event_time": TIME,
    "known_at": {name: told for name, told in TIME.items() if name != "nothing"},
    "symbol": SYMBOL,
    "headline": HEADLINE,
}
GOOD_DAYS: Final = ("2024-01-03", "2024-01-04", "2024-01-05")


def cases(shop: Workshop) -> Iterator[Case]:
    """A wrong cell in every column and every format, then wrong shapes."""
    for ending in (".csv", ".parquet"):
        for field, values in FIELDS.items():
            for what, (value, words) in values.items():
                if ending == ".parquet" and not isinstance(value, str | float | None):
                    continue
                yield Case(
                    kind="bars",
                    sample=f"{SHOWN.get(field, field)}: {what}",
                    name=f"bars{ending}: {field} is {what}",
                    ask=partial(_ask_bars, shop, field, value, ending),
                    names=(f"bars{ending}", "2" if ending == ".csv" else "4", _name(field, value)),
                    words=words,
                )
    for ending in (".csv", ".jsonl", ".parquet"):
        for field, values in NEWS_FIELDS.items():
            for what, (value, words) in values.items():
                yield Case(
                    kind="news",
                    sample=f"{field}: {what}",
                    name=f"news{ending}: {field} is {what}",
                    ask=partial(_ask_news, shop, field, value, ending),
                    names=(f"news{ending}", field),
                    words=words,
                )
    yield from _shapes(shop)


def _name(field: str, value: Any) -> str:
    # A NUL byte is refused before anybody looks for columns.
    return "" if value is not None and "\0" in str(value) else SHOWN.get(field, field)


def _ask_bars(shop: Workshop, field: str, value: Any, ending: str) -> Refused | None:
    """The wrong cell stands in line 2 of a CSV file, and in the last row of a Parquet file."""
    good: list[Row] = [BAR | {"date": day} for day in GOOD_DAYS]
    wrong = BAR | {field: value}
    rows = [wrong, *good] if ending == ".csv" else [*good, wrong]
    path = shop.new_folder() / f"bars{ending}"
    _write(path, rows)
    return attempt(lambda: read_bar_files(path, now=NOW))


def _ask_news(shop: Workshop, field: str, value: Any, ending: str) -> Refused | None:
    path = shop.new_folder() / f"news{ending}"
    _write(path, [NEWS | {field: value}])
    return attempt(lambda: read_news(path, now=NOW, until=NOW))


def _write(path: Path, rows: list[Row]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        frame = pd.DataFrame(rows)
        for name in frame.columns:
            if any(isinstance(value, str) for value in frame[name]):
                frame[name] = [None if pd.isna(v) else str(v) for v in frame[name]]
        frame.to_parquet(path, index=False)
    else:
        pd.DataFrame(rows).to_csv(path, index=False)


Content = bytes | Callable[[], bytes]
SHAPES: Final[Mapping[str, tuple[str, bytes, Words]]] = {
    "nothing": ("bars.csv", b"", ("empty",)),
    "only a header": ("bars.csv", b"date,close\n", ("no rows",)),
    "an archive": ("bars.csv", b"PK\x03\x04" + bytes(40), ("binary",)),
    "a picture": ("bars.csv", b"\x89PNG\r\n\x1a\n" + bytes(40), ("binary",)),
    "a web page": ("bars.csv", b"<!DOCTYPE html>\n<html><body>\n", ("time and close",)),
    "JSON": ("bars.csv", b'{"t": 1,\n"c": 2}\n', ("cells", "time and close")),
    "Latin-1": ("bars.csv", "date,close,n\n2024-01-02,1,Z\u00fc\n".encode("latin-1"), ("UTF-8",)),
    "UTF-32": ("bars.csv", "date,close\n2024-01-02,1\n".encode("utf-32"), ("UTF-32")),
    "a lone surrogate": ("bars.csv", b"date,close\n2024-01-02,\xed\xa0\x80\n", ("UTF-8",)),
    "two closes": ("bars.csv", b"date,close,Close\n2024-01-02,1,2\n", ("close",)),
    "one name twice": ("bars.csv", b"date,close,close\n2024-01-02,1,2\n", ("two",)),
    "a short row": ("bars.csv", b"date,open,close\n2024-01-02,1\n", ("cells",)),
    "a long row": ("bars.csv", b"date,close\n2024-01-02,1,2\n", ("cells",)),
    "an open quotation mark": ("bars.csv", b'date,close\n"2024-01-02,1\n', ("cells", "quot")),
    "a row twice": ("bars.csv", b"date,close\n2024-01-02,1\n2024-01-02,1\n", ("line 2",)),
    "a row in two spellings": (
        "bars.csv",
        b"date,close\n2024-01-02,1\n2024/01/02,2\n",
        ("line 2",),
    ),
    "an hour that was skipped": (
        "bars.csv",
        b"time,close\n2024-03-10 01:59:00,1\n2024-03-10 02:30:00,1\n",
        ("does not exist",),
    ),
    "an hour that came twice": (
        "bars.csv",
        b"time,close\n2024-11-03 00:30:00,1\n2024-11-03 01:30:00,1\n",
        ("exists twice",),
    ),
    "a zone on some rows": (
        "bars.csv",
        b"time,close\n2024-01-02T14:30:00Z,1\n2024-01-02T14:31:00,1\n",
        ("with and without",),
    ),
    "a Parquet file cut off": ("bars.parquet", b"PAR1" + bytes(100), ("Parquet",)),
    "a CSV file named Parquet": ("bars.parquet", b"date,close\n2024-01-02,1\n", ("Parquet",)),
    "a Feather file": ("bars.feather", b"ARROW1" + bytes(100), ("no kind of file",)),
    "a spreadsheet": ("bars.xlsx", b"PK\x03\x04" + bytes(100), ("no kind of file",)),
    "a pickle": ("bars.pkl", b"\x80\x04K\x01.", ("no kind of file",)),
    "news: nothing": ("news.csv", b"", ("header",)),
    "news: no headline": ("news.csv", b"event_time,symbol\n2024-01-02T00:00:00Z,A\n", ("header",)),
    "news: JSON cut off": ("news.jsonl", b'{"event_time": "2024', ("no JSON object",)),
    "news: a list": ("news.jsonl", b"[1, 2]\n", ("no JSON object",)),
    "news: deep nesting": ("news.jsonl", b"[" * 100_000 + b"\n", ("no JSON object",)),
    "news: NaN": ("news.jsonl", b'{"event_time": NaN, "symbol": "A", "headline": "x"}', ("time",)),
    "news: a key twice": (
        "news.jsonl",
        b'{"symbol": "A", "symbol": "B", "event_time": "2024-01-02T00:00:00Z", "headline": "x"}',
        ("twice",),
    ),
    "news: half a character": (
        "news.jsonl",
        b'{"event_time": "2024-01-02T00:00:00Z", "symbol": "A", "headline": "\\ud800"}',
        ("surrogate",),
    ),
    "news: Latin-1": (
        "news.csv",
        "event_time,symbol,headline\nZ\u00fc".encode("latin-1"),
        ("UTF-8",),
    ),
    "news: a Parquet file cut off": ("news.parquet", b"PAR1" + bytes(100), ("Parquet",)),
    "news: a picture": ("news.png", b"\x89PNG\r\n", ("no file of news",)),
}


def _shapes(shop: Workshop) -> Iterator[Case]:
    for what, (name, content, words) in SHAPES.items():
        yield Case(
            kind="news" if name.startswith("news") else "bars",
            sample=f"a file: {what}",
            name=f"{name}: {what}",
            ask=partial(_ask_shape, shop, name, content),
            names=(name,),
            words=words,
        )


def _ask_shape(shop: Workshop, name: str, content: bytes) -> Refused | None:
    path = shop.new_folder() / name
    path.write_bytes(content)
    if name.startswith("news"):
        return attempt(lambda: read_news(path, now=NOW, until=NOW))
    # The hours of New York's clock that were skipped and that came twice.
    zone = "America/New_York" if b"-03-10 " in content or b"-11-03 " in content else None
    return attempt(lambda: read_bar_files(path, now=NOW, timezone=zone))
