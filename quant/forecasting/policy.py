"""What a person decides about forecasts: windows, cadence, orders, thresholds."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, field_validator

from quant.core.clusters import Backend
from quant.core.errors import UsageError
from quant.core.policy import Policy
from quant.forecasting.ensemble_policy import EnsemblePolicy

HORIZON_DAYS_MAX = 20

HorizonDays = Annotated[int, Field(ge=1, le=HORIZON_DAYS_MAX)]


class ForecastPolicy(Policy):
    """Defaults are the production values; a session is one trading day."""

    horizons_days: tuple[HorizonDays, ...] = (1, 5, 20)
    # Two years: long enough for a GARCH fit, short enough to forget an old regime.
    fit_window_sessions: int = Field(default=504, ge=60)
    refit_every_sessions: int = Field(default=5, ge=1)
    # A Monday, so that the default cadence of five refits on the first session of each week.
    refit_anchor: dt.date = dt.date(2000, 1, 3)
    # Orders of the ARMA on log returns; returns are differences already, so d is always 0.
    ar_order: int = Field(default=1, ge=0, le=5)
    ma_order: int = Field(default=0, ge=0, le=5)
    garch_distribution: Literal["normal", "t"] = "t"
    model_observations_min: int = Field(default=100, ge=30)
    naive_window_sessions: int = Field(default=252, ge=2)
    naive_observations_min: int = Field(default=20, ge=2)
    # A price that has not moved for this many sessions is taken for dead, not for calm.
    stale_sessions_max: int = Field(default=10, ge=1)
    ensemble: EnsemblePolicy = EnsemblePolicy()
    holdout_sessions: int = Field(default=250, ge=2)
    fit_workers: int = Field(default=1, ge=1)
    fit_backend: str = "loky"
    # Per symbol, and without the import of the fitting library.
    fit_time_limit_s: float | None = Field(default=None, gt=0)

    @field_validator("fit_backend")
    @classmethod
    def _name_a_backend(cls, text: str) -> str:
        try:
            Backend.parse(text)
        except UsageError as error:
            raise ValueError(f"{error}; {error.remedy}") from error
        return text

    @field_validator("horizons_days")
    @classmethod
    def _increase_strictly(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if not horizons or list(horizons) != sorted(set(horizons)):
            raise ValueError("horizons_days must name at least one horizon, increasing, each once")
        return horizons
