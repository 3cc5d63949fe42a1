"""What a person decides about the two low-rank models; defaults are the production values.

None of these numbers was searched for on prices: each comes from theory, from a textbook, or from
the length of the fit window, and says so.
"""

from typing import Literal

from pydantic import Field, model_validator

from quant.core.policy import Policy
from quant.forecasting.decomposers import Device


class SsaPolicy(Policy):
    """SAMOSSA: one symbol's path, a low rank of it, and an AR on the rest."""

    matrix: Literal["page", "hankel"] = "page"
    # The theory of the Page matrix wants it nearly square (Agarwal, Amjad, Shah and Shen 2018): 504
    # sessions make 24 columns of 21, and 21 sessions are a month.
    window_sessions: int = Field(default=21, ge=4, le=252)
    energy_share_min: float = Field(default=0.90, gt=0, lt=1)
    # A recurrence that grows faster loses rank until it does not: over the 504 sessions of a window
    # 1.001 is a factor of 1.7, and a path that its own model would blow up was not made by it.
    growth_per_session_max: float = Field(default=1.001, ge=1.0, le=1.1)
    # Twenty refits of simulated paths give the doubt about a forecast to about a sixth of itself.
    bootstrap_replicates: int = Field(default=20, ge=2)
    # How a surprise moves the expected variance of the next sessions, and how slowly that fades:
    # the shares that are typical of daily stock returns, which also start the GARCH search.
    shock_alpha: float = Field(default=0.05, ge=0, lt=1)
    shock_beta: float = Field(default=0.90, ge=0, lt=1)
    # Montgomery, section 9.1.2: half a deviation and five of them raise a false alarm every 465
    # sessions and find a shift of one deviation within ten.
    cusum_slack_std: float = Field(default=0.5, gt=0)
    cusum_limit_std: float = Field(default=5.0, gt=0)
    # A piece between two changes lasts a month at least.
    change_size_min_sessions: int = Field(default=21, ge=2)

    @model_validator(mode="after")
    def _variance_must_fade(self) -> "SsaPolicy":
        if self.shock_alpha + self.shock_beta >= 1.0:
            raise ValueError("shock_alpha + shock_beta must be below 1, or variance never fades")
        return self


class MssaRlPolicy(SsaPolicy):
    """MSSA-RL: one subspace per cluster of symbols, and a learned choice between four ways."""

    # Columns that slide: of the shortened window a Page matrix would leave a lone symbol six.
    matrix: Literal["page", "hankel"] = "hankel"
    # A year to fit on leaves another of the two-year fit window to walk forward through.
    keep_sessions: int = Field(default=252, ge=60)
    # Half of it, or from the last change of the cluster's mean on, if that is later.
    short_sessions: int = Field(default=126, ge=42)
    # Half of the tenth that the kept rank leaves out.
    high_energy_share_min: float = Field(default=0.95, gt=0, lt=1)
    # Refits of the walk forward are a quarter apart: often enough to see a year's regimes.
    walk_forward_sessions: int = Field(default=63, ge=5)
    # A quarter of the variance in common; eight paths make a matrix of 8 x 232 columns, which is
    # plenty for the few directions that are kept.
    correlation_min: float = Field(default=0.5, gt=0, lt=1)
    cluster_size_max: int = Field(default=8, ge=1)
    # An alarm colours the month after it.
    change_recent_sessions: int = Field(default=21, ge=1)
    # Mean of the last 21 squared surprises over their expectation: outside the 10 % and the 90 %
    # quantile of chi-squared with 21 degrees over 21, errors are unusually small or large.
    error_sessions: int = Field(default=21, ge=2)
    error_low_ratio: float = Field(default=0.63, gt=0)
    error_high_ratio: float = Field(default=1.41, gt=0)
    # Rewards deviate by 0.3 to 0.5 variances a session on simulated markets with a signal (measured
    # 2026-11), so after a thousand visits two standard errors of their mean are about 0.025.
    intervention_margin: float = Field(default=0.025, ge=0)
    # As if a year without any difference had been seen first.
    prior_visits: float = Field(default=252.0, ge=0)
    discount: float = Field(default=0.9, ge=0, lt=1)
    transitions_max: int = Field(default=20_000, ge=1)
    # One reward is at most this many variances, so that a single crash does not decide: three
    # deviations squared.
    reward_max: float = Field(default=9.0, gt=0)
    surprises_min: int = Field(default=30, ge=10)
    # Same numbers on a card to 1e-10; bit for bit only on "cpu", so that is what a book gets.
    device: Device = "cpu"

    @model_validator(mode="after")
    def _ways_must_differ(self) -> "MssaRlPolicy":
        if self.short_sessions >= self.keep_sessions:
            raise ValueError("short_sessions must be below keep_sessions")
        if self.short_sessions < 2 * self.window_sessions:
            raise ValueError("short_sessions must hold two windows of window_sessions")
        if self.high_energy_share_min <= self.energy_share_min:
            raise ValueError("high_energy_share_min must exceed energy_share_min")
        if self.error_low_ratio >= self.error_high_ratio:
            raise ValueError("error_low_ratio must be below error_high_ratio")
        return self
