"""The bundled prices in the shape of bars, as plainly as possible."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parents[3] / "data" / "sample"


def bars_of(
    frame: pd.DataFrame, *, basis: object, close: str = "close", symbol: str = ""
) -> pd.DataFrame:
    """`DAILY_BAR_COLUMNS` from a file with a date and whatever prices it has."""
    bars = pd.DataFrame(
        {
            "symbol": frame["symbol"].astype(str) if "symbol" in frame else symbol,
            "basis": basis,
            "session": pd.to_datetime(frame["date"]).astype("datetime64[s]"),
        }
    )
    bars["event_time"] = bars["session"].dt.tz_localize("UTC") + pd.Timedelta(hours=21)
    bars["known_at"] = bars["event_time"] + pd.Timedelta(minutes=20)
    bars["source"], bars["asset_class"], bars["currency"] = "sample", "us_equity", "USD"
    for column in ("open", "high", "low", "volume"):
        bars[column] = frame[column].astype(float) if column in frame else np.nan
    return bars.assign(close=frame[close].astype(float))


def sample_bars(name: str) -> pd.DataFrame:
    frame = pd.read_parquet(DATA / f"{name}.parquet")
    match name:
        case "us_equity_adjclose_daily":
            return bars_of(frame, basis="total_return", close="adj_close")
        case "us_equity_ohlcv_daily":
            return bars_of(frame, basis="split_adjusted")
        case "etf_daily":
            adjusted = frame["basis"] == "adj_close"
            basis = np.where(adjusted, "total_return", "split_adjusted")
            return bars_of(frame, basis=basis, close="price")
        case _:
            return bars_of(frame, basis="raw", symbol="BTC-USD")


def sample_actions() -> pd.DataFrame:
    actions = pd.read_parquet(DATA / "corporate_actions_2004_2014.parquet")
    known = pd.to_datetime(actions["date"]).dt.tz_localize("UTC")
    return actions.rename(columns={"date": "ex_session"}).assign(known_at=known, source="sample")


@cache
def nyse_sessions() -> NDArray[np.datetime64]:
    """The real calendar over the bundled years."""
    import exchange_calendars

    with warnings.catch_warnings():
        # The package reads `Series.values` of times with zones, which pandas 3.1 deprecates.
        warnings.simplefilter("ignore")
        calendar = exchange_calendars.get_calendar("XNYS", start="1990-01-02", end="2025-03-03")
    return np.asarray(calendar.sessions.to_numpy().astype("datetime64[D]"))
