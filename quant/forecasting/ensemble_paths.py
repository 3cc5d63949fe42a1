"""The ensemble on the paths of a hold-out: the rule of the night, session by session.

Belongs here: one-day forecasts in arrays. Does not belong here: forecasts with their records
(`combine`), or anything that would let a session see its own outcome.
"""

from collections.abc import Mapping

import numpy as np

from quant.forecasting.averaging import average
from quant.forecasting.ensemble_policy import EnsemblePolicy
from quant.forecasting.forecast import BoolArray, Predictive
from quant.forecasting.scoring import pinball_loss
from quant.forecasting.weighting import Fits, Record, weigh
from quant.market.panel import FloatArray


def combine_paths(
    paths: Mapping[str, Predictive],
    outcomes: FloatArray,
    *,
    before: FloatArray,
    fits: Fits | None = None,
    policy: EnsemblePolicy | None = None,
) -> Predictive:
    """The same rule on the paths of a hold-out, (symbols, sessions): one-day forecasts by model.

    `outcomes` are the returns of the paths' sessions, `before` those of the window before them.
    The weights of a session come from the outcomes of the sessions before it and nothing else.
    """
    models, rule = tuple(paths), policy or EnsemblePolicy()
    usable = np.stack([paths[model].is_usable() for model in models])
    means, stds, quantiles = _stacked(paths)
    losses = [_losses(outcomes, means[i], quantiles[i], usable[i]) for i in range(len(models))]
    squared, pinball = (
        {model: loss[which] for model, loss in zip(models, losses, strict=True)} for which in (0, 1)
    )
    returns = np.concatenate([before, outcomes], axis=1)
    pieces = []
    for column in range(outcomes.shape[1]):
        known = slice(max(column - rule.record_sessions, 0), column)
        weights = weigh(
            usable[..., column],
            models=models,
            fits=fits or Fits.unknown(len(models), len(outcomes)),
            record=Record(
                squared={model: values[:, known] for model, values in squared.items()},
                pinball={model: values[:, known] for model, values in pinball.items()},
                returns=returns[:, column : before.shape[1] + column],
            ),
            policy=rule,
        )
        now = slice(column, column + 1)
        pieces.append(average(weights, means[..., now], stds[..., now], quantiles[:, :, now]))
    mean, std, around = (np.concatenate(part, axis=1) for part in zip(*pieces, strict=True))
    nothing = ~usable.any(axis=0)
    mean[nothing], std[nothing], around[nothing] = np.nan, np.nan, np.nan
    return Predictive(
        mean=mean, std=std, degrees_of_freedom=np.full(mean.shape, np.nan), around_mean=around
    )


def _losses(
    outcomes: FloatArray, mean: FloatArray, quantiles: FloatArray, usable: BoolArray
) -> tuple[FloatArray, FloatArray]:
    squared = np.where(usable, (outcomes - mean) ** 2, np.nan)
    pinball = np.where(usable, pinball_loss(outcomes, quantiles).mean(axis=-1), np.nan)
    return squared, pinball


def _stacked(paths: Mapping[str, Predictive]) -> tuple[FloatArray, FloatArray, FloatArray]:
    return (
        np.stack([path.mean for path in paths.values()]),
        np.stack([path.std for path in paths.values()]),
        np.stack([path.quantiles() for path in paths.values()]),
    )
