"""The decision forecast: one mean and one volatility, each from the first model that can answer.

Belongs here: the rule that joins the models' answers, and the record of who was asked and why not.
Does not belong here: a model. A symbol for which no model answers gets a failure that names all of
them: nothing is filled in and nothing is dropped silently.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from quant.core.errors import ModelError
from quant.core.identity import content_hash
from quant.forecasting.forecast import (
    FORECAST_COLUMNS,
    QUANTILE_COLUMNS,
    ChainLink,
    ForecastBatch,
    ForecastFailure,
    Predictive,
    chain_to_json,
    check_forecasts,
    plain_json,
)
from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray

COMBINED: Final = "combined"

# Who is asked for which part, first to last.
PART_CHAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "mean": ("sarimax", "naive"),
    "volatility": ("garch", "naive"),
}
_NUMBERS: Final = ["mean", "std", *QUANTILE_COLUMNS]

Chain = tuple[ChainLink, ...]


def combine(
    batches: Mapping[str, ForecastBatch],
    *,
    symbols: Sequence[str],
    session: dt.date,
    as_of: dt.datetime,
) -> ForecastBatch:
    """Forecasts of model "combined" for `symbols`, from the batches of the models by name.

    The volatility model's distribution is moved to stand around the mean model's mean. A model
    whose batch is missing, or that lacks a horizon which another has, counts as failed.
    """
    answers, reasons = _answers(batches, session), _reasons(batches)
    chains = {
        symbol: tuple(link for part in PART_CHAINS for link in _ask(part, symbol, answers, reasons))
        for symbol in symbols
    }
    answered = {symbol: chain for symbol, chain in chains.items() if _is_answered(chain)}
    failures = tuple(
        _failure(symbol, session, as_of, chain)
        for symbol, chain in chains.items()
        if symbol not in answered
    )
    frame = _join(answers, answered, session=session, as_of=as_of)
    return ForecastBatch(forecasts=check_forecasts(frame), failures=failures)


def combine_paths(paths: Mapping[str, Predictive]) -> Predictive:
    """The same rule on arrays, for hold-outs: per cell the first model with a usable number."""
    mean_of, volatility_of = (
        [paths[model] for model in PART_CHAINS[part] if model in paths]
        for part in ("mean", "volatility")
    )
    return Predictive(
        mean=_first_usable([(path, path.mean) for path in mean_of]),
        std=_first_usable([(path, path.std) for path in volatility_of]),
        degrees_of_freedom=_first_usable([(p, p.degrees_of_freedom) for p in volatility_of]),
    )


def _answers(batches: Mapping[str, ForecastBatch], session: dt.date) -> dict[str, "_Answers"]:
    usable = {model: _usable_rows(batch.forecasts, session) for model, batch in batches.items()}
    horizons = sorted({int(h) for rows in usable.values() for h in rows["horizon_days"].unique()})
    return {model: _Answers.of(rows, horizons) for model, rows in usable.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answers:
    """One model's rows, and where in them each symbol stands that answers at all horizons."""

    rows: pd.DataFrame
    places: Mapping[str, IntArray]

    @classmethod
    def of(cls, rows: pd.DataFrame, horizons: Sequence[int]) -> "_Answers":
        asked = rows["horizon_days"].to_numpy()
        groups = rows.groupby("symbol", sort=False).indices
        places = {
            str(symbol): np.asarray(places, dtype=np.int64)
            for symbol, places in groups.items()
            if asked[places].tolist() == list(horizons)
        }
        return cls(rows=rows, places=places)

    def of_symbols(self, symbols: Sequence[str]) -> pd.DataFrame:
        """The rows of `symbols`, in that order, by horizon."""
        places = np.concatenate([self.places[symbol] for symbol in symbols])
        return self.rows.iloc[places]


def _usable_rows(forecasts: pd.DataFrame, session: dt.date) -> pd.DataFrame:
    numbers = forecasts[_NUMBERS].to_numpy(dtype=float)
    is_usable = np.isfinite(numbers).all(axis=1) & (numbers[:, 1] > 0)
    is_today = (pd.to_datetime(forecasts["session"]) == pd.Timestamp(session)).to_numpy(dtype=bool)
    today: pd.DataFrame = forecasts[is_usable & is_today]
    ordered: pd.DataFrame = today.sort_values(["symbol", "horizon_days"], kind="stable")
    return ordered.reset_index(drop=True)


def _reasons(batches: Mapping[str, ForecastBatch]) -> dict[str, dict[str, str]]:
    return {
        model: {failure.symbol: f"{failure.error}: {failure.reason}" for failure in batch.failures}
        for model, batch in batches.items()
    }


def _ask(
    part: str,
    symbol: str,
    answers: Mapping[str, _Answers],
    reasons: Mapping[str, Mapping[str, str]],
) -> Chain:
    """Everyone who was asked, up to the first who answered."""
    links: list[ChainLink] = []
    for model in PART_CHAINS[part]:
        if model in answers and symbol in answers[model].places:
            return (*links, ChainLink(part=part, model=model, outcome="used"))
        default = "gave no usable forecast" if model in answers else "did not run"
        reason = reasons.get(model, {}).get(symbol, default)
        links.append(ChainLink(part=part, model=model, outcome="failed", reason=reason))
    return tuple(links)


def _join(
    answers: Mapping[str, _Answers],
    chains: Mapping[str, Chain],
    *,
    session: dt.date,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per symbol and horizon of the symbols in `chains`, all of which are answered."""
    if not chains:
        return pd.DataFrame(columns=list(FORECAST_COLUMNS))
    mean, volatility = (_part_rows(part, answers, chains) for part in PART_CHAINS)
    shift = mean["mean"].to_numpy() - volatility["mean"].to_numpy()
    frame = volatility.assign(
        as_of=pd.Timestamp(as_of).as_unit("us"),
        session=session,
        model=COMBINED,
        mean=mean["mean"].to_numpy(),
        **{name: volatility[name].to_numpy() + shift for name in QUANTILE_COLUMNS},
        # The older of the two: a reader asks how stale the parameters may be.
        fit_as_of=np.minimum(mean["fit_as_of"].to_numpy(), volatility["fit_as_of"].to_numpy()),
    )
    width = len(frame) // len(chains)
    records = [
        _record(mean.iloc[place * width], volatility.iloc[place * width], chain)
        for place, chain in enumerate(chains.values())
    ]
    for name in ("fallback_chain", "diagnostics", "params_hash"):
        frame[name] = [record[name] for record in records for _ in range(width)]
    return frame.reset_index(drop=True)


def _part_rows(
    part: str, answers: Mapping[str, _Answers], chains: Mapping[str, Chain]
) -> pd.DataFrame:
    """The rows of whoever was used for `part`, in the order of `chains`."""
    used = {symbol: _used(part, chain) for symbol, chain in chains.items()}
    pieces = [
        answers[model].of_symbols([symbol for symbol in chains if used[symbol] == model])
        for model in sorted(set(used.values()))
    ]
    rows = pd.concat(pieces, ignore_index=True)
    order = pd.Series({symbol: place for place, symbol in enumerate(chains)})
    place = order.loc[rows["symbol"]].to_numpy()
    return rows.iloc[np.lexsort((rows["horizon_days"].to_numpy(), place))].reset_index(drop=True)


def _record(mean: pd.Series, volatility: pd.Series, chain: Chain) -> dict[str, str]:
    hashes = {"mean": mean["params_hash"], "volatility": volatility["params_hash"]}
    return {
        "fallback_chain": chain_to_json(chain),
        "diagnostics": plain_json(
            {
                "mean_model": mean["model"],
                "mean_params_hash": hashes["mean"],
                "volatility_model": volatility["model"],
                "volatility_params_hash": hashes["volatility"],
            }
        ),
        "params_hash": content_hash({"model": COMBINED, **hashes}),
    }


def _used(part: str, chain: Chain) -> str:
    return next(link.model for link in chain if link.part == part and link.outcome == "used")


def _is_answered(chain: Chain) -> bool:
    return {link.part for link in chain if link.outcome == "used"} == set(PART_CHAINS)


def _failure(symbol: str, session: dt.date, as_of: dt.datetime, chain: Chain) -> ForecastFailure:
    told = "; ".join(
        f"{link.part} from {link.model}: {link.reason or 'answered'}" for link in chain
    )
    return ForecastFailure(
        symbol=symbol,
        session=session,
        as_of=as_of,
        model=COMBINED,
        error=ModelError.__name__,
        reason=f"no forecast left to fall back to ({told})",
    )


def _first_usable(candidates: Sequence[tuple[Predictive, FloatArray]]) -> FloatArray:
    result = np.full_like(candidates[0][1], np.nan)
    for path, values in reversed(candidates):
        result = np.where(path.is_usable(), values, result)
    return result
