"""What is written down when a source is passed over, and when all of them are.

Belongs here: the records and the error made of them. Does not belong here: deciding who is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandas as pd

from quant.core.errors import SourceUnavailableError


class SkipReason(StrEnum):
    """Why a source was passed over for some symbols."""

    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    UNBELIEVABLE = "unbelievable"
    TIMED_OUT = "timed_out"
    STILL_HANGING = "still_hanging"
    OUT_OF_TIME = "out_of_time"
    LACKS = "lacks"
    NO_KEY = "no_key"
    CRASHED = "crashed"


# After one of these the source is not asked again within the same request.
BENCHING: Final = frozenset(
    {
        SkipReason.UNAVAILABLE,
        SkipReason.TIMED_OUT,
        SkipReason.STILL_HANGING,
        SkipReason.OUT_OF_TIME,
        SkipReason.CRASHED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSkip:
    """One source passed over once."""

    source: str
    symbols: tuple[str, ...]
    reason: SkipReason
    message: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimit:
    """What the failover itself bounds for one source."""

    timeout_s: float | None = None
    symbols_per_call: int = 50
    # Its part of the time that is left, against 1 for each of the others.
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FailoverResult:
    """Bars (or actions), who served each symbol, and every source that was passed over."""

    bars: pd.DataFrame
    skips: tuple[SourceSkip, ...]
    served: Mapping[str, str]
    unserved: tuple[str, ...]
    # Bars that came without a close and were left out.
    missing_bars: int


def all_failed(skips: Sequence[SourceSkip]) -> SourceUnavailableError:
    """The error that lists every source with its reason."""
    if not skips:
        return SourceUnavailableError(
            "no source of market data is set up",
            remedy="name at least one source in the priority list, such as sample",
        )
    reasons = "; ".join(f"{skip.source} ({skip.reason}): {skip.message}" for skip in skips)
    return SourceUnavailableError(
        f"no source answered: {reasons}",
        remedy="check the network and the keys named above, add a source to the priority list, "
        "or run from the bundled sample, which needs neither",
    )
