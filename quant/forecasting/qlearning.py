"""A small table that learns when to intervene: tabular Q-learning from logged transitions.

Belongs here: learning and reading the table. Does not belong here: what the states and actions mean
(`arms`, `mssa_rl`). Action 0 is "keep", and an action is taken only where it is clearly better.

Watkins's rule is off-policy, and the reward of every action is known for each logged session, so
each transition teaches all actions at once and nothing has to be explored. The next state does not
depend on the action, for a forecast moves no market: the discount then raises all actions of a
state alike, and the choice is that of the rewards.
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transitions:
    """State, what each action would have earned (transitions, actions), and the state after."""

    state: IntArray
    reward: FloatArray
    following: IntArray

    def __len__(self) -> int:
        return len(self.state)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QTable:
    """Values (states, actions), and how often each state was visited."""

    values: FloatArray
    visits: IntArray

    def advantage(self) -> FloatArray:
        """What each action is worth beyond keeping."""
        return self.values - self.values[:, :1]


def learn(
    transitions: Transitions,
    *,
    states_count: int,
    discount: float,
    prior_visits: float,
    transitions_max: int,
    seed: int,
) -> QTable:
    """Replay the transitions in a random order, each once, and at most `transitions_max` of them.

    The step is one over the visits so far plus `prior_visits`: the values are means, shrunk towards
    zero as if so many visits had earned nothing.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(transitions))[:transitions_max]
    values = np.zeros((states_count, transitions.reward.shape[1]))
    visits = np.zeros(states_count, dtype=np.int64)
    for index in order:
        state = transitions.state[index]
        visits[state] += 1
        target = transitions.reward[index] + discount * values[transitions.following[index]].max()
        values[state] += (target - values[state]) / (prior_visits + visits[state])
    return QTable(values=values, visits=visits)


def choose(advantage: FloatArray, *, margin: float) -> IntArray:
    """The best action of each state (..., states, actions), or 0 where none is better by `margin`.

    Of equal actions the first is taken.
    """
    best = np.argmax(advantage, axis=-1)
    is_worth_it = np.take_along_axis(advantage, best[..., None], axis=-1)[..., 0] > margin
    return np.where(is_worth_it, best, 0)
