"""A corpus of files that must not enter: each gives one typed error that says what to do.

The table holds what is in the file, and the words by which the error must name the place, the field
and the kind of value. Nothing may come out of such a file, and no other kind of exception either.
"""

import datetime as dt
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.clock import SteppedClock
from quant.core.errors import DataError, PmxError, SourceAnswerError, SourceRefusedError, UsageError
from quant.market.bars import AssetClass
from quant.market.ingest_columns import parse_mapping
from quant.market.ingest_options import IngestOptions
from quant.market.sources import BarRequest
from resources.market_data.folder import FolderSource, read_bar_files

NOW = dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
H = "date,open,high,low,close,volume\n"
GOOD = "2024-01-02,10,11,9,10.5,100\n"
GROUND = (H + "".join(f"2024-01-{day:02},10,11,9,10.5,100\n" for day in range(2, 12))).encode()
S = "symbol,date,close\n"
T = "time,close\n"

# name: (content, words that the message must hold, a word of the remedy[, options])
BAD = {
    # --- the file as a whole
    "empty": (b"", ["field header", "empty"], "remove"),
    "only blank lines": (b"\n \n\t\n", ["field header", "empty"], "remove"),
    "only a header": (H, ["field rows", "no rows"], "export"),
    "only a byte order mark": (b"\xef\xbb\xbf", ["empty"], "remove"),
    "a NUL byte": (H.encode() + b"2024-01-02,\x00,1,1,1,1\n", ["line 2", "NUL"], "CSV"),
    "random bytes": (bytes(range(256)) * 4, ["field file"], "export"),
    "a zip archive": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", ["binary"], "CSV"),
    "a PNG image": (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, ["binary"], "CSV"),
    "Latin-1": ("date,close,name\n2024-01-02,1,Müller\n".encode("latin-1"), ["line 2"], "iconv"),
    "Shift JIS": ("日付,終値\n2024-01-02,1\n".encode("shift-jis"), ["encoding"], "iconv"),
    "UTF-16 without a mark": (H.encode("utf-16-le"), ["binary"], "CSV"),
    "half of UTF-16": (b"\xff\xfe" + "a".encode("utf-16-le") + b"\x00", ["UTF-16"], "iconv"),
    "an HTML page": ("<!DOCTYPE html>\n<html>\n<body>\n", ["field time and close"], "--map"),
    "JSON": ('{"t": 1,\n"c": 2}\n', ["line 2", "cells"], "export"),
    "an error in prose": ("Thank you for using our API!\nx\n", ["time and close"], "--map"),
    # --- the header
    "no header": ("2024-01-02,1\n2024-01-03,2\n", ["field time and close"], "--map"),
    "numbers for a header": ("1,2,3\n4,5,6\n", ["line 1", "field header"], "first line"),
    "no close": ("date,open\n2024-01-02,1\n", ["field close", "'open'"], "--map close="),
    "no date": ("symbol,close\nAAPL,1\n", ["field time"], "--map time="),
    "an adjusted close alone": ("date,adj close\n2024-01-02,1\n", ["field close"], "--map close"),
    "a close under an unknown name": ("date,Last\n2024-01-02,1\n", ["'Last'"], "--map close"),
    "two closes": ("date,close,Close\n2024-01-02,1,2\n", ["field close"], "--map close="),
    "the same name twice": ("date,close,close\n2024-01-02,1,2\n", ["'close'", "two"], "own name"),
    "two symbols columns": ("symbol,ticker,date,close\nA,B,2024-01-02,1\n", ["symbol"], "--map"),
    # --- the shape of rows
    "a short row": (H + GOOD + "2024-01-03,1,2\n", ["line 3", "3 cells", "has 6"], "export"),
    "a long row": (H + GOOD + "2024-01-03,1,2,1,1,1,9\n", ["line 3", "7 cells"], "export"),
    "a file cut off": (H + GOOD + "2024-01-", ["line 3", "1 cells"], "export"),
    "an open quotation mark": (H + GOOD + '"2024-01-03,1,2,1,1,1\n' + GOOD, ["line 3"], "export"),
    "semicolons in a comma file": (H + GOOD.replace(",", ";"), ["line 2"], "export"),
    # --- prices
    "an empty close": (H + "2024-01-02,1,2,1,,5\n", ["line 2", "close", "empty"], "remove"),
    "a NaN close": (H + GOOD + "2024-01-03,1,2,1,NaN,5\n", ["line 3", "close", "NaN"], "remove"),
    "Yahoo's null row": (H + "2024-01-02,null,null,null,null,null\n", ["open", "null"], "remove"),
    "an empty open": (H + "2024-01-02,,2,1,1,5\n", ["line 2", "field open"], "remove"),
    "an infinite close": (H + "2024-01-02,1,2,1,inf,5\n", ["close", "infinite"], "correct"),
    "minus infinity": (H + "2024-01-02,1,2,-Infinity,1,5\n", ["low", "infinite"], "correct"),
    "a negative close": (H + "2024-01-02,1,2,1,-1,5\n", ["close", "'-1'", "negative"], "correct"),
    "a price of zero": (H + "2024-01-02,0,2,1,1,5\n", ["field open", "zero"], "correct"),
    "text for a price": (H + "2024-01-02,1,2,1,abc,5\n", ["close", "'abc'", "number"], "decimal"),
    "a dollar sign": (H + "2024-01-02,1,2,1,$1.5,5\n", ["close", "'$1.5'"], "decimal"),
    "a decimal comma": ("date;close\n2024-01-02;1,5\n", ["close", "'1,5'"], "decimal point"),
    "thousands": ('date,close\n2024-01-02,"1,234.5"\n', ["close", "'1,234.5'"], "decimal"),
    "an absurd price": (H + "2024-01-02,1,1e300,1,1,5\n", ["field high", "above"], "correct"),
    "a spreadsheet error": (H + "2024-01-02,1,2,1,#N/A,5\n", ["close", "#N/A"], "decimal"),
    "Arabic digits": ("date,close\n2024-01-02,١٢\n", ["line 2", "close"], "decimal"),
    "high below low": (H + "2024-01-02,10,9,11,10,5\n", ["line 2", "high", "low"], "--map high"),
    "a negative volume": (H + "2024-01-02,1,2,1,1,-5\n", ["volume", "negative"], "empty"),
    "an infinite volume": (H + "2024-01-02,1,2,1,1,inf\n", ["volume", "infinite"], "empty"),
    "text for a volume": (H + "2024-01-02,1,2,1,1,1.2M\n", ["volume", "'1.2M'"], "plain"),
    # --- keys
    "a duplicate": (H + GOOD + GOOD, ["line 3", "symbol and time", "line 2"], "one row"),
    "a duplicate in two spellings": (
        "date,close\n2024-01-02,1\n2024/01/02,2\n",
        ["line 3", "line 2"],
        "one row",
    ),
    "a duplicate in two cases": (
        S + "AAPL,2024-01-02,1\naapl,2024-01-02,1\n",
        ["line 3", "AAPL", "line 2"],
        "one row",
    ),
    "a duplicate minute": (
        T + "2024-01-02T14:30:00Z,1\n2024-01-02T14:31:00Z,1\n2024-01-02T14:31:00Z,2\n",
        ["line 4", "line 3"],
        "one row",
    ),
    # --- dates and times
    "an empty date": (H + ",1,2,1,1,5\n", ["line 2", "field time", "empty"], "2024-01-31"),
    "no such day": (H + "2024-02-30,1,2,1,1,5\n", ["line 2", "time", "2024-02-30"], "2024-01-31"),
    "no such month": (H + "2024-13-01,1,2,1,1,5\n", ["time", "2024-13-01"], "--date-format"),
    "prose for a date": (H + "yesterday,1,2,1,1,5\n", ["'yesterday'", "date"], "--date-format"),
    "a date in two readings": (H + "03/04/2024,1,2,1,1,5\n", ["two ways"], "--date-format"),
    "a date with dots": (H + "03.04.2024,1,2,1,1,5\n", ["two ways"], "--date-format"),
    "a spreadsheet's day number": (H + "45293,1,2,1,1,5\n", ["'45293'", "date"], "--date-format"),
    "an epoch of zero": (H + "0,1,2,1,1,5\n", ["'0'", "date"], "--date-format"),
    "epochs of two lengths": (T + "1704153600,1\n1704240000000,1\n", ["date"], "--date-format"),
    "a wrong stated format": (
        H + GOOD,
        ["line 2", "'2024-01-02'", "'%d/%m/%Y'"],
        "--date-format",
        {"date_format": "%d/%m/%Y"},
    ),
    "a future day": (H + GOOD + "2030-01-02,1,2,1,1,5\n", ["line 3", "time", "now"], "remove"),
    "today before the close": (H + "2025-06-02,1,2,1,1,5\n", ["not complete"], "after the close"),
    "the year 1": (H + "0001-01-01,1,2,1,1,5\n", ["before 1800"], "--date-format"),
    "the year 9999": (H + "9999-12-31,1,2,1,1,5\n", ["line 2", "time"], ""),
    "naive times": (
        T + "2024-01-02 14:30:00,1\n2024-01-02 14:31:00,1\n",
        ["line 2", "no time zone"],
        "--timezone",
    ),
    "a zone on some rows": (
        T + "2024-01-02T14:30:00Z,1\n2024-01-02T14:31:00,1\n",
        ["line 3", "with and without"],
        "--timezone",
    ),
    "two zones": (
        T + "2024-01-02T14:30:00+00:00,1\n2024-01-02T14:31:00+09:00,1\n",
        ["mixes time zones"],
        "UTC",
    ),
    "a wall time that was skipped": (
        T + "2024-03-10 01:59:00,1\n2024-03-10 02:30:00,1\n",
        ["line 3", "does not exist"],
        "UTC",
        {"timezone": "America/New_York"},
    ),
    "a wall time that came twice": (
        T + "2024-11-03 00:30:00,1\n2024-11-03 01:30:00,1\n",
        ["line 3", "exists twice"],
        "UTC",
        {"timezone": "America/New_York"},
    ),
    "one minute alone": (T + "2024-01-02T14:30:00Z,1\n", ["how long"], "--interval-minutes"),
    "ragged minutes": (
        T + "2024-01-02T14:30:00Z,1\n2024-01-02T14:35:00Z,1\n2024-01-02T14:40:00Z,1\n"
        "2024-01-02T14:41:00Z,1\n",
        ["5 minutes", "after 1"],
        "--interval-minutes",
    ),
    "seconds": (
        T + "2024-01-02T14:30:00Z,1\n2024-01-02T14:30:01Z,1\n2024-01-02T14:30:02Z,1\n",
        ["whole minutes"],
        "--interval-minutes",
    ),
    "weekly bars": (
        "date,close\n" + "".join(f"2024-{m:02}-{d:02},1\n" for m in (1, 2) for d in (1, 8, 15, 22)),
        ["7 days apart"],
        "daily",
    ),
    "Stooq's weekly bars": (
        "<TICKER>,<PER>,<DATE>,<CLOSE>\nAAPL,W,20240105,1\n",
        ["period", "'W'"],
        "daily",
    ),
    # --- symbols
    "an empty symbol": (S + ",2024-01-02,1\n", ["line 2", "symbol", "empty"], "ASCII"),
    "300 characters": (S + "A" * 300 + ",2024-01-02,1\n", ["symbol", "300"], "40"),
    "a path": (S + "../../etc/passwd,2024-01-02,1\n", ["symbol", "path"], "ASCII"),
    "a Cyrillic A": (S + "\u0410APL,2024-01-02,1\n", ["CYRILLIC CAPITAL LETTER A"], "ASCII"),
    "a zero-width space": (S + "AAPL\u200b,2024-01-02,1\n", ["ZERO WIDTH SPACE"], "ASCII"),
    "a symbol with SQL": (S + "A';DROP,2024-01-02,1\n", ["symbol"], "ASCII"),
    "an escape sequence": (S + "A\x1b[31m,2024-01-02,1\n", ["U+001B"], "ASCII"),
    "a symbol with a line separator": (S + "A\u2028B,2024-01-02,1\n", ["LINE SEPARATOR"], "ASCII"),
    # --- corporate actions
    "an unknown action": (
        "symbol,date,kind,value\nAAPL,2024-01-02,spinoff,1\n",
        ["field kind", "'spinoff'"],
        "split",
    ),
    "a split of zero": (
        "symbol,date,kind,value\nAAPL,2024-01-02,split,0\n",
        ["field value", "positive"],
        "0.5",
    ),
    "an action twice": (
        "symbol,date,kind,value\n" + "AAPL,2024-01-02,split,0.5\n" * 2,
        ["line 3", "twice"],
        "one row",
    ),
}


def test_the_corpus_is_large_enough_to_mean_something():
    assert len(BAD) >= 60


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_clear_error(tmp_path, name):
    content, words, remedy, *options = BAD[name]
    path = tmp_path / "AAPL.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((DataError, UsageError)) as caught:
        read_bar_files(path, now=NOW, **(options[0] if options else {}))
    message = str(caught.value)
    assert message.startswith("AAPL.csv"), message
    assert "field " in message, message
    for word in words:
        assert word in message, message
    assert remedy in caught.value.remedy, caught.value.remedy
    assert len(caught.value.remedy) > 10
    assert len(message) < 400
    assert message.isprintable(), "a file must not be able to write control characters to a screen"
    assert os.listdir(tmp_path) == ["AAPL.csv"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_never_ends_in_anything_but_bars_or_a_typed_error(data):
    """Bytes overwritten, cut out and inserted at random: what comes back is sound, or refused."""
    content = bytearray(GROUND)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        cut = data.draw(st.integers(0, 3))
        content[at : at + cut] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "AAPL.csv"
        path.write_bytes(bytes(content))
        outcome = _bars_or_error(path)
    if isinstance(outcome, PmxError):
        assert outcome.remedy
        assert str(outcome).isprintable()
    else:
        assert (outcome["close"] > 0).all()
        assert np.isfinite(outcome["close"]).all()
        assert (outcome["event_time"] <= NOW).all()


def _bars_or_error(path):
    try:
        result = read_bar_files(path, now=NOW)
    except PmxError as error:
        return error
    return pd.concat([result.daily, result.intraday])


# The name itself is the symbol where no column says it.
@pytest.mark.parametrize("stem", ["A" * 200, "A B", "Ф", "prices (1)", "-x"])
def test_a_file_name_that_is_no_symbol_is_named(tmp_path, stem):
    (tmp_path / f"{stem}.csv").write_text("date,close\n2024-01-02,1\n")
    with pytest.raises(DataError, match="field symbol") as caught:
        read_bar_files(tmp_path, now=NOW)
    assert "column 'symbol'" in caught.value.remedy


PARQUET = {
    "a NaN price": (pd.DataFrame({"date": ["2024-01-02"], "close": [float("nan")]}), "row 1"),
    "a negative price": (pd.DataFrame({"date": ["2024-01-02"], "close": [-1.0]}), "negative"),
    "truth values": (pd.DataFrame({"date": ["2024-01-02"], "close": [True]}), "not a number"),
    "lists": (pd.DataFrame({"date": ["2024-01-02"], "close": [[1.0, 2.0]]}), "not a number"),
    "no time": (pd.DataFrame({"close": [1.0]}), "field time"),
    "an absent time": (
        pd.DataFrame({"date": pd.to_datetime(["2024-01-02", None]), "close": [1.0, 2.0]}),
        "row 2, field time",
    ),
    "naive minutes": (
        pd.DataFrame({"date": pd.to_datetime(["2024-01-02T14:30"]), "close": [1.0]}),
        "no time zone",
    ),
    "an absent symbol": (
        pd.DataFrame({"symbol": ["A", None], "date": ["2024-01-02"] * 2, "close": [1.0, 1.0]}),
        "row 2, field symbol",
    ),
    "no rows": (pd.DataFrame({"date": pd.Series([], dtype="str"), "close": []}), "no rows"),
    "a duplicate": (pd.DataFrame({"date": ["2024-01-02"] * 2, "close": [1.0, 1.0]}), "row 1"),
}


@pytest.mark.parametrize("name", PARQUET)
def test_a_bad_parquet_file_gives_one_clear_error(tmp_path, name):
    frame, word = PARQUET[name]
    frame.to_parquet(tmp_path / "AAPL.parquet")
    with pytest.raises(DataError, match=r"^AAPL\.parquet") as caught:
        read_bar_files(tmp_path, now=NOW)
    assert word in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 junk PAR1", b"date,close\n2024-01-02,1"])
def test_a_damaged_parquet_file_is_named(tmp_path, content):
    (tmp_path / "AAPL.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"AAPL\.parquet, field file") as caught:
        read_bar_files(tmp_path, now=NOW)
    assert caught.value.remedy


def test_a_file_name_cannot_write_to_the_screen(tmp_path):
    (tmp_path / "A\x1b[31m.csv").write_text("date\n2024-01-02\n")
    with pytest.raises(DataError) as caught:
        read_bar_files(tmp_path, now=NOW)
    assert str(caught.value).isprintable()


def test_two_files_may_not_own_the_same_day(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(S + "AAPL,2024-01-02,1\n")
    with pytest.raises(DataError, match=r"b\.csv, .* 'AAPL 2024-01-02' stands in a\.csv too"):
        read_bar_files(tmp_path, now=NOW)


@pytest.mark.parametrize(
    "path", ["missing", "missing/../../x", "nul\0byte", "x" * 5000, "AAPL.xlsx", "folder"]
)
def test_a_path_without_tables_is_a_wrong_request(tmp_path, path):
    (tmp_path / "AAPL.xlsx").write_bytes(b"PK")
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        read_bar_files(tmp_path / path, now=NOW)
    assert caught.value.remedy
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"timezone": "../../etc/passwd"}, "not a time zone"),
        ({"calendar": "XXXX"}, "no calendar"),
        ({"currency": "dollars"}, "currency"),
        ({"interval_minutes": 0}, "interval_minutes"),
        ({"interval_minutes": 1440}, "interval_minutes"),
        ({"mapping": {"close": "Nope"}}, "'Nope'"),
        ({"mapping": {"clsoe": "close"}}, "'clsoe'"),
        ({"basis": "cooked"}, "basis"),
    ],
)
def test_a_wrong_option_is_a_wrong_request(tmp_path, options, word):
    (tmp_path / "AAPL.csv").write_text(H + GOOD)
    with pytest.raises(UsageError) as caught:
        read_bar_files(tmp_path, now=NOW, **options)
    assert word in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("pair", ["close", "close=", "=Last", "colse=Last"])
def test_a_mapping_that_cannot_be_read_is_refused(pair):
    with pytest.raises(UsageError):
        parse_mapping([pair])


def test_a_mapping_names_each_field_once():
    assert parse_mapping(["close=Last", "date=Day"]) == {"close": "Last", "time": "Day"}
    with pytest.raises(UsageError, match="twice"):
        parse_mapping(["date=Day", "time=Clock"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_rights_is_named(tmp_path):
    path = tmp_path / "AAPL.csv"
    path.write_text(H + GOOD)
    path.chmod(0)
    with pytest.raises(DataError, match=r"AAPL\.csv.*Permission"):
        read_bar_files(path, now=NOW)


REQUEST = BarRequest(symbols=("AAPL",), start=dt.date(2024, 1, 1), end=dt.date(2024, 12, 31))


def test_the_folder_is_a_source_that_notices_new_files(tmp_path):
    (tmp_path / "AAPL.csv").write_text(H + GOOD)
    source = FolderSource(tmp_path, options=IngestOptions(), clock=SteppedClock(NOW))
    assert source.bars(REQUEST)["close"].tolist() == [10.5]
    (tmp_path / "AAPL.csv").write_text(H + GOOD + "2024-01-03,1,2,1,1.5,5\n")
    assert source.bars(REQUEST)["close"].tolist() == [10.5, 1.5]
    other = BarRequest(
        symbols=("AAPL",), start=REQUEST.start, end=REQUEST.end, asset_class=AssetClass.CRYPTO
    )
    assert len(source.bars(other)) == 0


def test_the_folder_source_speaks_the_port_s_errors(tmp_path):
    """A failover chain must tell a folder that is not there from one that cannot be believed."""
    clock = SteppedClock(NOW)
    with pytest.raises(SourceRefusedError):
        FolderSource(tmp_path / "none", options=IngestOptions(), clock=clock).bars(REQUEST)
    (tmp_path / "AAPL.csv").write_text(H + "2024-01-02,1,2,1,-1,5\n")
    with pytest.raises(SourceAnswerError, match="negative") as caught:
        FolderSource(tmp_path, options=IngestOptions(), clock=clock).bars(REQUEST)
    assert caught.value.remedy
