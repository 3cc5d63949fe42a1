"""Which ARMA describes a series best: every order within limits, judged by corrected AIC.

Belongs here: the candidates, a first ranking, and the choice among those fitted by `css`. Does not
belong here: the exact fit of the winner. All candidates are ranked at once by the regressions of
Hannan and Rissanen (1982), which need one Gram matrix for all of them; the best dozen are then
fitted by conditional least squares. A missing value stands at the mean here: it bends the ranking
of a series with many gaps, never the winner's parameters, whose filter integrates gaps out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quant.forecasting.arma_order import ArmaOrder
from quant.forecasting.css import CssFit, fit_css, is_admissible, log_likelihood
from quant.market.panel import FloatArray

# Measured 2026-11 on 40 windows of the bundled stocks, 2018 to 2020 with their turmoil included:
# with 12 the winner loses more than 2 of AICc to statsforecast's on two of them, with 8 on three.
_FITTED_COUNT = 12
_WITHOUT_CONSTANT_COUNT = 4
_CONFIRMED_COUNT = 6
_VOLATILITY_DECAY, _VOLATILITY_START = 0.94, 75
_CONFIRMED_COUNT = 6
_VOLATILITY_DECAY, _VOLATILITY_START, _VOLATILITY_FLOOR = 0.94, 75, 1e-4
_LONG_AR_MIN, _LONG_AR_PER_LOG10 = 10, 10.0


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
    order_start: tuple[ArmaOrder, FloatArray] | None = None,
) -> OrderChoice:
    """The order with the least AICc for a stationary series; gaps are NaN.

    `regressors` is (regressors, sessions), complete. `order_start` names an order with estimates of
    its lags, as an earlier fit left them: it is tried from there besides the others.
    """
    observed = int(np.isfinite(values).sum())
    series = np.where(np.isfinite(values), values, np.nanmean(values))
    extra = np.empty((0, len(values))) if regressors is None else regressors
    columns = np.vstack([np.ones(len(values)), extra])
    orders = list(candidates(limits, observed=observed, regressors=len(extra)))
    ranked = _rank(orders, series, columns, limits, observed)
    tries = [(orders[place], lags) for place, lags in ranked[:_FITTED_COUNT]]
    # The ranking is rough; what may be simple is always tried.
    tries += [(orders[place], lags) for place, lags in ranked[_FITTED_COUNT:] if len(lags) <= 1]
    if order_start is not None and order_start[0].lags_count <= limits.lags_max:
        tries.append((replace(order_start[0], has_constant=True), order_start[1]))
    fits = [_fit(order, lags, series, columns) for order, lags in tries]

    def key(fit: CssFit) -> tuple[float, int]:
        """Least first; of two equals the one with fewer lags."""
        parameters = fit.order.parameters_count(len(extra))
        likelihood = log_likelihood(fit.squares, observed)
        return aicc(likelihood, parameters, observed), fit.order.lags_count

    if limits.may_drop_constant:
        fits.sort(key=key)
        best = [*fits[:_WITHOUT_CONSTANT_COUNT], *(fit for fit in fits if not fit.order.lags_count)]
        fits += [
            _fit(replace(fit.order, has_constant=False), fit.lags(), series, columns[1:])
            for fit in best
        ]
    fits.sort(key=key)
    plain = min((fit for fit in fits if not fit.order.lags_count), key=key)
    worth_it = [fit for fit in fits if key(fit)[0] < key(plain)[0] - limits.gain_min]
    better = [fit for fit in worth_it if fit.order.lags_count]
    if limits.is_confirmed_calm and better:
        better = _confirmed(better, plain.order, series, columns, limits.gain_min)
    # Whatever the others lack, there is always the series without lags to fall back on.
    return OrderChoice(fits=(*better, plain), ranked_count=len(orders))


def fit_order(order: ArmaOrder, values: FloatArray, regressors: FloatArray | None = None) -> CssFit:
    """Conditional estimates of one given order."""
    series = np.where(np.isfinite(values), values, np.nanmean(values))
    extra = np.empty((0, len(values))) if regressors is None else regressors
    columns = np.vstack([np.ones((int(order.has_constant), len(values))), extra])
    season = (order.season_sessions,) if order.is_seasonal else ()
    limits = SearchLimits(
        ar_max=order.ar,
        ma_max=order.ma,
        seasonal_ar_max=order.seasonal_ar,
        seasonal_ma_max=order.seasonal_ma,
        lags_max=order.lags_count,
        seasons_sessions=season,
    )
    [(_, lags)] = _rank([order], series, columns, limits, len(series))
    return _fit(order, lags, series, columns)


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


def _confirmed(
    fits: Sequence[CssFit],
    plain: ArmaOrder,
    series: FloatArray,
    columns: FloatArray,
    gain_min: float,
) -> list[CssFit]:
    """Those whose lags gain as much on the series divided by its local volatility."""
    calm = series / local_volatility(series)
    rest = len(columns) - 1

    def criterion(order: ArmaOrder, lags: FloatArray) -> float:
        fit = _fit(order, lags, calm, columns[0 if order.has_constant else 1 :])
        likelihood = log_likelihood(fit.squares, len(calm))
        return aicc(likelihood, order.parameters_count(rest), len(calm))

    least = criterion(plain, np.empty(0)) - gain_min
    return [fit for fit in fits[:_CONFIRMED_COUNT] if criterion(fit.order, fit.lags()) < least]


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


def _fit(order: ArmaOrder, lags: FloatArray, series: FloatArray, columns: FloatArray) -> CssFit:
    coefficients = _regress(series, columns)
    start = np.concatenate([lags, coefficients])
    if not is_admissible(order, start):
        start[: order.lags_count] = 0.0
    return fit_css(order, series, columns, start)


def _regress(series: FloatArray, columns: FloatArray) -> FloatArray:
    if len(columns) == 0:
        return np.empty(0)
    return np.asarray(np.linalg.lstsq(columns.T, series, rcond=None)[0], dtype=np.float64)


def _rank(
    orders: Sequence[ArmaOrder],
    series: FloatArray,
    columns: FloatArray,
    limits: SearchLimits,
    observed: int,
) -> list[tuple[int, FloatArray]]:
    """Places in `orders`, best first, each with its first estimates of the lags."""
    deviations = series - _regress(series, columns) @ columns
    shocks = _long_ar_residuals(deviations, limits.longest_season)
    seasons = limits.seasons_sessions
    ar_lags = _lags(limits.ar_max, limits.seasonal_ar_max, seasons)
    ma_lags = _lags(limits.ma_max, limits.seasonal_ma_max, seasons)
    rows = np.vstack([_lagged(deviations, ar_lags), _lagged(shocks, ma_lags)])
    gram, right = rows @ rows.T, rows @ deviations
    names = [("ar", lag) for lag in ar_lags] + [("ma", lag) for lag in ma_lags]
    places = [_places(order, names) for order in orders]
    solutions = _solve_subsets(gram, right, places)
    squares = float(deviations @ deviations) - solutions @ right
    regressors = len(columns) - 1
    scores = [
        aicc(
            log_likelihood(max(float(left), 1e-300), observed),
            order.parameters_count(regressors),
            observed,
        )
        for order, left in zip(orders, squares, strict=True)
    ]
    best_first = np.argsort(scores, kind="stable")
    return [(int(place), solutions[place][places[place]]) for place in best_first]


def _long_ar_residuals(deviations: FloatArray, season: int) -> FloatArray:
    """Stand-ins for the shocks: what a long autoregression leaves over."""
    count = len(deviations)
    wanted = max(_LONG_AR_MIN, int(_LONG_AR_PER_LOG10 * np.log10(count)), 2 * season)
    length = min(wanted, max(count // 4, 1))
    rows = _lagged(deviations, list(range(1, length + 1)))
    gram = rows @ rows.T
    gram[np.diag_indices(length)] *= 1.0 + 1e-9
    return np.asarray(deviations - np.linalg.solve(gram, rows @ deviations) @ rows)


def _lags(plain: int, seasonal: int, seasons: Sequence[int]) -> list[int]:
    distant = {season * k for season in seasons for k in range(1, seasonal + 1)}
    return sorted({*range(1, plain + 1), *distant})


def _lagged(series: FloatArray, lags: Sequence[int]) -> FloatArray:
    rows = np.zeros((len(lags), len(series)))
    for row, lag in enumerate(lags):
        rows[row, lag:] = series[: len(series) - lag]
    return rows


def _places(order: ArmaOrder, names: Sequence[tuple[str, int]]) -> list[int]:
    """Rows of the Gram matrix that an order uses, in the order of its own lags."""
    season = order.season_sessions
    wanted = [
        *(("ar", lag) for lag in range(1, order.ar + 1)),
        *(("ma", lag) for lag in range(1, order.ma + 1)),
        *(("ar", season * lag) for lag in range(1, order.seasonal_ar + 1)),
        *(("ma", season * lag) for lag in range(1, order.seasonal_ma + 1)),
    ]
    return [names.index(name) for name in wanted]


def _solve_subsets(
    gram: FloatArray, right: FloatArray, places: Sequence[Sequence[int]]
) -> FloatArray:
    """Least squares on every subset of rows at once: unused rows become an identity."""
    size = len(right)
    masks = np.zeros((len(places), size))
    for row, used in enumerate(places):
        masks[row, list(used)] = 1.0
    systems = gram * masks[:, :, None] * masks[:, None, :]
    diagonal = np.arange(size)
    systems[:, diagonal, diagonal] += 1.0 - masks + masks * 1e-9 * np.diag(gram)
    solved = np.linalg.solve(systems, (masks * right)[:, :, None])[:, :, 0]
    return np.asarray(solved, dtype=np.float64)
