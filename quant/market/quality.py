"""Measures of how believable each daily bar is, as columns that rules can state limits about.

Belongs here: `measure`, which adds the check columns of `quality_rules` to bars of one exchange
calendar. Does not belong here: limits and severities (`quality_rules`), bars that never came
(`quality_missing`), or what follows from a finding (`quality_gate`).

Everything is causal. A row is judged by itself, by earlier rows of its own series, and by what the
other series did in the same session; never by a later session. So the verdict on a session is the
same in the night itself and in any replay. Where a rule needs the next session (a spike that is
taken back), the finding stands on that next session.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.market.bars import DAILY_BAR_COLUMNS, PRICE_COLUMNS, Basis, require_columns
from quant.market.quality_rules import BAR_RULES, CHECK_COLUMNS, QualityPolicy, Shape
from quant.market.quality_series import (
    MEDIAN_TO_SIGMA,
    BoolArray,
    FloatArray,
    IntArray,
    SeriesLayout,
    count_by,
    median_by,
)

Day = np.datetime64
DayArray = NDArray[np.datetime64]

CLAIM_COLUMNS: Final = tuple(
    dict.fromkeys(rule.column for rule in BAR_RULES if rule.shape is not Shape.AT_MOST)
)

# Price factors of the splits that exchanges see most. 3/4 and 4/5 are left out on purpose: news
# moves a price by a quarter often enough, and the outlier rules see such a jump anyway.
_SPLIT_FACTORS: Final = (2 / 3, *(1 / n for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 50)))
_SPLIT_LOGS: Final = np.sort(np.concatenate([np.log(_SPLIT_FACTORS), -np.log(_SPLIT_FACTORS)]))

# The prior of an unchanged close: one session in twenty, worth twenty sessions of evidence.
_UNCHANGED_PRIOR = 1.0
_UNCHANGED_PRIOR_SESSIONS = 20.0


def measure(
    bars: pd.DataFrame,
    *,
    sessions: DayArray,
    actions: pd.DataFrame | None = None,
    policy: QualityPolicy | None = None,
) -> pd.DataFrame:
    """The same rows in the same order, with the check columns added.

    `sessions` is the exchange's calendar, sorted, from the first bar to the session judged; a bar
    on any other day is a phantom. `actions` has `ACTION_COLUMNS`, as known at the session judged.
    Each (symbol, basis) is a series of its own. A null in a check column means that the row cannot
    be judged by it: a bar without volume has no zero volume, and a series has no outliers before
    `scale_sessions_min` returns are known. Of several bars of one key the one known last speaks
    for the series; phantom bars and bars without a usable close stay out of it.
    """
    frame = require_columns(bars, DAILY_BAR_COLUMNS, what="the bars").reset_index(drop=True)
    days = days_of(frame["session"])
    calendar = checked_calendar(sessions)
    limits = policy or QualityPolicy()
    checks = _row_checks(frame, days, calendar)
    keys = frame.groupby(["symbol", "basis", "session"], observed=True, sort=False, dropna=False)
    checks["duplicate_count"] = keys["source"].transform("size").to_numpy()
    checks |= _series_checks(frame, days, calendar, actions=actions, policy=limits)
    return _assemble(frame, checks)


def days_of(sessions: "pd.Series[pd.Timestamp]") -> DayArray:
    """Sessions as days, whatever type the column came in."""
    return np.asarray(pd.to_datetime(sessions).to_numpy().astype("datetime64[D]"))


def day_of(session: dt.date | np.datetime64) -> Day:
    """One session as a day."""
    return Day(session, "D")  # type: ignore[call-overload, no-any-return] # numpy's stubs split it


def checked_calendar(sessions: DayArray) -> DayArray:
    """The sessions as days, known to be in order."""
    days = np.asarray(sessions, dtype="datetime64[D]")
    if len(days) == 0 or not (np.diff(days) > np.timedelta64(0, "D")).all():
        raise DataError(
            "the calendar handed to the quality checks is empty or not in order",
            remedy="pass the exchange's sessions, sorted and without repeats",
        )
    return days


def _row_checks(frame: pd.DataFrame, days: DayArray, calendar: DayArray) -> dict[str, Any]:
    """What a bar tells without its neighbours."""
    prices = frame.loc[:, list(PRICE_COLUMNS)].to_numpy(dtype=float)
    volume = frame["volume"].to_numpy(dtype=float)
    # Turned around on purpose: a bar that does not say when it was known has not proved it.
    known_before = ~(frame["known_at"] >= frame["event_time"]).to_numpy(dtype=bool)
    with np.errstate(invalid="ignore"):
        not_positive = ((prices <= 0) | np.isinf(prices)).any(axis=1)
    return {
        "staleness_sessions": np.zeros(len(frame)),
        "is_session": np.isin(days, calendar),
        "close_is_missing": ~np.isfinite(prices[:, 3]),
        "price_is_not_positive": not_positive,
        "ohlc_violation": _ohlc_violation(prices),
        "volume_is_negative": _claim((volume < 0) | np.isinf(volume), known=~np.isnan(volume)),
        "volume_is_zero": _claim(volume == 0, known=~np.isnan(volume)),
        "known_before_event": known_before,
    }


def _claim(value: BoolArray, *, known: BoolArray) -> "pd.api.extensions.ExtensionArray":
    """True, false, or null where nothing is known."""
    return pd.arrays.BooleanArray(value.astype(bool), ~known)


def _ohlc_violation(prices: FloatArray) -> FloatArray:
    """By which fraction the high is too low or the low too high; null without high and low."""
    first, high, low, last = prices.T
    top = np.fmax(np.fmax(first, last), low)
    bottom = np.fmin(np.fmin(first, last), high)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.fmax(top - high, low - bottom) / np.abs(last)
    return np.asarray(np.maximum(excess, 0.0))


def _series_checks(
    frame: pd.DataFrame,
    days: DayArray,
    calendar: DayArray,
    *,
    actions: pd.DataFrame | None,
    policy: QualityPolicy,
) -> dict[str, Any]:
    """What a bar tells beside its series and its market; null for rows outside of the series."""
    close = frame["close"].to_numpy(dtype=float)
    usable = np.isin(days, calendar) & np.isfinite(close) & (close > 0)
    groups = frame.groupby(["symbol", "basis"], observed=True, sort=False)
    series = np.asarray(groups.ngroup(), dtype=np.int64)
    within = np.asarray(np.flatnonzero(usable), dtype=np.int64)
    chosen = _rows_in_series_order(frame, days, series, within)
    bars = frame.iloc[chosen]
    layout = SeriesLayout.of_sorted(series[chosen])
    position = np.asarray(np.searchsorted(calendar, days[chosen]), dtype=np.int64)
    measured = _gaps(layout, position) | _staleness(layout, bars, policy)
    measured |= _moves(layout, bars, position, actions, policy)
    return {name: _spread(values, chosen, len(frame)) for name, values in measured.items()}


def _rows_in_series_order(
    frame: pd.DataFrame, days: DayArray, series: IntArray, rows: IntArray
) -> IntArray:
    """Row numbers by series and day; of several rows of one key only the one known last."""
    known_at = pd.to_datetime(frame["known_at"], utc=True).dt.tz_localize(None).to_numpy()[rows]
    ordered = rows[np.lexsort((known_at, days[rows], series[rows]))]
    changes = (np.diff(series[ordered]) != 0) | (np.diff(days[ordered]) != np.timedelta64(0, "D"))
    is_last = np.append(changes, np.ones(min(len(ordered), 1), dtype=bool))
    return np.asarray(ordered[is_last])


def _spread(values: FloatArray, rows: IntArray, length: int) -> FloatArray:
    everywhere = np.full(length, np.nan)
    everywhere[rows] = values
    return everywhere


def _gaps(layout: SeriesLayout, position: IntArray) -> dict[str, FloatArray]:
    current = position.astype(float)
    return {"sessions_missing_before": current - layout.previous(current) - 1}


def _staleness(
    layout: SeriesLayout, bars: pd.DataFrame, policy: QualityPolicy
) -> dict[str, FloatArray]:
    """Runs of one and the same close, and how surprising they are in this series.

    A bar with a range between high and low was traded, so its close is not stale however often it
    repeats (a bid for the whole company pins a price to the cent). The surprise is the run's length
    times the decades of how rarely this series repeated a close before the run began.
    """
    close = bars["close"].to_numpy(dtype=float)
    traded = (bars["high"].to_numpy(dtype=float) > bars["low"].to_numpy(dtype=float)).astype(bool)
    repeats = (close == layout.previous(close)) & ~traded
    run = layout.run_length(repeats)
    window = policy.scale_window_sessions
    before = layout.trailing_sum(repeats.astype(float), window=window)
    row = np.arange(len(close))
    seen = np.minimum(row - layout.start, window)
    share = (before + _UNCHANGED_PRIOR) / (seen + _UNCHANGED_PRIOR_SESSIONS)
    return {
        "unchanged_run_length": run.astype(float),
        "unchanged_run_surprise": -np.log10(share[np.maximum(row - run, 0)]) * run,
    }


def _moves(
    layout: SeriesLayout,
    bars: pd.DataFrame,
    position: IntArray,
    actions: pd.DataFrame | None,
    policy: QualityPolicy,
) -> dict[str, FloatArray]:
    """Returns that actions do not explain, in units of what the series and the market do."""
    close = bars["close"].to_numpy(dtype=float)
    move = np.log(close) - np.log(layout.previous(close)) - _explained(bars, layout, actions)
    window, least = policy.scale_window_sessions, policy.scale_sessions_min
    scale = layout.trailing_scale(move, window=window, least=least)
    z = _beyond_market(move / np.maximum(scale, policy.return_scale_floor), bars, position, policy)
    size = np.abs(z)
    before = layout.previous(move)
    taken_back = (move * before < 0) & (np.abs(move + before) < 0.2 * np.abs(before))
    turnover = bars["volume"].to_numpy(dtype=float) * close
    usual = layout.trailing_median(turnover, window=window, least=least)
    backed = (usual > 0) & (turnover >= policy.corroborating_turnover_ratio * usual)
    split_like = (_log_distance_to_split(move) < policy.split_log_distance_max) & ~backed
    return {
        "return_robust_z": size,
        "uncorroborated_robust_z": np.where(backed, 0.0, size),
        "reversal_robust_z": np.where(taken_back, np.fmin(size, layout.previous(size)), 0.0),
        "split_ratio_suspect": np.where(
            np.isfinite(size), split_like & (size > policy.split_robust_z_min), np.nan
        ),
    }


def _beyond_market(
    z: FloatArray, bars: pd.DataFrame, position: IntArray, policy: QualityPolicy
) -> FloatArray:
    """Take out what the market did: its median move, and its unrest where that exceeds the usual.

    A crash moves all series of a session at once; a wrong price moves one.
    """
    basis, names = pd.factorize(bars["basis"].astype(str))
    group = position * max(len(names), 1) + basis
    own = z - median_by(z, group)
    unrest = np.maximum(MEDIAN_TO_SIGMA * median_by(np.abs(own), group), 1.0)
    return np.where(count_by(z, group) >= policy.peers_min, own / unrest, z)


def _log_distance_to_split(move: FloatArray) -> FloatArray:
    """How far the move is from the nearest split factor, in logarithms."""
    right = np.clip(np.searchsorted(_SPLIT_LOGS, move), 1, len(_SPLIT_LOGS) - 1)
    return np.asarray(
        np.minimum(np.abs(move - _SPLIT_LOGS[right - 1]), np.abs(move - _SPLIT_LOGS[right]))
    )


def _explained(
    bars: pd.DataFrame, layout: SeriesLayout, actions: pd.DataFrame | None
) -> FloatArray:
    """The logarithmic move that actions on file account for; only raw prices contain any.

    An action counts once, on the first bar at or after its ex-session. A split on file that the
    price does not show leaves a jump of the opposite sign, and is found as such.
    """
    explained = np.zeros(len(bars))
    raw = bars["basis"].astype(str).to_numpy() == Basis.RAW.value
    if actions is None or actions.empty or not raw.any():
        return explained
    table = pd.DataFrame(
        {
            "day": pd.to_datetime(actions["ex_session"]).to_numpy().astype("datetime64[s]"),
            "symbol": actions["symbol"].astype(str).to_numpy(),
            "is_split": (actions["kind"].astype(str) == "split").to_numpy(),
            "value": actions["value"].to_numpy(dtype=float),
        }
    ).sort_values("day", kind="stable")
    rows = pd.DataFrame(
        {
            "day": days_of(bars["session"]).astype("datetime64[s]")[raw],
            "symbol": bars["symbol"].astype(str).to_numpy()[raw],
            "row": np.flatnonzero(raw),
        }
    ).sort_values("day", kind="stable")
    found = pd.merge_asof(table, rows, on="day", by="symbol", direction="forward")
    found = found[found["row"].notna()]
    row = found["row"].to_numpy(dtype=np.int64)
    close_before = layout.previous(bars["close"].to_numpy(dtype=float))[row]
    value, is_split = found["value"].to_numpy(), found["is_split"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.where(is_split, np.log(value), np.log1p(-value / close_before))
    np.add.at(explained, row, np.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0))
    return explained


def _assemble(frame: pd.DataFrame, checks: Mapping[str, Any]) -> pd.DataFrame:
    measured = frame.assign(**{name: checks[name] for name in CHECK_COLUMNS})
    return measured.astype(dict.fromkeys(CLAIM_COLUMNS, "boolean"))
