import datetime as dt
import hashlib
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from quant.core.errors import SourceAnswerError, SourceRefusedError
from quant.market.bars import (
    ACTION_COLUMNS,
    DAILY_BAR_COLUMNS,
    INTRADAY_BAR_COLUMNS,
    AssetClass,
    Basis,
)
from quant.market.calendars import sessions
from quant.market.sources import BarRequest
from resources.market_data.sample import SampleSource

ROOT = Path(__file__).parents[2] / "data" / "sample"
EVER = {"start": dt.date(1990, 1, 1), "end": dt.date(2026, 12, 31)}


@pytest.fixture(scope="module")
def sample() -> SampleSource:
    return SampleSource(ROOT)


@pytest.fixture(scope="module")
def everything(sample):
    return sample.all_daily_bars()


def test_every_row_of_every_daily_file_arrives(everything):
    """What the files hold, counted independently, is what the source serves."""
    files = [
        path
        for path in ROOT.glob("*_daily.parquet")
        if path.stem != "us_treasury_curve_daily"  # rates, not bars
    ]
    assert len(everything) == sum(pq.read_metadata(path).num_rows for path in files) == 323_771
    assert tuple(everything.columns) == DAILY_BAR_COLUMNS


def test_a_symbol_has_one_bar_per_basis_and_session(everything):
    assert not everything.duplicated(["symbol", "basis", "session"]).any()


def test_loading_everything_takes_seconds_not_minutes():
    began = time.perf_counter()
    SampleSource(ROOT).all_daily_bars()
    assert time.perf_counter() - began < 10


def test_bases_are_never_mixed(everything):
    """AAPL stands in three files, and each keeps its own meaning."""
    apple = everything[everything["symbol"] == "AAPL"].groupby("basis")["source"].unique()
    assert {basis: list(names) for basis, names in apple.items()} == {
        "raw": ["sample/us_equity_raw_2004_2014_daily"],
        "split_adjusted": ["sample/us_equity_ohlcv_daily"],
        "total_return": ["sample/us_equity_adjclose_daily"],
    }


def test_a_close_only_file_leaves_the_other_fields_empty(sample):
    rows = sample.bars(BarRequest(symbols=("XOM",), basis=Basis.TOTAL_RETURN, **EVER))
    assert len(rows) == 8313
    assert rows["close"].notna().all()
    assert rows[["open", "high", "low", "volume"]].isna().all().all()


def test_a_hand_checked_bar_carries_its_moments(sample):
    """AAPL on the first session of 2004, a winter day: New York closes at 21:00 UTC."""
    day = dt.date(2004, 1, 2)
    [row] = sample.bars(BarRequest(symbols=("AAPL",), start=day, end=day)).to_dict("records")
    assert (row["open"], row["high"], row["low"], row["close"]) == (21.549, 21.75, 21.18, 21.28)
    assert row["volume"] == 36_160_600
    assert row["session"] == day
    assert row["event_time"] == pd.Timestamp("2004-01-02T21:00Z")
    assert row["known_at"] == pd.Timestamp("2004-01-02T21:15Z")


def test_phantom_rows_stay_for_the_quality_rules_to_find(sample):
    """Twenty raw rows lie on days when New York was shut; dropping them would hide a defect."""
    symbols = ("AAPL", "AMD", "CERN", "COST", "DELL", "GPS", "INTC", "MMM", "MSFT")
    rows = sample.bars(BarRequest(symbols=symbols, **EVER))
    calendar = set(sessions("XNYS", dt.date(2004, 1, 1), dt.date(2014, 12, 31)).tolist())
    assert (~rows["session"].isin(calendar)).sum() == 20
    assert rows["event_time"].notna().all()


def test_factor_funds_are_total_return_and_the_others_price_only(sample):
    split = {d.name: d for d in sample.catalogue() if d.basis is Basis.SPLIT_ADJUSTED}
    total = {d.name: d for d in sample.catalogue() if d.basis is Basis.TOTAL_RETURN}
    assert total["etf_daily"].symbols == ("MTUM", "QUAL", "SIZE", "USMV", "VLUE")
    assert "SPY" in split["etf_daily"].symbols
    assert split["etf_daily"].rows + total["etf_daily"].rows == 60_563


def test_the_catalogue_names_the_exact_file(sample):
    for dataset in sample.catalogue():
        content = (ROOT / f"{dataset.name}.parquet").read_bytes()
        assert dataset.file_sha256 == hashlib.sha256(content).hexdigest()
        assert dataset.first <= dataset.last


def test_intraday_bars_are_stamped_at_their_end(sample):
    """The first bar began at 13:45 UTC; it was complete at 14:00 and known a minute later."""
    request = BarRequest(
        symbols=("BTC-USD",), asset_class=AssetClass.CRYPTO, interval_minutes=15, **EVER
    )
    rows = sample.bars(request)
    assert tuple(rows.columns) == INTRADAY_BAR_COLUMNS
    assert len(rows) == 8686
    assert rows["event_time"].iloc[0] == pd.Timestamp("2021-09-27T14:00Z")
    assert rows["known_at"].iloc[0] == pd.Timestamp("2021-09-27T14:01Z")
    midnight = rows[rows["event_time"] == pd.Timestamp("2021-09-29T00:00Z")]
    assert midnight["session"].tolist() == [dt.date(2021, 9, 28)]


def test_crypto_days_close_at_the_next_midnight(sample):
    day = dt.date(2020, 2, 29)
    request = BarRequest(symbols=("BTC-USD",), asset_class=AssetClass.CRYPTO, start=day, end=day)
    [moment] = sample.bars(request)["event_time"]
    assert moment == pd.Timestamp("2020-03-01T00:00Z")


def test_unknown_symbols_and_other_classes_give_an_empty_frame_with_types(sample):
    """An empty answer must concatenate with a full one without changing its types."""
    empty = sample.bars(BarRequest(symbols=("NOPE",), **EVER))
    full = sample.bars(BarRequest(symbols=("MSFT",), **EVER))
    assert len(empty) == 0
    assert (empty.dtypes == full.dtypes).all()
    assert len(sample.bars(BarRequest(symbols=("SP500",), **EVER))) == 0
    index = BarRequest(symbols=("SP500",), asset_class=AssetClass.INDEX, **EVER)
    assert len(sample.bars(index)) == 8313


def test_actions_are_known_before_their_session_opens(sample):
    """Apple's seven-for-one split of 2014 as a factor on prices."""
    rows = sample.actions(("AAPL",), dt.date(2014, 6, 1), dt.date(2014, 6, 30))
    assert tuple(rows.columns) == ACTION_COLUMNS
    [split] = rows[rows["kind"] == "split"].to_dict("records")
    assert split["ex_session"] == dt.date(2014, 6, 9)
    assert split["value"] == pytest.approx(1 / 7, abs=1e-6)
    assert split["known_at"] == pd.Timestamp("2014-06-09T00:00Z")
    assert len(sample.all_actions()) == 238


def test_a_caller_cannot_change_what_the_next_caller_sees(sample):
    request = BarRequest(symbols=("MSFT",), start=dt.date(2010, 1, 4), end=dt.date(2010, 1, 8))
    first = sample.bars(request)
    first["close"] = 0.0
    assert (sample.bars(request)["close"] > 20).all()


def test_a_missing_or_damaged_file_is_named(tmp_path):
    request = BarRequest(symbols=("MSFT",), **EVER)
    with pytest.raises(SourceRefusedError, match="us_equity_raw_2004_2014_daily") as caught:
        SampleSource(tmp_path).bars(request)
    assert "git checkout" in caught.value.remedy
    (tmp_path / "us_equity_raw_2004_2014_daily.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(SourceAnswerError, match="cannot be read"):
        SampleSource(tmp_path).bars(request)
