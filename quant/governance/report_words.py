"""How the report says things: numbers as text, and gates, modes and verdicts in plain words.

Belongs here: wording that is the same on every page, message and terminal.
Does not belong here: markup.
"""

import datetime as dt
import math
import numbers
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import pandas as pd

UNKNOWN: Final = "–"


class Kind(StrEnum):
    """How a value is written, and on which side it is aligned."""

    TEXT = "text"
    CODE = "code"
    DATE = "date"
    MONEY = "money"
    PRICE = "price"
    QUANTITY = "quantity"
    NUMBER = "number"
    PERCENT = "percent"
    SIGNED_PERCENT = "signed_percent"
    RATIO = "ratio"
    COUNT = "count"
    VERDICT = "verdict"

    @property
    def is_numeric(self) -> bool:
        """Whether values line up on the right and sort by size."""
        return self not in (Kind.TEXT, Kind.CODE, Kind.DATE, Kind.VERDICT)


GATE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit": "The audits do not support the forecasts",
        "capital": "Not enough capital at this stage",
        "cash": "Not enough cash",
        "confidence": "The models are not sure enough",
        "correlation": "Moves too much like what is already held",
        "cost": "The expected gain does not pay for the round trip",
        "data_quality": "The data is not good enough",
        "edge": "Too little gain is expected",
        "exit": "An exit rule ends the position, or it would not have reduced it",
        "flag": "Switched off by a flag",
        "forecast": "No usable forecast tonight",
        "frontier": "Frontier markets are switched off or at their cap",
        "impact": "It would make the whole portfolio worse",
        "language_model": "A language model alone may not change what is held",
        "liquidity": "Too little trades in it",
        "long_only": "It would sell short, and the book is long only",
        "min_notional": "The order would be too small",
        "mode": "The book's mode does not allow it",
        "model": "No certified model stands behind it",
        "no_change": "Already held at that weight",
        "nothing_held": "Nothing is held to sell",
        "position": "The position would be too small to be worth it",
        "quantity_step": "Below the smallest quantity",
        "regime": "It does not fit the market's regime",
        "risk": "A risk limit would be exceeded",
        "sector": "The sector would weigh too much",
        "statistics": "The gain is less likely than not to pay the cost",
        "short": "It would sell more than is held",
        "size": "The amount is too small to trade",
        "stale": "The prices are too old",
        "symbol_taken": "Another strategy trades this symbol",
        "unknown": "An order's fate is unknown",
        "verdict": "The model was refused",
        "window": "The time to trade it has passed",
    }
)


def gate_words(gate: object) -> str:
    """A gate's name in plain words; an unknown name is only tidied up."""
    name = text(gate)
    plain = GATE_WORDS.get(name.removesuffix("_gate"))
    return plain or name.replace("_", " ").strip().capitalize() or "Unnamed gate"


def is_missing(value: object) -> bool:
    """Whether there is no value: None, NaN, NaT, or a number that is not finite."""
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    if isinstance(value, Decimal):
        return not value.is_finite()
    return isinstance(value, numbers.Real) and not math.isfinite(value)


def text(value: object) -> str:
    """Any value as one line of text, without control characters; a missing one is empty."""
    if is_missing(value):
        return ""
    line = " ".join(str(value).split())
    return "".join(character for character in line if character.isprintable())


def written(value: object, kind: Kind) -> str:
    """The value as a reader sees it; a missing one is a dash, and a zero is never "-0.00"."""
    if is_missing(value) or value == "":
        return UNKNOWN
    if kind is Kind.DATE:
        return day(value)
    if kind is Kind.VERDICT:
        return "passed" if bool(value) else "refused"
    if not kind.is_numeric:
        return text(value)
    return _number(value if isinstance(value, Decimal) else float(str(value)), kind)


def _number(value: float | Decimal, kind: Kind) -> str:
    match kind:
        case Kind.MONEY:
            return f"{value:z,.2f}"
        case Kind.PRICE:
            # Adjusted prices of long ago may be fractions of a cent.
            return f"{value:z,.2f}" if abs(float(value)) >= 1 else f"{value:z.4g}"
        case Kind.QUANTITY:
            return f"{value:z,.8f}".rstrip("0").rstrip(".")
        case Kind.PERCENT:
            return f"{value * 100:z,.2f} %"
        case Kind.SIGNED_PERCENT:
            return f"{value * 100:+z,.2f} %"
        case Kind.RATIO:
            return f"{value:z,.2f}"
        case Kind.COUNT:
            return f"{int(value):,}"
        case _:
            return f"{value:z,.6g}"


def day(value: object) -> str:
    """A date as 2022-12-28, whatever type carried it."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    return str(pd.Timestamp(str(value)).date())


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 trade, 2 trades."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
