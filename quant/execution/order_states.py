"""The states of an order and its legal moves, as data that a reader and a test can see whole.

Belongs here: states, moves and the sets that other modules ask about. Does not belong here: what
makes an order move (`manager`), or where it is recorded.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class OrderState(StrEnum):
    """Where an order is in its life."""

    NEW = "new"
    SENT = "sent"
    WORKING = "working"
    PARTIAL = "partial"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


_OUTCOMES = frozenset(
    {
        OrderState.PARTIAL,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    }
)

# UNKNOWN is a state of its own, never a synonym of flat or rejected: whatever the venue says later
# is a legal way out of it, and until then the order counts at its worst case. SENT follows SENT or
# UNKNOWN when it is proven that the venue never got the order and it leaves again under the same
# id. A cancel or an expiry can be overtaken by a fill that was already on its way, so these two
# have one way out.
LEGAL_MOVES: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    OrderState.NEW: frozenset({OrderState.SENT, OrderState.REJECTED, OrderState.EXPIRED}),
    OrderState.SENT: _OUTCOMES | {OrderState.SENT, OrderState.WORKING, OrderState.UNKNOWN},
    OrderState.WORKING: _OUTCOMES | {OrderState.UNKNOWN},
    OrderState.PARTIAL: (_OUTCOMES | {OrderState.UNKNOWN}) - {OrderState.REJECTED},
    OrderState.UNKNOWN: _OUTCOMES | {OrderState.SENT, OrderState.WORKING},
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset({OrderState.FILLED}),
    OrderState.EXPIRED: frozenset({OrderState.FILLED}),
    OrderState.REJECTED: frozenset(),
}

# The venue may still act on these; every other state is an end.
OPEN_STATES: Final = frozenset(
    {OrderState.SENT, OrderState.WORKING, OrderState.PARTIAL, OrderState.UNKNOWN}
)
# We do not know whether the venue has these: each counts at its worst case.
UNANSWERED_STATES: Final = frozenset({OrderState.SENT, OrderState.UNKNOWN})
# The states that a venue can report.
VENUE_STATES: Final = _OUTCOMES | {OrderState.WORKING}


def is_legal(before: OrderState, after: OrderState) -> bool:
    """Whether an order may go from `before` to `after`."""
    return after in LEGAL_MOVES[before]
