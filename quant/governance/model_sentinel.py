"""The leakage sentinel for forecasters: their signs on shuffled markets, and a rewritten future.

Belongs here: putting a `Forecaster` through the two trials of `validation`. Does not belong here:
rules that are plain functions of returns (`validation.leakage_sentinel`).

Every symbol is drawn anew on its own, so that neither time nor the market as a whole is left to
forecast. Symbols with a missing return are left out: a gap would move through the draws. Four
symbols are enough: the standard error depends on the sessions, not on how many symbols share them.
Many shuffled markets are rows of one panel, which a filter walks through once.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quant.core.errors import DataError
from quant.core.identity import seed_of
from quant.forecasting.port import FittedState, Forecaster
from quant.forecasting.returns import ReturnPanel
from quant.governance.validation import (
    SentinelReport,
    sentinel_words,
    shuffles_needed,
)
from quant.market.panel import FloatArray
from quant.portfolio.measures import SESSIONS_PER_YEAR

_CUTS = 3
_SYMBOLS_MAX = 4
# Rows enough to make a step through time cheap for each, few enough to stay in the cache.
_MARKETS_AT_ONCE = 64


def forecaster_sentinel(
    forecaster: Forecaster, panel: ReturnPanel, *, fit_sessions: int, sharpe_max: float
) -> SentinelReport:
    """Fit on the first `fit_sessions`, then forecast what follows: shuffled, and rewritten.

    Its positions are the signs of its one-day forecasts, all symbols with equal weight.
    """
    gapless = [
        symbol
        for symbol, row in zip(panel.symbols, panel.values, strict=True)
        if np.isfinite(row).all()
    ]
    known = panel.rows(tuple(gapless[:_SYMBOLS_MAX]))
    first, end = fit_sessions, len(known.sessions)
    if not known.symbols or end - first < 100:
        raise DataError(
            f"{end - first} sessions of {len(known.symbols)} gapless symbols after the fit are too "
            "few to look for a leak",
            remedy="load more history",
        )
    rng = np.random.default_rng(
        seed_of("model sentinel", forecaster.name, known.symbols, str(known.sessions[-1]))
    )
    session = known.sessions[first - 1].item()
    states = forecaster.fit(known, session=session)
    leak = _first_leak(forecaster, known, states, first=first, rng=rng)
    shuffles = shuffles_needed(end - first, sharpe_max=sharpe_max)
    found = _shuffled_sharpes(forecaster, states, known, first=first, count=shuffles, rng=rng)
    mean = float(np.mean(found))
    return SentinelReport(
        sharpe=mean,
        standard_error=float(np.std(found, ddof=1) / math.sqrt(shuffles)),
        shuffles=shuffles,
        sharpe_max=sharpe_max,
        first_leak=leak,
        reason=sentinel_words(mean, leak, sharpe_max),
    )


def worst(reports: Sequence[SentinelReport]) -> SentinelReport:
    """Of the parts of a combination, the one that leaks, or else earned most."""
    return max(reports, key=lambda one: (one.first_leak is not None, abs(one.sharpe)))


def _first_leak(
    forecaster: Forecaster,
    panel: ReturnPanel,
    states: Sequence[FittedState],
    *,
    first: int,
    rng: np.random.Generator,
) -> int | None:
    """The first session whose forecast, or whose fit, moved when only its future was rewritten."""
    truth = forecaster.one_step(states, panel, first=first).mean
    spread = panel.values.std(axis=1, keepdims=True)
    for cut in np.linspace(first, len(panel.sessions) - 2, _CUTS).astype(int):
        values = panel.values.copy()
        values[:, cut:] = rng.normal(size=values[:, cut:].shape) * 3.0 * spread
        rewritten = _with(panel, values)
        again = forecaster.fit(rewritten, session=panel.sessions[first - 1].item())
        if [one.params for one in again] != [one.params for one in states]:
            return first
        moved = forecaster.one_step(states, rewritten, first=first).mean
        # The forecast for the session `cut` is made before its return is known.
        until = cut - first + 1
        same = (moved == truth) | (np.isnan(moved) & np.isnan(truth))
        places = np.flatnonzero(~same[:, :until].all(axis=0))
        if len(places):
            return first + int(places[0])
    return None


def _shuffled_sharpes(
    forecaster: Forecaster,
    states: Sequence[FittedState],
    panel: ReturnPanel,
    *,
    first: int,
    count: int,
    rng: np.random.Generator,
) -> FloatArray:
    """What the model's signs earn in each of `count` shuffled markets."""
    centred = panel.values - panel.values.mean(axis=1, keepdims=True)
    found = []
    for begin in range(0, count, _MARKETS_AT_ONCE):
        markets = range(min(_MARKETS_AT_ONCE, count - begin))
        drawn = ReturnPanel(
            symbols=tuple(f"{name}#{market}" for market in markets for name in panel.symbols),
            sessions=panel.sessions,
            values=np.concatenate([_redrawn(centred, rng) for _ in markets]),
        )
        copies = [
            replace(state, symbol=f"{state.symbol}#{market}")
            for market in markets
            for state in states
        ]
        mean = forecaster.one_step(copies, drawn, first=first).mean
        earned = np.nan_to_num(np.sign(mean)) * drawn.values[:, first:]
        found.append(_sharpes(earned.reshape(len(markets), len(states), -1).mean(axis=1)))
    return np.concatenate(found)


def _sharpes(earned: FloatArray) -> FloatArray:
    """One a row; a row that holds nothing earns nothing."""
    deviation = earned.std(axis=1, ddof=1)
    ratio = np.divide(
        earned.mean(axis=1), deviation, out=np.zeros(len(earned)), where=deviation > 0
    )
    return np.asarray(ratio * math.sqrt(SESSIONS_PER_YEAR))


def _redrawn(centred: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.stack([rng.choice(row, size=len(row)) for row in centred])


def _with(panel: ReturnPanel, values: FloatArray) -> ReturnPanel:
    return ReturnPanel(symbols=panel.symbols, sessions=panel.sessions, values=values)
