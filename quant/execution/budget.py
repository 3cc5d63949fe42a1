"""How much one address may ask of a venue in a minute, and who goes without first.

Belongs here: the count over the last minute, the venue's orders to be silent, and the shares at
which reads, then sends, then cancels stop. Does not belong here: where the count is kept, so that
all processes of an address share it (`resources.brokers.shared_calls`).

Venues count by address, not by key: three bots behind one address share one budget, and the ban
that the loudest of them earns. So all keep well below the limit, and what a cancel needs is never
spent on looking.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

# Venues count minutes, ours is any minute and a second more: what leaves a minute apart may arrive
# a little closer together.
WINDOW_S: Final = 61.0
# Calls of so short a time are kept as one, so that the count stays small.
_TOGETHER_S: Final = 0.5


class CallKind(StrEnum):
    """What a call is for; a look-up that belongs to a cancel is a cancel."""

    READ = "read"
    SEND = "send"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """A venue's limit for an address and a minute, and how much of it each kind may have used.

    A kind stops where the count of all kinds together reaches its share, so the room between two
    shares is what only the later kinds can spend.
    """

    per_minute: int
    shares: Mapping[CallKind, float] = field(
        default_factory=lambda: {CallKind.READ: 0.6, CallKind.SEND: 0.7, CallKind.CANCEL: 0.8}
    )

    def room(self, kind: CallKind) -> int:
        """The weight of a minute beyond which the kind has to wait."""
        return int(self.per_minute * self.shares[kind])


# As documented in 2026: Binance's weight an address, Alpaca's requests an account.
VENUE_LIMITS: Final[Mapping[str, CallLimits]] = {
    "alpaca": CallLimits(per_minute=200),
    "binance": CallLimits(per_minute=6_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The calls of the last minute as (moment, weight), oldest first, and any silence in force.

    Moments are seconds of a clock that only runs forward and that all processes of a host share.
    """

    calls: tuple[tuple[float, int], ...] = ()
    silence_from: float = 0.0
    silence_s: float = 0.0
    is_banned: bool = False

    def used(self) -> int:
        """The weight of all calls that are remembered."""
        return sum(weight for _, weight in self.calls)

    def silence_left_s(self, now: float) -> float:
        """How long nothing may be sent at all."""
        return max(0.0, self.silence_from + self.silence_s - now)


def recent(spent: Spent, now: float) -> Spent:
    """What still counts at `now`.

    After a restart of the host its clock begins anew: calls of the future never were, and a
    silence of the future is kept whole from now on.
    """
    calls = tuple(call for call in spent.calls if now - WINDOW_S < call[0] <= now)
    begins = min(spent.silence_from, now) if spent.silence_s else 0.0
    return replace(spent, calls=calls, silence_from=begins)


def take(
    spent: Spent, limits: CallLimits, kind: CallKind, weight: int, now: float
) -> tuple[Spent, float]:
    """The count with one more call and 0, or as it was and how long the call has to wait."""
    spent = recent(spent, now)
    if silence := spent.silence_left_s(now):
        return spent, silence
    room = limits.room(kind) - weight
    if spent.used() <= room:
        return replace(spent, calls=_added(spent.calls, weight, now)), 0.0
    return spent, _wait_s(spent, room, now)


def silenced(spent: Spent, seconds: float, now: float, *, is_banned: bool) -> Spent:
    """The venue asked for silence; a longer one that is in force stays."""
    spent = recent(spent, now)
    if seconds <= spent.silence_left_s(now):
        return replace(spent, is_banned=spent.is_banned or is_banned)
    return replace(spent, silence_from=now, silence_s=seconds, is_banned=is_banned)


def counted_by_venue(spent: Spent, used: int, now: float) -> Spent:
    """The venue counts more than we do: somebody else behind this address calls it too."""
    spent = recent(spent, now)
    unknown = used - spent.used()
    return replace(spent, calls=_added(spent.calls, unknown, now)) if unknown > 0 else spent


def full(limits: CallLimits, now: float) -> Spent:
    """What is assumed where the count was lost: that all of it has just been spent."""
    return Spent(calls=((now, limits.per_minute),))


def _added(
    calls: tuple[tuple[float, int], ...], weight: int, now: float
) -> tuple[tuple[float, int], ...]:
    if calls and now - calls[-1][0] < _TOGETHER_S and _begins_together(calls, now):
        # Under the later moment: what is kept together is forgotten late, never early.
        return (*calls[:-1], (now, calls[-1][1] + weight))
    return (*calls, (now, weight))


def _begins_together(calls: tuple[tuple[float, int], ...], now: float) -> bool:
    """Whether the last entry lies in the same half second: entries must not grow without end."""
    return int(calls[-1][0] / _TOGETHER_S) == int(now / _TOGETHER_S)


def _wait_s(spent: Spent, room: int, now: float) -> float:
    """Until enough of the oldest calls are a minute old."""
    left = spent.used()
    for moment, weight in spent.calls:
        left -= weight
        if left <= room:
            return max(0.001, moment + WINDOW_S - now)
    return WINDOW_S
