"""What the port for bars promises, asked of every source that reads files."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from quant.core.clock import SteppedClock
from quant.market.bars import ACTION_COLUMNS, DAILY_BAR_COLUMNS, INTRADAY_BAR_COLUMNS, AssetClass
from quant.market.ingest_options import IngestOptions
from quant.market.sources import BarRequest
from quant.market.synthetic import generate
from resources.market_data.folder import FolderSource
from resources.market_data.sample import SampleSource
from resources.market_data.synthetic_folder import write_market

ROOT = Path(__file__).parents[2] / "data" / "sample"
CLOCK = SteppedClock(dt.datetime(2025, 6, 1, tzinfo=dt.UTC))
START, END = dt.date(2010, 3, 1), dt.date(2010, 3, 31)


@pytest.fixture(scope="module", params=["sample", "csv", "synthetic"])
def case(request, tmp_path_factory):
    """A source and two of its symbols with bars in March 2010."""
    folder = tmp_path_factory.mktemp(request.param) / "data"
    if request.param == "sample":
        return SampleSource(ROOT), ("AAPL", "MSFT")
    if request.param == "synthetic":
        days = pd.bdate_range("2009-06-01", "2010-12-30").to_numpy()
        write_market(generate(seed=1, symbols=("AAA", "BBB"), days=days), folder)
        return FolderSource(folder, options=IngestOptions(), clock=CLOCK), ("AAA", "BBB")
    folder.mkdir()
    whole = SampleSource(ROOT).bars(
        BarRequest(symbols=("AAPL", "MSFT"), start=dt.date(2009, 1, 1), end=dt.date(2011, 1, 1))
    )
    for symbol, rows in whole.groupby("symbol"):
        columns = ["session", "open", "high", "low", "close", "volume"]
        rows[columns].to_csv(folder / f"{symbol}.csv", index=False)
    return FolderSource(folder, options=IngestOptions(), clock=CLOCK), ("AAPL", "MSFT")


def test_bars_have_the_promised_columns_and_types(case):
    source, symbols = case
    frame = source.bars(BarRequest(symbols=symbols, start=START, end=END))
    assert tuple(frame.columns) == DAILY_BAR_COLUMNS
    assert set(frame["symbol"]) == set(symbols)
    assert all(type(day) is dt.date for day in frame["session"])
    for column in ("event_time", "known_at"):
        assert str(frame[column].dtype) == "datetime64[us, UTC]"
    assert (frame["known_at"] >= frame["event_time"]).all()
    assert set(frame["basis"]) == {"raw"}
    assert frame["source"].str.startswith(("sample/", "folder/")).all()
    assert source.name


def test_the_range_is_closed_and_no_bar_comes_twice(case):
    source, symbols = case
    whole = source.bars(BarRequest(symbols=symbols, start=START, end=END))
    assert not whole.duplicated(["symbol", "session"]).any()
    first, last = whole["session"].min(), whole["session"].max()
    assert START <= first < last <= END
    again = source.bars(BarRequest(symbols=symbols, start=first, end=last))
    pd.testing.assert_frame_equal(whole, again)
    one = source.bars(BarRequest(symbols=symbols[:1], start=first, end=first))
    assert one["session"].tolist() == [first]


@pytest.mark.parametrize(
    "ask",
    [
        {"symbols": ("NOPE",)},
        {"asset_class": AssetClass.CRYPTO},
        {"start": dt.date(1980, 1, 1), "end": dt.date(1980, 12, 31)},
    ],
)
def test_nothing_found_is_an_empty_frame_of_the_same_types(case, ask):
    source, symbols = case
    base = {"symbols": symbols, "start": START, "end": END}
    found = source.bars(BarRequest(**base))
    empty = source.bars(BarRequest(**(base | ask)))
    assert len(empty) == 0
    pd.testing.assert_series_equal(empty.dtypes, found.dtypes)


def test_an_interval_that_is_not_there_gives_no_bars(case):
    source, symbols = case
    frame = source.bars(BarRequest(symbols=symbols, start=START, end=END, interval_minutes=5))
    assert len(frame) == 0
    assert tuple(frame.columns) == INTRADAY_BAR_COLUMNS


def test_actions_have_the_promised_columns(case):
    source, symbols = case
    frame = source.actions(symbols, dt.date(2009, 1, 1), dt.date(2010, 12, 31))
    assert tuple(frame.columns) == ACTION_COLUMNS
    assert frame["symbol"].isin(symbols).all()
    assert all(type(day) is dt.date for day in frame["ex_session"])
    assert set(frame["kind"]) <= {"split", "cash_dividend"}
    assert str(frame["known_at"].dtype) == "datetime64[us, UTC]"


def test_a_restated_file_and_the_sample_agree_on_the_same_bars(tmp_path):
    """The sample written as CSV and ingested is the sample: moments, prices and volumes."""
    request = BarRequest(symbols=("INTC",), start=dt.date(2004, 1, 1), end=dt.date(2014, 12, 31))
    sample = SampleSource(ROOT).bars(request)
    sample.rename(columns={"session": "Date"})[
        ["Date", "open", "high", "low", "close", "volume"]
    ].to_csv(tmp_path / "INTC.csv", index=False)
    folder = FolderSource(tmp_path, options=IngestOptions(), clock=CLOCK).bars(request)
    columns = [name for name in DAILY_BAR_COLUMNS if name != "source"]
    pd.testing.assert_frame_equal(folder[columns], sample[columns], check_exact=True)
