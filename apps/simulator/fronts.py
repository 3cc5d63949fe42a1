"""What a protocol must offer so that the venue can serve it and break it.

Belongs here: the contract between `server` and the protocols, and helpers that both share.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from apps.simulator.faults import Fault, FaultRule
from apps.simulator.http import Ask, Channel, Reply

Struck = dict[Fault, FaultRule]


class Front(Protocol):
    """One protocol on one port."""

    name: str

    def operation_of(self, ask: Ask) -> str:
        """Which of `faults.OPERATIONS` is asked for."""
        ...

    def answer(self, ask: Ask, struck: Struck) -> Reply:
        """What the venue says when nothing is in the way."""
        ...

    def error(self, status: int, code: int, message: str, **headers: str) -> Reply:
        """An error in this protocol's words."""
        ...

    def open_channel(self, channel: Channel) -> bool:
        """Take a WebSocket, or refuse it."""
        ...


@dataclass(slots=True)
class MinuteBudget:
    """Counts weight over a sliding minute; None allows everything."""

    limit: int | None
    now: Callable[[], dt.datetime]
    _spent: deque[tuple[dt.datetime, int]] = field(default_factory=deque)
    used: int = 0

    def take(self, weight: int) -> float:
        """Seconds to wait before `weight` fits; 0 when it was taken."""
        moment = self.now()
        while self._spent and moment - self._spent[0][0] >= dt.timedelta(minutes=1):
            self.used -= self._spent.popleft()[1]
        if self.limit is not None and self.used + weight > self.limit:
            oldest = self._spent[0][0] if self._spent else moment
            return max(0.001, 60 - (moment - oldest).total_seconds())
        self._spent.append((moment, weight))
        self.used += weight
        return 0.0


def text(value: Decimal) -> str:
    """A number as venues write it: plain, without an exponent."""
    return format(value, "f")


def moment_text(moment: dt.datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def milliseconds(moment: dt.datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp() * 1000)
