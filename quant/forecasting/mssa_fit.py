"""One fit of MSSA-RL: clusters, ways and table of all symbols, as parameters by symbol.

Belongs here: what a fit computes and how it is written down. Does not belong here: the rules for
ways (`arms`) and rewards (`rehearsal`), and what is done with the parameters (`mssa_night`).
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from quant.core.compute import Done, Failed
from quant.core.errors import ModelError
from quant.core.identity import content_hash, seed_of
from quant.forecasting.arms import ACTIONS, STATES_COUNT, FittedWays, fit_ways
from quant.forecasting.decomposers import decomposer_for
from quant.forecasting.fitting import finite_params
from quant.forecasting.forecast import Diagnostics
from quant.forecasting.kernels import IntArray
from quant.forecasting.lowrank import RESIDUAL_ORDERS
from quant.forecasting.port import Params
from quant.forecasting.qlearning import QTable, learn
from quant.forecasting.recurrence import anchor_param, recurrence_params
from quant.forecasting.rehearsal import walk_forward
from quant.forecasting.residuals import residual_diagnostics
from quant.forecasting.ssa import growth_per_step
from quant.forecasting.ssa_policy import MssaRlPolicy
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitTogether:
    """The fit window of all symbols that have something to say; it ends with `session`."""

    session: dt.date
    values: FloatArray
    symbols: tuple[str, ...]
    policy: MssaRlPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysFit:
    """What the fit found for one symbol."""

    params: Params
    diagnostics: Diagnostics


def policy_number(policy: MssaRlPolicy) -> float:
    """The settings a state was made with, as a number that a float holds exactly (48 bits)."""
    return float(int(content_hash(policy.model_dump(mode="json"))[:12], 16))


def fit_together(task: FitTogether) -> list[WaysFit | Failed]:
    """Walk forward, learn the table, and fit the ways anew on the last sessions."""
    policy, decomposer = task.policy, decomposer_for(task.policy.device)
    start = _first_known(task.values)
    rehearsal = walk_forward(task.values, start, task.symbols, policy=policy, decomposer=decomposer)
    transitions = rehearsal.transitions
    table = learn(
        transitions,
        states_count=STATES_COUNT,
        discount=policy.discount,
        prior_visits=policy.prior_visits,
        transitions_max=policy.transitions_max,
        seed=seed_of("mssa_rl", "replay", list(task.symbols), len(transitions)),
    )
    kept = task.values[:, -policy.keep_sessions :]
    fitted = fit_ways(kept, _first_known(kept), task.symbols, policy=policy, decomposer=decomposer)
    shared = {
        "policy": policy_number(policy),
        **anchor_param(task.session),
        **_table_params(table),
        **{f"{name}_trust": share for name, share in rehearsal.trust.items()},
    }
    return [
        WaysFit(
            params=finite_params({**shared, **_ways_params(fitted, row)}),
            diagnostics={
                "decomposer": decomposer.name,
                "transitions": len(transitions),
                **{f"trust_{name}": share for name, share in rehearsal.trust.items()},
                **_diagnostics(fitted, task.symbols, row),
            },
        )
        if fitted.is_usable[row]
        else Failed(error=ModelError.__name__, message=_why_not(fitted, row, policy))
        for row in range(len(task.symbols))
    ]


def _why_not(fitted: FittedWays, row: int, policy: MssaRlPolicy) -> str:
    count = int(fitted.residual.count[row])
    if count < policy.surprises_min:
        return f"has {count} surprises in its window, needs {policy.surprises_min}"
    return "its returns continue themselves exactly and leave no variance"


def fits_by_symbol(
    result: Done[list[WaysFit | Failed]] | Failed, symbols: tuple[str, ...]
) -> dict[str, WaysFit | Failed]:
    """What became of each symbol; one failure of the common fit is everybody's."""
    if isinstance(result, Failed):
        return dict.fromkeys(symbols, result)
    return dict(zip(symbols, result.value, strict=True))


def _ways_params(fitted: FittedWays, row: int) -> dict[str, float]:
    params: dict[str, float] = {}
    for name in ACTIONS:
        way = fitted.ways[name]
        params |= recurrence_params(way, row, prefix=f"{name}_", lists=("signal", "residual"))
        # Over one day the doubt is that of the drift; over n days it is n^2-fold.
        params[f"{name}_doubt_one_day"] = float(way.doubt[row, 0])
    return params


def _table_params(table: QTable) -> dict[str, float]:
    params = {f"visits_{state}": float(count) for state, count in enumerate(table.visits)}
    for state, values in enumerate(table.values):
        params |= {f"q_{state}_{name}": float(v) for name, v in zip(ACTIONS, values, strict=True)}
    return params


def _diagnostics(fitted: FittedWays, symbols: tuple[str, ...], row: int) -> Diagnostics:
    cluster = int(fitted.cluster[row])
    members = [symbol for symbol, c in zip(symbols, fitted.cluster, strict=True) if c == cluster]
    space, residual = fitted.subspaces["keep"], fitted.residual
    lags, differences = RESIDUAL_ORDERS[int(residual.order[row])]
    return {
        "observations": int(residual.count[row]),
        "cluster": ",".join(sorted(members)),
        "cluster_size": len(members),
        "rank": int(space.rank[cluster]),
        "rank_raised": int(fitted.subspaces["raise"].rank[cluster]),
        "energy_explained": float(space.energy[cluster]),
        "growth_per_session": float(growth_per_step(space.coefficients[cluster])),
        "residual_ar_lags": lags,
        "residual_differences": differences,
        "residual_std": float(np.sqrt(residual.variance[row])),
        "bic": float(residual.bic[row]),
        "has_shortened": bool(fitted.has_short[row]),
        "change_in_window": bool(fitted.change[row] > 0),
        **residual_diagnostics(residual.surprises[row]),
    }


def _first_known(values: FloatArray) -> IntArray:
    first: IntArray = np.argmax(np.isfinite(values), axis=1).astype(np.int64)
    return first
