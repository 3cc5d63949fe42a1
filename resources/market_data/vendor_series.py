"""Undoing what a vendor has already divided out of its series.

Belongs here: splits as factors over sessions, and raw prices from split-adjusted ones. Does not
belong here: adjustment of stored prices (the warehouse does that as of a moment).
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from quant.core.errors import SourceAnswerError
from quant.market.bars import PRICE_COLUMNS
from quant.market.sources import VENDOR_COLUMNS
from resources.market_data.http import SymbolRefusedError

# Ex-session -> new shares per old share (4 for four-for-one).
Splits = Mapping[dt.date, float]


def split_ratio(new: Any, old: Any, *, source: str, symbol: str) -> float:
    """New shares per old share; refuses what is not two positive numbers."""
    try:
        ratio = float(new) / float(old)
    except (TypeError, ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 0.0 < ratio < float("inf"):
        raise SourceAnswerError(
            f"{source} answered a split of {new!r} for {old!r} shares of {symbol}",
            remedy="ask another source for this symbol",
        )
    return ratio


def shares_after(session: dt.date, splits: Splits) -> float:
    """How many of today's shares one share of `session` has become."""
    factor = 1.0
    for ex_session, ratio in splits.items():
        if ex_session > session:
            factor *= ratio
    return factor


def undo_splits(rows: pd.DataFrame, splits: Splits, *, sessions: Sequence[dt.date]) -> pd.DataFrame:
    """Prices and volumes as they were printed in `sessions`, for rows of one symbol."""
    if not splits or rows.empty:
        return rows
    factors = [shares_after(session, splits) for session in sessions]
    raw = rows.copy()
    for column in (*PRICE_COLUMNS, "volume"):
        power = -1 if column == "volume" else 1
        raw[column] = pd.Series(
            [_times(v, f**power) for v, f in zip(rows[column], factors, strict=True)],
            index=rows.index,
            dtype=object,
        )
    return raw


def vendor_rows(symbol: str, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Rows in VENDOR_COLUMNS from parallel lists; None stays None and is not mixed with NaN."""
    lists = {name: pd.Series(list(values), dtype=object) for name, values in columns.items()}
    rows = pd.DataFrame(lists, columns=[name for name in VENDOR_COLUMNS if name != "symbol"])
    rows.insert(0, "symbol", symbol)
    return rows


def each_symbol(symbols: Sequence[str], ask: Callable[[str], pd.DataFrame]) -> list[pd.DataFrame]:
    """The vendor's rows symbol by symbol; one that it does not have costs only that symbol.

    Where it has none of them the first refusal is raised, since its words say why.
    """
    frames: list[pd.DataFrame] = []
    refusals: list[SymbolRefusedError] = []
    for symbol in symbols:
        try:
            frames.append(ask(symbol))
        except SymbolRefusedError as refusal:
            refusals.append(refusal)
    if refusals and not frames:
        raise refusals[0]
    return frames


def joined(frames: Sequence[pd.DataFrame], *, nothing: pd.DataFrame) -> pd.DataFrame:
    """One frame; the counts of missing bars add up (pandas itself keeps only equal ones)."""
    filled = [frame for frame in frames if not frame.empty]
    both = pd.concat(filled, ignore_index=True) if filled else nothing
    both.attrs["missing_bars"] = sum(int(f.attrs.get("missing_bars", 0)) for f in frames)
    return both


def _times(value: Any, factor: float) -> Any:
    """The product, or the value as it is where it is no number (it is refused later, by name)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value * factor
