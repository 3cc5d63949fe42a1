"""What a bar is: the columns every source delivers and the warehouse keeps.

Belongs here: the column list, the price bases, and the check that a frame has this shape.
Does not belong here: where bars come from (`sources`), whether they are believable (`quality`).
On the path of every command that loads the code location, so pandas is not imported here.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from quant.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


class Basis(StrEnum):
    """What has already been divided out of a price. Series of different basis never mix."""

    RAW = "raw"
    SPLIT_ADJUSTED = "split_adjusted"
    TOTAL_RETURN = "total_return"


class AssetClass(StrEnum):
    """Decides cost priors, calendar and limits."""

    US_EQUITY = "us_equity"
    ETF = "etf"
    INDEX = "index"
    CRYPTO = "crypto"
    FX = "fx"
    FUTURE = "future"
    FRONTIER = "frontier"


PRICE_COLUMNS: Final = ("open", "high", "low", "close")
# No instrument is quoted above this; a larger number is something else than a price.
PRICE_MAX: Final = 1e12
# More than all shares, coins and contracts in the world.
VOLUME_MAX: Final = 1e18

# One row is one bar as one source knew it at one moment. `session` is the trading day on the
# exchange's calendar; `event_time` is when the bar was complete (UTC); `known_at` is the first
# moment at which we could have acted on it (UTC).
DAILY_BAR_COLUMNS: Final = (
    "symbol",
    "basis",
    "session",
    "event_time",
    "known_at",
    "source",
    "asset_class",
    "currency",
    *PRICE_COLUMNS,
    "volume",
)

# An intraday bar adds its length; its session is the day on which it closed.
INTRADAY_BAR_COLUMNS: Final = (*DAILY_BAR_COLUMNS, "interval_minutes")

# A split's value is the factor on prices (0.5 for two-for-one); a cash dividend's is per share.
ACTION_COLUMNS: Final = ("symbol", "ex_session", "kind", "value", "known_at", "source")


def require_columns(
    frame: "pd.DataFrame", columns: tuple[str, ...], *, what: str
) -> "pd.DataFrame":
    """The frame with exactly `columns`, in order; `DataError` names what is missing."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(f"{what} lacks the columns {', '.join(missing)}")
    return frame.loc[:, list(columns)]
