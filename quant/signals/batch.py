"""Signals of thousands of symbols at once: `generate`'s rule on arrays, to the last bit.

Belongs here: the arithmetic and the gates as arrays. Does not belong here: sentences; a reader of
a single refusal gets them from `generate`.

numpy's own exp and log differ from the C library's in the last digit on some machines, so those go
through `math`; everything else is exact in both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.market.panel import FloatArray
from quant.signals.costs import BPS, IMPACT_BPS_MIN
from quant.signals.edge import EdgePolicy
from quant.signals.generate import _LOG_RETURN_MAX, PRIORITY_CONFIDENCE, SESSIONS_A_YEAR

BoolArray = NDArray[np.bool_]
CodeArray = NDArray[np.int8]

# Gates by number, in the order in which they are asked.
GATES = ("", "forecast", "flag", "verdict", "data_quality", "edge", "validator")
PASSED, FORECAST, FLAG, VERDICT, DATA_QUALITY, EDGE, VALIDATOR = range(len(GATES))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutlookBatch:
    """One row a symbol; `barred` is FLAG, VERDICT or DATA_QUALITY where one of them says no."""

    mean: FloatArray
    std: FloatArray
    price: FloatArray
    spread_bps: FloatArray
    slippage_bps: FloatArray
    fee_bps: FloatArray
    impact_bps: FloatArray
    barred: CodeArray

    def __len__(self) -> int:
        return len(self.mean)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalBatch:
    """One row a symbol, with the fields of `Signal`; NaN where the gate is `forecast`."""

    is_buy: BoolArray
    expected_return: FloatArray
    volatility: FloatArray
    probability: FloatArray
    confidence: FloatArray
    risk: FloatArray
    priority: FloatArray
    round_trip_cost: FloatArray
    required_return: FloatArray
    stop_price: FloatArray
    target_price: FloatArray
    gate: CodeArray

    def __len__(self) -> int:
        return len(self.gate)

    @property
    def is_entry(self) -> BoolArray:
        """Purchases that no gate has refused so far."""
        return np.asarray(self.is_buy & (self.gate == PASSED))


def each(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    """A function of the C library on every value, so that arrays and single numbers agree."""
    return np.fromiter(map(function, values.tolist()), dtype=float, count=len(values))


def decide_signals(outlooks: OutlookBatch, policy: EdgePolicy) -> SignalBatch:
    """The signals of all symbols; the same as `decide_signal` on each."""
    cost, required = round_trips(outlooks, policy)
    with np.errstate(invalid="ignore"):
        usable = (np.abs(outlooks.mean) <= _LOG_RETURN_MAX) & (outlooks.price > 0)
        usable &= (outlooks.std > 0) & (outlooks.std <= _LOG_RETURN_MAX)
        usable &= outlooks.price < math.inf
        for part in (outlooks.spread_bps, outlooks.slippage_bps, outlooks.fee_bps):
            usable &= (part >= 0) & (part < math.inf)
        usable &= (outlooks.impact_bps >= IMPACT_BPS_MIN) & (outlooks.impact_bps < math.inf)
    mean, std = np.where(usable, outlooks.mean, 0.0), np.where(usable, outlooks.std, 1.0)
    expected = each(math.expm1, mean)
    is_buy = expected > 0
    side = np.where(is_buy, 1.0, -1.0)
    shortfall = (each(math.log1p, np.where(usable, cost, 0.0)) - side * mean) / (
        std * math.sqrt(2.0)
    )
    probability = 0.5 * each(math.erfc, shortfall)
    with np.errstate(invalid="ignore"):
        net = np.maximum(side * expected - cost, 0.0)
        total = net + required
        edge = np.divide(net, total, out=np.zeros_like(net), where=total > 0)
    weight = policy.edge_weight
    confidence = weight * edge + (1.0 - weight) * probability
    annual = std * math.sqrt(SESSIONS_A_YEAR / policy.horizon_days)
    risk = np.minimum(annual / policy.risk_volatility_annual, 1.0)
    distance = policy.stop_deviations * std
    known = np.where(usable, 1.0, np.nan)
    return SignalBatch(
        is_buy=is_buy & usable,
        expected_return=expected * known,
        volatility=std * known,
        probability=probability * known,
        confidence=confidence * known,
        risk=risk * known,
        priority=known
        * (PRIORITY_CONFIDENCE * confidence + (1.0 - PRIORITY_CONFIDENCE) * (1.0 - risk)),
        round_trip_cost=cost,
        required_return=required,
        stop_price=outlooks.price * each(math.exp, -side * distance) * known,
        target_price=outlooks.price * each(math.exp, 2.0 * side * distance) * known,
        gate=_gates(outlooks, usable, is_buy, is_buy & (expected < required)),
    )


def round_trips(outlooks: OutlookBatch, policy: EdgePolicy) -> tuple[FloatArray, FloatArray]:
    """The cost of in and out, and the return that it takes to trade."""
    with np.errstate(invalid="ignore", over="ignore"):
        one_way = outlooks.slippage_bps + outlooks.fee_bps + outlooks.impact_bps
        cost = (outlooks.spread_bps + 2 * one_way) * BPS
    floor = policy.expected_return_bps_min * BPS
    return cost, np.maximum(floor, policy.cost_multiple_min * cost)


def _gates(
    outlooks: OutlookBatch, usable: BoolArray, is_buy: BoolArray, is_thin: BoolArray
) -> CodeArray:
    gate = np.where(is_thin, EDGE, PASSED).astype(np.int8)
    barred = outlooks.barred
    # Doubtful data forbids buying only; flags and verdicts forbid both sides.
    stops = (barred == FLAG) | (barred == VERDICT) | ((barred == DATA_QUALITY) & is_buy)
    gate = np.where(stops, barred, gate)
    return np.where(usable, gate, FORECAST).astype(np.int8)
