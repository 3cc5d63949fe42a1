"""What a venue's failures mean for the calls to come: wait, send nothing at all, or halt.

Belongs here: rate limits, bans and refused keys. Does not belong here: what a failure means for one
order (`manager`).
"""

from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
)
from quant.execution.broker_events import Breaker, BreakerChanged
from quant.execution.recorder import Recorder


class Pacing:
    """When the venue may be called again."""

    def __init__(self, recorder: Recorder, *, auth_failures_max: int, now: float) -> None:
        self._recorder = recorder
        self._auth_failures_max = auth_failures_max
        self._auth_failures = 0
        self.quiet_until = now
        self._no_reads_until = now
        self._is_banned = False

    def weigh(self, error: Exception, now: float) -> None:
        """Take a failure in."""
        if isinstance(error, RateLimitedError) and error.stops_reads_only:
            self._no_reads_until = max(self._no_reads_until, now + error.retry_after_s)
        elif isinstance(error, RateLimitedError):
            self.quiet_until = max(self.quiet_until, now + error.retry_after_s)
            self._is_banned = self._is_banned or error.is_banned
        elif isinstance(error, VenueAuthError):
            self._auth_failures += 1
            if self._auth_failures >= self._auth_failures_max:
                self.halt(Breaker.VENUE_AUTH, str(error))
        elif isinstance(error, OrderNotFoundError | OrderRejectedError):
            self.answered()  # it says no, and it does so to us

    def answered(self) -> None:
        """The venue took our key: refusals before are no row any more."""
        self._auth_failures = 0

    def is_quiet(self, now: float) -> bool:
        """Whether nothing but cancels may be sent."""
        return now < self.quiet_until

    def may_read(self, now: float) -> bool:
        """Reads are the first to stop where calls become scarce."""
        return now >= self._no_reads_until and not self.is_quiet(now)

    def may_cancel(self, now: float) -> bool:
        """A rate limit leaves room for cancels; a ban does not."""
        if now >= self.quiet_until:
            self._is_banned = False
        return not self._is_banned

    def halt(self, breaker: Breaker, reason: str) -> None:
        """Trip a breaker that only a person resets."""
        control, book = self._recorder.state.control, self._recorder.state.name
        if any(one.breaker is breaker for one in control.tripped(book)):
            return
        self._recorder.record(
            BreakerChanged(
                book=book,
                breaker=breaker,
                is_tripped=True,
                reason=reason,
                changed_by="order manager",
                sequence=control.changes(book, breaker) + 1,
            )
        )
