"""Real prices for the forecasting tests: the twenty bundled stocks, read once."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.returns import ReturnPanel
from quant.market.panel import BarPanel

_SAMPLE = Path(__file__).parents[3] / "data" / "sample" / "us_equity_adjclose_daily.parquet"


@pytest.fixture(scope="session")
def bars() -> BarPanel:
    """The last 1,100 sessions up to 2022-12-28, closes only."""
    rows = pd.read_parquet(_SAMPLE).rename(columns={"date": "session", "adj_close": "close"})
    rows = rows.assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)
    days = np.unique(rows["session"].to_numpy().astype("datetime64[D]"))
    return BarPanel.from_long(rows, sessions=days[-1100:])


@pytest.fixture(scope="session")
def stocks(bars) -> ReturnPanel:
    """Log returns of all twenty."""
    return ReturnPanel.from_bars(bars)


@pytest.fixture(scope="session")
def few(stocks) -> ReturnPanel:
    """Four of them, for what has to be fitted often."""
    return stocks.rows(("AAPL", "GE", "JNJ", "XOM"))


@pytest.fixture
def policy() -> ForecastPolicy:
    return ForecastPolicy()


@pytest.fixture
def as_of() -> dt.datetime:
    return dt.datetime(2022, 12, 28, 22, 0, tzinfo=dt.UTC)
