"""Whether the machine's wall clock can still be trusted to agree with a venue's.

Belongs here: noticing that it was set, or that the last comparison is old. Does not belong here:
the comparison itself, which only the venue can answer (the adapters).
"""

import time
from collections.abc import Callable
from typing import Final

# Venues refuse what comes a second from the future; half of that is time to notice.
STEP_S_MAX: Final = 0.5
# A quartz drifts by 50 parts in a million: 0.03 s in ten minutes, and 4 s in a day.
AGE_S_MAX: Final = 600.0


class ClockWatch:
    """Compares the wall clock with one that nobody can set."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._apart: float | None = None
        self._compared_at = 0.0
        # False after a step, or a refusal that a fresh comparison did not cure, until the venue
        # takes a signed question again.
        self.is_trusted = True

    def compared(self) -> None:
        """The venue's time was just read."""
        self._compared_at = self._monotonic()
        self._apart = self._wall() - self._compared_at

    def has_stepped(self) -> bool:
        """Whether somebody has set the clock since."""
        if self._apart is None:
            return False  # not connected yet: connecting compares
        return abs(self._wall() - self._monotonic() - self._apart) > STEP_S_MAX

    def is_old(self) -> bool:
        """Whether the comparison is too old to rely on."""
        return self._apart is not None and self._monotonic() - self._compared_at > AGE_S_MAX
