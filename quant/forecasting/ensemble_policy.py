"""What a person decides about the ensemble: how much each kind of evidence counts."""

from pydantic import Field

from quant.core.policy import Policy


class EnsemblePolicy(Policy):
    """Defaults are the production values; a session is one trading day."""

    # Scored one-day forecasts that count, and after how many the older counts half.
    record_sessions: int = Field(default=63, ge=1)
    record_half_life_sessions: float = Field(default=21.0, gt=0)
    # With fewer scored forecasts than this a model's record says nothing yet.
    record_sessions_min: int = Field(default=5, ge=1)
    # One: the odds of a model with a free scale after these errors. Less: more like equal weights.
    record_share: float = Field(default=1.0, ge=0)
    # A fit judges itself on its own data, so a window of it counts like this many sessions.
    fit_sessions: float = Field(default=20.0, ge=0)
    # No fit may multiply a model's odds by more than e^2, about seven.
    fit_log_odds_max: float = Field(default=2.0, ge=0)
    variance_ratio_sessions: int = Field(default=5, ge=2)
    # One trading year, for the variance ratio and for the search of a change.
    window_sessions: int = Field(default=252, ge=64)
    change_p_value_max: float = Field(default=0.05, ge=0, le=1)
    # A change longer ago has reached every model's window in force.
    change_sessions_max: int = Field(default=63, ge=1)
    # Models whose deviation follows within days; a recent change multiplies their odds.
    quick_models: tuple[str, ...] = ("garch", "mssa_rl")
    change_odds: float = Field(default=2.0, ge=1)
    # Daily means are mostly noise: the less a series differs from a random walk, the more of the
    # mean is left to naive drift, from the first share to the second.
    mean_naive_share_min: float = Field(default=0.25, ge=0, le=1)
    mean_naive_share_max: float = Field(default=0.75, ge=0, le=1)
    volatility_naive_share: float = Field(default=0.05, ge=0, le=1)
    weight_max: float = Field(default=0.9, ge=0.5, le=1)
