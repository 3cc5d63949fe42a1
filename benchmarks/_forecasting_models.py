"""Automatic SARIMAX and GARCH against the packages that do the same, on the bundled stocks.

Every series is the last 504 sessions of one stock. SARIMAX and its rivals get the same logarithms
of prices and find differences, order and constant themselves within equal limits: p and q up to 3,
P and Q up to 1 with seasons of 5 sessions, at most 5 lags, no seasonal difference, stepwise where a
rival offers it, AICc throughout. So ours runs without the two settings of the nightly that are
stricter than AICc (a minimal gain, and the same gain on returns divided by their volatility).
Whose order is better is told by one exact likelihood for both, that of statsmodels' Kalman filter
on the differenced series, at each one's own parameters. GARCH(1,1) with Student-t shocks gets the
same enlarged returns as arch.

Everything is single-threaded, in one process, warmed up, product and rival in turns.
"""

import importlib
import json
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quant.core.compute import single_threaded
from quant.forecasting.arma_order import lags_of, order_of, polynomials
from quant.forecasting.fitting import FitTask, unit_scale
from quant.forecasting.garch_fit import fit_kinds
from quant.forecasting.garch_likelihood import GarchSeries, VolatilityKind
from quant.forecasting.order_candidates import aicc
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import Params
from quant.forecasting.sarimax_fit import fit_sarimax
from quant.forecasting.stationarity import differences_needed
from quant.market.panel import FloatArray

SESSIONS = 504
SEASON = 5
LIMIT_STATSFORECAST, LIMIT_PMDARIMA = 0.5, 1.0 / 30.0
LIMIT_GARCH_WARM, LIMIT_GARCH_COLD = 0.35, 1.0
# Ours may be worse by this much of AICc on a tenth of the series.
AICC_WORSE_MAX, MISSES_SHARE_MAX = 2.0, 0.10
LOG_LIKELIHOOD_WITHIN = 0.01
_SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "us_equity_adjclose_daily.parquet"
_POLICY = ForecastPolicy(
    sarimax_aicc_gain_min=0.0, sarimax_is_confirmed_calm=False, sarimax_may_drop_constant=True
)
_GARCH = VolatilityKind(model="garch", distribution="t")
_LIBRARIES = ("arch", "pmdarima", "scipy.signal", "statsforecast.arima", "statsmodels.tsa.api")

Row = dict[str, object]
# Differences, exact AICc at the rival's own parameters.
Answer = tuple[int, float]


def rows(*, series: int = 20, pmdarima_series: int = 20) -> list[Row]:
    """Ratios of time and of quality; `series` stocks, the slowest rival on fewer if asked."""
    prices = log_prices(series)
    for module in _LIBRARIES:
        # Before the limit on threads, which reaches only what is loaded.
        importlib.import_module(module)
    # Rivals warn of their own optimisers on most series.
    with single_threaded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [*_sarimax_rows(prices, pmdarima_series), *_garch_rows(prices)]


def run() -> list[Row]:
    """All series, for `pmx bench`."""
    return rows()


def log_prices(series: int) -> dict[str, FloatArray]:
    """Logarithms of adjusted closes by symbol, one more than there are returns."""
    frame = pd.read_parquet(_SAMPLE)
    wide = frame.pivot(index="date", columns="symbol", values="adj_close").sort_index()
    logs = np.log(wide.to_numpy(dtype=float)[-SESSIONS - 1 :])
    return {str(name): logs[:, place] for place, name in enumerate(wide.columns[:series])}


def ours(logs: FloatArray) -> Answer:
    """Differences by KPSS, then the fit of the nightly under plain AICc."""
    differences = differences_needed(logs)
    values = np.diff(logs, n=differences)
    params = fit_sarimax(FitTask(values=values, start=None, policy=_POLICY)).params
    return differences, _aicc_of_params(values, params)


def statsforecast(logs: FloatArray) -> Answer:
    """The function behind AutoARIMA."""
    from statsforecast.arima import auto_arima_f

    model = auto_arima_f(
        logs, D=0, max_p=3, max_q=3, max_P=1, max_Q=1, max_order=5, ic="aicc", period=SEASON
    )
    ar, ma, seasonal_ar, seasonal_ma, season, differences, _ = model["arma"]
    lags = [float(value) for name, value in model["coef"].items() if "ma" in name or "ar" in name]
    means = [
        float(value) for name, value in model["coef"].items() if name in ("intercept", "drift")
    ]
    order = (ar, ma, seasonal_ar, seasonal_ma, season)
    values = np.diff(logs, n=differences)
    return int(differences), _aicc_at(values, order, lags, means, float(model["sigma2"]))


def pmdarima(logs: FloatArray) -> Answer:
    """auto_arima as it comes, stepwise."""
    from pmdarima import auto_arima

    model = auto_arima(
        logs,
        D=0,
        max_p=3,
        max_q=3,
        max_P=1,
        max_Q=1,
        max_order=5,
        m=SEASON,
        information_criterion="aicc",
        stepwise=True,
        suppress_warnings=True,
        error_action="ignore",
    )
    return int(model.order[1]), float(model.aicc())


def _aicc_of_params(values: FloatArray, params: Params) -> float:
    order = order_of(params)
    lags = lags_of(params, order)
    mean = params["intercept"] / polynomials(order, lags).ar_sum
    shape = (order.ar, order.ma, order.seasonal_ar, order.seasonal_ma, order.season_sessions)
    means = [mean] if order.has_constant else []
    return _aicc_at(values, shape, lags, means, params["variance"])


def _aicc_at(
    values: FloatArray,
    order: Sequence[int],
    lags: Sequence[float] | FloatArray,
    means: Sequence[float],
    variance: float,
) -> float:
    """By statsmodels' filter, on the deviations from the mean, in units of daily returns."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    ar, ma, seasonal_ar, seasonal_ma, season = order
    scale = unit_scale(values)
    is_seasonal = seasonal_ar + seasonal_ma > 0
    model = SARIMAX(
        (values - sum(means)) * scale,
        order=(ar, 0, ma),
        seasonal_order=(seasonal_ar, 0, seasonal_ma, season if is_seasonal else 0),
    )
    likelihood = float(model.loglike(np.array([*lags, variance * scale * scale])))
    likelihood += len(values) * float(np.log(scale))
    return aicc(likelihood, len(lags) + len(means) + 1, len(values))


def _sarimax_rows(prices: dict[str, FloatArray], pmdarima_series: int) -> list[Row]:
    names = list(prices)
    slow = names[:pmdarima_series]
    for function in (ours, statsforecast, pmdarima):
        function(prices[names[0]])
    seconds, answers = _in_turns([prices[name] for name in names], [ours, statsforecast])
    slow_seconds, _ = _in_turns([prices[name] for name in slow], [ours, pmdarima])
    gaps = [
        mine[1] - theirs[1] if mine[0] == theirs[0] else np.inf
        for mine, theirs in zip(answers[0], answers[1], strict=True)
    ]
    misses = sum(not gap <= AICC_WORSE_MAX for gap in gaps)
    notes = {"series": len(names), "sessions": SESSIONS}
    return [
        _row(
            "sarimax_auto_vs_statsforecast",
            seconds[0] / seconds[1],
            LIMIT_STATSFORECAST,
            **notes,
            **_milliseconds(seconds, len(names)),
        ),
        _row(
            "sarimax_auto_vs_pmdarima_stepwise",
            slow_seconds[0] / slow_seconds[1],
            LIMIT_PMDARIMA,
            **{**notes, "series": len(slow)},
            **_milliseconds(slow_seconds, len(slow)),
        ),
        _row(
            "sarimax_aicc_misses_vs_statsforecast",
            misses / len(names) / MISSES_SHARE_MAX,
            1.0,
            **notes,
            misses=misses,
            aicc_gap_median=round(float(np.median(gaps)), 2),
            aicc_gap_worst=round(float(np.max(gaps)), 2),
        ),
    ]


def _garch_rows(prices: dict[str, FloatArray]) -> list[Row]:
    series = []
    for logs in prices.values():
        returns = np.diff(logs)
        series.append(returns * unit_scale(returns))
    before = [_fit_garch(values[:-5]) for values in series]
    starts = {id(values): (_GARCH, fit[1]) for values, fit in zip(series, before, strict=True)}

    def warm(values: FloatArray) -> tuple[float, FloatArray]:
        return _fit_garch(values, starts[id(values)])

    for function in (_fit_garch, _fit_arch):
        function(series[0])
    seconds, answers = _in_turns(series, [warm, _fit_garch, _fit_arch])
    found = np.array([[answer[0] for answer in each] for each in answers])
    gaps = found[:2] - found[2]
    notes = {"series": len(series), "sessions": SESSIONS}
    limits = (("warm", LIMIT_GARCH_WARM), ("cold", LIMIT_GARCH_COLD))
    times = [
        _row(
            f"garch_t_{name}_vs_arch_cold",
            seconds[place] / seconds[2],
            limit,
            **notes,
            **_milliseconds([seconds[place], seconds[2]], len(series)),
        )
        for place, (name, limit) in enumerate(limits)
    ]
    lost = [max(float(-gaps[place].min()), 0.0) for place in range(2)]
    return times + [
        _row(
            f"garch_t_{name}_log_likelihood_lost",
            lost[place] / LOG_LIKELIHOOD_WITHIN,
            1.0,
            **notes,
            log_likelihood_lost_most=round(lost[place], 6),
        )
        for place, (name, _) in enumerate(limits)
    ]


def _fit_garch(
    values: FloatArray, earlier: tuple[VolatilityKind, FloatArray] | None = None
) -> tuple[float, FloatArray]:
    [fit] = fit_kinds(GarchSeries(values=values), [_GARCH], earlier)
    return fit.log_likelihood, fit.theta


def _fit_arch(values: FloatArray) -> tuple[float, FloatArray]:
    from arch import arch_model

    model = arch_model(values, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    result = model.fit(disp="off", show_warning=False)
    return float(result.loglikelihood), result.params.to_numpy()


def _in_turns(
    series: Sequence[FloatArray], functions: Sequence[Callable[[FloatArray], Any]]
) -> tuple[list[float], list[list[Any]]]:
    """Seconds and answers per function; who goes first on a series alternates."""
    seconds = [0.0] * len(functions)
    answers: list[list[Any]] = [[] for _ in functions]
    for index, values in enumerate(series):
        places = list(range(len(functions)))
        for place in places if index % 2 == 0 else reversed(places):
            began = time.perf_counter()
            answers[place].append(functions[place](values))
            seconds[place] += time.perf_counter() - began
    return seconds, answers


def _milliseconds(seconds: Sequence[float], count: int) -> Row:
    return {
        "product_ms": round(1e3 * seconds[0] / count, 1),
        "rival_ms": round(1e3 * seconds[1] / count, 1),
    }


def _row(name: str, ratio: float, limit: float, **notes: object) -> Row:
    return {
        "name": name,
        "ratio": round(ratio, 4),
        "limit": round(limit, 4),
        "holds": ratio <= limit,
        **notes,
    }


if __name__ == "__main__":
    print(json.dumps({"bench": "forecasting_models", "rows": run()}))
