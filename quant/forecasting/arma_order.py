"""What an ARMA of log returns may look like: its lags, its parameters' names, its polynomials.

Belongs here: the order as a value, and the way between named parameters and the plain lags that a
filter knows. Does not belong here: which order is best (`order_search`), nor any estimation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quant.market.panel import FloatArray

_SLOPE, _CENTRE = "slope:", "centre:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmaOrder:
    """(p, q) x (P, Q) with seasons of `season_sessions`, 0 for none; with or without a constant."""

    ar: int
    ma: int
    seasonal_ar: int = 0
    seasonal_ma: int = 0
    season_sessions: int = 0
    has_constant: bool = True

    def __post_init__(self) -> None:
        if min(self.ar, self.ma, self.seasonal_ar, self.seasonal_ma) < 0:
            raise ValueError(f"an order cannot be negative, was {self}")
        if self.is_seasonal != (self.season_sessions > 1):
            raise ValueError(f"a season is two sessions or longer and has a term, was {self}")
        if self.is_seasonal and self.season_sessions <= max(self.ar, self.ma):
            raise ValueError(f"a season must be longer than the plain lags, was {self}")

    @property
    def is_seasonal(self) -> bool:
        """Whether there is a seasonal term."""
        return self.seasonal_ar + self.seasonal_ma > 0

    @property
    def lags_count(self) -> int:
        """Coefficients on lags."""
        return self.ar + self.ma + self.seasonal_ar + self.seasonal_ma

    def parameters_count(self, regressors: int = 0) -> int:
        """Everything that is estimated, the variance included."""
        return self.lags_count + int(self.has_constant) + regressors + 1

    def lag_names(self) -> list[str]:
        """In the order in which statsmodels keeps them."""
        return [
            *(f"ar{lag}" for lag in range(1, self.ar + 1)),
            *(f"ma{lag}" for lag in range(1, self.ma + 1)),
            *(f"sar{lag}" for lag in range(1, self.seasonal_ar + 1)),
            *(f"sma{lag}" for lag in range(1, self.seasonal_ma + 1)),
        ]

    def __str__(self) -> str:
        plain = f"({self.ar},0,{self.ma})"
        season = f"({self.seasonal_ar},0,{self.seasonal_ma},{self.season_sessions})"
        return (
            plain
            + (season if self.is_seasonal else "")
            + (" with" if self.has_constant else " without")
            + " constant"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LagPolynomials:
    """1 - ar B - ... and 1 + ma B + ..., plain and seasonal factors apart, lag 0 first."""

    ar: FloatArray
    ma: FloatArray
    seasonal_ar: FloatArray
    seasonal_ma: FloatArray

    @property
    def whole_ar(self) -> FloatArray:
        """Both factors multiplied."""
        return _product(self.ar, self.seasonal_ar)

    @property
    def whole_ma(self) -> FloatArray:
        """Both factors multiplied."""
        return _product(self.ma, self.seasonal_ma)

    @property
    def ar_sum(self) -> float:
        """The autoregressive polynomial at one: constant over mean."""
        return float(self.ar.sum() * self.seasonal_ar.sum())


def polynomials(order: ArmaOrder, lags: Sequence[float] | FloatArray) -> LagPolynomials:
    """`lags` in the order of `ArmaOrder.lag_names`."""
    ar, ma, seasonal_ar, seasonal_ma = split_lags(order, np.asarray(lags, dtype=float))
    season = max(order.season_sessions, 1)
    return LagPolynomials(
        ar=_spread(-ar, 1),
        ma=_spread(ma, 1),
        seasonal_ar=_spread(-seasonal_ar, season),
        seasonal_ma=_spread(seasonal_ma, season),
    )


def split_lags(
    order: ArmaOrder, lags: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """ar, ma, seasonal ar, seasonal ma."""
    first = order.ar + order.ma
    return (
        lags[: order.ar],
        lags[order.ar : first],
        lags[first : first + order.seasonal_ar],
        lags[first + order.seasonal_ar : order.lags_count],
    )


def order_of(params: Mapping[str, float]) -> ArmaOrder:
    """The order that a set of stored parameters has; a constant of exactly 0 is none."""

    def count(prefix: str) -> int:
        return sum(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in params)

    return ArmaOrder(
        ar=count("ar"),
        ma=count("ma"),
        seasonal_ar=count("sar"),
        seasonal_ma=count("sma"),
        season_sessions=int(params.get("season_sessions", 0)),
        has_constant=params["intercept"] != 0.0,
    )


def lags_of(params: Mapping[str, float], order: ArmaOrder) -> FloatArray:
    """Stored parameters as an array in the order of `ArmaOrder.lag_names`."""
    return np.array([params[name] for name in order.lag_names()], dtype=float)


def regressors_of(params: Mapping[str, float]) -> tuple[str, ...]:
    """Names of the regressors that a set of parameters uses, in one fixed order."""
    return tuple(sorted(name[len(_SLOPE) :] for name in params if name.startswith(_SLOPE)))


def slope_name(regressor: str) -> str:
    """Under which name a regressor's coefficient is stored."""
    return f"{_SLOPE}{regressor}"


def centre_name(regressor: str) -> str:
    """Under which name the value is stored at which a regressor says nothing."""
    return f"{_CENTRE}{regressor}"


def _spread(coefficients: FloatArray, step: int) -> FloatArray:
    polynomial = np.zeros(len(coefficients) * step + 1)
    polynomial[0] = 1.0
    polynomial[step::step] = coefficients
    return polynomial


def _product(one: FloatArray, other: FloatArray) -> FloatArray:
    if len(other) == 1:
        return one
    return np.asarray(np.convolve(one, other), dtype=np.float64)
