"""What each way would have earned on sessions it was not fitted on: a walk through the fit window.

Belongs here: folds, rewards, transitions. Does not belong here: the ways themselves (`arms`), and
what is learned from their rewards (`qlearning`). A fold sees nothing of its own test sessions, not
even which symbols are correlated there.
"""

from dataclasses import fields
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


def walk_forward(
    returns: FloatArray,
    start: IntArray,
    symbols: tuple[str, ...],
    *,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
) -> Transitions:
    """What each way earned on sessions it was not fitted on, fold by fold through (symbols, n).

    A reward is what the way saved of the kept way's squared error, in variances of the latter.
    """
    length, keep = returns.shape[1], policy.keep_sessions
    pieces = []
    for begin in range(keep, length, policy.walk_forward_sessions):
        end = min(begin + policy.walk_forward_sessions, length)
        own_start = np.maximum(start - (begin - keep), 0)
        has_enough = np.isfinite(returns[:, begin - keep : begin]).sum(axis=1)
        able = np.flatnonzero(has_enough >= policy.surprises_min + policy.window_sessions + 2)
        if len(able):
            piece = returns[able, begin - keep : end]
            names = tuple(symbols[row] for row in able)
            pieces.append(_fold(piece, own_start[able], names, keep, policy, decomposer))
    return Transitions(
        state=_joined([piece.state for piece in pieces], (0,)),
        reward=_joined([piece.reward for piece in pieces], (0, len(ACTIONS))).astype(float),
        following=_joined([piece.following for piece in pieces], (0,)),
    )


def _fold(
    returns: FloatArray,
    start: IntArray,
    symbols: tuple[str, ...],
    train: int,
    policy: MssaRlPolicy,
    decomposer: Decomposer,
) -> Transitions:
    fitted = fit_ways(returns[:, :train], start, symbols, policy=policy, decomposer=decomposer)
    usable = fitted.is_usable
    ways = {name: _rows(way, usable) for name, way in fitted.ways.items()}
    seen, start = np.ascontiguousarray(returns[usable].T), start[usable]
    courses = sweep_ways(ways, seen, start, np.full(len(start), train - 1))
    keep = ways["keep"]
    state = signs(courses["keep"], keep.variance, policy).code
    squares = np.stack([courses[name].errors ** 2 for name in ACTIONS], axis=-1)
    reward = (squares[..., :1] - squares) / keep.variance[:, None]
    reward = np.clip(reward, -policy.reward_max, policy.reward_max)
    counted: BoolArray = np.logical_and.reduce(np.isfinite(reward[train:]), axis=-1)
    return Transitions(
        state=state[train:-1][counted],
        reward=reward[train:][counted],
        following=state[train + 1 :][counted],
    )


def _rows(way: Recurrence, rows: BoolArray) -> Recurrence:
    return Recurrence(**{f.name: getattr(way, f.name)[rows] for f in fields(Recurrence)})


def _joined(pieces: list[NDArray[Any]], empty: tuple[int, ...]) -> NDArray[Any]:
    return np.concatenate(pieces) if pieces else np.zeros(empty, dtype=np.int64)
