"""Which ARMA describes a series best: every order within limits, judged by corrected AIC.

Belongs here: the choice among candidates that `order_ranking` has ranked and `css` has fitted, and
whether lags are worth having at all. Does not belong here: the exact fit of the winner. A missing
value stands at the mean here: it bends the ranking of a series with many gaps, never the winner's
parameters, whose filter integrates gaps out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quant.forecasting.arma_order import ArmaOrder
from quant.forecasting.css import CssFit, fit_css, is_admissible, log_likelihood
from quant.forecasting.order_candidates import SearchLimits, aicc, candidates
from quant.forecasting.order_ranking import rank_orders, regress
from quant.market.panel import FloatArray

# Measured 2026-11 on 40 windows of the bundled stocks, 2018 to 2020 with their turmoil included:
# with 12 the winner loses more than 2 of AICc to statsforecast's on two of them, with 8 on three.
_FITTED_COUNT = 12
_WITHOUT_CONSTANT_COUNT = 4
_CONFIRMED_COUNT = 6
_VOLATILITY_DECAY, _VOLATILITY_START, _VOLATILITY_FLOOR = 0.94, 75, 1e-4

OrderStart = tuple[ArmaOrder, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchSeries:
    """What is fitted: values with gaps stood in for, and columns, the constant's first."""

    values: FloatArray
    columns: FloatArray
    observed: int

    @classmethod
    def of(cls, values: FloatArray, regressors: FloatArray | None) -> "SearchSeries":
        """`values` with NaN for gaps; `regressors` (regressors, sessions), complete."""
        known = np.isfinite(values)
        extra = np.empty((0, len(values))) if regressors is None else regressors
        return cls(
            values=np.where(known, values, np.nanmean(values)),
            columns=np.vstack([np.ones(len(values)), extra]),
            observed=int(known.sum()),
        )

    @property
    def regressors_count(self) -> int:
        """Columns besides the constant's."""
        return len(self.columns) - 1

    def fit(self, order: ArmaOrder, lags: FloatArray) -> CssFit:
        """Conditional estimates, begun at `lags` where they are admissible."""
        columns = self.columns[0 if order.has_constant else 1 :]
        start = np.concatenate([lags, regress(self.values, columns)])
        if not is_admissible(order, start):
            start[: order.lags_count] = 0.0
        return fit_css(order, self.values, columns, start)

    def criterion(self, fit: CssFit) -> float:
        """AICc from the conditional likelihood."""
        parameters = fit.order.parameters_count(self.regressors_count)
        return aicc(log_likelihood(fit.squares, self.observed), parameters, self.observed)

    def in_order(self, fits: Sequence[CssFit]) -> list[CssFit]:
        """Least criterion first; of two equals the one with fewer lags."""
        return sorted(fits, key=lambda fit: (self.criterion(fit), fit.order.lags_count))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderChoice:
    """What was fitted, least AICc first, and how many orders were ranked before that."""

    fits: tuple[CssFit, ...]
    ranked_count: int

    @property
    def best(self) -> CssFit:
        """The winner."""
        return self.fits[0]


def search_order(
    values: FloatArray,
    *,
    limits: SearchLimits,
    regressors: FloatArray | None = None,
    order_start: OrderStart | None = None,
) -> OrderChoice:
    """The order with the least AICc for a stationary series; gaps are NaN.

    `order_start` names an order with estimates of its lags, as an earlier fit left them: it is
    tried from there besides the others.
    """
    series = SearchSeries.of(values, regressors)
    orders = list(candidates(limits, observed=series.observed, regressors=series.regressors_count))
    ranked = [
        (orders[place], lags)
        for place, lags in rank_orders(
            orders, series.values, series.columns, limits, series.observed
        )
    ]
    # The ranking is rough; what may be simple is always tried.
    tries = ranked[:_FITTED_COUNT] + [each for each in ranked[_FITTED_COUNT:] if len(each[1]) <= 1]
    if order_start is not None and order_start[0].lags_count <= limits.lags_max:
        tries.append((replace(order_start[0], has_constant=True), order_start[1]))
    fits = series.in_order([series.fit(order, lags) for order, lags in tries])
    if limits.may_drop_constant:
        fits = series.in_order([*fits, *_without_constant(series, fits)])
    plain = next(fit for fit in fits if not fit.order.lags_count)
    most = series.criterion(plain) - limits.gain_min
    better = [fit for fit in fits if fit.order.lags_count and series.criterion(fit) < most]
    if limits.is_confirmed_calm and better:
        better = _confirmed(series, better, plain, limits.gain_min)
    # Whatever the others lack, there is always the series without lags to fall back on.
    return OrderChoice(fits=(*better, plain), ranked_count=len(orders))


def fit_order(order: ArmaOrder, values: FloatArray, regressors: FloatArray | None = None) -> CssFit:
    """Conditional estimates of one given order."""
    series = SearchSeries.of(values, regressors)
    limits = SearchLimits(
        ar_max=order.ar,
        ma_max=order.ma,
        seasonal_ar_max=order.seasonal_ar,
        seasonal_ma_max=order.seasonal_ma,
        lags_max=order.lags_count,
        seasons_sessions=(order.season_sessions,) if order.is_seasonal else (),
    )
    [(_, lags)] = rank_orders([order], series.values, series.columns, limits, series.observed)
    return series.fit(order, lags)


def _without_constant(series: SearchSeries, fits: Sequence[CssFit]) -> list[CssFit]:
    """The best few and the plain one once more, with their mean at nought."""
    plain = [fit for fit in fits if not fit.order.lags_count]
    return [
        series.fit(replace(fit.order, has_constant=False), fit.lags())
        for fit in [*fits[:_WITHOUT_CONSTANT_COUNT], *plain]
    ]


def _confirmed(
    series: SearchSeries, fits: Sequence[CssFit], plain: CssFit, gain_min: float
) -> list[CssFit]:
    """Those whose lags gain as much on the series divided by its local volatility."""
    calm = replace(series, values=series.values / local_volatility(series.values))

    def criterion(fit: CssFit) -> float:
        return calm.criterion(calm.fit(fit.order, fit.lags()))

    most = criterion(plain) - gain_min
    return [fit for fit in fits[:_CONFIRMED_COUNT] if criterion(fit) < most]


def local_volatility(series: FloatArray) -> FloatArray:
    """Deviation around each value from both sides, itself included, so that none stands out much.

    The mean of a running mean of squares forwards and one backwards (decay 0.94, RiskMetrics 1996).
    """
    squares = (series - series.mean()) ** 2
    both = 0.5 * (_running_mean(squares) + _running_mean(squares[::-1])[::-1])
    # Where a price stood still there is nothing to divide by.
    return np.asarray(np.sqrt(np.maximum(both, _VOLATILITY_FLOOR * float(squares.mean()))))


def _running_mean(squares: FloatArray) -> FloatArray:
    """Begun at the weighted mean of the first values."""
    from scipy.signal import lfilter

    first = squares[:_VOLATILITY_START]
    weights = _VOLATILITY_DECAY ** np.arange(len(first))
    start = float(first @ weights / weights.sum())
    gain, decay = [1.0 - _VOLATILITY_DECAY], [1.0, -_VOLATILITY_DECAY]
    return np.asarray(lfilter(gain, decay, squares, zi=[_VOLATILITY_DECAY * start])[0])
