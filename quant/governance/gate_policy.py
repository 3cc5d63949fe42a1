"""Limits of certificates, promotion and the go/no-go list, as parts of `config/gates.yaml`.

Belongs here: policy values and which way each one loosens. Does not belong here: what is judged by
them (`certification`, `selection`, `readiness`), or who may change them (`gate_changes`).
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from quant.core.policy import Policy

Direction = Literal["higher", "lower", "none"]


class CertificatePolicy(Policy):
    """What a candidate must show before it may be promoted. Fractions: 0.25 is 25 %."""

    history_sessions_min: int = Field(default=252, ge=20)
    drawdown_max_fraction: float = Field(default=0.25, gt=0, le=1)
    value_at_risk_95_max_fraction: float = Field(default=0.03, gt=0, le=1)
    expected_shortfall_95_max_fraction: float = Field(default=0.045, gt=0, le=1)
    # Bailey and Lopez de Prado (2014) ask for 95 % that the true ratio is above zero.
    deflated_sharpe_probability_min: float = Field(default=0.95, ge=0.5, le=1)
    overfitting_probability_max: float = Field(default=0.10, ge=0, le=0.5)
    losing_paths_max_fraction: float = Field(default=0.40, ge=0, le=1)
    shuffled_sharpe_max: float = Field(default=0.10, gt=0, le=0.5)
    # A forecast that is worse than the baseline at this level of significance is refused.
    worse_forecast_p_value_min: float = Field(default=0.05, ge=0, le=0.5)
    cost_stress_multiple: float = Field(default=2.0, ge=1, le=10)
    stressed_sharpe_min: float = Field(default=0.0, ge=-5, le=5)
    valid_sessions: int = Field(default=60, ge=1, le=252)


class SelectionPolicy(Policy):
    """Which certified model leads; weights are relative to each other."""

    profit_factor_weight: float = Field(default=0.25, ge=0)
    drawdown_weight: float = Field(default=0.25, ge=0)
    sharpe_weight: float = Field(default=0.30, gt=0)
    stability_weight: float = Field(default=0.20, ge=0)
    # Below this a change of champion is noise and its costs.
    uplift_min_fraction: float = Field(default=0.05, ge=0, le=1)
    # A champion whose figures fall outside over this many sessions is demoted.
    watch_sessions: int = Field(default=20, ge=5, le=252)
    coverage_90_min_fraction: float = Field(default=0.80, ge=0, le=0.9)
    drift_rmse_excess_max_fraction: float = Field(default=0.10, ge=0, le=1)
    # An A/B needs a relative improvement above this (SPEC D7).
    arm_uplift_min_fraction: float = Field(default=0.10, ge=0, le=1)


class ReadinessPolicy(Policy):
    """The go/no-go list (SPEC D12); `tuning_` values hold at the tuning stage."""

    audits_min: int = Field(default=100, ge=20)
    closed_trades: int = Field(default=50, ge=10)
    win_rate_min_fraction: float = Field(default=0.50, ge=0, le=1)
    profit_factor_min: float = Field(default=1.0, ge=0)
    tuning_win_rate_min_fraction: float = Field(default=0.45, ge=0, le=1)
    tuning_profit_factor_min: float = Field(default=0.80, ge=0)
    directional_accuracy_min_fraction: float = Field(default=0.50, ge=0, le=1)


# Keys whose name does not say which way is looser, or which are no gate at all.
_DIRECTIONS: Final[Mapping[str, Direction]] = {
    # The rate above which a model is disabled: higher disables fewer.
    "disable_rate_min_fraction": "higher",
    "verdict_every_sessions": "higher",
    "certificate.valid_sessions": "higher",
    "certificate.cost_stress_multiple": "lower",
    "selection.watch_sessions": "higher",
    "readiness.closed_trades": "lower",
    "loosening_cooling_off_hours": "lower",
}


def loosens(key: str) -> Direction:
    """Which change of a key makes a gate easier to pass: a higher value, a lower one, or none."""
    if key in _DIRECTIONS:
        return _DIRECTIONS[key]
    words = key.rsplit(".", 1)[-1].split("_")
    if "max" in words:
        return "higher"
    return "lower" if "min" in words else "none"


def flat(policy: BaseModel, prefix: str = "") -> dict[str, float]:
    """Every number of a policy by its dotted key."""
    found: dict[str, float] = {}
    for name, value in policy:
        if isinstance(value, BaseModel):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """The opposite of `flat`, for a policy with one level of parts."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        part, _, name = key.rpartition(".")
        (found.setdefault(part, {}) if part else found)[name] = value
    return found
