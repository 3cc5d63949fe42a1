"""Which books trade at a venue, whose money that is, and how a session there is paced.

Belongs here: the policy of `config/brokers.yaml`. Does not belong here: how a venue is reached
(`resources.brokers`), or keys, which are in the environment alone.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from quant.core.policy import Policy
from quant.execution.broker import TimeInForce
from quant.execution.commands import ManagerPolicy

LoopbackUrl = Annotated[
    str, Field(pattern=r"^https?://(127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?(/.{0,200})?$")
]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class Environment(StrEnum):
    """Whose money it is: nobody's, the venue's play money, or yours."""

    SIMULATED = "simulated"
    PAPER = "paper"
    LIVE = "live"


class VenueName(StrEnum):
    """The venues that a book can be traded at by name."""

    ALPACA = "alpaca"
    BINANCE = "binance"
    KRAKEN = "kraken"
    COINBASE = "coinbase"


# The others trade around the clock and refuse an order for the day.
_WITH_A_DAY = frozenset({VenueName.ALPACA})


class VenuePolicy(Policy):
    """One book's venue. There is no stream: the account is read every few seconds instead."""

    venue: VenueName
    environment: Environment = Environment.PAPER
    # Only a simulated venue has an address of its own, and only on this machine.
    url: LoopbackUrl | None = None
    # What a fill is charged where the venue does not tell: never zero for not knowing.
    untold_fee_bps: Decimal = Field(default=Decimal("0.3"), ge=0, le=1_000)
    # An order leaves as a limit so far from the price that it was decided at, for the day; exits go
    # at the market. At most the book's gap_reserve_bps, or the cash kept for it is too little.
    price_collar_bps: Annotated[Decimal, Field(gt=0, le=2_000)] | None = Decimal(100)
    read_account_every_s: Seconds = 5.0
    # The first reading of the account has to succeed within this time, or nothing is sent.
    first_reading_timeout_s: Seconds = 60.0
    # At the end of a session what is open is cancelled, and this long its end is waited for.
    end_timeout_s: Seconds = 60.0
    # An order is believed never to have arrived when it could not be found for so long.
    grace_s: Seconds = 90.0

    @property
    def label(self) -> str:
        """The venue and environment, such as alpaca-paper."""
        return f"{self.venue}-{self.environment}"

    def manager_policy(self) -> ManagerPolicy:
        """The order manager's timing at this venue."""
        return ManagerPolicy(
            snapshot_every_s=self.read_account_every_s,
            untold_fee_bps=self.untold_fee_bps,
            grace_s=self.grace_s,
            time_in_force=TimeInForce.DAY if self.venue in _WITH_A_DAY else TimeInForce.GTC,
        )


class BrokersPolicy(Policy):
    """Books by name; a book that is not named is filled by the paper engine."""

    books: Mapping[str, VenuePolicy] = Field(default_factory=dict)

    def venue_of(self, book: str) -> VenuePolicy | None:
        """The venue that `book` trades at, if any."""
        return self.books.get(book)
