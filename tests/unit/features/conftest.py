"""Panels that the feature tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quant.features import US_EQUITIES
from quant.market.panel import BarPanel

SAMPLE = Path(__file__).parents[3] / "data" / "sample" / "us_equity_ohlcv_daily.parquet"


@pytest.fixture(scope="session")
def sample_panel() -> BarPanel:
    """Real bars of 15 names, 2005 to 2013: late listings, a delisting, splits adjusted away."""
    frame = pd.read_parquet(SAMPLE).rename(columns={"date": "session"})
    stamps = pd.to_datetime(frame["session"])
    frame = frame.assign(session=stamps, symbol=frame["symbol"].astype("str"))
    frame = frame[(stamps >= "2005-01-01") & (stamps < "2014-01-01")]
    days = np.unique(frame["session"].to_numpy().astype("datetime64[D]"))
    return BarPanel.from_long(frame, sessions=days)


@pytest.fixture(scope="session")
def apple(sample_panel: BarPanel) -> pd.DataFrame:
    """Apple's bars as a plain frame, for references written in pandas."""
    row = sample_panel.symbols.index("AAPL")
    fields = ("open", "high", "low", "close", "volume")
    columns = {field: getattr(sample_panel, field)[row] for field in fields}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(sample_panel.sessions))


@pytest.fixture(scope="session")
def make_panel() -> Callable[..., BarPanel]:
    """Coherent random bars on the planned sessions of US equities."""

    def make(symbols: int = 3, sessions: int = 400, seed: int = 0) -> BarPanel:
        rng = np.random.default_rng(seed)
        shape = (symbols, sessions)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.015, shape), axis=1))
        open_ = close * np.exp(rng.normal(0, 0.007, shape))
        return BarPanel(
            symbols=tuple(f"S{index}" for index in range(symbols)),
            sessions=np.busday_offset(
                "2015-01-05", np.arange(sessions), holidays=US_EQUITIES.closures
            ),
            open=open_,
            high=np.maximum(open_, close) * np.exp(rng.exponential(0.004, shape)),
            low=np.minimum(open_, close) * np.exp(-rng.exponential(0.004, shape)),
            close=close,
            volume=rng.integers(10**5, 10**7, shape).astype(float),
        )

    return make
