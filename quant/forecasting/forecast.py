"""What every model answers: one schema for a forecast, and a typed record of having none.

Belongs here: the row, its columns, its rules, and building a batch of rows from arrays.
Does not belong here: how a model comes to its numbers. A model that cannot speak about a symbol
says so in a `ForecastFailure`; a row with missing numbers cannot exist.
"""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.forecasting.distribution import degrees_over, unit_quantiles
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.market.bars import require_columns
from quant.market.panel import FloatArray

QUANTILE_COLUMNS: Final = ("q05", "q25", "q50", "q75", "q95")

# `mean` and the quantiles are cumulative log returns from the close of `session` over
# `horizon_days` sessions, `std` their standard deviation, in the same unit.
FORECAST_COLUMNS: Final = (
    "symbol",
    "session",
    "as_of",
    "model",
    "horizon_days",
    "mean",
    "std",
    *QUANTILE_COLUMNS,
    "fallback_chain",
    "diagnostics",
    "fit_as_of",
    "params_hash",
)

FAILURE_COLUMNS: Final = ("symbol", "session", "as_of", "model", "error", "reason")


BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Diagnostics = Mapping[str, str | float | int | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """One model that was asked for one part of a forecast, and what came of it."""

    part: str
    model: str
    outcome: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in ("used", "failed"):
            raise ValueError(f"outcome must be 'used' or 'failed', was {self.outcome!r}")
        if self.outcome == "failed" and not self.reason:
            raise ValueError(f"{self.model} failed for {self.part}: the reason is missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One model's distribution of one symbol's log return over one horizon."""

    symbol: str
    session: dt.date
    as_of: dt.datetime
    model: str
    horizon_days: int
    mean: float
    std: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    fit_as_of: dt.date
    params_hash: str
    fallback_chain: tuple[ChainLink, ...] = ()
    diagnostics: Diagnostics = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(bool(self.symbol and self.model and self.params_hash), self, "lacks a name")
        _require(self.as_of.utcoffset() == dt.timedelta(0), self, "as_of must be aware UTC")
        _require(1 <= self.horizon_days <= HORIZON_DAYS_MAX, self, "horizon_days out of 1..20")
        _require(self.fit_as_of <= self.session, self, "parameters from the future")
        numbers = (self.mean, self.std, *self.quantiles)
        _require(all(math.isfinite(number) for number in numbers), self, "a number is not finite")
        _require(self.std > 0, self, "std must be positive")
        _require(list(self.quantiles) == sorted(self.quantiles), self, "quantiles must not fall")

    @property
    def quantiles(self) -> tuple[float, float, float, float, float]:
        """At 5, 25, 50, 75 and 95 %."""
        return (self.q05, self.q25, self.q50, self.q75, self.q95)

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Read a row of `FORECAST_COLUMNS` back."""
        values = {column: row[column] for column in FORECAST_COLUMNS}
        values["session"] = pd.Timestamp(row["session"]).date()
        values["fit_as_of"] = pd.Timestamp(row["fit_as_of"]).date()
        values["as_of"] = pd.Timestamp(row["as_of"]).to_pydatetime()
        values["horizon_days"] = int(row["horizon_days"])
        for name in ("mean", "std", *QUANTILE_COLUMNS):
            values[name] = float(row[name])
        values["fallback_chain"] = chain_from_json(row["fallback_chain"])
        values["diagnostics"] = json.loads(row["diagnostics"])
        return cls(**values)

    def to_row(self) -> dict[str, Any]:
        """A row of `FORECAST_COLUMNS`."""
        row = {column: getattr(self, column) for column in FORECAST_COLUMNS}
        row["fallback_chain"] = chain_to_json(self.fallback_chain)
        row["diagnostics"] = plain_json(self.diagnostics)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFailure:
    """A model has no forecast for a symbol on a session, and says why in plain words."""

    symbol: str
    session: dt.date
    as_of: dt.datetime
    model: str
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastBatch:
    """The answers for one session: rows of `FORECAST_COLUMNS`, and who has no answer."""

    forecasts: pd.DataFrame
    failures: tuple[ForecastFailure, ...]

    def values(self) -> list[Forecast]:
        """The rows as checked values."""
        return [Forecast.from_row(row) for row in self.forecasts.to_dict("records")]

    def failures_frame(self) -> pd.DataFrame:
        """Rows of `FAILURE_COLUMNS`."""
        rows = [[getattr(failure, name) for name in FAILURE_COLUMNS] for failure in self.failures]
        return pd.DataFrame(rows, columns=list(FAILURE_COLUMNS))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictive:
    """Mean, deviation and shape in arrays (symbols, columns); NaN where the model has no answer.

    The columns are horizons of one session, or sessions of one horizon, as the producer says.
    `around_mean` holds quantiles less the mean, (symbols, columns, 5), of a distribution that
    degrees of freedom do not describe.
    """

    mean: FloatArray
    std: FloatArray
    degrees_of_freedom: FloatArray
    around_mean: FloatArray | None = None

    def quantiles(self) -> FloatArray:
        """(symbols, columns, 5); NaN where there is no usable answer."""
        std = np.where(self.is_usable(), self.std, np.nan)
        if self.around_mean is not None:
            return (
                np.where(np.isfinite(std)[..., None], self.around_mean, np.nan)
                + (self.mean[..., None])
            )
        return self.mean[..., None] + std[..., None] * unit_quantiles(self.degrees_of_freedom)

    def is_usable(self) -> BoolArray:
        """Where there is an answer that `Forecast` would accept."""
        usable: BoolArray = np.isfinite(self.mean) & (self.std > 0)
        return usable & np.isfinite(self.std)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one symbol's numbers come from; the same for all its horizons."""

    symbol: str
    fit_as_of: dt.date
    params_hash: str
    diagnostics: Diagnostics
    fallback_chain: tuple[ChainLink, ...] = ()


def build_batch(
    predictive: Predictive,
    provenance: Sequence[Provenance],
    *,
    model: str,
    session: dt.date,
    as_of: dt.datetime,
    horizons: Sequence[int],
) -> ForecastBatch:
    """Rows for every symbol whose numbers are usable at all horizons, a failure for the others."""
    usable: BoolArray = np.logical_and.reduce(predictive.is_usable(), axis=1)
    failures = tuple(
        ForecastFailure(
            symbol=origin.symbol,
            session=session,
            as_of=as_of,
            model=model,
            error="ModelError",
            reason=f"{model} gave a number that is not finite, or no deviation",
        )
        for origin, is_usable in zip(provenance, usable, strict=True)
        if not is_usable
    )
    origins = [origin for origin, is_usable in zip(provenance, usable, strict=True) if is_usable]
    width = len(horizons)
    frame = pd.DataFrame(
        {
            "symbol": np.repeat(np.array([o.symbol for o in origins], dtype=object), width),
            "session": session,
            "as_of": pd.Timestamp(as_of).as_unit("us"),
            "model": model,
            "horizon_days": np.tile(np.asarray(horizons, dtype=np.int64), len(origins)),
            "mean": predictive.mean[usable].ravel(),
            "std": predictive.std[usable].ravel(),
            **dict(
                zip(QUANTILE_COLUMNS, predictive.quantiles()[usable].reshape(-1, 5).T, strict=True)
            ),
            "fallback_chain": _repeat([chain_to_json(o.fallback_chain) for o in origins], width),
            "diagnostics": _repeat([plain_json(o.diagnostics) for o in origins], width),
            "fit_as_of": _repeat([o.fit_as_of for o in origins], width),
            "params_hash": _repeat([o.params_hash for o in origins], width),
        }
    )
    return ForecastBatch(forecasts=check_forecasts(frame), failures=failures)


def over_horizons(one_day: FloatArray, horizons: Sequence[int]) -> FloatArray:
    """Degrees of freedom per symbol and horizon from those of one day."""
    return degrees_over(one_day[:, None], np.asarray(horizons, dtype=float)[None, :])


def check_forecasts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with exactly `FORECAST_COLUMNS`, every row obeying the rules of `Forecast`."""
    frame = require_columns(frame, FORECAST_COLUMNS, what="a frame of forecasts")
    numbers = frame[["mean", "std", *QUANTILE_COLUMNS]].to_numpy(dtype=float)
    horizon = frame["horizon_days"].to_numpy()
    broken = {
        "a number that is not finite": ~np.isfinite(numbers).all(axis=1),
        "a std that is not positive": ~(numbers[:, 1] > 0),
        "quantiles that fall": (np.diff(numbers[:, 2:], axis=1) < 0).any(axis=1),
        "horizon_days out of 1..20": (horizon < 1) | (horizon > HORIZON_DAYS_MAX),
        "a key that is there twice": frame.duplicated(
            ["symbol", "session", "model", "horizon_days"]
        ).to_numpy(),
    }
    for what, rows in broken.items():
        if rows.any():
            first = frame[rows].iloc[0]
            raise DataError(
                f"forecast of {first['model']} for {first['symbol']} on {first['session']} "
                f"over {first['horizon_days']} days has {what} ({int(rows.sum())} such rows)"
            )
    return frame


def chain_to_json(chain: Sequence[ChainLink]) -> str:
    """The text of a fallback chain, oldest attempt first."""
    return plain_json(
        [
            {
                "part": link.part,
                "model": link.model,
                "outcome": link.outcome,
                **({"reason": link.reason} if link.reason else {}),
            }
            for link in chain
        ]
    )


def chain_from_json(text: str) -> tuple[ChainLink, ...]:
    """Read what `chain_to_json` wrote."""
    return tuple(ChainLink(**link) for link in json.loads(text))


def plain_json(value: object) -> str:
    """Sorted, compact, and refusing NaN, which JSON does not know."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_params(model: str, version: str, params: Mapping[str, float]) -> str:
    """One name for a set of fitted numbers."""
    return content_hash({"model": model, "version": version, "params": dict(params)})


def _repeat(values: Sequence[object], times: int) -> np.ndarray[Any, np.dtype[np.object_]]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return np.repeat(array, times)


def _require(holds: bool, forecast: Forecast, what: str) -> None:
    if not holds:
        raise DataError(
            f"forecast of {forecast.model or '?'} for {forecast.symbol or '?'} on "
            f"{forecast.session} over {forecast.horizon_days} days: {what}"
        )
