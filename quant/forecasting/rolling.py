"""Rolling origin: what models and their ensemble would have said after chosen sessions of the past.

Belongs here: fitting and forecasting at origins, and the ensemble over the models' answers with the
weights it would have had. Does not belong here: figures (`accuracy_table`). Nothing looks past an
origin but the losses between it and the next one, which only later origins see.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quant.forecasting.combine import combine
from quant.forecasting.forecast import (
    FORECAST_COLUMNS,
    ForecastBatch,
    Predictive,
)
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, Forecaster, start_params
from quant.forecasting.record import FORECAST_INPUTS, SCORE_INPUTS, record_grid
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.scoring import pinball_loss

AsOf = Callable[[dt.date], dt.datetime]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rolled:
    """One model's forecasts after its origins, and its one-day losses on the sessions between.

    `forecasts` are rows of `FORECAST_COLUMNS`, `losses` of `SCORE_INPUTS`; `failures` counts the
    symbols that had no forecast, over all origins.
    """

    forecasts: pd.DataFrame
    losses: pd.DataFrame
    failures: int


def roll_origins(
    forecaster: Forecaster,
    panel: ReturnPanel,
    *,
    origins: Sequence[int],
    until: int,
    horizons: Sequence[int],
    as_of: AsOf,
) -> Rolled:
    """Fit after each session at the positions `origins`, forecast, and filter on to the next.

    `until` is the position up to which the last fit is filtered. Each fit begins at the one before.
    """
    frames, losses, failures = [], [], 0
    states: list[FittedState] = []
    for origin, following in zip(origins, [*origins[1:], until], strict=True):
        session: dt.date = panel.sessions[origin].item()
        known = panel.columns(slice(0, origin + 1))
        states = forecaster.fit(known, session=session, start=start_params(states))
        batch = forecaster.forecast(
            states, known, session=session, as_of=as_of(session), horizons=horizons
        )
        frames.append(batch.forecasts)
        failures += len(batch.failures)
        if following > origin:
            seen = panel.columns(slice(0, following + 1))
            path = forecaster.one_step(states, seen, first=origin + 1)
            losses.append(_losses(forecaster.name, path, seen, origin + 1))
    return Rolled(
        forecasts=pd.concat(frames, ignore_index=True),
        losses=pd.concat(losses or [pd.DataFrame(columns=list(SCORE_INPUTS))], ignore_index=True),
        failures=failures,
    )


def combine_origins(
    rolled: Mapping[str, Rolled],
    panel: ReturnPanel,
    *,
    origins: Sequence[int],
    policy: ForecastPolicy,
    as_of: AsOf,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ensemble's forecasts and weights after each origin, from the losses known by then."""
    nothing = pd.DataFrame(columns=list(FORECAST_INPUTS))
    told = [one.losses for one in rolled.values() if len(one.losses)]
    losses = pd.concat(told or [pd.DataFrame(columns=list(SCORE_INPUTS))], ignore_index=True)
    grid = record_grid(losses, nothing, panel, models=tuple(rolled))
    by_session = {
        model: dict(iter(one.forecasts.groupby("session", sort=False)))
        for model, one in rolled.items()
    }
    forecasts, weights = [], []
    for origin in origins:
        session: dt.date = panel.sessions[origin].item()
        none = pd.DataFrame(columns=list(FORECAST_COLUMNS))
        found = combine(
            {
                model: ForecastBatch(forecasts=rows.get(session, none), failures=())
                for model, rows in by_session.items()
            },
            symbols=panel.symbols,
            session=session,
            as_of=as_of(session),
            models=tuple(rolled),
            record=grid.known_on(
                session,
                sessions_count=policy.ensemble.record_sessions,
                window_sessions=policy.fit_window_sessions,
            ),
            policy=policy.ensemble,
        )
        forecasts.append(found.batch.forecasts)
        weights.append(found.weights)
    return pd.concat(forecasts, ignore_index=True), pd.concat(weights, ignore_index=True)


def _losses(model: str, path: Predictive, panel: ReturnPanel, first: int) -> pd.DataFrame:
    outcome = panel.values[:, first:]
    squared = (outcome - path.mean) ** 2
    pinball = pinball_loss(outcome, path.quantiles()).mean(axis=-1)
    symbol, session = np.nonzero(path.is_usable() & np.isfinite(outcome))
    return pd.DataFrame(
        {
            "symbol": np.array(panel.symbols, dtype=object)[symbol],
            "session": panel.sessions[first:][session],
            "model": model,
            "squared_error": squared[symbol, session],
            "pinball": pinball[symbol, session],
        },
        columns=list(SCORE_INPUTS),
    )
