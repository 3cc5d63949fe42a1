"""What a book may send: its mode, the mode of every book, and the breakers that have tripped.

Belongs here: control as a fold over events, the same for the order manager and for the ledger's
queries. Who changes a mode, and when, is `pmx mode` and the risk manager.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from quant.execution.broker_events import Breaker, BreakerChanged
from quant.execution.event_base import Event
from quant.execution.events import EVERY_BOOK, Mode, ModeChanged

SEVERITY: Final = (Mode.NORMAL, Mode.REDUCE, Mode.PAUSE, Mode.EMERGENCY)
# A venue that does not take our key cannot be asked for anything; every other breaker leaves the
# way out of positions open.
BREAKER_MODES: Final[Mapping[Breaker, Mode]] = {
    **dict.fromkeys(Breaker, Mode.REDUCE),
    Breaker.VENUE_AUTH: Mode.PAUSE,
    Breaker.VENUE_FATAL: Mode.PAUSE,
    Breaker.STALE_QUOTE: Mode.PAUSE,
}


def strictest(modes: list[Mode]) -> Mode:
    """The mode that forbids most."""
    return max(modes, key=SEVERITY.index, default=Mode.NORMAL)


@dataclass(slots=True)
class Control:
    """Modes by scope and breakers by book, as the events left them."""

    modes: dict[str, Mode] = field(default_factory=dict)
    breakers: dict[tuple[str, Breaker], BreakerChanged] = field(default_factory=dict)
    # Asked at every event and changed a few times a day.
    _known: dict[str, Mode] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Note one event; those of other kinds change nothing."""
        self._known.clear()
        if isinstance(event, ModeChanged):
            self.modes[event.scope] = event.mode
        elif isinstance(event, BreakerChanged):
            self.breakers[event.book, event.breaker] = event

    def tripped(self, book: str) -> tuple[BreakerChanged, ...]:
        """Breakers of the book, or of every book, that nobody has reset."""
        scopes = (book, EVERY_BOOK)
        found = (one for one in self.breakers.values() if one.is_tripped and one.book in scopes)
        return tuple(sorted(found, key=lambda one: (one.book, one.breaker)))

    def changes(self, book: str, breaker: Breaker) -> int:
        """How often this breaker has changed."""
        last = self.breakers.get((book, breaker))
        return last.sequence if last else 0

    def mode(self, book: str) -> Mode:
        """The strictest of the book's mode, every book's mode and what breakers demand."""
        if book not in self._known:
            stated = [self.modes.get(scope, Mode.NORMAL) for scope in (book, EVERY_BOOK)]
            demanded = (BREAKER_MODES[one.breaker] for one in self.tripped(book))
            self._known[book] = strictest([*stated, *demanded])
        return self._known[book]
