"""The count of calls to a venue that all processes of this host share, in a small locked file.

Belongs here: keeping and locking. Does not belong here: what the count allows (`quant.execution.
budget`). The file is no record of anything: it may be deleted, and is then begun anew.
"""

import contextlib
import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from quant.core.errors import VenueUnavailableError
from quant.execution.broker import RateLimitedError
from quant.execution.budget import (
    CallKind,
    CallLimits,
    Spent,
    counted_by_venue,
    full,
    silenced,
    take,
)
from quant.execution.venues import Environment

_BYTES_MAX: Final = 64 * 1024


# The simulator counts only when it is told to, and then tells.
_UNLIMITED: Final = CallLimits(per_minute=10**9)


def limits_in(
    environment: Environment, of_venue: CallLimits, asked: CallLimits | None
) -> CallLimits:
    """What holds in an environment: the venue's limits wherever a venue is real."""
    if environment is not Environment.SIMULATED:
        return of_venue
    return asked or _UNLIMITED


class SharedCalls:
    """Asked before every call, and told what the venue says about calls.

    Without a folder the count is this process's own. On Linux and macOS `time.monotonic` is the
    host's, so moments of several processes can be compared; a restart of the host begins it anew.
    """

    def __init__(
        self,
        venue: str,
        limits: CallLimits,
        *,
        folder: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.venue = venue
        self.limits = limits
        self._path = None if folder is None else folder / f"{venue}.json"
        self._monotonic = monotonic
        self._spent = Spent()
        self._told = Spent()

    def ask(self, kind: CallKind, weight: int) -> None:
        """Count a call that leaves now, or `RateLimitedError` with how long to wait."""
        with self._held() as held:
            held.spent, wait_s = take(held.spent, self.limits, kind, weight, held.now)
            told = max(held.spent, self._told, key=lambda spent: spent.silence_left_s(held.now))
            silence_s, is_banned = told.silence_left_s(held.now), told.is_banned
        if silence_s:
            words = "has banned this address" if is_banned else "asks for fewer requests"
            raise RateLimitedError(
                f"{self.venue} {words}; wait {silence_s:.1f} s",
                retry_after_s=silence_s,
                is_banned=is_banned,
            )
        if wait_s:
            raise RateLimitedError(
                f"{kind}s of this address have used their share of {self.venue}'s limit of "
                f"{self.limits.per_minute} a minute; wait {wait_s:.1f} s",
                retry_after_s=wait_s,
                stops_reads_only=kind is CallKind.READ,
            )

    def silence(self, seconds: float, *, is_banned: bool) -> None:
        """The venue asked for silence, and all processes shall keep it.

        This one does even where the others cannot be told, since the disk is full.
        """
        self._told = silenced(self._told, seconds, self._monotonic(), is_banned=is_banned)
        with contextlib.suppress(VenueUnavailableError), self._held() as held:
            held.spent = silenced(held.spent, seconds, held.now, is_banned=is_banned)

    def counted(self, used: int) -> None:
        """What the venue itself has counted in this minute; told again with its next answer."""
        with contextlib.suppress(VenueUnavailableError), self._held() as held:
            held.spent = counted_by_venue(held.spent, used, held.now)

    @contextmanager
    def _held(self) -> Iterator["_Held"]:
        if self._path is None:
            held = _Held(self._spent, self._monotonic())
            yield held
            self._spent = held.spent
            return
        with self._opened() as descriptor:
            now = self._monotonic()
            held = _Held(_read(descriptor, self.limits, now), now)
            before = held.spent
            yield held
            if held.spent != before:
                try:
                    _write(descriptor, held.spent)
                except OSError as error:
                    raise self._unavailable(error) from None

    def _unavailable(self, error: OSError) -> VenueUnavailableError:
        """To whoever wants to send it is the same as a venue that cannot be reached."""
        return VenueUnavailableError(
            f"the count of calls {self._path} cannot be kept ({error.strerror})",
            remedy="free some space, or give this user access; nothing is sent without the count",
        )

    @contextmanager
    def _opened(self) -> Iterator[int]:
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unavailable(error) from None
        try:
            # Freed with the descriptor, and by the system when the process dies.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


class _Held:
    """The count while it is locked."""

    __slots__ = ("now", "spent")

    def __init__(self, spent: Spent, now: float) -> None:
        self.spent = spent
        self.now = now


def _read(descriptor: int, limits: CallLimits, now: float) -> Spent:
    """What the file says; a file that cannot be read is no empty one."""
    raw = os.pread(descriptor, _BYTES_MAX, 0)
    if not raw:
        return Spent()
    try:
        told = json.loads(raw)
        calls = tuple((float(at), int(weight)) for at, weight in told["calls"])
        begin, seconds, is_banned = told["silence"]
        numbers = (float(begin), float(seconds), *(at for at, _ in calls))
        if not all(map(math.isfinite, numbers)) or any(weight < 0 for _, weight in calls):
            return full(limits, now)
        return Spent(
            calls=calls,
            silence_from=float(begin),
            silence_s=float(seconds),
            is_banned=bool(is_banned),
        )
    except (ValueError, TypeError, KeyError):
        return full(limits, now)


def _write(descriptor: int, spent: Spent) -> None:
    silence = (spent.silence_from, spent.silence_s, spent.is_banned)
    raw = json.dumps({"calls": spent.calls, "silence": silence}).encode()
    os.pwrite(descriptor, raw, 0)
    os.ftruncate(descriptor, len(raw))
