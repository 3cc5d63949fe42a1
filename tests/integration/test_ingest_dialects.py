"""Files as vendors really write them, and what must come out of each."""

import datetime as dt

import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.market.bars import DAILY_BAR_COLUMNS, INTRADAY_BAR_COLUMNS, AssetClass, Basis
from resources.market_data.folder import read_bar_files

NOW = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
TWO_DAYS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]

# name: (file name, text, keyword arguments). Each holds the closes 185.64 and 184.25 of Apple on
# the first two sessions of 2024.
DAILY = {
    "yahoo": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        "2024-01-02,187.15,188.44,183.89,185.64,184.53,82488700\n"
        "2024-01-03,184.22,185.88,183.43,184.25,183.15,58414500\n",
        {"basis": Basis.SPLIT_ADJUSTED},
    ),
    "yahoo in reverse order": (
        "AAPL.csv",
        "Date,Close\n2024-01-03,184.25\n2024-01-02,185.64\n",
        {},
    ),
    "yfinance with one header": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        "2024-01-02 00:00:00-05:00,187.15,188.44,183.89,185.64,82488700,0.0,0.0\n"
        "2024-01-03 00:00:00-05:00,184.22,185.88,183.43,184.25,58414500,0.0,0.0\n",
        {},
    ),
    "yfinance with three headers": (
        "download.csv",
        "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
        "2024-01-02,185.64,188.44,183.89,187.15,82488700\n"
        "2024-01-03,184.25,185.88,183.43,184.22,58414500\n",
        {},
    ),
    "stooq download": (
        "aapl.csv",
        "Date,Open,High,Low,Close,Volume\r\n20240102,187.15,188.44,183.89,185.64,82488700\r\n"
        "20240103,184.22,185.88,183.43,184.25,58414500\r\n",
        {},
    ),
    "stooq bulk": (
        "anything.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "AAPL,D,20240102,000000,187.15,188.44,183.89,185.64,82488700,0\n"
        "AAPL,D,20240103,000000,184.22,185.88,183.43,184.25,58414500,0\n",
        {},
    ),
    "alpaca": (
        "bars.csv",
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
        "AAPL,2024-01-02 05:00:00+00:00,187.15,188.44,183.89,185.64,82488700,1,185.9\n"
        "AAPL,2024-01-03 05:00:00+00:00,184.22,185.88,183.43,184.25,58414500,1,184.3\n",
        {},
    ),
    "alpaca's short names": (
        "AAPL.csv",
        "t,o,h,l,c,v,n,vw\n2024-01-02T05:00:00Z,187.15,188.44,183.89,185.64,82488700,1,185.9\n"
        "2024-01-03T05:00:00Z,184.22,185.88,183.43,184.25,58414500,1,184.3\n",
        {},
    ),
    "alpha vantage": (
        "AAPL.csv",
        "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient\n"
        "2024-01-03,184.22,185.88,183.43,184.25,183.15,58414500,0.0,1.0\n"
        "2024-01-02,187.15,188.44,183.89,185.64,184.53,82488700,0.0,1.0\n",
        {},
    ),
    "epoch seconds of each opening": (
        "AAPL.csv",
        "Timestamp,Close\n1704205800,185.64\n1704292200,184.25\n",
        {},
    ),
    "epoch milliseconds at midnight": (
        "AAPL.csv",
        "ts,close\n1704153600000,185.64\n1704240000000,184.25\n",
        {},
    ),
    "pandas index without a name": (
        "AAPL.csv",
        ",open,high,low,close,volume\n2024-01-02,187.15,188.44,183.89,185.64,82488700\n"
        "2024-01-03,184.22,185.88,183.43,184.25,58414500\n",
        {},
    ),
    "upper case, semicolons and a byte order mark": (
        "AAPL.csv",
        "\ufeffDATE;OPEN;HIGH;LOW;CLOSE;VOLUME\n2024-01-02;187.15;188.44;183.89;185.64;82488700\n"
        "2024-01-03;184.22;185.88;183.43;184.25;58414500\n",
        {},
    ),
    "tabs": ("AAPL.tsv", "date\tclose\n2024-01-02\t185.64\n2024-01-03\t184.25\n", {}),
    "blank lines": (
        "AAPL.csv",
        "\n\ndate,close\n\n2024-01-02,185.64\n \n2024-01-03,184.25\n\n",
        {},
    ),
    "quoted cells": (
        "AAPL.csv",
        '"date","close"\n"2024-01-02","185.64"\n"2024-01-03","184.25"',
        {},
    ),
    "slashes, year first": ("AAPL.csv", "date,close\n2024/01/02,185.64\n2024/01/03,184.25\n", {}),
    "month names": ("AAPL.csv", "Date,Close\n02-Jan-2024,185.64\n03-Jan-2024,184.25\n", {}),
    "mapped column and stated date format": (
        "AAPL.csv",
        "Date,Last\n01/02/2024,185.64\n01/03/2024,184.25\n",
        {"mapping": {"close": "Last"}, "date_format": "%m/%d/%Y"},
    ),
    "two symbols in one file": (
        "many.csv",
        "symbol,date,close\nAAPL,2024-01-02,185.64\nMSFT,2024-01-02,370.87\nAAPL,2024-01-03,184.25\n",
        {},
    ),
    "a zero volume and an empty one": (
        "AAPL.csv",
        "date,close,volume\n2024-01-02,185.64,0\n2024-01-03,184.25,\n",
        {},
    ),
}


@pytest.mark.parametrize("dialect", DAILY)
def test_a_daily_dialect_is_understood(tmp_path, dialect):
    name, text, options = DAILY[dialect]
    (tmp_path / name).write_bytes(text.encode())
    result = read_bar_files(tmp_path / name, now=NOW, **options)
    assert tuple(result.daily.columns) == DAILY_BAR_COLUMNS
    rows = result.daily[result.daily["symbol"] == "AAPL"]
    assert rows["session"].tolist() == TWO_DAYS
    assert rows["close"].tolist() == [185.64, 184.25]
    assert rows["event_time"].iloc[0] == pd.Timestamp("2024-01-02T21:00Z")
    assert rows["known_at"].iloc[0] == pd.Timestamp("2024-01-02T21:15Z")
    assert len(result.intraday) == 0


def test_utf_16_with_its_mark_is_read(tmp_path):
    (tmp_path / "AAPL.csv").write_bytes("date,close\n2024-01-02,185.64\n".encode("utf-16"))
    assert read_bar_files(tmp_path, now=NOW).daily["close"].tolist() == [185.64]


def test_adjusted_closes_move_the_whole_bar_when_total_return_is_asked(tmp_path):
    """184.53 / 185.64 is the factor by which Yahoo moved the close; the high moves with it."""
    name, text, _ = DAILY["yahoo"]
    (tmp_path / name).write_text(text)
    row = read_bar_files(tmp_path, now=NOW, basis=Basis.TOTAL_RETURN).daily.iloc[0]
    assert row["close"] == 184.53
    assert row["high"] == pytest.approx(188.44 * 184.53 / 185.64)
    assert row["volume"] == 82488700


def test_a_binance_file_without_a_header_is_understood(tmp_path):
    """Columns in Binance's documented order; the name tells symbol and interval."""
    (tmp_path / "BTCUSDT-1h-2024-01.csv").write_text(
        "1704067200000,42283.58,42554.57,42261.02,42475.23,1271.68,1704070799999,5.4e7,47134,1,2,0\n"
        "1704070800000,42475.23,42775.00,42431.65,42613.56,1196.38,1704074399999,5.1e7,47396,1,2,0\n"
    )
    result = read_bar_files(tmp_path, now=NOW, asset_class=AssetClass.CRYPTO, currency="USDT")
    assert tuple(result.intraday.columns) == INTRADAY_BAR_COLUMNS
    first = result.intraday.iloc[0]
    assert (first["symbol"], first["interval_minutes"]) == ("BTCUSDT", 60)
    assert first["event_time"] == pd.Timestamp("2024-01-01T01:00Z")
    assert first["session"] == dt.date(2024, 1, 1)
    assert first["open"] == 42283.58


def test_binance_days_close_at_the_next_midnight(tmp_path):
    (tmp_path / "BTCUSDT-1d-2024-01.csv").write_text(
        "open_time,open,high,low,close,volume,close_time\n"
        "1704067200000,42283.58,44184.10,42180.77,44179.55,27174.29,1704153599999\n"
        "1704153600000,44179.55,45879.63,44148.34,44946.91,65146.40,1704239999999\n"
    )
    rows = read_bar_files(tmp_path, now=NOW, asset_class=AssetClass.CRYPTO).daily
    assert rows["session"].tolist() == [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]
    assert rows["event_time"].iloc[0] == pd.Timestamp("2024-01-02T00:00Z")


@pytest.mark.parametrize("separate", [False, True])
def test_naive_intraday_bars_take_the_zone_that_is_named(tmp_path, separate):
    """The last five minutes of a summer Friday in New York end at 20:00 UTC."""
    header = "<TICKER>,<PER>,<DATE>,<TIME>,<CLOSE>" if separate else "symbol,datetime,close"
    stamps = ("20240705,155000", "20240705,155500")
    rows = [
        f"AAPL,5,{s},1" if separate else f"AAPL,2024-07-05 {s[9:11]}:{s[11:13]},1" for s in stamps
    ]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]))
    frame = read_bar_files(tmp_path, now=NOW, timezone="America/New_York").intraday
    assert frame["event_time"].iloc[-1] == pd.Timestamp("2024-07-05T20:00Z")
    assert set(frame["interval_minutes"]) == {5}


def test_one_exchange_may_show_two_offsets_in_a_year(tmp_path):
    """yfinance writes New York time; the clocks changed on 2024-03-10."""
    (tmp_path / "AAPL.csv").write_text(
        "Date,Close\n2024-03-08 00:00:00-05:00,170.73\n2024-03-11 00:00:00-04:00,172.75\n"
    )
    rows = read_bar_files(tmp_path, now=NOW).daily
    assert rows["session"].tolist() == [dt.date(2024, 3, 8), dt.date(2024, 3, 11)]


@pytest.mark.parametrize("kind", ["date32", "timestamp", "index", "text", "aware"])
def test_parquet_of_several_makes_is_understood(tmp_path, kind):
    stamps = pd.to_datetime(["2024-01-02", "2024-01-03"])
    frame = pd.DataFrame({"Close": [185.64, 184.25], "Volume": [1, 2]})
    columns = {
        "date32": lambda: frame.assign(Date=stamps.date),
        "timestamp": lambda: frame.assign(Date=stamps),
        "index": lambda: frame.set_index(stamps.rename("Date")),
        "text": lambda: frame.assign(Date=["2024-01-02", "2024-01-03"]),
        "aware": lambda: frame.assign(Date=stamps.tz_localize("America/New_York")),
    }
    columns[kind]().to_parquet(tmp_path / "AAPL.parquet")
    rows = read_bar_files(tmp_path, now=NOW).daily
    assert rows["session"].tolist() == TWO_DAYS
    assert rows["close"].tolist() == [185.64, 184.25]


def test_a_folder_may_mix_symbols_intervals_and_kinds_of_files(tmp_path):
    (tmp_path / "AAPL.csv").write_text("date,close\n2024-01-02,185.64\n")
    (tmp_path / "MSFT.csv").write_text(
        "time,close\n2024-01-02T14:30:00Z,370\n2024-01-02T14:31:00Z,371\n"
    )
    (tmp_path / "actions.csv").write_text(
        "symbol,ex_date,kind,value\nAAPL,2024-01-02,split,0.5\nMSFT,2024-01-03,cash_dividend,0.75\n"
    )
    (tmp_path / "notes.md").write_text("not a table")
    (tmp_path / ".hidden.csv").write_text("not looked at")
    seen = []
    result = read_bar_files(tmp_path, now=NOW, on_file=lambda *step: seen.append(step))
    assert result.symbols == ("AAPL", "MSFT")
    assert [len(result.daily), len(result.intraday), len(result.actions)] == [1, 2, 2]
    assert [path.name for path in result.skipped] == ["notes.md"]
    assert [step[1:] for step in seen] == [(1, 3), (2, 3), (3, 3)]
    assert result.actions["known_at"].iloc[0] == pd.Timestamp("2024-01-02T00:00Z")


def test_one_bad_file_refuses_the_whole_folder(tmp_path):
    """Half an ingest would look like a whole one the next morning."""
    (tmp_path / "AAPL.csv").write_text("date,close\n2024-01-02,185.64\n")
    (tmp_path / "MSFT.csv").write_text("date,close\n2024-01-02,-1\n")
    with pytest.raises(DataError, match=r"MSFT\.csv, line 2, field close: '-1'"):
        read_bar_files(tmp_path, now=NOW)


def test_two_hundred_thousand_rows_are_read_in_seconds(tmp_path):
    import time

    stamps = pd.date_range("2023-01-01", periods=200_000, freq="min").strftime("%Y-%m-%d %H:%M:%SZ")
    frame = pd.DataFrame({"time": stamps, "open": 1.5, "high": 2.5, "low": 0.5, "close": 1.25})
    frame.to_csv(tmp_path / "BTC-USD.csv", index=False)
    began = time.perf_counter()
    result = read_bar_files(tmp_path, now=NOW, asset_class=AssetClass.CRYPTO)
    assert len(result.intraday) == 200_000
    assert time.perf_counter() - began < 10


def test_prices_keep_every_bit(tmp_path):
    """Seventeen digits in the file are the same double afterwards, blanks in the column or not."""
    closes = [0.1 + 0.2, 1 / 3, 123456.789012345678, 5e-7]
    lines = [f"2024-01-{day:02},{close!r}," for day, close in enumerate(closes, start=2)]
    (tmp_path / "A.csv").write_text("date,close,volume\n" + "\n".join(lines))
    rows = read_bar_files(tmp_path, now=NOW).daily
    assert rows["close"].tolist() == closes
    assert rows["volume"].isna().all()


def test_a_future_may_settle_below_zero(tmp_path):
    """The May 2020 crude oil contract on 20 April 2020; any other class would be refused."""
    (tmp_path / "CLK0.csv").write_text("date,high,low,close\n2020-04-20,17.85,-40.32,-37.63\n")
    rows = read_bar_files(tmp_path, now=NOW, asset_class=AssetClass.FUTURE).daily
    assert rows["close"].tolist() == [-37.63]
    with pytest.raises(DataError, match="negative"):
        read_bar_files(tmp_path, now=NOW, asset_class=AssetClass.US_EQUITY)
