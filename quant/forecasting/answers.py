"""What models answered for one night: who speaks for which symbol, and why the others do not.

Belongs here: reading batches of forecasts by symbol. Does not belong here: weighing or joining
them.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.forecasting.forecast import QUANTILE_COLUMNS, ForecastBatch
from quant.forecasting.kernels import IntArray
from quant.forecasting.weighting import Fits
from quant.market.panel import FloatArray

NUMBERS: Final = ["mean", "std", *QUANTILE_COLUMNS]


def answers_of(batches: Mapping[str, ForecastBatch], session: dt.date) -> dict[str, "Answers"]:
    """Each model's usable rows; whoever lacks a horizon that another has does not answer."""
    usable = {model: _usable_rows(batch.forecasts, session) for model, batch in batches.items()}
    horizons = sorted({int(h) for rows in usable.values() for h in rows["horizon_days"].unique()})
    return {model: Answers.of(rows, horizons) for model, rows in usable.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """One model's rows, and where in them each symbol stands that answers at all horizons."""

    rows: pd.DataFrame
    horizons: tuple[int, ...]
    places: Mapping[str, IntArray]

    @classmethod
    def of(cls, rows: pd.DataFrame, horizons: Sequence[int]) -> "Answers":
        """Symbols with a row at every one of `horizons`; `rows` are sorted by both."""
        asked = rows["horizon_days"].to_numpy()
        groups = rows.groupby("symbol", sort=False).indices
        places = {
            str(symbol): np.asarray(places, dtype=np.int64)
            for symbol, places in groups.items()
            if asked[places].tolist() == list(horizons)
        }
        return cls(rows=rows, horizons=tuple(horizons), places=places)

    def numbers(self, symbols: Sequence[str]) -> FloatArray:
        """Mean, deviation and quantiles, (symbols, horizons, 7); NaN for whoever has no answer."""
        found = np.full((len(symbols), len(self.horizons), len(NUMBERS)), np.nan)
        values = self.rows[NUMBERS].to_numpy(dtype=float)
        for row, symbol in enumerate(symbols):
            if symbol in self.places:
                found[row] = values[self.places[symbol]]
        return found

    def first(self, column: str, symbols: Sequence[str]) -> list[Any]:
        """What a column says at the first horizon; `None` for whoever has no answer."""
        values = self.rows[column].tolist()
        return [values[self.places[s][0]] if s in self.places else None for s in symbols]


def _usable_rows(forecasts: pd.DataFrame, session: dt.date) -> pd.DataFrame:
    numbers = forecasts[NUMBERS].to_numpy(dtype=float)
    is_usable = np.isfinite(numbers).all(axis=1) & (numbers[:, 1] > 0)
    is_today = (pd.to_datetime(forecasts["session"]) == pd.Timestamp(session)).to_numpy(dtype=bool)
    today: pd.DataFrame = forecasts[is_usable & is_today]
    ordered: pd.DataFrame = today.sort_values(["symbol", "horizon_days"], kind="stable")
    return ordered.reset_index(drop=True)


def reasons_of(batches: Mapping[str, ForecastBatch]) -> dict[str, dict[str, str]]:
    """By model and symbol, why there is no forecast."""
    return {
        model: {failure.symbol: f"{failure.error}: {failure.reason}" for failure in batch.failures}
        for model, batch in batches.items()
    }


def why_silent(
    model: str,
    symbol: str,
    answers: Mapping[str, Answers],
    reasons: Mapping[str, Mapping[str, str]],
) -> str:
    """The model's own reason, or that it gave none."""
    default = "gave no usable forecast" if model in answers else "did not run"
    return reasons.get(model, {}).get(symbol, default)


def fits_of(answers: Mapping[str, Answers], models: Sequence[str], symbols: Sequence[str]) -> Fits:
    """What the forecasts' diagnostics say of the fits behind them."""
    fits = Fits.unknown(len(models), len(symbols))
    criterion, explained = fits.aic_per_return.copy(), fits.explained_variance.copy()
    for place, model in enumerate(models):
        if model not in answers:
            continue
        for row, text in enumerate(answers[model].first("diagnostics", symbols)):
            said = json.loads(text) if text else {}
            aic, count = said.get("aicc", said.get("aic")), said.get("observations")
            if aic is not None and count:
                criterion[place, row] = aic / count
            if said.get("explained_variance") is not None:
                explained[place, row] = said["explained_variance"]
    return Fits(aic_per_return=criterion, explained_variance=explained)
