"""Who leads: champion, challenger and shadow, by a score over what a certificate rests on.

Belongs here: the score, promotion with a minimum uplift, demotion and reversion, as pure rules over
recorded facts. Does not belong here: certificates themselves (`certification`), MLflow's aliases
(`resources.model_aliases`), when to look (sensors).

The roles are what the journal says; MLflow only shows them. So editing MLflow promotes nobody.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from quant.governance.gate_policy import SelectionPolicy
from quant.governance.records import GovernanceRecord, RoleChanged
from quant.portfolio.measures import max_drawdown, sharpe

# Stability looks at this many equal parts of a history.
_PARTS = 10


class Role(StrEnum):
    """What a model is allowed to be; NONE was taken out."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """What the score weighs; every part is between 0 and 1, and larger is better."""

    model: str
    profit_factor: float | None
    drawdown: float | None
    sharpe: float | None
    stability: float

    def parts(self) -> Mapping[str, float]:
        """Each figure on the scale from 0 to 1; an unknown one counts as the worst."""
        factor, depth, ratio = self.profit_factor, self.drawdown, self.sharpe
        return {
            # 1 is half; without any loss the factor has no value, and the part is 1.
            "profit_factor": 0.0
            if factor is None
            else 1.0
            if factor == math.inf
            else factor / (1.0 + factor),
            "drawdown": 0.0 if depth is None else max(0.0, 1.0 - depth),
            "sharpe": 0.0 if ratio is None else 1.0 / (1.0 + math.exp(-ratio)),
            "stability": self.stability,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A champion's last sessions: share of outcomes inside its 90 % band, error over baseline's."""

    model: str
    sessions: int
    coverage_90: float
    rmse_excess_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What should happen now, in plain words; `model` is empty when nothing should."""

    model: str
    role: Role
    reason: str


def figures_of(model: str, returns: pd.Series) -> ModelFigures:
    """The figures of a record of net returns."""
    values = returns.to_numpy(dtype=float)
    won, lost = float(values[values > 0].sum()), float(-values[values < 0].sum())
    equity = pd.Series(np.concatenate([[1.0], np.cumprod(1.0 + values)]))
    parts = np.array_split(values, min(_PARTS, max(1, len(values))))
    return ModelFigures(
        model=model,
        profit_factor=won / lost if lost > 0 else math.inf if won > 0 else None,
        drawdown=max_drawdown(equity),
        sharpe=sharpe(returns),
        stability=float(np.mean([part.sum() > 0 for part in parts])),
    )


def score(figures: ModelFigures, policy: SelectionPolicy) -> float:
    """The weighted mean of the parts, 0 to 1."""
    weights = {
        "profit_factor": policy.profit_factor_weight,
        "drawdown": policy.drawdown_weight,
        "sharpe": policy.sharpe_weight,
        "stability": policy.stability_weight,
    }
    parts = figures.parts()
    return sum(weights[name] * parts[name] for name in weights) / sum(weights.values())


def roles(records: Iterable[GovernanceRecord]) -> dict[str, Role]:
    """The role of each model now; at most one is champion."""
    found: dict[str, Role] = {}
    for change in changes(records):
        role = Role(change.role)
        if role is Role.CHAMPION:
            found = {
                model: Role.CHALLENGER if held is Role.CHAMPION else held
                for model, held in found.items()
            }
        if role is Role.NONE:
            found.pop(change.model, None)
        else:
            found[change.model] = role
    return found


def held_since(records: Iterable[GovernanceRecord]) -> dict[str, dt.date]:
    """The session since which each model has had its present role."""
    known, since = changes(records), dict[str, dt.date]()
    before: dict[str, Role] = {}
    for count, change in enumerate(known, start=1):
        now = roles(known[:count])
        for model, role in now.items():
            if before.get(model) is not role:
                since[model] = change.session
        before = now
    return {model: since[model] for model in before}


def champion(records: Iterable[GovernanceRecord]) -> str:
    """The champion's name, or nothing."""
    held = roles(records)
    return next((model for model, role in held.items() if role is Role.CHAMPION), "")


def changes(records: Iterable[GovernanceRecord]) -> list[RoleChanged]:
    """Every change of role, oldest first."""
    return [record for record in records if isinstance(record, RoleChanged)]


def demoted_models(records: Iterable[GovernanceRecord]) -> dict[str, RoleChanged]:
    """Models whose last change took their role away; they may not trade before a new promotion."""
    last = {change.model: change for change in changes(records)}
    return {model: change for model, change in last.items() if change.role == Role.NONE.value}


def previous_champions(records: Iterable[GovernanceRecord]) -> list[str]:
    """Who led before, the latest first, without the present one."""
    now = champion(records := list(records))
    led = [change.model for change in changes(records) if change.role == Role.CHAMPION.value]
    return [model for model in dict.fromkeys(reversed(led)) if model != now]


def select(
    candidates: Sequence[ModelFigures],
    *,
    objections: Mapping[str, str],
    standing: str,
    policy: SelectionPolicy,
) -> Selection:
    """The certified candidate to promote, if it beats the champion by enough.

    `objections` says of each candidate why its certificate does not count; empty when it does.
    """
    certified = [one for one in candidates if not objections.get(one.model, "no certificate")]
    if not certified:
        why = "; ".join(sorted(filter(None, objections.values()))) or "there is no candidate"
        return Selection(model="", role=Role.NONE, reason=f"nobody is certified: {why}")
    scores = {one.model: score(one, policy) for one in certified}
    best = max(sorted(scores), key=lambda name: scores[name])
    if not standing:
        words = f"{best} leads with a score of {scores[best]:.3f}; there was no champion"
        return Selection(model=best, role=Role.CHAMPION, reason=words)
    if best == standing:
        words = f"{standing} stays champion with a score of {scores[best]:.3f}"
        return Selection(model="", role=Role.NONE, reason=words)
    own = next((score(one, policy) for one in candidates if one.model == standing), 0.0)
    uplift = scores[best] / own - 1.0 if own > 0 else math.inf
    compared = f"{best} scores {scores[best]:.3f}, {standing} {own:.3f}"
    if uplift < policy.uplift_min_fraction:
        words = f"{compared}: {uplift:.1%} more, {policy.uplift_min_fraction:.0%} is asked"
        return Selection(model="", role=Role.NONE, reason=words)
    return Selection(model=best, role=Role.CHAMPION, reason=f"{compared}: {uplift:.1%} more")


def watch(scores: pd.DataFrame, *, model: str, baseline: str, sessions: int) -> Watched | None:
    """A model's last sessions from rows of scores; None while there are fewer.

    Counted where both the model and the baseline were scored.
    """
    pairs = scores[scores["model"] == model].merge(
        scores[scores["model"] == baseline],
        on=["session", "symbol", "horizon_days"],
        suffixes=("", "_baseline"),
    )
    days = sorted(pairs["session"].unique())[-sessions:]
    if len(days) < sessions:
        return None
    last = pairs[pairs["session"].isin(days)]
    own, other = last["squared_error"].mean(), last["squared_error_baseline"].mean()
    return Watched(
        model=model,
        sessions=len(days),
        coverage_90=float(last["in_90"].mean()),
        rmse_excess_fraction=float(np.sqrt(own / other) - 1.0) if other > 0 else math.inf,
    )


def demotion_reason(watched: Watched, policy: SelectionPolicy) -> str:
    """Why a champion must go; empty when it may stay."""
    reasons = []
    if watched.coverage_90 < policy.coverage_90_min_fraction:
        reasons.append(
            f"its 90 % band held {watched.coverage_90:.1%} of the outcomes "
            f"(limit {policy.coverage_90_min_fraction:.0%})"
        )
    if watched.rmse_excess_fraction > policy.drift_rmse_excess_max_fraction:
        reasons.append(
            f"its error is {watched.rmse_excess_fraction:.1%} larger than the baseline's "
            f"(limit {policy.drift_rmse_excess_max_fraction:.0%})"
        )
    if not reasons:
        return ""
    return f"over the last {watched.sessions} sessions " + " and ".join(reasons)


def revert(records: Iterable[GovernanceRecord], *, objections: Mapping[str, str]) -> str:
    """The last champion before this one whose certificate still counts, or nobody."""
    known = list(records)
    gone = demoted_models(known)
    return next(
        (
            model
            for model in previous_champions(known)
            if model not in gone and not objections.get(model, "no certificate")
        ),
        "",
    )
