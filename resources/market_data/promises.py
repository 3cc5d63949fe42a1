"""Whether an answer keeps the port's promises, whichever source gave it.

Belongs here: the checks between a source and the failover. Does not belong here: whether a bar is a
good one (the expectation suites judge that), or how a vendor's answer is read.
"""

import numpy as np
import pandas as pd

from quant.core.errors import SourceAnswerError
from quant.market.bars import ACTION_COLUMNS, PRICE_COLUMNS, AssetClass, require_columns
from quant.market.sources import BadBarError, BarRequest, columns_of


def believed_bars(frame: pd.DataFrame, *, request: BarRequest, source: str) -> pd.DataFrame:
    """The frame, if it keeps the port's promises; whichever source it came from."""
    frame = require_columns(frame, columns_of(request), what=f"the answer of {source}")
    if frame.empty:
        return frame
    _refuse(~frame["symbol"].isin(request.symbols), frame, source, "a symbol nobody asked for")
    _refuse(frame["basis"] != request.basis.value, frame, source, "prices of another basis")
    days = pd.to_datetime(frame["session"])
    outside = (days < pd.Timestamp(request.start)) | (days > pd.Timestamp(request.end))
    _refuse(outside, frame, source, "a session outside the range")
    _refuse(frame.duplicated(["symbol", "event_time"]), frame, source, "a bar twice")
    _refuse(frame["close"].isna(), frame, source, "a bar without a close")
    for column in PRICE_COLUMNS:
        values = frame[column].to_numpy(dtype=np.float64)
        wrong = np.isinf(values)
        if request.asset_class is not AssetClass.FUTURE:
            wrong |= values < 0
        _refuse(pd.Series(wrong, index=frame.index), frame, source, f"an impossible {column}")
    return frame


def believed_actions(frame: pd.DataFrame, symbols: tuple[str, ...], *, source: str) -> pd.DataFrame:
    """The frame, if it has the port's columns and only what was asked."""
    frame = require_columns(frame, ACTION_COLUMNS, what=f"the answer of {source}")
    if not frame["symbol"].isin(symbols).all():
        raise SourceAnswerError(f"{source} answered actions of a symbol nobody asked for")
    return frame


def _refuse(wrong: pd.Series, frame: pd.DataFrame, source: str, what: str) -> None:
    if wrong.any():
        row = frame.loc[wrong].iloc[0]
        raise BadBarError(
            f"{source} answered {what}: {row['symbol']} on {row['session']} "
            f"({int(wrong.sum())} rows)",
            symbol=str(row["symbol"]),
        )
