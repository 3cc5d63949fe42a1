"""Sprints: a fixed number of audits over the latest windows, and two arms side by side.

Belongs here: which audits make a sprint, its decision, the lift over the best single model, and
the paired comparison of two arms. Does not belong here: reading scores, storing audits.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from quant.core.errors import DataError, UsageError
from quant.core.identity import content_hash
from quant.governance.audits import Audit, AuditDecision, GatesPolicy, decide
from quant.governance.hypothesis_tests import Inference, paired_t
from quant.governance.records import AuditCounted


@dataclass(frozen=True, slots=True, kw_only=True)
class SprintResult:
    """A sprint's answer. `lift_fraction` is how much smaller the model's pooled error is than that
    of the best single model over the same audits; negative is worse.
    """

    model: str
    arm: str
    asked: int
    counted: int
    decision: AuditDecision
    lift_fraction: float | None
    worst_excess_fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """Two arms over the windows that both have; `uplift_fraction` above zero favours arm `b`."""

    arm_a: str
    arm_b: str
    pairs: int
    uplift_fraction: float | None
    test: Inference | None
    winner: str
    reason: str


def sprint(audits: Sequence[Audit], *, arm: str, asked: int, policy: GatesPolicy) -> SprintResult:
    """Decide over at most `asked` audits, the latest."""
    if not audits:
        raise DataError("a sprint needs an audit", remedy="pmx backfill computes past sessions")
    latest = sorted(audits, key=lambda one: one.session)[-asked:]
    counted = [one for one in latest if one.is_effective(policy)]
    own = _pooled([(one.rmse, one.observations) for one in counted])
    best = _pooled([(one.rmse_baseline, one.observations) for one in counted])
    return SprintResult(
        model=latest[0].model,
        arm=arm,
        asked=asked,
        counted=len(latest),
        decision=decide(latest, policy),
        lift_fraction=1.0 - own / best if own is not None and best else None,
        worst_excess_fraction=max((one.excess_fraction for one in counted), default=None),
    )


def counted(audit: Audit, *, arm: str, symbols: Iterable[str]) -> AuditCounted:
    """The journal's record of an audit."""
    return AuditCounted(
        model=audit.model,
        arm=arm,
        session=audit.session,
        horizon_days=audit.horizon_days,
        symbols_hash=content_hash(sorted(symbols)),
        baseline=audit.baseline,
        observations=audit.observations,
        rmse=audit.rmse,
        rmse_baseline=audit.rmse_baseline,
    )


def audit_of(record: AuditCounted) -> Audit:
    """The audit that a record was made of."""
    return Audit(
        model=record.model,
        baseline=record.baseline,
        session=record.session,
        horizon_days=record.horizon_days,
        observations=record.observations,
        rmse=record.rmse,
        rmse_baseline=record.rmse_baseline,
    )


def compare_arms(
    a: Sequence[Audit],
    b: Sequence[Audit],
    *,
    arms: tuple[str, str],
    policy: GatesPolicy,
) -> ArmComparison:
    """Better by more than a tenth, relative, over the same windows; else nobody wins.

    The error of each window is compared with the same window's: markets that were hard are hard for
    both. The uplift is that of the pooled error; the paired test stands beside it.
    """
    first, second = ({one.session: one for one in side} for side in (a, b))
    both = sorted(
        day
        for day in first.keys() & second.keys()
        if first[day].is_effective(policy) and second[day].is_effective(policy)
    )
    name_a, name_b = arms
    if name_a == name_b:
        raise UsageError(f"{name_a} cannot be compared with itself")
    if len(both) < policy.effective_audits_min:
        words = f"{len(both)} windows have both arms, {policy.effective_audits_min} are needed"
        return _comparison(arms, len(both), None, None, "", words)
    ours = _pooled([(first[day].rmse, first[day].observations) for day in both])
    theirs = _pooled([(second[day].rmse, second[day].observations) for day in both])
    uplift = 1.0 - (theirs or 0.0) / ours if ours else 0.0
    tested = paired_t([first[day].rmse for day in both], [second[day].rmse for day in both])
    limit = policy.selection.arm_uplift_min_fraction
    winner = name_b if uplift > limit else name_a if _inverse(uplift) > limit else ""
    words = (
        f"{name_b} has an error {abs(uplift):.1%} {'smaller' if uplift >= 0 else 'larger'} than "
        f"{name_a} over {len(both)} windows (more than {limit:.0%} decides)"
    )
    return _comparison(arms, len(both), uplift, tested, winner, words)


def _comparison(
    arms: tuple[str, str],
    pairs: int,
    uplift: float | None,
    test: Inference | None,
    winner: str,
    reason: str,
) -> ArmComparison:
    return ArmComparison(
        arm_a=arms[0],
        arm_b=arms[1],
        pairs=pairs,
        uplift_fraction=uplift,
        test=test,
        winner=winner,
        reason=reason,
    )


def _inverse(uplift: float) -> float:
    """The same difference seen from the other arm: how much smaller a's error is than b's."""
    return 1.0 - 1.0 / (1.0 - uplift)


def _pooled(parts: Sequence[tuple[float, int]]) -> float | None:
    """The root mean square over all observations of several windows."""
    if not parts:
        return None
    errors, counts = np.array(parts, dtype=float).T
    return math.sqrt(float((errors**2 * counts).sum() / counts.sum()))
