"""Which instruments a nightly run looks at, as a person decided it.

Belongs here: the universe's policy and what makes a symbol acceptable.
Does not belong here: which of them were listed on a given day, or where their bars come from.
"""

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator, Field

from quant.core.policy import Policy
from quant.market.bars import AssetClass, Basis
from quant.market.calendars import calendar_names
from quant.market.symbols import shown, symbol_fault


def _symbol(text: str) -> str:
    fault = symbol_fault(text)
    if fault is None and text != text.upper():
        fault = "it has small letters"
    if fault is not None:
        raise ValueError(f"{shown(text)} is not a symbol: {fault}")
    return text


def _distinct(symbols: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise ValueError(f"each symbol may appear once; twice or more: {', '.join(twice)}")
    return symbols


def _calendar(name: str) -> str:
    if name not in calendar_names():
        raise ValueError(
            f"no calendar is called {shown(name)}; known: {', '.join(calendar_names())}"
        )
    return name


Symbol = Annotated[str, AfterValidator(_symbol)]


class UniversePolicy(Policy):
    """The instruments of one universe; all of them share a basis, a calendar and a currency."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_]*$")
    # Cost and limits depend on it, so it is stated, not guessed from the symbol.
    asset_class: AssetClass = AssetClass.US_EQUITY
    basis: Basis = Basis.TOTAL_RETURN
    calendar: Annotated[str, AfterValidator(_calendar)] = "XNYS"
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3,5}$")
    # The first session on which the universe exists; partitions start here.
    history_start: dt.date
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1), AfterValidator(_distinct)]
    # Decisions of a session see what was known this long after its close.
    decision_delay_minutes: int = Field(default=60, ge=0, le=24 * 60)
