"""What positions may be together: how many, how alike, how much of one sector, how much in all.

Belongs here: pure cuts of a night's weights, and the matrices that show them. Does not belong here:
the size of one position (`sizing`), or who is told.

Every cut is a factor of at most one and never reaches zero, apart from the number of positions: so
a purchase that costs more can never let another one in by leaving the room.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quant.core.policy import Policy
from quant.market.frontier import FrontierPolicy, cap_frontier_weights
from quant.market.panel import FloatArray
from quant.market.universe import Symbol
from quant.portfolio.sizing import FRONTIER, GROSS, PAIR, POSITIONS, SECTOR, SizingPolicy

Fraction = Annotated[float, Field(gt=0, le=1)]
Sector = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
# A symbol whose sector nobody wrote down; all of those together are one sector.
UNKNOWN_SECTOR = "unknown"


class ImpactPolicy(Policy):
    """When a trade is skipped although its signal passed (`impact`)."""

    risk_aversion: Annotated[float, Field(gt=0, le=100)] = 4.0
    sharpe_loss_max_fraction: Annotated[float, Field(ge=0, le=1)] = 0.10
    drawdown_rise_max_fraction: Annotated[float, Field(ge=0, le=1)] = 0.02
    correlation_max: Annotated[float, Field(gt=0, le=1)] = 0.95


class LimitsPolicy(Policy):
    """Caps on the whole of a night's weights, as fractions of equity."""

    sector_max: Fraction = 0.20
    # Two positions that move together more than this share the room of one.
    pair_correlation_max: Annotated[float, Field(gt=0, lt=1)] = 0.70
    cash_min_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05
    positions_max: Annotated[int, Field(ge=1, le=1_000)] = 100
    # Fewer common sessions than this give no correlation, and the pair counts as alike.
    correlation_observations_min: Annotated[int, Field(ge=10, le=504)] = 40
    impact: ImpactPolicy = ImpactPolicy()
    sectors: dict[Symbol, Sector] = Field(default_factory=dict)

    def sector_of(self, symbol: str) -> str:
        """The sector written down for a symbol."""
        return self.sectors.get(symbol, UNKNOWN_SECTOR)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limited:
    """Weights within the limits, and the place in `sizing.BOUNDS` of what bound each."""

    weight: FloatArray
    bound_by: NDArray[np.int8]


def apply_limits(
    weight: FloatArray,
    *,
    bound_by: NDArray[np.int8],
    priority: FloatArray,
    sector: NDArray[np.int64],
    returns: FloatArray,
    policy: LimitsPolicy,
    sizing: SizingPolicy,
) -> Limited:
    """Cut the weights of one night; `sector` are codes, `returns` are (symbols, sessions)."""
    out, bound = weight.copy(), bound_by.copy()
    held = np.flatnonzero(out > 0)
    if len(held) > policy.positions_max:
        # The first in the queue; a tie keeps the order of the universe.
        order = held[np.argsort(-priority[held], kind="stable")]
        dropped = order[policy.positions_max :]
        out[dropped], bound[dropped] = 0.0, POSITIONS
        held = np.flatnonzero(out > 0)
    matrix = correlations(returns[held], observations_min=policy.correlation_observations_min)
    _scale(out, bound, held, _pair_factors(out[held], matrix, policy, sizing), PAIR)
    _scale(out, bound, held, _sector_factors(out[held], sector[held], policy), SECTOR)
    room = min(sizing.gross_max, 1.0 - policy.cash_min_fraction)
    gross = math.fsum(out[held].tolist())
    if gross > room:
        _scale(out, bound, held, np.full(len(held), room / gross), GROSS)
    return Limited(weight=out, bound_by=bound)


def correlations(returns: FloatArray, *, observations_min: int) -> FloatArray:
    """Pairwise correlation over the sessions that both have; NaN where there are too few.

    Complete histories, the usual case, cost one matrix product.
    """
    count = len(returns)
    known = np.isfinite(returns)
    if known.all() and returns.shape[1] >= observations_min:
        return _complete(returns)
    out = np.full((count, count), np.nan)
    complete = known.all(axis=1) & (returns.shape[1] >= observations_min)
    rows = np.flatnonzero(complete)
    if len(rows):
        out[np.ix_(rows, rows)] = _complete(returns[rows])
    for i in np.flatnonzero(~complete):
        for j in range(count):
            both = known[i] & known[j]
            if i != j and both.sum() >= observations_min:
                pair = _complete(np.vstack([returns[i, both], returns[j, both]]))
                out[i, j] = out[j, i] = pair[0, 1]
    np.fill_diagonal(out, 1.0)
    return out


def _complete(returns: FloatArray) -> FloatArray:
    """A name that never moves has no correlation with anything: zero, since it cannot add to it."""
    if returns.size == 0:
        return np.ones((len(returns), len(returns)))
    centred = returns - returns.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    scaled = np.divide(
        centred, norms[:, None], out=np.zeros_like(centred), where=norms[:, None] > 1e-12
    )
    out = np.clip(scaled @ scaled.T, -1.0, 1.0)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out, dtype=float)


def _pair_factors(
    weight: FloatArray, matrix: FloatArray, policy: LimitsPolicy, sizing: SizingPolicy
) -> FloatArray:
    """Each position and all that are like it may together weigh what one position may.

    For any two alike, both loads contain both weights, so after the cut the two are within the cap.
    """
    if not len(weight):
        return np.ones(0)
    # Not "above", so that an unknown correlation counts as too high.
    alike = ~(matrix <= policy.pair_correlation_max)
    np.fill_diagonal(alike, val=True)
    load = np.array([math.fsum(weight[row].tolist()) for row in alike])
    with np.errstate(over="ignore"):
        return np.minimum(1.0, sizing.single_position_max / load)


def _sector_factors(
    weight: FloatArray, sector: NDArray[np.int64], policy: LimitsPolicy
) -> FloatArray:
    if not len(weight):
        return np.ones(0)
    codes, place = np.unique(sector, return_inverse=True)
    sums = np.array([math.fsum(weight[place == i].tolist()) for i in range(len(codes))])
    with np.errstate(over="ignore"):
        factors = np.minimum(1.0, policy.sector_max / sums)
    return np.asarray(factors[place])


def _scale(
    out: FloatArray,
    bound: NDArray[np.int8],
    held: NDArray[np.int64],
    factors: FloatArray,
    rule: int,
) -> None:
    out[held] *= factors
    bound[held[factors < 1.0]] = rule


# What a reader is shown


def sector_matrix(
    symbols: Sequence[str], weights: Sequence[float], policy: LimitsPolicy
) -> dict[str, dict[str, float]]:
    """By sector: its weight, its limit and the share of the limit that is used."""
    sums: dict[str, list[float]] = {}
    for symbol, weight in zip(symbols, weights, strict=True):
        sums.setdefault(policy.sector_of(symbol), []).append(weight)
    return {
        sector: {
            "weight": math.fsum(parts),
            "limit": policy.sector_max,
            "used": math.fsum(parts) / policy.sector_max,
        }
        for sector, parts in sorted(sums.items())
    }


def alike_pairs(
    symbols: Sequence[str], returns: FloatArray, policy: LimitsPolicy
) -> list[tuple[str, str, float]]:
    """Pairs above the limit, the closest first; an unknown correlation is NaN and comes last."""
    matrix = correlations(returns, observations_min=policy.correlation_observations_min)
    found = [
        (symbols[i], symbols[j], float(matrix[i, j]))
        for i in range(len(symbols))
        for j in range(i + 1, len(symbols))
        if not matrix[i, j] <= policy.pair_correlation_max
    ]
    return sorted(found, key=lambda pair: (not math.isfinite(pair[2]), -abs(pair[2]), pair[:2]))


def sector_codes(symbols: Sequence[str], sectors: Mapping[str, str]) -> NDArray[np.int64]:
    """A number for each symbol's sector; equal numbers are equal sectors."""
    names = [sectors.get(symbol, UNKNOWN_SECTOR) for symbol in symbols]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def cap_frontier(symbols: Sequence[str], limited: Limited, policy: FrontierPolicy) -> Limited:
    """Frontier positions cut to the caps of their exchange and of all of them together."""
    before = dict(zip(symbols, limited.weight.tolist(), strict=True))
    after = cap_frontier_weights(before, policy)
    weight = np.array([after[symbol] for symbol in symbols], dtype=float)
    bound = np.where(weight != limited.weight, FRONTIER, limited.bound_by).astype(np.int8)
    return Limited(weight=weight, bound_by=bound)
