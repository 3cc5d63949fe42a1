"""Which instruments a nightly run looks at, as a person decided it.

Belongs here: the universe's policy and what makes a symbol acceptable.
Does not belong here: which of them were listed on a given day, or where their bars come from.
"""

import datetime as dt
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from quant.core.policy import Policy
from quant.market.bars import AssetClass, Basis

# Room for 'BTC/USD', 'BRK.B', '^VIX', 'EURUSD=X'; none for paths, spaces or control characters.
_SYMBOL: Final = re.compile(r"[A-Z0-9^][A-Z0-9._=^/-]{0,31}")


def _symbol(text: str) -> str:
    if not _SYMBOL.fullmatch(text) or ".." in text or "//" in text:
        raise ValueError(
            "a symbol is 1 to 32 characters: capital letters, digits and . _ = ^ / - inside"
        )
    return text


def _distinct(symbols: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise ValueError(f"each symbol may appear once; twice or more: {', '.join(twice)}")
    return symbols


Symbol = Annotated[str, AfterValidator(_symbol)]


class UniversePolicy(Policy):
    """The instruments of one universe; all of them share a basis, a calendar and a currency."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_]*$")
    # Cost and limits depend on it, so it is stated, not guessed from the symbol.
    asset_class: AssetClass = AssetClass.US_EQUITY
    basis: Basis = Basis.TOTAL_RETURN
    # A code of the exchange_calendars package.
    calendar: str = Field(default="XNYS", min_length=1, max_length=16)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3,5}$")
    # The first session on which the universe exists; partitions start here.
    history_start: dt.date
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1), AfterValidator(_distinct)]
    # Frontier markets are thin and dear, so they are asked for, never slipped in.
    include_frontier: bool = False
    # Decisions of a session see what was known this long after its close.
    decision_delay_minutes: int = Field(default=60, ge=0, le=24 * 60)
