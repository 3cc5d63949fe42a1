"""Adjusted prices as of a moment: computed from raw prices and actions, never stored.

A stored adjusted price changes its meaning with every later split, so a rerun next year would not
reproduce today's decision. Here the factors are made from the actions that were known at `as_of`.

Missing data: an action on a day without a bar takes effect on the next bar. A dividend needs the
close before its ex-session; without one it is left out, since its yield is unknown.
"""

import numpy as np
import pandas as pd

SPLIT = "split"
CASH_DIVIDEND = "cash_dividend"


def adjust_as_of(
    bars: pd.DataFrame, actions: pd.DataFrame, *, as_of: pd.Timestamp, dividends: bool = True
) -> pd.DataFrame:
    """Bars of one or more symbols with prices on the share and cash basis of `as_of`.

    `bars` needs symbol, session, open, high, low, close, volume; sessions ascending per symbol.
    Prices before a split are multiplied by its factor, volume divided; prices before a dividend are
    multiplied by 1 - dividend / close of the session before the ex-session.
    """
    known = actions[actions["known_at"] <= as_of]
    parts = []
    for symbol, own in bars.groupby("symbol", sort=False):
        of_symbol = known[known["symbol"] == symbol]
        parts.append(_adjust_symbol(own, of_symbol, dividends=dividends))
    return pd.concat(parts, ignore_index=True) if parts else bars.copy()


def _adjust_symbol(bars: pd.DataFrame, actions: pd.DataFrame, *, dividends: bool) -> pd.DataFrame:
    sessions = pd.to_datetime(bars["session"]).to_numpy()
    closes = bars["close"].to_numpy(dtype=float)
    split_jumps = np.ones(len(bars) + 1)
    price_jumps = np.ones(len(bars) + 1)
    for ex_session, kind, value in actions[["ex_session", "kind", "value"]].itertuples(index=False):
        first = int(np.searchsorted(sessions, np.datetime64(pd.Timestamp(ex_session))))
        if first == 0 or first >= len(bars):
            continue  # before the history, or announced for a day that has not come
        if kind == SPLIT:
            split_jumps[first] *= value
            price_jumps[first] *= value
        elif kind == CASH_DIVIDEND and dividends:
            price_jumps[first] *= 1.0 - value / closes[first - 1]
    price_factor = _product_of_later(price_jumps)
    volume_factor = _product_of_later(split_jumps)
    adjusted = bars.copy()
    for column in ("open", "high", "low", "close"):
        adjusted[column] = bars[column].to_numpy(dtype=float) * price_factor
    adjusted["volume"] = bars["volume"].to_numpy(dtype=float) / volume_factor
    return adjusted


def _product_of_later(jumps: np.ndarray) -> np.ndarray:
    """For each bar, the product of all jumps that happen after it."""
    return np.cumprod(jumps[::-1])[::-1][1:]
