"""Limits that an order must respect when it leaves: position, sector, correlation, trades a day.

Belongs here: pure checks on a book as it would stand if everything sent were filled. Each limit is
checked where its data is given and finite; a limit whose data is missing or not a number refuses,
since an unknown exposure is not a small one. Reductions always pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, NonNegativeInt

from quant.core.policy import Policy

Objection = tuple[str, str, dict[str, str]]


# Borrowed money may make a share of equity larger than one, but not by much.
Share = Annotated[Decimal, Field(gt=0, le=10)]


class TradeLimitsPolicy(Policy):
    """Shares of equity and counts; None switches a limit off."""

    position_max: Share | None = None
    sector_max: Share | None = None
    # Positions whose absolute correlation with the new one is at least this count as one of them.
    correlated_at: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.8")
    correlated_max: Share | None = None
    trades_a_day_max: NonNegativeInt | None = None


NO_LIMITS: Final = TradeLimitsPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData:
    """What the limits are judged on, besides the book."""

    equity: Decimal
    prices: Mapping[str, Decimal]
    sectors: Mapping[str, str] = field(default_factory=dict)
    # By pair of symbols in alphabetical order.
    correlations: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)


def broken_limit(
    limits: TradeLimitsPolicy,
    data: LimitData | None,
    *,
    symbol: str,
    after: Mapping[str, Decimal],
    trades_today: int,
) -> Objection | None:
    """The first limit that a book of quantities `after` would break because of `symbol`."""
    most = limits.trades_a_day_max
    if most is not None and trades_today >= most:
        reason = f"{trades_today} orders were sent today, and {most} are allowed"
        return "trades_a_day", reason, {"sent": str(trades_today), "maximum": str(most)}
    if limits.position_max is limits.sector_max is limits.correlated_max is None:
        return None
    if data is None:
        return "limit_data", "there is no data that its limits could be judged on", {}
    shares, problem = _shares(data, after, symbol)
    return problem or _position(limits, symbol, shares) or _groups(limits, data, symbol, shares)


def _shares(
    data: LimitData, after: Mapping[str, Decimal], symbol: str
) -> tuple[dict[str, Decimal], Objection | None]:
    """Each position as an absolute share of equity."""
    if not data.equity.is_finite() or data.equity <= 0:
        return {}, ("limit_data", f"equity is {data.equity}", {"equity": str(data.equity)})
    shares: dict[str, Decimal] = {}
    for held, quantity in after.items():
        price = data.prices.get(held)
        if quantity == 0:
            continue
        if price is None or not price.is_finite() or price <= 0 or not quantity.is_finite():
            reason = f"the exposure in {held} is unknown: {quantity} at {price}"
            return {}, ("limit_data", reason, {"symbol": held, "price": str(price)})
        shares[held] = abs(quantity) * price / data.equity
    shares.setdefault(symbol, Decimal(0))
    return shares, None


def _position(
    limits: TradeLimitsPolicy, symbol: str, shares: Mapping[str, Decimal]
) -> Objection | None:
    most = limits.position_max
    # Written as what passes: a comparison with anything odd refuses.
    if most is None or shares[symbol] <= most:
        return None
    reason = f"{symbol} would be {shares[symbol]:.2%} of equity, above {most:.2%}"
    return "position_limit", reason, {"share": f"{shares[symbol]:.6f}", "maximum": str(most)}


def _groups(
    limits: TradeLimitsPolicy, data: LimitData, symbol: str, shares: Mapping[str, Decimal]
) -> Objection | None:
    if limits.sector_max is not None:
        sector = data.sectors.get(symbol)
        if sector is None:
            return "limit_data", f"the sector of {symbol} is not known", {"symbol": symbol}
        members = [one for one in shares if data.sectors.get(one) == sector]
        found = _group(f"sector {sector}", "sector_limit", members, shares, limits.sector_max)
        if found:
            return found
    if limits.correlated_max is None:
        return None
    near = [symbol]
    for other in shares:
        if other == symbol:
            continue
        pair = (symbol, other) if symbol < other else (other, symbol)
        value = data.correlations.get(pair)
        if value is None or not value.is_finite():
            reason = f"the correlation of {symbol} and {other} is not known"
            return "limit_data", reason, {"symbol": symbol, "other": other}
        if abs(value) >= limits.correlated_at:
            near.append(other)
    name = f"what moves with {symbol}"
    return _group(name, "correlation_limit", near, shares, limits.correlated_max)


def _group(
    name: str, gate: str, members: list[str], shares: Mapping[str, Decimal], most: Decimal
) -> Objection | None:
    total = sum((shares[one] for one in members), start=Decimal(0))
    if total <= most:
        return None
    reason = f"{name} would be {total:.2%} of equity, above {most:.2%}"
    return gate, reason, {"share": f"{total:.6f}", "maximum": str(most)}
