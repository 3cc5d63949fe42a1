"""Scores of forecasts whose future has arrived, row by row and pooled.

Belongs here: errors, intervals, probabilities and their means. Does not belong here: what follows
from a bad score (`quant.governance`). A forecast whose horizon is not over yet has no score, and
one whose closes are missing never gets one: both are simply absent, never zero.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.forecasting.distribution import QUANTILE_LEVELS, probability_below
from quant.forecasting.forecast import QUANTILE_COLUMNS
from quant.forecasting.kernels import IntArray
from quant.forecasting.regimes import Labels, regimes_on
from quant.forecasting.returns import log_closes
from quant.market.bars import require_columns
from quant.market.panel import BarPanel, FloatArray

# `usual_change` and `regime` were known when the forecast was made: the mean absolute return over
# such a horizon in the year before, and how wild the month before was (`regimes`).
REALISED_COLUMNS: Final = (
    "symbol",
    "session",
    "horizon_days",
    "realised_session",
    "realised",
    "usual_change",
    "regime",
)
USUAL_CHANGE_SESSIONS: Final = 252
PINBALL_COLUMNS: Final = tuple(f"pinball_{name}" for name in QUANTILE_COLUMNS)
SCORE_COLUMNS: Final = (
    "symbol",
    "session",
    "model",
    "horizon_days",
    "realised_session",
    "realised",
    "error",
    "squared_error",
    "absolute_error",
    "symmetric_error",
    "scaled_error",
    "in_50",
    "in_90",
    "pit",
    *PINBALL_COLUMNS,
    "pinball",
    "direction_hit",
    "regime",
)

# What `aggregate` says of a group, beside its count.
FIGURES: Final = (
    "bias",
    "rmse",
    "mae",
    "smape",
    "mase",
    "tracking_error",
    "directional_accuracy",
    "coverage_50",
    "coverage_90",
    "pinball",
    # One half and 0.289 for a calibrated model: where in their distributions outcomes fell.
    "pit_mean",
    "pit_deviation",
)


def realise(forecasts: pd.DataFrame, bars: BarPanel) -> pd.DataFrame:
    """What became of the forecasts: rows of `REALISED_COLUMNS` for those whose horizon is over."""
    asked = forecasts[["symbol", "session", "horizon_days"]].drop_duplicates(ignore_index=True)
    logs = log_closes(bars)
    row = pd.Index(bars.symbols).get_indexer(pd.Index(asked["symbol"]))
    stamps = pd.to_datetime(asked["session"]).to_numpy().astype("datetime64[D]")
    begin = np.searchsorted(bars.sessions, stamps)
    end = begin + asked["horizon_days"].to_numpy(dtype=np.int64)
    is_over = (row >= 0) & (end < len(bars.sessions))
    is_over[is_over] = bars.sessions[begin[is_over]] == stamps[is_over]
    result = asked[is_over].reset_index(drop=True)
    row, begin, end = row[is_over], begin[is_over], end[is_over]
    result["realised_session"] = bars.sessions[end].astype("datetime64[s]").astype(object)
    result["realised_session"] = [stamp.date() for stamp in result["realised_session"]]
    result["realised"] = logs[row, end] - logs[row, begin]
    result["usual_change"] = _usual_changes(logs, row, begin, end - begin)
    result["regime"] = _regimes(logs, row, begin)
    known = result[np.isfinite(result["realised"])].reset_index(drop=True)
    return require_columns(known, REALISED_COLUMNS, what="realised returns")


def score(forecasts: pd.DataFrame, realised: pd.DataFrame) -> pd.DataFrame:
    """Rows of `SCORE_COLUMNS`, one per forecast that has a realised return.

    `error` is realised less mean. `symmetric_error` is the sMAPE term on the price, 0 to 2: the
    starting price cancels, which leaves 2 |e^m - e^r| / (e^m + e^r) = 2 tanh(|m - r| / 2).
    `scaled_error` is the MASE term: the absolute error over that of saying "no change" for as many
    days in the year before; NaN where the price had not moved in all of it.
    `direction_hit` is NaN where the price did not move or the mean is zero: no claim, no hit. `pit`
    comes from the five quantiles (see `probability_below`); `pinball` is the mean of the five.
    """
    realised = require_columns(realised, REALISED_COLUMNS, what="realised returns")
    keys = ["symbol", "session", "horizon_days"]
    rows = forecasts.merge(realised, on=keys, how="inner", validate="many_to_one")
    outcome = rows["realised"].to_numpy(dtype=float)
    mean = rows["mean"].to_numpy(dtype=float)
    quantiles = rows[list(QUANTILE_COLUMNS)].to_numpy(dtype=float)
    losses = pinball_loss(outcome, quantiles)
    error = outcome - mean
    return rows.assign(
        error=error,
        squared_error=error * error,
        absolute_error=np.abs(error),
        symmetric_error=2.0 * np.tanh(np.abs(error) / 2.0),
        scaled_error=_scaled(np.abs(error), rows["usual_change"].to_numpy(dtype=float)),
        in_50=(outcome >= quantiles[:, 1]) & (outcome <= quantiles[:, 3]),
        in_90=(outcome >= quantiles[:, 0]) & (outcome <= quantiles[:, 4]),
        pit=probability_below(outcome, quantiles),
        **dict(zip(PINBALL_COLUMNS, losses.T, strict=True)),
        pinball=losses.mean(axis=1),
        direction_hit=direction_hit(mean, outcome),
    ).loc[:, list(SCORE_COLUMNS)]


def aggregate(
    scores: pd.DataFrame, *, by: Sequence[str] = ("model", "horizon_days")
) -> pd.DataFrame:
    """Pooled figures per group: errors, directional accuracy, coverage, pinball.

    `tracking_error` is the deviation of the errors: what is left of them without their bias.
    """
    if scores.empty:
        raise DataError("there are no scores to pool", remedy="wait until a horizon is over")
    groups = scores.groupby(list(by), sort=True)
    table = groups.agg(
        count=("error", "size"),
        bias=("error", "mean"),
        rmse=("squared_error", "mean"),
        mae=("absolute_error", "mean"),
        smape=("symmetric_error", "mean"),
        mase=("scaled_error", "mean"),
        tracking_error=("error", lambda errors: errors.std(ddof=0)),
        directional_accuracy=("direction_hit", "mean"),
        coverage_50=("in_50", "mean"),
        coverage_90=("in_90", "mean"),
        pinball=("pinball", "mean"),
        pit_mean=("pit", "mean"),
        pit_deviation=("pit", lambda places: places.std(ddof=0)),
    )
    table["rmse"] = np.sqrt(table["rmse"])
    return table.reset_index()


def pit_histogram(
    scores: pd.DataFrame, *, bins: int = 10, by: Sequence[str] = ("model", "horizon_days")
) -> pd.DataFrame:
    """Share of outcomes per equal slice of probability; a calibrated model has 1 / bins each."""
    slices = np.minimum((scores["pit"].to_numpy() * bins).astype(int), bins - 1)
    counts = pd.crosstab([scores[name] for name in by], slices, normalize="index")
    return counts.reindex(columns=range(bins), fill_value=0.0)


def night_figures(scores: pd.DataFrame) -> dict[str, float]:
    """One model's figures by horizon, and its pinball and coverage by regime, for a tracker.

    Names end in the horizon, `rmse_h5`, and the regime, `pinball_h5_wild`. A figure that no row has
    is left out.
    """
    figures: dict[str, float] = {}
    whole = aggregate(scores, by=("horizon_days",)).to_dict("records")
    for row in whole:
        figures |= {f"{name}_h{row['horizon_days']}": row[name] for name in FIGURES}
    for row in aggregate(scores, by=("horizon_days", "regime")).to_dict("records"):
        ending = f"h{row['horizon_days']}_{row['regime']}"
        figures |= {f"{name}_{ending}": row[name] for name in ("pinball", "coverage_90")}
    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}


def pinball_loss(outcome: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Quantile loss at the five levels, on a last axis (Koenker and Bassett 1978)."""
    miss = outcome[..., None] - quantiles
    levels = np.asarray(QUANTILE_LEVELS)
    return np.maximum(levels * miss, (levels - 1.0) * miss)


def direction_hit(mean: FloatArray, outcome: FloatArray) -> FloatArray:
    """1 where the signs agree, 0 where they differ, NaN where either is zero."""
    is_claim = (mean != 0.0) & (outcome != 0.0)
    return np.where(is_claim, (np.sign(mean) == np.sign(outcome)).astype(float), np.nan)


def _scaled(errors: FloatArray, usual: FloatArray) -> FloatArray:
    moves = usual > 0
    scaled: FloatArray = np.where(moves, errors / np.where(moves, usual, 1.0), np.nan)
    return scaled


def _usual_changes(
    logs: FloatArray, row: IntArray, begin: IntArray, horizon: IntArray
) -> FloatArray:
    """Mean absolute change over each horizon, among those that ended in the year up to `begin`."""
    usual = np.full(len(row), np.nan)
    for start, days in {*zip(begin.tolist(), horizon.tolist(), strict=True)}:
        first = max(start + 1 - USUAL_CHANGE_SESSIONS, days)
        if first > start:
            continue
        changes = np.abs(logs[:, first : start + 1] - logs[:, first - days : start + 1 - days])
        known = np.isfinite(changes)
        mean = np.where(known, changes, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        which = (begin == start) & (horizon == days)
        usual[which] = np.where(known.any(axis=1), mean, np.nan)[row[which]]
    return usual


def _regimes(logs: FloatArray, row: IntArray, begin: IntArray) -> Labels:
    """The regime after each forecast's own session; the return of a session ends at its close."""
    starts = np.unique(begin)
    labels = regimes_on(np.diff(logs, axis=1, prepend=np.nan), starts.tolist())
    found: Labels = labels[row, np.searchsorted(starts, begin)]
    return found
