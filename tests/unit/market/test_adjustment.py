"""Adjusted prices as of a moment, checked against the splits and dividends that really happened."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quant.market.adjustment import adjust_as_of
from resources.market_data.sample import SampleSource
from resources.settings import project_root

LATE = pd.Timestamp("2023-06-30", tz="UTC")


@pytest.fixture(scope="module")
def sample() -> SampleSource:
    return SampleSource(Path(project_root()) / "data/sample")


def raw(sample: SampleSource, symbol: str) -> pd.DataFrame:
    bars = sample.all_daily_bars()
    own = bars[(bars["symbol"] == symbol) & (bars["basis"] == "raw")]
    return own.sort_values("event_time", ignore_index=True)


def frame(closes: list[float]) -> pd.DataFrame:
    days = pd.bdate_range("2022-01-03", periods=len(closes))
    return pd.DataFrame(
        {"symbol": "A", "session": days, "open": closes, "high": closes, "low": closes,
         "close": closes, "volume": 100.0}
    )  # fmt: skip


def action(day: str, kind: str, value: float, known: str = "2021-01-01") -> pd.DataFrame:
    return pd.DataFrame(
        {"symbol": ["A"], "ex_session": [dt.date.fromisoformat(day)], "kind": [kind],
         "value": [value], "known_at": [pd.Timestamp(known, tz="UTC")], "source": ["test"]}
    )  # fmt: skip


def test_a_two_for_one_split_halves_the_past_and_doubles_its_volume():
    """100, 102, then 51 after the split: by hand 50, 51, 51."""
    bars = adjust_as_of(frame([100, 102, 51]), action("2022-01-05", "split", 0.5), as_of=LATE)
    assert bars["close"].tolist() == [50.0, 51.0, 51.0]
    assert bars["volume"].tolist() == [200.0, 200.0, 100.0]


def test_a_dividend_takes_its_yield_out_of_the_past():
    """One dollar on a close of 100 is one percent: by hand 99, 99, 99."""
    paid = action("2022-01-05", "cash_dividend", 1.0)
    bars = adjust_as_of(frame([100, 100, 99]), paid, as_of=LATE)
    assert bars["close"].tolist() == pytest.approx([99.0, 99.0, 99.0], rel=1e-15)
    assert bars["volume"].tolist() == [100.0] * 3


def test_an_action_that_was_not_known_yet_changes_nothing():
    """The decision of the day before the announcement saw raw prices."""
    split = action("2022-01-05", "split", 0.5, known="2022-01-04T12:00")
    early = pd.Timestamp("2022-01-03T22:00", tz="UTC")
    assert adjust_as_of(frame([100, 102, 51]), split, as_of=early)["close"].tolist() == [
        100.0,
        102.0,
        51.0,
    ]


@pytest.mark.parametrize(
    ("symbol", "split_day"), [("AAPL", "2005-02-28"), ("AAPL", "2014-06-09"), ("COST", None)]
)
def test_returns_run_smoothly_over_real_splits(sample, symbol, split_day):
    """Raw AAPL falls by half and by six sevenths on two days; adjusted it does not."""
    bars = raw(sample, symbol)
    adjusted = adjust_as_of(bars, sample.all_actions(), as_of=LATE)
    days = pd.to_datetime(adjusted["session"])
    moves = pd.Series(np.diff(np.log(adjusted["close"])), index=days[1:])
    if split_day is not None:
        unadjusted = pd.Series(np.diff(np.log(bars["close"])), index=days[1:])
        assert unadjusted[split_day] < -0.5
        assert abs(moves[split_day]) < 0.05
    assert moves.abs().max() < 0.35


def test_adjusted_returns_agree_with_the_vendors_own_adjustment(sample):
    """MSFT: our factors against adj_close of the OHLCV file, whose source is another vendor."""
    ours = adjust_as_of(raw(sample, "MSFT"), sample.all_actions(), as_of=LATE)
    theirs = pd.read_parquet(project_root() / "data/sample/us_equity_ohlcv_daily.parquet")
    theirs = theirs[theirs["symbol"] == "MSFT"].assign(
        date=lambda rows: pd.to_datetime(rows["date"])
    )
    theirs = theirs.set_index("date")
    both = pd.DataFrame({"ours": ours.set_index(pd.to_datetime(ours["session"]))["close"]}).join(
        theirs["adj_close"].rename("theirs"), how="inner"
    )
    returns = np.log(both).diff().dropna()
    assert len(returns) > 2700
    assert returns["ours"].corr(returns["theirs"]) > 0.999
