"""How much each model of an ensemble counts, from what was known that night, with the reasons.

Belongs here: the evidence and the rule from evidence to weights, for many symbols at once.
Does not belong here: joining forecasts (`combine`), or where evidence is stored. A model's odds are
a product: how its fit explains its own window, how its scored forecasts did beside naive drift, and
whether a recent change favours quick models. Odds become shares, naive drift gets its part, and no
other model more than the cap. Evidence that is missing counts as neutral, never as bad.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from quant.forecasting.ensemble_policy import EnsemblePolicy
from quant.forecasting.forecast import BoolArray
from quant.forecasting.kernels import IntArray
from quant.forecasting.variance_break import variance_break
from quant.forecasting.variance_ratio import variance_ratio
from quant.market.panel import FloatArray

NAIVE: Final = "naive"
PARTS: Final = ("mean", "volatility")

# A gain of more than a nat a return over a constant normal is no better fit: then the criterion is
# that of enlarged returns, and comparing it would hand one model everything.
_GAIN_MAX: Final = 1.0
# Losses further apart than this are an accident of few numbers.
_RATIO_MIN, _RATIO_MAX = 0.1, 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What is known of some symbols beside tonight's forecasts.

    `squared` and `pinball` hold by model the losses of past one-day forecasts, (symbols, sessions),
    `returns` the daily log returns of a window as long as that of the fits; the newest last, NaN
    where there is none.
    """

    squared: Mapping[str, FloatArray]
    pinball: Mapping[str, FloatArray]
    returns: FloatArray

    @classmethod
    def empty(cls, symbols_count: int) -> "Record":
        """The record of the first night."""
        return cls(squared={}, pinball={}, returns=np.empty((symbols_count, 0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """What fits say of themselves, (models, symbols); NaN where they do not say it.

    `aic_per_return` is Akaike's criterion over the number of returns, in units of daily log
    returns; `explained_variance` the share of the variance of daily returns.
    """

    aic_per_return: FloatArray
    explained_variance: FloatArray

    @classmethod
    def unknown(cls, models_count: int, symbols_count: int) -> "Fits":
        """No fit says anything."""
        nothing = np.full((models_count, symbols_count), np.nan)
        return cls(aic_per_return=nothing, explained_variance=nothing)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartWeights:
    """The weights of one part and the logarithms of what made them, (models, symbols)."""

    weights: FloatArray
    fit: FloatArray
    realised: FloatArray
    change: FloatArray
    # Loss over naive drift's on the same sessions, and how many sessions that is in effect.
    loss_ratio: FloatArray
    sessions: FloatArray
    # By symbol: the share that naive drift gets before odds are looked at.
    naive_share: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The weights of every part, and what was found about the symbols themselves."""

    models: tuple[str, ...]
    parts: Mapping[str, PartWeights]
    variance_ratio: FloatArray
    variance_ratio_p_value: FloatArray
    # Sessions since the last change of volatility; -1 where none is recent and sure.
    change_sessions_ago: IntArray


def weigh(
    answers: BoolArray,
    *,
    models: tuple[str, ...],
    fits: Fits,
    record: Record,
    policy: EnsemblePolicy,
) -> Weights:
    """Weights of `models` for every symbol that one of `answers`, (models, symbols), speaks for."""
    window = np.ascontiguousarray(record.returns[:, -policy.window_sessions :])
    ratio = variance_ratio(window, sessions=policy.variance_ratio_sessions)
    ago = _recent_change(window, policy)
    shares = {
        "mean": policy.mean_naive_share_min
        + (policy.mean_naive_share_max - policy.mean_naive_share_min) * ratio.p_value,
        "volatility": np.full(len(window), policy.volatility_naive_share),
    }
    quick = np.isin(np.array(models, dtype=object), policy.quick_models)
    boost = np.where(quick[:, None] & (ago >= 0), np.log(policy.change_odds), 0.0)
    terms = {
        "mean": (_explained_odds(fits, policy), record.squared, 0.5, np.zeros_like(boost)),
        "volatility": (_criterion_odds(fits, record.returns, policy), record.pinball, 1.0, boost),
    }
    parts = {}
    for part, (fit, losses, power, change) in terms.items():
        loss_ratio, sessions = compare_losses(losses, models, ago, policy)
        realised = -policy.record_share * power * sessions * np.log(loss_ratio)
        parts[part] = PartWeights(
            weights=_shares(answers, fit + realised + change, shares[part], models, policy),
            fit=fit,
            realised=realised,
            change=change,
            loss_ratio=loss_ratio,
            sessions=sessions,
            naive_share=shares[part],
        )
    return Weights(
        models=models,
        parts=parts,
        variance_ratio=ratio.ratio,
        variance_ratio_p_value=ratio.p_value,
        change_sessions_ago=ago,
    )


def compare_losses(
    losses: Mapping[str, FloatArray],
    models: tuple[str, ...],
    change_sessions_ago: IntArray,
    policy: EnsemblePolicy,
) -> tuple[FloatArray, FloatArray]:
    """Each model's mean loss over naive drift's, and the sessions it rests on, (models, symbols).

    Only sessions count on which both were scored, recent ones more; after a change of volatility
    what came before it fades at the pace of the change's age. One and zero where there is nothing.
    """
    shape = (len(models), len(change_sessions_ago))
    ratio, sessions = np.ones(shape), np.zeros(shape)
    if NAIVE not in losses:
        return ratio, sessions
    yardstick = np.ascontiguousarray(losses[NAIVE][:, -policy.record_sessions :])
    half_life = np.where(
        change_sessions_ago >= 0,
        np.minimum(policy.record_half_life_sessions, np.maximum(change_sessions_ago, 1)),
        policy.record_half_life_sessions,
    )
    age = np.arange(yardstick.shape[1])[::-1].astype(float)
    fading = 0.5 ** (age[None, :] / half_life[:, None])
    for place, model in enumerate(models):
        if model not in losses or model == NAIVE:
            continue
        own = losses[model][:, -policy.record_sessions :]
        both = np.isfinite(own) & np.isfinite(yardstick)
        counted = np.where(both, fading, 0.0)
        above = (counted * np.where(both, own, 0.0)).sum(axis=1)
        below = (counted * np.where(both, yardstick, 0.0)).sum(axis=1)
        enough = (both.sum(axis=1) >= policy.record_sessions_min) & (below > 0)
        ratio[place, enough] = np.clip(above[enough] / below[enough], _RATIO_MIN, _RATIO_MAX)
        sessions[place, enough] = counted.sum(axis=1)[enough]
    return ratio, sessions


def _recent_change(window: FloatArray, policy: EnsemblePolicy) -> IntArray:
    found = variance_break(window)
    is_recent = found.sessions_ago <= policy.change_sessions_max
    is_sure = found.p_value <= policy.change_p_value_max
    return np.where(is_recent & is_sure, found.sessions_ago, -1).astype(np.int64)


def _criterion_odds(fits: Fits, window: FloatArray, policy: EnsemblePolicy) -> FloatArray:
    """Log odds by Akaike's criterion against a normal of constant mean and deviation."""
    known = np.isfinite(window)
    count = np.maximum(known.sum(axis=1), 1).astype(float)
    mean = np.where(known, window, 0.0).sum(axis=1) / count
    variance = (np.where(known, window - mean[:, None], 0.0) ** 2).sum(axis=1) / count
    usable = variance > 0
    constant = np.log(2.0 * np.pi * np.where(usable, variance, 1.0)) + 1.0 + 4.0 / count
    gain = 0.5 * (np.where(usable, constant, np.nan) - fits.aic_per_return)
    gain = np.where(np.abs(gain) <= _GAIN_MAX, gain, np.nan)
    return _bounded(policy.fit_sessions * gain, policy)


def _explained_odds(fits: Fits, policy: EnsemblePolicy) -> FloatArray:
    """Log odds by the share of variance that is explained, as of a normal likelihood."""
    explained = np.clip(fits.explained_variance, 0.0, 0.99)
    return _bounded(-0.5 * policy.fit_sessions * np.log1p(-explained), policy)


def _bounded(odds: FloatArray, policy: EnsemblePolicy) -> FloatArray:
    limit = policy.fit_log_odds_max
    return np.nan_to_num(np.clip(odds, -limit, limit), nan=0.0)


def _shares(
    answers: BoolArray,
    log_odds: FloatArray,
    naive_share: FloatArray,
    models: tuple[str, ...],
    policy: EnsemblePolicy,
) -> FloatArray:
    """Odds as shares of those who answer, pulled towards naive drift, none above the cap."""
    spoken = answers.any(axis=0)
    best = np.where(answers, log_odds, -np.inf).max(axis=0, initial=-np.inf)
    odds = np.where(answers, np.exp(log_odds - np.where(spoken, best, 0.0)), 0.0)
    shares: FloatArray = odds / np.where(spoken, odds.sum(axis=0), 1.0)
    if NAIVE in models:
        naive = models.index(NAIVE)
        pull = np.where(answers[naive], naive_share, 0.0)
        shares = shares * (1.0 - pull)
        shares[naive] += pull
    return _capped(shares, answers, models, policy.weight_max)


def _capped(
    shares: FloatArray, answers: BoolArray, models: tuple[str, ...], maximum: float
) -> FloatArray:
    """What a model other than naive drift has above `maximum` goes to the rest by their shares."""
    for place, model in enumerate(models):
        over = (shares[place] > maximum) & (answers.sum(axis=0) > 1)
        if model == NAIVE or not over.any():
            continue
        others = np.where(np.arange(len(models))[:, None] == place, 0.0, shares)
        # Odds may be so long that the rest is nothing at all; then it is shared alike.
        alike = (others.sum(axis=0) <= 0)[None, :] & answers
        alike[place] = False
        others = np.where(alike, 1.0, others)
        others = others * ((1.0 - maximum) / np.where(over, others.sum(axis=0), 1.0))
        others[place] = maximum
        shares = np.where(over, others, shares)
    return shares
