"""A first ranking of many ARMA orders at once, by the regressions of Hannan and Rissanen (1982).

Belongs here: the long autoregression whose residuals stand in for the shocks, one Gram matrix of
all lags, and least squares on a subset of it per order. Does not belong here: a fit that anything
but a choice depends on (`css`, `exact_arma`).
"""

from collections.abc import Sequence

import numpy as np

from quant.forecasting.arma_order import ArmaOrder
from quant.forecasting.css import log_likelihood
from quant.forecasting.order_candidates import SearchLimits, aicc
from quant.market.panel import FloatArray

_LONG_AR_MIN, _LONG_AR_PER_LOG10 = 10, 10.0


def rank_orders(
    orders: Sequence[ArmaOrder],
    series: FloatArray,
    columns: FloatArray,
    limits: SearchLimits,
    observed: int,
) -> list[tuple[int, FloatArray]]:
    """Places in `orders`, best first, each with its first estimates of the lags."""
    deviations = series - regress(series, columns) @ columns
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


def regress(series: FloatArray, columns: FloatArray) -> FloatArray:
    """Coefficients of the columns by plain least squares; none without columns."""
    if len(columns) == 0:
        return np.empty(0)
    return np.asarray(np.linalg.lstsq(columns.T, series, rcond=None)[0], dtype=np.float64)


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
