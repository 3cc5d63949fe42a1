"""The port every model fulfils: estimate now and then, forecast every night.

Belongs here: `Forecaster`, the fitted state that travels between the two, what a model costs.
Does not belong here: any model. Between two fits nothing is estimated: a forecast is a run of the
model's filter with the parameters of the fit over the returns known by then.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pandas as pd

from quant.forecasting.forecast import (
    Diagnostics,
    ForecastBatch,
    Predictive,
    hash_params,
    plain_json,
)
from quant.forecasting.returns import ReturnPanel

Params = Mapping[str, float]

# One row is what one fit of one model left for one symbol; enough to forecast from and to fit again
# with the same outcome. The mappings are JSON, whose floats read back bit for bit.
STATE_COLUMNS: Final = (
    "symbol",
    "model",
    "version",
    "fit_as_of",
    "filter_from",
    "params",
    "params_hash",
    "start_params",
    "diagnostics",
    "converged",
    "error",
    "reason",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What to expect on one core; measured 2026-11 on the bundled stocks, 504 sessions each."""

    fit_ms_per_symbol: float
    forecast_ms_per_symbol: float
    heavy_imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedState:
    """Parameters of one model for one symbol, in units of daily log returns.

    `filter_from` is the first session the filter looks at. `converged` may be False beside
    parameters: then they are the previous fit's, kept. Without parameters `error` and
    `reason` speak.
    """

    symbol: str
    model: str
    version: str
    fit_as_of: dt.date
    filter_from: dt.date
    params: Params
    start_params: Params | None = None
    diagnostics: Diagnostics = field(default_factory=dict)
    converged: bool = True
    error: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.filter_from > self.fit_as_of:
            raise ValueError(f"{self.symbol}: the filter starts after the fit's own session")
        if not self.params and not (self.error and self.reason):
            raise ValueError(f"{self.symbol}: a state without parameters must say why")

    @property
    def is_usable(self) -> bool:
        """Whether there is anything to forecast with."""
        return bool(self.params)

    @property
    def params_hash(self) -> str:
        """One name for model, version and parameters."""
        return hash_params(self.model, self.version, self.params)


class Forecaster(Protocol):
    """A model of daily log returns, for many symbols at once."""

    @property
    def name(self) -> str:
        """The word in the column `model`."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever equal inputs would give other numbers."""
        ...

    @property
    def cost(self) -> Cost:
        """Declared, so that a scheduler can plan."""
        ...

    def fit(
        self,
        panel: ReturnPanel,
        *,
        session: dt.date,
        start: Mapping[str, Params] | None = None,
    ) -> list[FittedState]:
        """Estimate from the window that ends with `session`; one state per symbol, in order.

        `start` holds the parameters of the previous fit by symbol, to begin the search from.
        """
        ...

    def forecast(
        self,
        states: Sequence[FittedState],
        panel: ReturnPanel,
        *,
        session: dt.date,
        as_of: dt.datetime,
        horizons: Sequence[int],
    ) -> ForecastBatch:
        """Forecast from the close of `session`, with the parameters as they are."""
        ...

    def one_step(
        self, states: Sequence[FittedState], panel: ReturnPanel, *, first: int
    ) -> Predictive:
        """One-day forecasts of the sessions from position `first` on, each from the ones before."""
        ...


def start_params(states: Iterable[FittedState]) -> dict[str, Params]:
    """What the next fit begins from."""
    return {state.symbol: state.params for state in states if state.is_usable}


def states_to_frame(states: Iterable[FittedState]) -> pd.DataFrame:
    """Rows of `STATE_COLUMNS`, for whoever stores them."""
    return pd.DataFrame([_state_row(state) for state in states], columns=list(STATE_COLUMNS))


def states_from_frame(frame: pd.DataFrame) -> list[FittedState]:
    """Read rows of `STATE_COLUMNS` back."""
    return [_state_of(row) for row in frame.to_dict("records")]


def _state_row(state: FittedState) -> list[object]:
    texts = {
        "params": plain_json(dict(state.params)),
        "diagnostics": plain_json(dict(state.diagnostics)),
        "start_params": plain_json(
            None if state.start_params is None else dict(state.start_params)
        ),
    }
    return [texts.get(column, getattr(state, column)) for column in STATE_COLUMNS]


def _state_of(row: Mapping[Any, Any]) -> FittedState:
    return FittedState(
        symbol=row["symbol"],
        model=row["model"],
        version=row["version"],
        fit_as_of=pd.Timestamp(row["fit_as_of"]).date(),
        filter_from=pd.Timestamp(row["filter_from"]).date(),
        params=json.loads(row["params"]),
        start_params=json.loads(row["start_params"]),
        diagnostics=json.loads(row["diagnostics"]),
        converged=bool(row["converged"]),
        error=row["error"],
        reason=row["reason"],
    )
