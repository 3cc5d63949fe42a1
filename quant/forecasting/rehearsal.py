"""What each way would have earned on sessions it was not fitted on: a walk through the fit window.

Belongs here: folds, rewards, transitions. Does not belong here: the ways themselves (`arms`), and
what is learned from their rewards (`qlearning`). A fold sees nothing of its own test sessions, not
even which symbols are correlated there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant.forecasting.arms import ACTIONS, fit_ways, signs, sweep_ways
from quant.forecasting.decomposers import Decomposer
from quant.forecasting.forecast import BoolArray
from quant.forecasting.kernels import IntArray
from quant.forecasting.qlearning import Transitions
from quant.forecasting.recurrence import Recurrence
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rehearsal:
    """What the walk teaches: transitions with rewards, and the share to keep of each way's promise.

    The share is the slope of returns on promises, both beside the drift (Mincer and Zarnowitz
    1969), over all symbols and folds: out of sample, and so without the flattery of a fit. A way
    without a record keeps nothing. `promised` and `came` are what it was taken from, (transitions,
    actions), in deviations that the kept way expected.
    """

    transitions: Transitions
    trust: Mapping[str, float]
    promised: FloatArray
    came: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fold:
    """Counted cells: state before and after, and per way what was promised and what came.

    Both are beside the way's drift and in deviations that the kept way expected for the session, so
    that a storm does not drown what can be learned in calm.
    """

    state: IntArray
    following: IntArray
    promised: FloatArray
    came: FloatArray


def walk_forward(
    returns: FloatArray,
    start: IntArray,
    symbols: tuple[str, ...],
    *,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
) -> Rehearsal:
    """Run every way on sessions it was not fitted on, fold by fold through (symbols, sessions).

    A reward is what the way saved of the kept way's squared error, in variances that the latter
    expected for the session, with each way's promise at the share that is kept of it.
    """
    length, keep = returns.shape[1], policy.keep_sessions
    folds = []
    for begin in range(keep, length, policy.walk_forward_sessions):
        end = min(begin + policy.walk_forward_sessions, length)
        own_start = np.maximum(start - (begin - keep), 0)
        has_enough = np.isfinite(returns[:, begin - keep : begin]).sum(axis=1)
        able = np.flatnonzero(has_enough >= policy.surprises_min + policy.window_sessions + 2)
        if len(able):
            piece = returns[able, begin - keep : end]
            names = tuple(symbols[row] for row in able)
            folds.append(_fold(piece, own_start[able], names, keep, policy, decomposer))
    promised = _joined([fold.promised for fold in folds], (0, len(ACTIONS))).astype(float)
    came = _joined([fold.came for fold in folds], (0, len(ACTIONS))).astype(float)
    trust = _slopes(promised, came, policy)
    squares = (came - trust * promised) ** 2
    reward = np.clip(squares[:, :1] - squares, -policy.reward_max, policy.reward_max)
    return Rehearsal(
        transitions=Transitions(
            state=_joined([fold.state for fold in folds], (0,)),
            reward=reward,
            following=_joined([fold.following for fold in folds], (0,)),
        ),
        trust=dict(zip(ACTIONS, trust.tolist(), strict=True)),
        promised=promised,
        came=came,
    )


def _fold(
    returns: FloatArray,
    start: IntArray,
    symbols: tuple[str, ...],
    train: int,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
) -> _Fold:
    fitted = fit_ways(returns[:, :train], start, symbols, policy=policy, decomposer=decomposer)
    usable = fitted.is_usable
    ways = {name: _rows(way, usable) for name, way in fitted.ways.items()}
    seen, start = np.ascontiguousarray(returns[usable].T), start[usable]
    courses = sweep_ways(ways, seen, start, np.full(len(start), train - 1))
    state = signs(courses["keep"], ways["keep"].variance, policy).code
    unit = np.sqrt(courses["keep"].variances)
    came = np.stack([(seen - ways[name].drift) / unit for name in ACTIONS], axis=-1)
    left = np.stack([courses[name].errors / unit for name in ACTIONS], axis=-1)
    counted: BoolArray = np.logical_and.reduce(np.isfinite(left[train:]), axis=-1)
    return _Fold(
        state=state[train:-1][counted],
        following=state[train + 1 :][counted],
        promised=(came - left)[train:][counted],
        came=came[train:][counted],
    )


def _slopes(promised: FloatArray, came: FloatArray, policy: MssaRlPolicy) -> FloatArray:
    """Per way, between nothing and all; a single crash surprises by three deviations here too."""
    limit = np.sqrt(policy.reward_max)
    bounded = promised + np.clip(came - promised, -limit, limit)
    power = np.sum(promised * promised, axis=0)
    together = np.sum(promised * bounded, axis=0)
    slopes = np.divide(together, power, out=np.zeros_like(power), where=power > 0.0)
    bounded_slopes: FloatArray = np.clip(slopes, 0.0, 1.0)
    return bounded_slopes


def _rows(way: Recurrence, rows: BoolArray) -> Recurrence:
    return Recurrence(**{f.name: getattr(way, f.name)[rows] for f in fields(Recurrence)})


def _joined(pieces: list[NDArray[Any]], empty: tuple[int, ...]) -> NDArray[Any]:
    return np.concatenate(pieces) if pieces else np.zeros(empty, dtype=np.int64)
