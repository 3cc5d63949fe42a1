"""The barbell: most of the money in bills, a small part in what may go up a lot.

Off by default. The bucket of a position is recorded either way, so that a book can be looked at as
a barbell before it is made one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from quant.core.policy import Policy
from quant.market.universe import Symbol

Share = Annotated[float, Field(ge=0, le=1)]


class Bucket(StrEnum):
    """Where a position belongs."""

    SAFE = "safe"
    CORE = "core"
    SPECULATIVE = "speculative"


class BarbellPolicy(Policy):
    """Shares of equity by bucket."""

    is_enabled: bool = False
    safe_symbols: tuple[Symbol, ...] = ("SHY", "BIL", "IEF")
    safe_min: Annotated[float, Field(ge=0.75, le=0.95)] = 0.75
    safe_max: Annotated[float, Field(ge=0.75, le=0.95)] = 0.95
    core_max: Annotated[float, Field(ge=0, le=0.20)] = 0.20
    speculative_max: Annotated[float, Field(ge=0, le=0.10)] = 0.10
    # A name that swings more than this a year is speculative.
    speculative_volatility_annual: Annotated[float, Field(gt=0, le=10)] = 0.45

    @model_validator(mode="after")
    def _in_order(self) -> "BarbellPolicy":
        if self.safe_min > self.safe_max:
            raise ValueError("safe_min must not be above safe_max")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Barbelled:
    """A position's weight in the barbell; `multiplier` is new over old, 1 where it is off."""

    weight: float
    bucket: Bucket
    multiplier: float


def bucket_of(symbol: str, volatility_annual: float, policy: BarbellPolicy) -> Bucket:
    """Safe by name, speculative by its swings; an unknown volatility is speculative."""
    if symbol in policy.safe_symbols:
        return Bucket.SAFE
    calm = volatility_annual <= policy.speculative_volatility_annual
    return Bucket.CORE if calm else Bucket.SPECULATIVE


def apply_barbell(
    symbols: Sequence[str],
    weights: Sequence[float],
    volatilities_annual: Sequence[float],
    policy: BarbellPolicy,
) -> list[Barbelled]:
    """Weights with each bucket inside its share; nothing changes where the barbell is off.

    Risk is cut to the caps of its buckets and then, if need be, to what the least share of safe
    money leaves. Safe positions take what remains, up to their cap, in equal parts; where the
    universe has none of them the rest stays in cash, which is safer still.
    """
    buckets = [
        bucket_of(symbol, volatility, policy)
        for symbol, volatility in zip(symbols, volatilities_annual, strict=True)
    ]
    if not policy.is_enabled:
        pairs = zip(weights, buckets, strict=True)
        return [Barbelled(weight=w, bucket=bucket, multiplier=1.0) for w, bucket in pairs]
    sums = {
        bucket: math.fsum(w for w, b in zip(weights, buckets, strict=True) if b is bucket)
        for bucket in Bucket
    }
    factors = _risk_factors(sums, policy)
    risk = math.fsum(sums[bucket] * factors[bucket] for bucket in factors)
    safe_count = sum(w > 0 and b is Bucket.SAFE for w, b in zip(weights, buckets, strict=True))
    share = min(policy.safe_max, 1.0 - risk) / safe_count if safe_count else 0.0
    out = []
    for weight, bucket in zip(weights, buckets, strict=True):
        factor = factors.get(bucket)
        new = weight * factor if factor is not None else share * (weight > 0)
        multiplier = new / weight if weight > 0 else 1.0
        out.append(Barbelled(weight=new, bucket=bucket, multiplier=multiplier))
    return out


def _risk_factors(sums: dict[Bucket, float], policy: BarbellPolicy) -> dict[Bucket, float]:
    caps = {Bucket.CORE: policy.core_max, Bucket.SPECULATIVE: policy.speculative_max}
    factors = {b: min(1.0, cap / sums[b]) if sums[b] > 0 else 1.0 for b, cap in caps.items()}
    risk = math.fsum(sums[b] * factors[b] for b in caps)
    room = 1.0 - policy.safe_min
    squeeze = min(1.0, room / risk) if risk > 0 else 1.0
    return {b: factor * squeeze for b, factor in factors.items()}
