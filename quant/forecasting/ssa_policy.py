"""What a person decides about the two low-rank models; defaults are the production values.

None of these numbers was searched for on prices: each comes from theory, from a textbook, or from
the length of the fit window, and says so.
"""

from typing import Literal

from pydantic import Field, model_validator

from quant.core.policy import Policy


class SsaPolicy(Policy):
    """SAMOSSA: one symbol's path, a low rank of it, and an AR on the rest."""

    matrix: Literal["page", "hankel"] = "page"
    # The theory of the Page matrix wants it nearly square (Agarwal, Amjad, Shah and Shen 2018,
    # section 4): 504 sessions make 24 columns of 21, and 21 sessions are a month.
    window_sessions: int = Field(default=21, ge=4, le=252)
    energy_share_min: float = Field(default=0.90, gt=0, lt=1)
    # A continuation that grows faster than this loses rank until it does not: 1.01 is a fifth over
    # twenty sessions, which no share promises.
    growth_per_session_max: float = Field(default=1.01, ge=1.0, le=1.1)
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
