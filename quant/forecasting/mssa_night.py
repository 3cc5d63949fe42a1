"""One run of MSSA-RL with stored parameters: all ways side by side, and which of them speaks.

Belongs here: parameters back into arrays, the action of every session, and its reason in words.
Does not belong here: anything that is estimated (`mssa_fit`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quant.core.errors import DataError
from quant.forecasting.arms import (
    ACTIONS,
    CHANGE_WORDS,
    ERROR_WORDS,
    STATES_COUNT,
    Signs,
    signs,
    sweep_ways,
)
from quant.forecasting.changes import cusum_notes
from quant.forecasting.filtering import column
from quant.forecasting.forecast import Diagnostics
from quant.forecasting.kernels import IntArray
from quant.forecasting.mssa_fit import policy_number
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import FittedState
from quant.forecasting.qlearning import choose
from quant.forecasting.recurrence import Recurrence, Sweep, filter_rows, recurrence_of
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Night:
    """All ways run over one panel, and what the table says of every session.

    `action` is (sessions + 1, symbols): before each session, and for the one after the last.
    """

    begin: int
    ways: Mapping[str, Recurrence]
    courses: Mapping[str, Sweep]
    signs: Signs
    advantage: FloatArray
    margin: float
    action: IntArray

    def notes(self, row: int) -> Diagnostics:
        """What was decided for the next session of one symbol, and why."""
        code = int(self.signs.code[-1, row])
        action = int(self.action[-1, row])
        change, size = CHANGE_WORDS[code // len(ERROR_WORDS)], ERROR_WORDS[code % len(ERROR_WORDS)]
        gain = float(self.advantage[row, code, action])
        best = float(self.advantage[row, code].max())
        why = (
            f"has saved {gain:.1%} of the error variance of keeping in this state"
            if action
            else f"no other action has saved more than {self.margin:.1%}: the best {best:.1%}"
        )
        return {
            "action": ACTIONS[action],
            "action_state": f"change {change}, errors {size}",
            "action_reason": f"{ACTIONS[action]} {why}" if action else why,
            "action_advantage": gain,
            "action_trust": float(self.ways[ACTIONS[action]].trust[row, 0]),
            "recent_error_ratio": float(self.signs.error_ratio[-1, row]),
            **cusum_notes(self.signs.alarms, row),
        }


def run_night(
    states: Sequence[FittedState],
    panel: ReturnPanel,
    policy: MssaRlPolicy,
) -> Night:
    """Run every way over the panel and read the state off the kept one."""
    number = policy_number(policy)
    if any(state.params["policy"] != number for state in states):
        raise DataError(
            "mssa_rl: a state was made with other settings than those in force",
            remedy="fit again after a change of the MSSA-RL policy",
        )
    begin, start, anchor = filter_rows(states, panel)
    ways = {name: _way_of(states, name) for name in ACTIONS}
    courses = sweep_ways(ways, panel.values.T[begin:], start, anchor)
    before = signs(courses["keep"], ways["keep"].variance, policy)
    advantage = _advantage_of(states)
    best = choose(advantage, margin=policy.intervention_margin)
    return Night(
        begin=begin,
        ways=ways,
        courses=courses,
        signs=before,
        advantage=advantage,
        margin=policy.intervention_margin,
        action=best[np.arange(len(states)), before.code],
    )


def _way_of(states: Sequence[FittedState], name: str) -> Recurrence:
    days = np.arange(1, HORIZON_DAYS_MAX + 1)
    one_day, trust = (column(states, f"{name}_{what}") for what in ("doubt_one_day", "trust"))
    return replace(
        recurrence_of(states, prefix=f"{name}_"),
        doubt=one_day[:, None] * days * days,
        trust=np.repeat(trust[:, None], HORIZON_DAYS_MAX, axis=1),
    )


def _advantage_of(states: Sequence[FittedState]) -> FloatArray:
    """(symbols, states, actions), back from the parameters."""
    values = np.array(
        [
            [[s.params[f"q_{place}_{name}"] for name in ACTIONS] for place in range(STATES_COUNT)]
            for s in states
        ]
    ).reshape(len(states), STATES_COUNT, len(ACTIONS))
    advantage: FloatArray = values - values[:, :, :1]
    return advantage
