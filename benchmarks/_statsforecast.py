"""Rivals of the accuracy table: statsforecast's automatic ARIMA, ETS and Theta on log prices.

Each sees the same window of returns as ours, as the log price that they sum to, and answers with
its own intervals at 50 and 90 %; their centre is mean and median. Underscored, since it is no
benchmark of its own.
"""

import datetime as dt
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from quant.core.compute import Done, fan_out
from quant.forecasting.forecast import Predictive, Provenance, build_batch
from quant.forecasting.returns import ReturnPanel

RIVALS = ("AutoARIMA", "AutoETS", "AutoTheta")
# Half the width of a 90 % interval in deviations of a normal.
_NORMAL_95 = 1.6448536269514722

Task = tuple[str, np.ndarray, tuple[int, ...]]


def rival_forecasts(
    name: str,
    panel: ReturnPanel,
    *,
    origins: Sequence[int],
    window: int,
    horizons: tuple[int, ...],
    as_of: Callable[[dt.date], dt.datetime],
    workers: int,
) -> tuple[pd.DataFrame, int]:
    """Rows of `FORECAST_COLUMNS` after each origin, and how many fits failed."""
    cells = [(origin, row) for origin in origins for row in range(len(panel.symbols))]
    tasks = [
        (name, panel.values[row, max(origin + 1 - window, 0) : origin + 1], horizons)
        for origin, row in cells
    ]
    answers = fan_out(forecast_one, tasks, workers=workers, imports=("statsforecast.models",))
    frames, failures = [], 0
    for place, origin in enumerate(origins):
        mine = answers[place * len(panel.symbols) : (place + 1) * len(panel.symbols)]
        able = [row for row, answer in enumerate(mine) if isinstance(answer, Done)]
        failures += len(mine) - len(able)
        values = np.array([answer.value for answer in mine if isinstance(answer, Done)])
        if not able:
            continue
        session: dt.date = panel.sessions[origin].item()
        mean, std, around = values[:, :, 0], values[:, :, 1], values[:, :, 2:]
        batch = build_batch(
            Predictive(
                mean=mean,
                std=std,
                degrees_of_freedom=np.full(mean.shape, np.inf),
                around_mean=around,
            ),
            [
                Provenance(
                    symbol=panel.symbols[row], fit_as_of=session, params_hash=name, diagnostics={}
                )
                for row in able
            ],
            model=name,
            session=session,
            as_of=as_of(session),
            horizons=horizons,
        )
        frames.append(batch.forecasts)
        failures += len(batch.failures)
    return pd.concat(frames, ignore_index=True), failures


def forecast_one(task: Task) -> np.ndarray:
    """(horizons, 7): mean, deviation and quantiles around the mean, of cumulated log returns."""
    from statsforecast import models

    name, returns, horizons = task
    prices = np.concatenate([[0.0], np.cumsum(returns[np.isfinite(returns)])])
    # A hundred, so that their optimisers meet numbers near one: exact rescaling of the outcome.
    model = getattr(models, name)(season_length=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = model.forecast(y=100.0 * prices + 1000.0, h=max(horizons), level=[50, 90])
    at = np.asarray(horizons) - 1
    mean = told["mean"][at] / 100.0 - 10.0 - prices[-1]
    bounds = np.stack([told[key][at] for key in ("lo-90", "lo-50", "mean", "hi-50", "hi-90")])
    quantiles = bounds.T / 100.0 - 10.0 - prices[-1]
    around = np.sort(quantiles - mean[:, None], axis=1)
    std = (around[:, 4] - around[:, 0]) / (2.0 * _NORMAL_95)
    return np.column_stack([mean, std, around])
