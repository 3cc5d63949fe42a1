"""How far a low-rank forecast could be wrong because its numbers are estimates.

Belongs here: the sieve bootstrap of one path and what follows from it. Does not belong here: the
surprises of the future, whose variance the filter carries.
"""

import numpy as np

from quant.core.identity import seed_of
from quant.forecasting.decomposers import NumpyDecomposer
from quant.forecasting.lowrank import (
    Paths,
    ResidualModel,
    embed_all,
    leading_subspaces,
    paths_of,
    residual_model,
)
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.recurrence import product_coefficients, weights_ahead
from quant.forecasting.ssa_policy import SsaPolicy
from quant.market.panel import FloatArray

# The doubt is a mean over states of the window; neighbouring states hardly differ.
_DOUBT_EVERY_SESSIONS = 5


def doubt_and_trust(
    paths: Paths, signal: FloatArray, fitted: ResidualModel, ssa: SsaPolicy
) -> tuple[FloatArray, FloatArray]:
    """Of the forecast sums over 1, 2, ... sessions: variance due to the estimates, share to keep.

    Paths are simulated from the fitted model with its own surprises, redrawn; each is fitted anew,
    and the forecasts by the new numbers are compared with the forecasts by the old ones from states
    of the true window (a sieve bootstrap, Buehlmann 1997). The draws are the same for all symbols.
    What a forecast promises beside the drift is then part signal and part error of the estimates;
    the share of signal, which is 1 - error / whole, is kept (James and Stein 1961, positive part).
    That takes the model for true; so no more is kept than its record in the window supports.
    """
    rng = np.random.default_rng(seed_of("samossa", "doubt", ssa.bootstrap_replicates))
    surprises = fitted.surprises[0][np.isfinite(fitted.surprises[0])]
    coefficients = product_coefficients(signal, fitted.coefficients)[0]
    lags, length = len(coefficients), paths.deviations.shape[1]
    shape = (ssa.bootstrap_replicates, length - lags)
    # Indices from unit draws, so that a window of another length sees nearly the same draws.
    drawn = surprises[(rng.random(shape) * len(surprises)).astype(np.int64)]
    returns = _simulated(paths, coefficients, drawn - surprises.mean())
    again = paths_of(returns, np.zeros(len(returns), dtype=np.int64))
    columns = embed_all(again, window=ssa.window_sessions, kind=ssa.matrix)
    subspaces = leading_subspaces(
        *NumpyDecomposer().eigen(columns, np.arange(len(returns))),
        energy_share_min=ssa.energy_share_min,
        growth_max=ssa.growth_per_session_max,
    )
    refitted = residual_model(again, subspaces.coefficients)
    others = product_coefficients(subspaces.coefficients, refitted.coefficients)
    line = paths.drift * np.arange(1, length + 1)
    raw = paths.deviations[0] + paths.level + line
    old = _promised(raw, paths.drift, paths.level, coefficients[None, :])
    new = _promised(raw, again.drift, again.level, others)
    error = np.mean((new - old) ** 2, axis=(0, 1))
    whole = np.mean(old * old, axis=(0, 1))
    share = np.where(error < whole, 1.0 - error / np.maximum(whole, error), 0.0)
    trust = np.minimum(share, record_slope(paths, fitted))
    days = np.arange(1, HORIZON_DAYS_MAX + 1)
    # A model that returns to its line makes paths that show their drift too well; at least it is as
    # uncertain as a mean of independent returns.
    of_mean = float(fitted.variance[0]) / int(paths.known.sum())
    drift_error = max(float(np.mean((again.drift - paths.drift) ** 2)), of_mean)
    return drift_error * days * days + trust * error, trust


def record_slope(paths: Paths, fitted: ResidualModel) -> float:
    """How much of what was promised for a session came, from none to all of it.

    The slope of returns on promises, both beside the drift (Mincer and Zarnowitz 1969).
    """
    came = np.diff(paths.deviations[0], prepend=np.nan)
    promised = came - fitted.surprises[0]
    counted = np.isfinite(promised)
    power = float(np.sum(promised[counted] ** 2))
    together = float(np.sum(promised[counted] * came[counted]))
    return min(max(together / power, 0.0), 1.0) if power > 0.0 else 0.0


def _simulated(paths: Paths, coefficients: FloatArray, drawn: FloatArray) -> FloatArray:
    """Returns of paths that begin as the true one did and go on with other surprises."""
    from scipy.signal import lfilter, lfiltic

    lags = len(coefficients)
    opening = paths.deviations[0, :lags]
    memory = lfiltic([1.0], np.concatenate([[1.0], -coefficients]), opening[::-1])
    rest, _ = lfilter(
        [1.0],
        np.concatenate([[1.0], -coefficients]),
        drawn,
        axis=1,
        zi=np.broadcast_to(memory, (len(drawn), lags)),
    )
    whole = np.concatenate([np.broadcast_to(opening, (len(drawn), lags)), rest], axis=1)
    returns: FloatArray = np.diff(whole + paths.level, axis=1, prepend=0.0) + paths.drift
    return returns


def _promised(
    raw: FloatArray, drift: FloatArray, level: FloatArray, coefficients: FloatArray
) -> FloatArray:
    """Forecast sums beside the drift from states of one path, (fits, states, horizons)."""
    lags = coefficients.shape[1]
    line = drift[:, None] * np.arange(1, len(raw) + 1) + level[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(raw - line, lags, axis=1)
    states = windows[:, ::-_DOUBT_EVERY_SESSIONS, ::-1]
    ahead = weights_ahead(coefficients, HORIZON_DAYS_MAX)
    promised: FloatArray = states @ np.swapaxes(ahead, 1, 2) - states[:, :, :1]
    return promised
