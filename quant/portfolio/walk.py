"""Years of decisions on past prices, with the cost gate and without it.

Belongs here: the walk, night after night, and what each way of deciding did. Does not belong here:
figures and findings (`walk_figures`), reading prices, or printing.

The forecast is the product's own naive drift (`quant.forecasting.naive`), made each night from the
sessions before it: no number in it, in the gate or in the policies was fitted to these prices.

Decisions are made every horizon, so each counts once and trades do not overlap. Orders fill at the
next session's close, as in the nightly. The book follows the nightly's rules: a refused purchase
leaves what is held alone. A trade's own return pays a whole round trip; the book pays for what it
really turns over.

Missing data: a symbol without a forecast or without tonight's price is refused; one that is
delisted inside the horizon closes at its last price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.market.panel import DayArray, FloatArray
from quant.portfolio.limits import sector_codes
from quant.portfolio.night import (
    NightDecisions,
    NightPolicies,
    Surroundings,
    decide_night,
    trend_of,
)
from quant.signals.batch import GATES, BoolArray, OutlookBatch
from quant.signals.costs import IMPACT_BPS_MIN, CostPrior


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """What is walked through: closes as (symbols, sessions)."""

    closes: FloatArray
    sessions: DayArray
    symbols: Sequence[str]
    forecasts: ForecastPolicy = field(default_factory=ForecastPolicy)

    @property
    def window(self) -> int:
        """How many returns a forecast is made of."""
        return self.forecasts.naive_window_sessions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlooks:
    """What was known on one night."""

    night: int  # its column
    returns: FloatArray  # daily, of the forecast's window
    price: FloatArray
    mean: FloatArray
    std: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """What one way of deciding did, by night; returns and costs are fractions of equity."""

    net: FloatArray
    cost: FloatArray
    traded: FloatArray  # one-way turnover
    bought: BoolArray  # (nights, symbols)
    trade_returns: FloatArray  # (nights, symbols), after a round trip, whether bought or not
    refusals: list[Mapping[str, int]]
    exits: NDArray[np.int64]

    @property
    def decisions_a_night(self) -> int:
        """One a symbol."""
        return int(self.bought.shape[1])


def nights_of(prices: Prices, first: np.datetime64, *, horizon: int, offset: int = 0) -> list[int]:
    """Columns of the decisions: every horizon, as long as the whole horizon lies in the data."""
    start = max(int(np.searchsorted(prices.sessions, first)), prices.window)
    return list(range(start + offset, len(prices.sessions) - horizon - 1, horizon))


def outlooks_of(prices: Prices, nights: Sequence[int], *, horizon: int) -> list[Outlooks]:
    """Forecasts of each night; they see no column after it."""
    model = NaiveForecaster(policy=prices.forecasts)
    days = np.array([float(horizon)])
    found = []
    for night in nights:
        with np.errstate(invalid="ignore", divide="ignore"):
            window = prices.closes[:, night - prices.window : night + 1]
            returns = np.diff(np.log(window), axis=1)
        mean, variance = model.of_window(returns, days)
        found.append(
            Outlooks(
                night=night,
                returns=returns,
                price=prices.closes[:, night],
                mean=mean[:, 0],
                std=np.sqrt(variance[:, 0]),
            )
        )
    return found


def scaled(costs: CostPrior, multiple: float) -> CostPrior:
    """All parts of the costs, `multiple` times."""
    return CostPrior(**{name: value * multiple for name, value in costs.model_dump().items()})


def walk_path(
    prices: Prices,
    outlooks: Sequence[Outlooks],
    *,
    believed: CostPrior | None,
    paid: CostPrior,
    policies: NightPolicies,
) -> Path:
    """Decide with the believed costs (None: as if trading were free), settle with those paid."""
    if believed is None:
        free = policies.edge.model_copy(update={"expected_return_bps_min": 0.0})
        policies = replace(policies, edge=free)
    sector = sector_codes(prices.symbols, policies.limits.sectors)
    horizon = policies.edge.horizon_days
    held = np.zeros(len(prices.symbols))
    steps = []
    for outlook in outlooks:
        around = Surroundings(
            returns=outlook.returns[:, -policies.validation.correlation_window_sessions :],
            trend=trend_of(
                outlook.returns, window_sessions=policies.validation.trend_window_sessions
            ),
            sector=sector,
        )
        decided = decide_night(_batch(outlook, believed), around, policies)
        ahead = _ahead(prices.closes, outlook.night + 1, horizon)
        step, held = _step(decided, held, ahead, paid, policies)
        steps.append(step)
    return _joined(steps, len(prices.symbols))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Step:
    """One night of a path."""

    net: float
    cost: float
    traded: float
    bought: BoolArray
    trade_returns: FloatArray
    refusals: Mapping[str, int]
    exits: int


def _step(
    decided: NightDecisions,
    held: FloatArray,
    ahead: FloatArray,
    paid: CostPrior,
    policies: NightPolicies,
) -> tuple[_Step, FloatArray]:
    """What the night earns, and what is held when its horizon is over."""
    weight = _after_orders(decided, held, policies)
    turned = float(np.abs(weight - held).sum())
    cost = turned * paid.round_trip / 2.0
    gross = float(weight @ ahead)
    signals = decided.signals
    step = _Step(
        net=gross - cost,
        cost=cost,
        traded=turned / 2.0,
        bought=decided.weight > 0,
        trade_returns=ahead - paid.round_trip,
        refusals=_refused(decided),
        exits=int((~signals.is_buy & (signals.gate == 0)).sum()),
    )
    # What is held drifts with its prices until the next decision.
    return step, weight * (1.0 + ahead) / (1.0 + gross)


def _joined(steps: Sequence[_Step], symbols: int) -> Path:
    return Path(
        net=np.array([step.net for step in steps]),
        cost=np.array([step.cost for step in steps]),
        traded=np.array([step.traded for step in steps]),
        bought=np.array([step.bought for step in steps], dtype=bool).reshape(-1, symbols),
        trade_returns=np.array([step.trade_returns for step in steps]).reshape(-1, symbols),
        refusals=[step.refusals for step in steps],
        exits=np.array([step.exits for step in steps], dtype=np.int64),
    )


def _after_orders(decided: NightDecisions, held: FloatArray, policies: NightPolicies) -> FloatArray:
    """What the book holds once the night's orders are filled, by the rules of the nightly run.

    A refusal leaves what is held alone, an exit leaves, a change inside the band is not made, and
    purchases share what cash there is.
    """
    wanted = decided.weight
    is_refused = decided.signals.gate != 0
    entering_or_leaving = (wanted == 0) | (held == 0)
    is_small = np.abs(wanted - held) <= policies.sizing.no_trade_band * wanted
    keeps = is_refused | (is_small & ~entering_or_leaving)
    target = np.where(keeps, held, wanted)
    bought = np.maximum(target - held, 0.0)
    cash = 1.0 - policies.limits.cash_min_fraction - float((target - bought).sum())
    needed = float(bought.sum())
    share = 1.0 if needed <= max(cash, 0.0) else max(cash, 0.0) / needed
    return np.asarray(target - bought * (1.0 - share))


def _batch(outlook: Outlooks, costs: CostPrior | None) -> OutlookBatch:
    # Free but for the floor of impact, below which no cost is believed.
    free = CostPrior(spread_bps=0, slippage_bps=0, fee_bps=0, impact_bps=IMPACT_BPS_MIN)
    count = len(outlook.mean)
    parts = (costs or free).model_dump()
    return OutlookBatch(
        mean=outlook.mean,
        std=outlook.std,
        price=outlook.price,
        barred=np.zeros(count, dtype=np.int8),
        **{name: np.full(count, value) for name, value in parts.items()},
    )


def _ahead(closes: FloatArray, entry: int, horizon: int) -> FloatArray:
    """Simple returns from the fill to the end of the horizon, or to the last price before it."""
    window = closes[:, entry : entry + horizon + 1]
    last = np.where(np.isfinite(window), np.arange(window.shape[1]), 0).max(axis=1)
    end = window[np.arange(len(window)), last]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nan_to_num(end / window[:, 0] - 1.0))


def _refused(decided: NightDecisions) -> Mapping[str, int]:
    """By gate; what the layers refused stands under the first layer that did."""
    gates = {
        name: int((decided.signals.gate == code).sum())
        for code, name in enumerate(GATES)
        if name not in ("", "validator")
    }
    return gates | decided.validation.refused_by()
