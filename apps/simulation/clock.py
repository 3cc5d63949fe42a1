"""The virtual clock: what happens next, in order, and the hash of everything that happened.

Belongs here: time. Does not belong here: what happens (`world`, `line`, `process`).
"""

import datetime as dt
import hashlib
import heapq
from collections.abc import Callable
from typing import Any, Final

START: Final = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


class VirtualClock:
    """Seconds since `START`; nothing but `until` moves them."""

    def __init__(self, trace: Callable[[str], None] | None) -> None:
        self.now = 0.0
        self.events = 0
        self.trace = trace
        self._log = hashlib.sha256()
        self._heap: list[tuple[float, int, str, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0

    def moment(self) -> dt.datetime:
        """The date and time."""
        return self.moment_at(self.now)

    def moment_at(self, now: float) -> dt.datetime:
        """The date and time of another second."""
        return START + dt.timedelta(seconds=now)

    def later(self, delay: float, name: str, call: Callable[..., None], *args: Any) -> None:
        """Let something happen after `delay` seconds; without a name it is no event."""
        self._planned += 1
        heapq.heappush(self._heap, (self.now + delay, self._planned, name, call, args))

    def until(self, end: float) -> None:
        """Let everything happen that is planned up to `end`."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, name, call, args = heapq.heappop(heap)
            if name:
                self.events += 1
                self.note(f"{self.now:.6f} {name}".encode())
                if self.trace is not None:
                    words = " ".join(str(one) for one in args)[:300]
                    self.trace(f"{self.moment().isoformat()} {name} {words}")
            call(*args)
        self.now = end

    def note(self, data: bytes) -> None:
        """Something belongs to the history."""
        self._log.update(data)

    def history(self) -> str:
        """The hash of everything so far."""
        return self._log.hexdigest()
