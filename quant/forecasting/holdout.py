"""How a model would have done lately: one-day forecasts through a window it was not fitted on.

Belongs here: rolling a model through the last sessions beside the naive drift, and the figures.
Does not belong here: whether the figures are good enough (`quant.governance.audits`). Parameters
are fitted on the session before the window, or anew every `refit_every_sessions`; in between only
the filter moves, so no forecast sees its own future.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.forecasting.forecast import Predictive
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, Forecaster, start_params
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.scoring import direction_hit, pinball_loss
from quant.market.panel import FloatArray

HOLDOUT_COLUMNS: Final = (
    "model",
    "baseline",
    "symbol",
    "observations",
    "rmse",
    "rmse_baseline",
    "rmse_ratio",
    "pinball",
    "pinball_baseline",
    "pinball_ratio",
    "coverage_50",
    "coverage_90",
    "directional_accuracy",
)
POOLED: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdout:
    """Figures of one model against the baseline, per symbol and pooled (symbol "*").

    Both are counted only where both forecast and the return is known. `silent` tells why a symbol
    has no forecasts.
    """

    model: str
    baseline: str
    first_session: dt.date
    last_session: dt.date
    sessions_count: int
    rows: pd.DataFrame
    silent: Mapping[str, str]

    @property
    def pooled(self) -> Mapping[str, Any]:
        """The row over all symbols."""
        row = self.rows[self.rows["symbol"] == POOLED].iloc[0]
        return {str(name): value for name, value in row.items()}

    @property
    def symbols_count(self) -> int:
        """Symbols with at least one counted session."""
        return int(((self.rows["symbol"] != POOLED) & (self.rows["observations"] > 0)).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoldoutPath:
    """One model's one-day forecasts over the window, (symbols, sessions)."""

    model: str
    path: Predictive
    silent: Mapping[str, str]


def hold_out(
    forecaster: Forecaster,
    panel: ReturnPanel,
    *,
    policy: ForecastPolicy,
    sessions_count: int | None = None,
    refit_every_sessions: int | None = None,
) -> Holdout:
    """The last sessions of `panel`, 250 by policy, against naive drift."""
    count = sessions_count or policy.holdout_sessions
    naive = roll(NaiveForecaster(policy=policy), panel, sessions_count=count)
    rolled = roll(
        forecaster, panel, sessions_count=count, refit_every_sessions=refit_every_sessions
    )
    return compare(rolled, naive, panel, sessions_count=count)


def roll(
    forecaster: Forecaster,
    panel: ReturnPanel,
    *,
    sessions_count: int,
    refit_every_sessions: int | None = None,
) -> HoldoutPath:
    """One-day forecasts for the last `sessions_count` sessions."""
    first, end = len(panel.sessions) - sessions_count, len(panel.sessions)
    if first < 1:
        raise DataError(
            f"a hold-out of {sessions_count} sessions needs more than the {end} there are",
            remedy="load more history, or lower holdout_sessions",
        )
    pieces: list[Predictive] = []
    states: list[FittedState] = []
    silent: dict[str, str] = {}
    for begin in range(first, end, refit_every_sessions or sessions_count):
        fit_session: dt.date = panel.sessions[begin - 1].item()
        states = forecaster.fit(panel, session=fit_session, start=start_params(states))
        silent |= {state.symbol: state.reason for state in states if not state.is_usable}
        piece_end = min(begin + (refit_every_sessions or sessions_count), end)
        known = panel.columns(slice(0, piece_end))
        pieces.append(forecaster.one_step(states, known, first=begin))
    return HoldoutPath(model=forecaster.name, path=_side_by_side(pieces), silent=silent)


def compare(
    rolled: HoldoutPath, baseline: HoldoutPath, panel: ReturnPanel, *, sessions_count: int
) -> Holdout:
    """Figures of `rolled` beside those of `baseline`, over equal cells."""
    window = panel.last(sessions_count)
    counted = np.isfinite(window.values) & rolled.path.is_usable() & baseline.path.is_usable()
    model_scores = _score(rolled.path, window.values)
    baseline_scores = _score(baseline.path, window.values)
    groups = [*((symbol, [row]) for row, symbol in enumerate(panel.symbols))]
    groups.append((POOLED, list(range(len(panel.symbols)))))
    rows = [
        [
            rolled.model,
            baseline.model,
            symbol,
            *_figures(_pick(model_scores, counted, which), _pick(baseline_scores, counted, which)),
        ]
        for symbol, which in groups
    ]
    return Holdout(
        model=rolled.model,
        baseline=baseline.model,
        first_session=window.sessions[0].item(),
        last_session=window.sessions[-1].item(),
        sessions_count=len(window.sessions),
        rows=pd.DataFrame(rows, columns=list(HOLDOUT_COLUMNS)),
        silent=rolled.silent,
    )


Scores = dict[str, FloatArray]


def _score(path: Predictive, outcome: FloatArray) -> Scores:
    quantiles = path.quantiles()
    within = (outcome[..., None] >= quantiles) & (outcome[..., None] <= quantiles[..., ::-1])
    return {
        "squared": (outcome - path.mean) ** 2,
        "pinball": pinball_loss(outcome, quantiles).mean(axis=-1),
        "in_50": within[..., 1].astype(float),
        "in_90": within[..., 0].astype(float),
        "hit": direction_hit(path.mean, outcome),
    }


def _pick(scores: Scores, counted: np.ndarray[Any, np.dtype[np.bool_]], which: list[int]) -> Scores:
    return {name: values[which][counted[which]] for name, values in scores.items()}


def _figures(model: Scores, baseline: Scores) -> list[float]:
    observations = len(model["squared"])
    if observations == 0:
        return [0, *[float("nan")] * (len(HOLDOUT_COLUMNS) - 4)]
    rmse, rmse_baseline = (float(np.sqrt(s["squared"].mean())) for s in (model, baseline))
    pinball, pinball_baseline = (float(s["pinball"].mean()) for s in (model, baseline))
    hits = model["hit"][np.isfinite(model["hit"])]
    return [
        observations,
        rmse,
        rmse_baseline,
        rmse / rmse_baseline,
        pinball,
        pinball_baseline,
        pinball / pinball_baseline,
        float(model["in_50"].mean()),
        float(model["in_90"].mean()),
        float(hits.mean()) if len(hits) else float("nan"),
    ]


def _side_by_side(pieces: list[Predictive]) -> Predictive:
    return Predictive(
        mean=np.concatenate([piece.mean for piece in pieces], axis=1),
        std=np.concatenate([piece.std for piece in pieces], axis=1),
        degrees_of_freedom=np.concatenate([piece.degrees_of_freedom for piece in pieces], axis=1),
    )
