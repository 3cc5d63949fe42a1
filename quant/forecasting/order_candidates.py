"""Which ARMA orders may be looked at, and the criterion that compares them.

Belongs here: the limits, every order within them, and AICc. Does not belong here: any series.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from quant.forecasting.arma_order import ArmaOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """The largest order to look at, `seasons_sessions` empty for no season, and what it must gain.

    `gain_min` is by how much of AICc lags have to beat none: the best of fifty orders of pure noise
    beats it too. `is_confirmed_calm` asks for the same gain once more with every value divided by
    its local volatility, since a fortnight of turmoil correlates with itself by accident.
    `may_drop_constant` lets the criterion decide about the constant as well.
    """

    ar_max: int = 3
    ma_max: int = 3
    seasonal_ar_max: int = 1
    seasonal_ma_max: int = 1
    lags_max: int = 5
    seasons_sessions: tuple[int, ...] = (5,)
    gain_min: float = 0.0
    is_confirmed_calm: bool = False
    may_drop_constant: bool = True

    @property
    def longest_season(self) -> int:
        """Sessions; 1 without seasons."""
        return max(self.seasons_sessions, default=1)


def candidates(limits: SearchLimits, *, observed: int, regressors: int) -> Iterator[ArmaOrder]:
    """All orders within the limits that leave AICc a degree of freedom, with a constant."""
    for ar in range(limits.ar_max + 1):
        for ma in range(limits.ma_max + 1):
            yield from (
                order
                for order in _seasonal_variants(ar, ma, limits)
                if order.lags_count <= limits.lags_max
                and order.parameters_count(regressors) + 1 < observed
            )


def aicc(log_likelihood: float, parameters: int, observed: int) -> float:
    """Akaike's criterion with the correction of Hurvich and Tsai (1989)."""
    penalty = 2.0 * parameters * observed / (observed - parameters - 1.0)
    return penalty - 2.0 * log_likelihood


def _seasonal_variants(ar: int, ma: int, limits: SearchLimits) -> Iterator[ArmaOrder]:
    yield ArmaOrder(ar=ar, ma=ma)
    for season in limits.seasons_sessions:
        if season <= max(ar, ma, 1):
            continue
        for seasonal_ar in range(limits.seasonal_ar_max + 1):
            for seasonal_ma in range(limits.seasonal_ma_max + 1):
                if seasonal_ar + seasonal_ma:
                    yield ArmaOrder(
                        ar=ar,
                        ma=ma,
                        seasonal_ar=seasonal_ar,
                        seasonal_ma=seasonal_ma,
                        season_sessions=season,
                    )
