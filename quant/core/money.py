"""Money is exact: `Decimal` at the order boundary, rounded in one stated direction.

Research works in floats; a float becomes money here and nowhere else.
"""

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from quant.core.errors import DataError

CENT = Decimal("0.01")
# Prices of adjusted series carry more digits than a cent; six is what venues quote at most.
PRICE_STEP = Decimal("0.000001")


def price(value: float | str | Decimal) -> Decimal:
    """An exact price from a research number; half-even at six digits."""
    number = _finite(value, "price")
    if number <= 0:
        raise DataError(f"a price must be positive, was {value}")
    return number.quantize(PRICE_STEP, rounding=ROUND_HALF_EVEN)


def cash(value: float | str | Decimal) -> Decimal:
    """An exact amount of money, to the cent; half-even, so that many roundings do not drift."""
    return _finite(value, "amount").quantize(CENT, rounding=ROUND_HALF_EVEN)


def quantity(value: float | str | Decimal, *, step: Decimal) -> Decimal:
    """A tradable quantity: always towards zero, so that no order is larger than was decided."""
    number = _finite(value, "quantity")
    return (number / step).to_integral_value(rounding=ROUND_DOWN) * step


def _finite(value: float | str | Decimal, what: str) -> Decimal:
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"a {what} must be finite, was {value}")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise DataError(f"a {what} must be finite, was {value}")
    return number
