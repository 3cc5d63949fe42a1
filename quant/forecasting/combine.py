"""The decision forecast: every model's answer, weighted by the evidence for it.

Belongs here: the rule that joins the models' answers, and the record of who was asked and why not.
Does not belong here: a model, or how much each counts (`weighting`). Means are averaged by the
weights of the mean, distributions around them by those of the volatility. Where fewer than two
models answer, the chain is the single model, then naive drift; a symbol for which nobody answers
gets a failure that names all of them: nothing is filled in and nothing is dropped silently.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.core.errors import ModelError
from quant.core.identity import content_hash
from quant.forecasting.answers import NUMBERS, Answers, answers_of, fits_of, reasons_of, why_silent
from quant.forecasting.averaging import average
from quant.forecasting.ensemble_policy import EnsemblePolicy
from quant.forecasting.forecast import (
    FORECAST_COLUMNS,
    QUANTILE_COLUMNS,
    ChainLink,
    ForecastBatch,
    ForecastFailure,
    chain_to_json,
    check_forecasts,
    plain_json,
)
from quant.forecasting.weight_rows import weight_rows
from quant.forecasting.weighting import NAIVE, PARTS, Record, Weights, weigh

COMBINED: Final = "combined"
ENSEMBLE: Final = "ensemble"

Chain = tuple[ChainLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combination:
    """The combined forecasts, and the weight of every model: rows of `WEIGHT_COLUMNS`."""

    batch: ForecastBatch
    weights: pd.DataFrame


def combine(
    batches: Mapping[str, ForecastBatch],
    *,
    symbols: Sequence[str],
    session: dt.date,
    as_of: dt.datetime,
    models: Sequence[str] | None = None,
    record: Record | None = None,
    policy: EnsemblePolicy | None = None,
) -> Combination:
    """Forecasts of model "combined" for `symbols`, from the batches of the models by name.

    `models` names those who are asked, where that is more than have a batch; a model whose batch
    is missing, or that lacks a horizon which another has, counts as failed. The rows of `record`
    are those of `symbols`. Without a record only the fits speak.
    """
    asked = tuple(models or batches)
    answers = answers_of(batches, session)
    reasons = reasons_of(batches)
    said = np.array(
        [[s in answers[m].places if m in answers else False for s in symbols] for m in asked],
        dtype=bool,
    ).reshape(len(asked), len(symbols))
    weights = weigh(
        said,
        models=asked,
        fits=fits_of(answers, asked, symbols),
        record=record or Record.empty(len(symbols)),
        policy=policy or EnsemblePolicy(),
    )
    silent = {
        symbol: {
            model: why_silent(model, symbol, answers, reasons)
            for model in asked
            if not said[asked.index(model), place]
        }
        for place, symbol in enumerate(symbols)
    }
    spoken = [place for place in range(len(symbols)) if said[:, place].any()]
    frame = _join(answers, weights, symbols, spoken, silent, session=session, as_of=as_of)
    failures = tuple(
        _failure(symbol, session, as_of, silent[symbol])
        for place, symbol in enumerate(symbols)
        if place not in set(spoken)
    )
    rows = weight_rows(weights, symbols, silent, session=session, as_of=as_of)
    return Combination(
        batch=ForecastBatch(forecasts=check_forecasts(frame), failures=failures), weights=rows
    )


def _join(
    answers: Mapping[str, Answers],
    weights: Weights,
    symbols: Sequence[str],
    spoken: Sequence[int],
    silent: Mapping[str, Mapping[str, str]],
    *,
    session: dt.date,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per symbol and horizon of the symbols that someone spoke for."""
    if not spoken:
        return pd.DataFrame(columns=list(FORECAST_COLUMNS))
    horizons = next(iter(answers.values())).horizons
    shape = (len(symbols), len(horizons), len(NUMBERS))
    numbers = np.stack(
        [
            answers[model].numbers(symbols) if model in answers else np.full(shape, np.nan)
            for model in weights.models
        ]
    )
    mean, std, around = average(weights, numbers[..., 0], numbers[..., 1], numbers[..., 2:])
    records = _records(answers, weights, symbols, spoken, silent)
    width = len(horizons)
    quantiles = (mean[..., None] + around)[spoken].reshape(-1, len(QUANTILE_COLUMNS))
    return pd.DataFrame(
        {
            "symbol": [symbols[place] for place in spoken for _ in range(width)],
            "session": session,
            "as_of": pd.Timestamp(as_of).as_unit("us"),
            "model": COMBINED,
            "horizon_days": np.tile(np.asarray(horizons, dtype=np.int64), len(spoken)),
            "mean": mean[spoken].ravel(),
            "std": std[spoken].ravel(),
            **dict(zip(QUANTILE_COLUMNS, quantiles.T, strict=True)),
            **{
                name: [record[name] for record in records for _ in range(width)]
                for name in ("fallback_chain", "diagnostics", "fit_as_of", "params_hash")
            },
        }
    )


def _records(
    answers: Mapping[str, Answers],
    weights: Weights,
    symbols: Sequence[str],
    spoken: Sequence[int],
    silent: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
    """What stands beside the numbers of each symbol that someone spoke for."""
    hashes = {model: answers[model].first("params_hash", symbols) for model in answers}
    fitted = {model: answers[model].first("fit_as_of", symbols) for model in answers}
    records = []
    for place in spoken:
        shares = {
            part: {
                model: float(share)
                for model, share in zip(
                    weights.models, weights.parts[part].weights[:, place], strict=True
                )
                if share > 0
            }
            for part in PARTS
        }
        used = [model for model in weights.models if any(model in shares[part] for part in PARTS)]
        chain = tuple(
            link for part in PARTS for link in _chain(part, shares[part], silent[symbols[place]])
        )
        records.append(
            {
                "fallback_chain": chain_to_json(chain),
                "diagnostics": plain_json(_diagnostics(shares)),
                # The oldest: a reader asks how stale the parameters may be.
                "fit_as_of": min(pd.Timestamp(fitted[model][place]).date() for model in used),
                "params_hash": content_hash(
                    {
                        "model": COMBINED,
                        "parts": {model: hashes[model][place] for model in used},
                        "weights": shares,
                    }
                ),
            }
        )
    return records


def _chain(part: str, shares: Mapping[str, float], silent: Mapping[str, str]) -> Chain:
    """Who had no answer, and which rung answers: ensemble, single model, or naive drift."""
    failed = tuple(
        ChainLink(part=part, model=model, outcome="failed", reason=reason)
        for model, reason in silent.items()
    )
    if len(shares) > 1:
        largest = sorted(shares.items(), key=lambda item: -item[1])
        said = ", ".join(f"{model} {share:.2f}" for model, share in largest)
        return (*failed, ChainLink(part=part, model=ENSEMBLE, outcome="used", reason=said))
    (only,) = shares
    alone = ChainLink(part=part, model=ENSEMBLE, outcome="failed", reason=f"only {only} answered")
    return (*failed, alone, ChainLink(part=part, model=only, outcome="used"))


def _diagnostics(shares: Mapping[str, Mapping[str, float]]) -> dict[str, str | float]:
    said: dict[str, str | float] = {}
    for part, of_part in shares.items():
        said[f"{part}_rule"] = _rule(of_part)
        # The model that counts most; of equal ones the first that was asked.
        said[f"{part}_model"] = max(of_part, key=lambda model: of_part[model])
        said |= {f"{part}_weight_{model}": share for model, share in of_part.items()}
    return said


def _rule(shares: Mapping[str, float]) -> str:
    if len(shares) > 1:
        return ENSEMBLE
    return "naive drift" if NAIVE in shares else "single model"


def _failure(
    symbol: str, session: dt.date, as_of: dt.datetime, silent: Mapping[str, str]
) -> ForecastFailure:
    told = "; ".join(f"{model}: {reason}" for model, reason in silent.items()) or "nobody was asked"
    return ForecastFailure(
        symbol=symbol,
        session=session,
        as_of=as_of,
        model=COMBINED,
        error=ModelError.__name__,
        reason=f"no forecast left to fall back to ({told})",
    )
