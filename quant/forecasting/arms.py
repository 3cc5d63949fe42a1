"""The four ways to forecast between which MSSA-RL chooses, and the state in which it chooses.

Belongs here: estimating the ways over clusters of paths, running them, coding states. Does not
belong here: which way is the better one (`rehearsal`, `qlearning`), and the port (`mssa_rl`).
Panels are (symbols, sessions) where something is estimated and (sessions, symbols) where a filter
runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Final

import numpy as np

from quant.forecasting.changes import CusumPath, cusum, mean_changes
from quant.forecasting.clusters import correlated_clusters
from quant.forecasting.decomposers import Decomposer
from quant.forecasting.forecast import BoolArray
from quant.forecasting.kernels import IntArray
from quant.forecasting.lowrank import (
    RESIDUAL_LAGS,
    SURPRISE_SHARE_MIN,
    Paths,
    ResidualModel,
    Subspaces,
    embed_all,
    leading_subspaces,
    paths_of,
    residual_model,
)
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.recurrence import Recurrence, Sweep, sweep
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray

# The first is what happens without an intervention.
ACTIONS: Final = ("keep", "shorten", "raise", "drift")

CHANGE_WORDS: Final = ("quiet", "building", "alarmed")
ERROR_WORDS: Final = ("small", "usual", "large")
STATES_COUNT: Final = len(CHANGE_WORDS) * len(ERROR_WORDS)

# By the words of `ACTIONS`.
Ways = Mapping[str, Recurrence]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedWays:
    """Numbers of each way for all paths, and what is worth telling about them."""

    ways: Ways
    is_usable: BoolArray
    has_short: BoolArray
    cluster: IntArray
    subspaces: Mapping[str, Subspaces]
    residual: ResidualModel
    change: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signs:
    """What stood before every session, and after the last one: (sessions + 1, symbols)."""

    code: IntArray
    error_ratio: FloatArray
    alarms: CusumPath


def fit_ways(
    returns: FloatArray,
    start: IntArray,
    symbols: tuple[str, ...],
    *,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
) -> FittedWays:
    """Estimate on all of `returns`; a path without enough of its own surprises is not usable."""
    cluster = correlated_clusters(
        returns,
        symbols,
        correlation_min=policy.correlation_min,
        size_max=policy.cluster_size_max,
    )
    change = _last_changes(returns, cluster, policy)
    fit = partial(_fit_way, returns, cluster, policy, decomposer)
    keep, keep_space, residual = fit(start, policy.energy_share_min)
    high, high_space, high_residual = fit(start, policy.high_energy_share_min)
    short_start = _short_starts(start, change, returns.shape[1], policy)
    short, short_space, short_residual = fit(short_start, policy.energy_share_min)
    is_usable = _is_usable(residual, returns, policy)
    has_short = _is_usable(short_residual, returns, policy)
    has_high = _is_usable(high_residual, returns, policy)
    return FittedWays(
        ways={
            "keep": keep,
            "shorten": _else(short, has_short, keep),
            "raise": _else(high, has_high, keep),
            "drift": _drift_way(keep, returns),
        },
        is_usable=is_usable,
        has_short=has_short,
        cluster=cluster,
        subspaces={"keep": keep_space, "shorten": short_space, "raise": high_space},
        residual=residual,
        change=change,
    )


def sweep_ways(
    ways: Ways, returns: FloatArray, start: IntArray, anchor: IntArray
) -> dict[str, Sweep]:
    """Run every way over (sessions, symbols)."""
    return {name: sweep(ways[name], returns, start, anchor) for name in ACTIONS}


def signs(course: Sweep, variance: FloatArray, policy: MssaRlPolicy) -> Signs:
    """Code the state before every session from the surprises of the kept way until then."""
    alarms = cusum(
        course.standardised_errors(),
        slack_std=policy.cusum_slack_std,
        limit_std=policy.cusum_limit_std,
    )
    change = np.where(alarms.peak >= policy.cusum_limit_std / 2.0, 1, 0)
    change = np.where(alarms.since_alarm < policy.change_recent_sessions, 2, change)
    ratio = _recent_mean(course.errors**2 / variance, policy.error_sessions)
    size = np.where(ratio < policy.error_low_ratio, 0, 1)
    size = np.where(ratio > policy.error_high_ratio, 2, size)
    after = change * len(ERROR_WORDS) + size
    # Before anything was seen: quiet, and errors as usual.
    before = np.ones((1, after.shape[1]), dtype=np.int64)
    return Signs(
        code=np.concatenate([before, after]),
        error_ratio=np.concatenate([before.astype(float), ratio]),
        alarms=alarms,
    )


def _fit_way(
    returns: FloatArray,
    cluster: IntArray,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
    start: IntArray,
    energy_share_min: float,
) -> tuple[Recurrence, Subspaces, ResidualModel]:
    """One subspace per cluster from the stacked matrices, then each path's own residual."""
    paths = paths_of(returns, start)
    columns = embed_all(paths, window=policy.window_sessions, kind=policy.matrix)
    # Every path in units of its own returns, or the wildest would choose the directions for all.
    spread = _spread(paths, returns)
    values, vectors = decomposer.eigen(columns / spread[:, None, None], cluster)
    subspaces = leading_subspaces(
        values,
        vectors,
        energy_share_min=energy_share_min,
        growth_max=policy.growth_per_session_max,
    )
    signal = subspaces.coefficients[cluster]
    residual = residual_model(paths, signal)
    symbols = len(returns)
    days = np.arange(1, HORIZON_DAYS_MAX + 1)
    drift_variance = residual.variance / np.maximum(paths.known.sum(axis=1), 1)
    way = Recurrence(
        drift=paths.drift,
        deviation=paths.deviations[:, -1],
        signal=signal,
        residual=residual.coefficients,
        variance=residual.variance,
        shock_alpha=np.full(symbols, policy.shock_alpha),
        shock_beta=np.full(symbols, policy.shock_beta),
        doubt=drift_variance[:, None] * days * days,
        trust=np.ones((symbols, HORIZON_DAYS_MAX)),
        lags=np.full(symbols, signal.shape[1] + RESIDUAL_LAGS),
    )
    return way, subspaces, residual


def _short_starts(start: IntArray, change: IntArray, length: int, policy: MssaRlPolicy) -> IntArray:
    """From the last change on; three windows have to follow it, and no more than the policy's."""
    after_change = np.minimum(change, length - 3 * policy.window_sessions)
    after_change = np.maximum(after_change, length - policy.short_sessions)
    return np.maximum(start, after_change)


def _spread(paths: Paths, returns: FloatArray) -> FloatArray:
    centred = np.where(paths.known, returns - paths.drift[:, None], 0.0)
    spread = np.sqrt(np.sum(centred * centred, axis=1) / np.maximum(paths.known.sum(axis=1), 1))
    return np.where(spread > 0.0, spread, 1.0)


def _is_usable(residual: ResidualModel, returns: FloatArray, policy: MssaRlPolicy) -> BoolArray:
    floor = SURPRISE_SHARE_MIN * np.nanmean(returns * returns, axis=1)
    usable: BoolArray = (residual.count >= policy.surprises_min) & (residual.variance > floor)
    return usable


def _last_changes(returns: FloatArray, cluster: IntArray, policy: MssaRlPolicy) -> IntArray:
    """First session of the last piece of equal mean of each path's cluster; 0 without a change."""
    known = np.isfinite(returns)
    spread = np.nanstd(returns, axis=1, keepdims=True)
    scaled = np.divide(returns, spread, out=np.zeros_like(returns), where=known & (spread > 0.0))
    change = np.zeros(len(returns), dtype=np.int64)
    for number in range(int(cluster.max(initial=-1)) + 1):
        rows = cluster == number
        count = known[rows].sum(axis=0)
        mean = np.where(count > 0, scaled[rows].sum(axis=0) / np.maximum(count, 1), np.nan)
        places = mean_changes(mean, size_min=policy.change_size_min_sessions)
        change[rows] = places[-1] if places else 0
    return change


def _drift_way(keep: Recurrence, returns: FloatArray) -> Recurrence:
    """A path that stays where it is, beside its drift line: it promises nothing but the drift."""
    known = np.isfinite(returns)
    surprises = np.where(known, returns - keep.drift[:, None], 0.0)
    symbols = len(returns)
    return replace(
        keep,
        signal=np.zeros((symbols, 0)),
        residual=np.tile([1.0, 0.0], (symbols, 1)),
        variance=np.sum(surprises**2, axis=1) / np.maximum(known.sum(axis=1) - 1, 1),
        lags=np.full(symbols, RESIDUAL_LAGS),
    )


def _else(way: Recurrence, usable: BoolArray, fallback: Recurrence) -> Recurrence:
    """Rows of `way` where it is usable, of `fallback` elsewhere."""
    chosen = {}
    for field in fields(Recurrence):
        own, other = getattr(way, field.name), getattr(fallback, field.name)
        chosen[field.name] = np.where(usable.reshape(-1, *[1] * (own.ndim - 1)), own, other)
    return Recurrence(**chosen)


def _recent_mean(values: FloatArray, sessions: int) -> FloatArray:
    """Mean of the known ones of the last `sessions` rows; one where there are none."""
    known = np.isfinite(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=0)
    count = np.cumsum(known, axis=0)
    total[sessions:], count[sessions:] = (
        total[sessions:] - total[:-sessions],
        count[sessions:] - count[:-sessions],
    )
    mean: FloatArray = np.divide(total, count, out=np.ones_like(total), where=count > 0)
    return mean
