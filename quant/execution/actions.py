"""Corporate actions as they meet a book: exact split ratios and cash per share.

Belongs here: turning a delivered action into exact numbers. What it does to a position is in
`book`; where actions come from is the market's business.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from quant.core.errors import DataError

# Sources deliver split factors as rounded decimals (0.142857 for seven-for-one). No listed split
# has needed a larger term than this; the fraction found must reproduce every delivered digit.
_TERM_MAX = 1_000


class ActionKind(StrEnum):
    """What happened to the share."""

    SPLIT = "split"
    CASH_DIVIDEND = "cash_dividend"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """One action; `value` is a split's factor on prices, or a dividend's cash per share."""

    symbol: str
    ex_session: dt.date
    kind: ActionKind
    value: Decimal
    row_hash: str = ""

    def __post_init__(self) -> None:
        if not self.value.is_finite() or self.value <= 0:
            raise DataError(
                f"{self.kind} of {self.symbol} on {self.ex_session} must be positive, "
                f"was {self.value}"
            )


def split_ratio(price_factor: Decimal) -> Fraction:
    """The exact factor on prices that a rounded decimal stands for: 0.142857 is one seventh.

    A quantity multiplied by 1/0.142857 would invent 0.0007 shares out of a hundred.
    """
    exact = Fraction(price_factor)
    exponent = price_factor.normalize().as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0
    half_unit = Fraction(1, 2 * 10 ** max(digits, 0))
    guess = exact.limit_denominator(_TERM_MAX)
    return guess if guess > 0 and abs(guess - exact) <= half_unit else exact


def apply_ratio(number: Decimal, ratio: Fraction) -> Decimal:
    """`number` times `ratio`, rounded once."""
    return number * ratio.numerator / ratio.denominator
