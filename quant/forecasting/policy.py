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
# The filter's state is as long as a season, and its work grows with the square.
SeasonSessions = Annotated[int, Field(ge=2, le=31)]


class ForecastPolicy(Policy):
    """Defaults are the production values; a session is one trading day."""

    horizons_days: tuple[HorizonDays, ...] = (1, 5, 20)
    # Two years: long enough for a GARCH fit, short enough to forget an old regime.
    fit_window_sessions: int = Field(default=504, ge=60)
    refit_every_sessions: int = Field(default=5, ge=1)
    # A Monday, so that the default cadence of five refits on the first session of each week.
    refit_anchor: dt.date = dt.date(2000, 1, 3)
    # Returns are differences already, so d is always 0. "fixed" takes `ar_order` and `ma_order`,
    # "automatic" the order with the least AICc up to the maxima.
    sarimax_order: Literal["automatic", "fixed"] = "automatic"
    ar_order: int = Field(default=1, ge=0, le=5)
    ma_order: int = Field(default=0, ge=0, le=5)
    sarimax_ar_order_max: int = Field(default=3, ge=0, le=5)
    sarimax_ma_order_max: int = Field(default=3, ge=0, le=5)
    sarimax_seasonal_ar_order_max: int = Field(default=1, ge=0, le=2)
    sarimax_seasonal_ma_order_max: int = Field(default=1, ge=0, le=2)
    # Coefficients on lags, plain and seasonal together.
    sarimax_lags_max: int = Field(default=5, ge=0, le=14)
    # Seasons to try besides none: a week of sessions; 7 where trading never rests.
    sarimax_seasons_sessions: tuple[SeasonSessions, ...] = (5,)
    # AICc by which lags must beat none; the best of fifty orders beats it on noise as well.
    sarimax_aicc_gain_min: float = Field(default=6.0, ge=0)
    # Whether they must gain it also on returns divided by their local volatility.
    sarimax_is_confirmed_calm: bool = True
    # Whether AICc may also drop the constant, which says that a price has no drift.
    sarimax_may_drop_constant: bool = False
    # Features beside the returns, by name, each explaining the next session's return; none by
    # default. Whoever builds the panel of returns has to put them there.
    sarimax_regressors: tuple[str, ...] = ()
    # Several say that a series may be described by any of them; `garch_criterion` decides.
    garch_models: tuple[Literal["garch", "gjr", "egarch"], ...] = ("garch", "gjr", "egarch")
    garch_distributions: tuple[Literal["normal", "t"], ...] = ("normal", "t")
    garch_criterion: Literal["aic", "bic"] = "bic"
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

    @field_validator(
        "garch_models", "garch_distributions", "sarimax_seasons_sessions", "sarimax_regressors"
    )
    @classmethod
    def _name_each_once(cls, choices: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(choices)) != len(choices):
            raise ValueError("a choice is named once")
        return choices

    @field_validator("garch_models", "garch_distributions")
    @classmethod
    def _name_at_least_one(cls, choices: tuple[object, ...]) -> tuple[object, ...]:
        if not choices:
            raise ValueError("at least one must be named")
        return choices
