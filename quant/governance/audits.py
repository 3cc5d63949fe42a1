"""Forecast audits: a model against what is simpler, and what the record allows it to be.

Belongs here: one audit, the gate over many, the verdict over one hold-out, their thresholds.
Does not belong here: computing forecasts or errors (`quant.forecasting`), storing verdicts, acting
on them. Every outcome carries its reason in plain words, because people read it, and too little
evidence is an outcome of its own.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd
from pydantic import Field, model_validator

from quant.core.errors import DataError
from quant.core.policy import Policy
from quant.forecasting.holdout import Holdout
from quant.governance.gate_policy import CertificatePolicy, ReadinessPolicy, SelectionPolicy


class GatesPolicy(Policy):
    """Limits of the forecast gates, as fractions: 0.10 is 10 %."""

    rmse_excess_max_fraction: float = Field(default=0.10, ge=0)
    violation_rate_max_fraction: float = Field(default=0.25, ge=0, le=1)
    # Above this the model is worse more often than not, and is no default any more.
    disable_rate_min_fraction: float = Field(default=0.50, ge=0, le=1)
    effective_audits_min: int = Field(default=20, ge=1)
    audit_observations_min: int = Field(default=20, ge=1)
    holdout_observations_min: int = Field(default=500, ge=1)
    # A verdict binds for four weeks; then the model must show itself again.
    verdict_every_sessions: int = Field(default=20, ge=1)
    # A looser limit takes effect after this pause and a second confirmation, never before.
    loosening_cooling_off_hours: int = Field(default=72, ge=24, le=720)
    certificate: CertificatePolicy = CertificatePolicy()
    selection: SelectionPolicy = SelectionPolicy()
    readiness: ReadinessPolicy = ReadinessPolicy()

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> "GatesPolicy":
        if self.disable_rate_min_fraction < self.violation_rate_max_fraction:
            raise ValueError(
                "disable_rate_min_fraction must not be below violation_rate_max_fraction"
            )
        return self


class AuditOutcome(StrEnum):
    """What the gate lets a model be."""

    KEEP = "KEEP"
    RESEARCH_ONLY = "RESEARCH_ONLY"
    DISABLE_DEFAULT = "DISABLE_DEFAULT"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One forecast run compared: root mean squared errors over the same realised returns."""

    model: str
    baseline: str
    session: dt.date
    horizon_days: int
    observations: int
    rmse: float
    rmse_baseline: float

    def __post_init__(self) -> None:
        if self.observations < 0 or self.rmse < 0 or self.rmse_baseline < 0:
            raise DataError(f"audit of {self.model} on {self.session}: a figure is negative")
        if self.observations and not (
            math.isfinite(self.rmse) and math.isfinite(self.rmse_baseline)
        ):
            raise DataError(f"audit of {self.model} on {self.session}: an error is not finite")

    @property
    def excess_fraction(self) -> float:
        """How much larger the model's error is: 0.1 is 10 %; negative is better."""
        if self.rmse_baseline == 0:
            return math.inf if self.rmse > 0 else 0.0
        return self.rmse / self.rmse_baseline - 1.0

    def is_effective(self, policy: GatesPolicy) -> bool:
        """Whether it rests on enough realised returns to count."""
        return self.observations >= policy.audit_observations_min

    def is_violation(self, policy: GatesPolicy) -> bool:
        """Whether the model is worse by more than the limit."""
        return self.is_effective(policy) and self.excess_fraction > policy.rmse_excess_max_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDecision:
    """The gate's decision over many audits."""

    outcome: AuditOutcome
    violation_rate: float | None
    effective_audits: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one model may be used, by its hold-out."""

    model: str
    passed: bool
    reason: str
    figures: Mapping[str, float]


def audits_of(
    scores: pd.DataFrame, *, model: str, against: Sequence[str], horizon_days: int = 1
) -> list[Audit]:
    """One audit per session: `model` beside whoever of `against` did best, over the same symbols.

    `scores` are rows of `SCORE_COLUMNS`. On each session those of `against` are rivals that were
    scored at all, and a symbol counts where all of these were: a model that joined later does not
    end the record of the others. A session without such a symbol gives no audit.
    """
    names = [model, *dict.fromkeys(against)]
    wanted = scores["model"].isin(names) & (scores["horizon_days"] == horizon_days)
    table = scores[wanted].pivot(
        index=["session", "symbol"], columns="model", values="squared_error"
    )
    if model not in table.columns:
        return []
    found = []
    for session, squares in table.groupby(level="session", sort=True):
        rivals = [one for one in dict.fromkeys(against) if _is_scored(squares, one)]
        common = squares[[model, *rivals]].dropna()
        if rivals and len(common):
            day = pd.Timestamp(str(session)).date()
            found.append(_audit_of(day, common, model=model, horizon_days=horizon_days))
    return found


def _is_scored(squares: pd.DataFrame, model: str) -> bool:
    return model in squares.columns and bool(squares[model].notna().any())


def decide(audits: Sequence[Audit], policy: GatesPolicy) -> AuditDecision:
    """KEEP up to the limit of violations, RESEARCH_ONLY above, DISABLE_DEFAULT above half."""
    effective = [audit for audit in audits if audit.is_effective(policy)]
    violations = sum(audit.is_violation(policy) for audit in effective)
    if len(effective) < policy.effective_audits_min:
        small = len(effective) < len(audits)
        rule = f"; one counts from {policy.audit_observations_min} outcomes on" if small else ""
        return AuditDecision(
            outcome=AuditOutcome.INCONCLUSIVE,
            violation_rate=violations / len(effective) if effective else None,
            effective_audits=len(effective),
            reason=f"{len(effective)} effective audits of {len(audits)}, "
            f"{policy.effective_audits_min} are needed for a decision{rule}",
        )
    rate = violations / len(effective)
    return AuditDecision(
        outcome=_outcome(rate, policy),
        violation_rate=rate,
        effective_audits=len(effective),
        reason=f"worse than {_names(effective)} by more than "
        f"{_percent(policy.rmse_excess_max_fraction)} in {violations} of {len(effective)} audits "
        f"({_percent(rate)}; limit {_percent(policy.violation_rate_max_fraction)})",
    )


def judge_model(holdout: Holdout, policy: GatesPolicy) -> Verdict:
    """Refuse a model whose pooled one-day error exceeds the baseline's by more than the limit."""
    pooled = holdout.pooled
    observations = int(pooled["observations"])
    if observations < policy.holdout_observations_min:
        return Verdict(
            model=holdout.model,
            passed=False,
            reason=f"{holdout.model} refused: its hold-out has {observations} forecasts to judge, "
            f"{policy.holdout_observations_min} are needed",
            figures={"observations": float(observations)},
        )
    excess = float(pooled["rmse_ratio"]) - 1.0
    passed = excess <= policy.rmse_excess_max_fraction
    return Verdict(
        model=holdout.model,
        passed=passed,
        reason=f"{holdout.model} {'passed' if passed else 'refused'}: its one-day error is "
        f"{_compared(excess)} {_plain(holdout.baseline)} over {holdout.sessions_count} sessions x "
        f"{holdout.symbols_count} symbols (limit {_percent(policy.rmse_excess_max_fraction)})",
        figures={
            "observations": float(observations),
            "rmse": float(pooled["rmse"]),
            "rmse_baseline": float(pooled["rmse_baseline"]),
            "rmse_excess_fraction": excess,
            "pinball_ratio": float(pooled["pinball_ratio"]),
            "coverage_90": float(pooled["coverage_90"]),
        },
    )


def _audit_of(session: dt.date, squares: pd.DataFrame, *, model: str, horizon_days: int) -> Audit:
    rmse = squares.mean() ** 0.5
    rivals = rmse.drop(model)
    return Audit(
        model=model,
        baseline=str(rivals.idxmin()),
        session=session,
        horizon_days=horizon_days,
        observations=len(squares),
        rmse=float(rmse[model]),
        rmse_baseline=float(rivals.min()),
    )


def _outcome(rate: float, policy: GatesPolicy) -> AuditOutcome:
    if rate <= policy.violation_rate_max_fraction:
        return AuditOutcome.KEEP
    if rate <= policy.disable_rate_min_fraction:
        return AuditOutcome.RESEARCH_ONLY
    return AuditOutcome.DISABLE_DEFAULT


def _compared(excess: float) -> str:
    return f"{_percent(abs(excess))} {'larger' if excess >= 0 else 'smaller'} than"


def _percent(fraction: float) -> str:
    """One digit where it may decide, none in round or large numbers."""
    percent = round(fraction * 100, 1)
    return f"{percent:.{0 if percent >= 20 or percent == round(percent) else 1}f} %"


def _plain(baseline: str) -> str:
    return "naive drift" if baseline == "naive" else baseline


def _names(audits: Sequence[Audit]) -> str:
    *others, last = sorted({_plain(audit.baseline) for audit in audits})
    return f"the best of {', '.join(others)} and {last}" if others else last
