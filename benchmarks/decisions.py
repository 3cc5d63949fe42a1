"""A night of 5,000 decisions against a plain loop, and the time that a single decision takes.

The rival is what a careful person writes first: for each symbol one call of the functions that
decide a single signal, numpy's `corrcoef` for its correlation, then the limits in nested loops. It
uses the product's own single-signal functions, so its results must be equal; they are compared
before the clock starts. Times are those of one core.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from quant.market.panel import FloatArray
from quant.portfolio.limits import LimitsPolicy
from quant.portfolio.night import NightDecisions, NightPolicies, Surroundings, decide_night
from quant.portfolio.single import Beside, Newcomer, decide_one
from quant.portfolio.sizing import Candidate, Target, propose
from quant.signals.batch import GATES, OutlookBatch
from quant.signals.costs import CostPrior
from quant.signals.generate import Action, Outlook, Signal, decide_signal
from quant.signals.validator import Evidence, validate

SYMBOLS = 5_000
SESSIONS = 126
HELD = 20
DECISIONS_A_SECOND = 100_000
SINGLE_SECONDS = 200e-6
BARRED = ("", "", "flag", "verdict", "data_quality")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What the loop decides of one symbol."""

    gate: str
    weight: float


def run(*, symbols: int = SYMBOLS, repeats: int = 20) -> list[dict[str, object]]:
    """Decisions a second of a whole night, the slowest hundredth of single ones, and the rival."""
    policies = NightPolicies()
    outlooks, around = synthetic(symbols)
    require_same(decide_night(outlooks, around, policies), plain_night(outlooks, around, policies))
    with one_core():
        product = min(
            _seconds(lambda: decide_night(outlooks, around, policies)) for _ in range(repeats)
        )
        rival = _seconds(lambda: plain_night(outlooks, around, policies))
        slowest = float(np.quantile(_singles(policies), 0.99))
    per_second = symbols / product
    return [
        {
            "name": "decisions_batch",
            "ratio": round(DECISIONS_A_SECOND / per_second, 4),
            "limit": 1.0,
            "symbols": symbols,
            "decisions_a_second": round(per_second),
        },
        {
            "name": "decisions_single_p99",
            "ratio": round(slowest / SINGLE_SECONDS, 4),
            "limit": 1.0,
            "p99_us": round(slowest * 1e6, 1),
        },
        {
            "name": "decisions_against_a_plain_loop",
            "ratio": round(product / rival, 4),
            "limit": 1.0,
            "product_s": round(product, 4),
            "rival_s": round(rival, 4),
        },
    ]


def synthetic(symbols: int, *, seed: int = 7) -> tuple[OutlookBatch, Surroundings]:
    """A market with one common factor, forecasts of both signs, a few unusable or barred."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0004, 0.01, SESSIONS)
    daily = rng.uniform(0.008, 0.03, symbols)
    load = rng.uniform(0.3, 1.2, (symbols, 1))
    returns = load * market + rng.normal(0, 1, (symbols, SESSIONS)) * daily[:, None]
    mean = rng.normal(0.008, 0.015, symbols)
    mean[rng.random(symbols) < 0.01] = np.nan
    barred = rng.choice(5, symbols, p=(0.94, 0.0, 0.02, 0.02, 0.02)).astype(np.int8)
    cost = {name: rng.uniform(low, high, symbols) for name, low, high in _COSTS}
    outlooks = OutlookBatch(
        mean=mean,
        std=daily * math.sqrt(20),
        price=rng.uniform(5, 500, symbols),
        barred=barred,
        **cost,
    )
    sector = rng.integers(0, 11, symbols)
    return outlooks, Surroundings(returns=returns, trend=0.8, sector=sector, multiplier=1.2)


_COSTS = (
    ("spread_bps", 0.5, 12.0),
    ("slippage_bps", 0.5, 3.0),
    ("fee_bps", 0.5, 2.0),
    ("impact_bps", 0.5, 2.0),
)


def plain_night(
    outlooks: OutlookBatch, around: Surroundings, policies: NightPolicies
) -> list[Plain]:
    """The rival: symbol by symbol, then pair by pair."""
    signals = [plain_signal(outlooks, row, policies) for row in range(len(outlooks))]
    wanted = [s.action is Action.BUY and s.gate in ("", "edge") for s in signals]
    rows = np.flatnonzero(wanted)
    total = around.returns[rows].sum(axis=0)
    decided: list[tuple[Signal, str, float]] = []
    for row, signal in enumerate(signals):
        if signal.action is not Action.BUY or signal.gate:
            decided.append((signal, signal.gate, 0.0))
            continue
        target = _proposed(signal, float(outlooks.price[row]), around, policies)
        own = around.returns[row]
        alike = float(np.corrcoef(own, total - own)[0, 1]) if len(rows) > 1 else 0.0
        approved = validate(_evidence(signal, target, alike, around), policies.validation)
        weight = target.weight if approved.is_approved else 0.0
        decided.append((signal, "" if approved.is_approved else "validator", weight))
    weights = plain_limits(
        [d[2] for d in decided], [d[0].priority for d in decided], around, policies
    )
    return [Plain(gate=d[1], weight=w) for d, w in zip(decided, weights, strict=True)]


def plain_signal(outlooks: OutlookBatch, row: int, policies: NightPolicies) -> Signal:
    """One symbol through the rule for one symbol."""
    barred = BARRED[outlooks.barred[row]]
    return decide_signal(
        outlook_of(outlooks, row),
        policy=policies.edge,
        prior=costs_of(outlooks, row),
        switched_off="off" if barred == "flag" else "",
        refused_model="bad" if barred == "verdict" else "",
        reduce_only=("S",) if barred == "data_quality" else (),
    )


def outlook_of(outlooks: OutlookBatch, row: int) -> Outlook:
    """A row of the batch as one value."""
    return Outlook(
        symbol="S",
        mean=float(outlooks.mean[row]),
        std=float(outlooks.std[row]),
        price=float(outlooks.price[row]),
    )


def costs_of(outlooks: OutlookBatch, row: int) -> CostPrior:
    """The costs of a row."""
    return CostPrior(
        spread_bps=outlooks.spread_bps[row],
        slippage_bps=outlooks.slippage_bps[row],
        fee_bps=outlooks.fee_bps[row],
        impact_bps=outlooks.impact_bps[row],
    )


def _proposed(
    signal: Signal, price: float, around: Surroundings, policies: NightPolicies
) -> Target:
    candidate = Candidate(
        symbol=signal.symbol,
        expected_return=signal.expected_return,
        volatility=signal.volatility,
        confidence=signal.confidence,
        cost=signal.round_trip_cost,
        horizon_days=policies.edge.horizon_days,
        price=price,
        stop_price=signal.stop_price,
    )
    return propose(candidate, policies.sizing, multiplier=around.multiplier)


def _evidence(signal: Signal, target: Target, alike: float, around: Surroundings) -> Evidence:
    return Evidence(
        probability=signal.probability,
        trend=around.trend,
        weight=target.weight,
        correlation=alike,
        cost=signal.round_trip_cost,
        expected_return=signal.expected_return,
    )


def plain_limits(
    weights: list[float], queue: list[float], around: Surroundings, policies: NightPolicies
) -> list[float]:
    """Positions, pairs, sectors and the whole, in loops."""
    limits, out = policies.limits, list(weights)
    held = [row for row, weight in enumerate(out) if weight > 0]
    held.sort(key=lambda row: -queue[row])
    for row in held[limits.positions_max :]:
        out[row] = 0.0
    held = sorted(held[: limits.positions_max])
    cap = policies.sizing.single_position_max
    loads = {
        one: math.fsum(
            out[other]
            for other in held
            if other == one or _is_alike(around.returns, one, other, limits)
        )
        for one in held
    }
    for row in held:
        out[row] *= min(1.0, cap / loads[row])
    sectors: dict[int, list[int]] = {}
    for row in held:
        sectors.setdefault(int(around.sector[row]), []).append(row)
    for rows in sectors.values():
        share = min(1.0, limits.sector_max / math.fsum(out[row] for row in rows))
        for row in rows:
            out[row] *= share
    room = min(policies.sizing.gross_max, 1.0 - limits.cash_min_fraction)
    gross = math.fsum(out[row] for row in held)
    for row in held if gross > room else []:
        out[row] *= room / gross
    return out


def _is_alike(returns: FloatArray, one: int, other: int, limits: LimitsPolicy) -> bool:
    return not np.corrcoef(returns[one], returns[other])[0, 1] <= limits.pair_correlation_max


def require_same(decided: NightDecisions, plain: list[Plain]) -> None:
    """The rival must decide the same, or its time means nothing."""
    gates = [GATES[code] for code in decided.signals.gate]
    if gates != [one.gate for one in plain]:
        raise AssertionError("the plain loop refuses at other gates")
    np.testing.assert_allclose(decided.weight, [one.weight for one in plain], rtol=1e-9, atol=0)


def _singles(policies: NightPolicies, *, count: int = 3_000) -> NDArray[np.float64]:
    """Seconds of single decisions, the whole path, beside a book of twenty positions."""
    outlooks, around = synthetic(count + HELD, seed=11)
    weight = np.full(HELD, 0.02)
    beside = Beside.of(returns=around.returns[-HELD:], weight=weight, sector=around.sector[-HELD:])
    seconds = np.empty(count)
    for row in range(count):
        start = time.perf_counter()
        decide_one(
            newcomer(outlooks, around, row),
            beside,
            policies,
            trend=around.trend,
            multiplier=around.multiplier,
        )
        seconds[row] = time.perf_counter() - start
    return seconds


def newcomer(outlooks: OutlookBatch, around: Surroundings, row: int) -> Newcomer:
    """One row as a decision of its own."""
    barred = BARRED[outlooks.barred[row]]
    return Newcomer(
        outlook=outlook_of(outlooks, row),
        costs=costs_of(outlooks, row),
        returns=around.returns[row],
        sector=int(around.sector[row]),
        switched_off="off" if barred == "flag" else "",
        refused_model="bad" if barred == "verdict" else "",
        is_reduce_only=barred == "data_quality",
    )


@contextmanager
def one_core() -> Iterator[None]:
    """This process on one core, where the system can do that; BLAS starts no second thread."""
    with threadpool_limits(limits=1):
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, cores)


def _seconds(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps({"bench": "decisions", "rows": run()}))
