"""Time as a port: the domain never reads a clock of its own."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC."""

    def now(self) -> dt.datetime:
        """The current moment, aware and in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        """The wall time in UTC."""
        return dt.datetime.now(dt.UTC)


@dataclass(slots=True)
class SteppedClock:
    """A clock that stands still until it is told; for demos, backtests and tests."""

    moment: dt.datetime

    def now(self) -> dt.datetime:
        """The moment it was last set to."""
        return self.moment

    def step_to(self, moment: dt.datetime) -> None:
        """Move forward; time never runs back."""
        if moment < self.moment:
            raise ValueError(f"time cannot run back from {self.moment} to {moment}")
        self.moment = moment
