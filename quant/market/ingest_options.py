"""What a file of bars does not say about itself, so that a person must.

Belongs here: the options of an ingest and their safe defaults. Does not belong here: using them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import Field

from quant.core.policy import Policy
from quant.market.bars import AssetClass, Basis
from quant.market.calendars import ALWAYS_OPEN, US_EQUITY_CALENDAR
from quant.market.sources import MINUTES_PER_DAY

# Currencies, futures and the frontier exchanges close at no single hour; the next UTC midnight is
# after all of them, so a bar is never thought known too early. An exchange named in the options
# (`calendar`) is more exact.
_CALENDARS: Final[Mapping[AssetClass, str]] = {
    AssetClass.US_EQUITY: US_EQUITY_CALENDAR,
    AssetClass.ETF: US_EQUITY_CALENDAR,
    AssetClass.INDEX: US_EQUITY_CALENDAR,
    AssetClass.CRYPTO: ALWAYS_OPEN,
    AssetClass.FX: ALWAYS_OPEN,
    AssetClass.FUTURE: ALWAYS_OPEN,
    AssetClass.FRONTIER: ALWAYS_OPEN,
}


class IngestOptions(Policy):
    """What a file does not say about itself and the caller must."""

    basis: Basis = Basis.RAW
    asset_class: AssetClass = AssetClass.US_EQUITY
    currency: str = Field(default="USD", pattern=r"[A-Z]{3,5}")
    calendar: str | None = None
    timezone: str | None = None
    mapping: Mapping[str, str] = Field(default_factory=lambda: MappingProxyType({}))
    date_format: str | None = None
    interval_minutes: int | None = Field(default=None, ge=1, lt=MINUTES_PER_DAY)
    # Vendors stamp an intraday bar with its beginning; a few stamp its end.
    are_stamps_at_end: bool = False
    publication_lag_minutes: int = Field(default=15, ge=0)

    @property
    def calendar_name(self) -> str:
        """The calendar named, or the asset class's own."""
        return self.calendar or default_calendar(self.asset_class)


def default_calendar(asset_class: AssetClass) -> str:
    """The calendar by which bars of a class are placed in time when none is named."""
    return _CALENDARS[asset_class]
