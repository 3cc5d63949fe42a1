"""How often each thing goes wrong in a simulated world, drawn once a seed.

Belongs here: names and shares of faults. Does not belong here: what a fault does (`line`, `venue`,
`world`). Most worlds are mildly ill; some are very ill in one way, which finds other errors than
being a little ill in all.
"""

import random
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong, on requests, on the stream, in the process or in the account."""

    REQUEST_LOST = "request_lost"  # nothing done, and the client cannot know
    ACK_LOST = "ack_lost"  # done, and the client cannot know
    ERROR_AFTER = "error_after"  # done, then a 5xx
    HUNG = "hung"  # done, and no answer ever
    REFUSED_BEFORE = "refused_before"  # nothing done, and the client knows
    SLOW = "slow"  # the request travels for up to half the grace time
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    AUTH = "auth"
    CLOCK_DRIFT = "clock_drift"  # every signed request is refused for a while
    UNREADABLE = "unreadable"  # a listing, or one row of it
    UNKNOWN_WORD = "unknown_word"
    READ_LAG = "read_lag"
    FILL_ON_CANCEL = "fill_on_cancel"
    OVERFILL = "overfill"

    STREAM_DROPPED = "stream_dropped"
    STREAM_DOUBLED = "stream_doubled"
    STREAM_LATE = "stream_late"
    STREAM_SILENT = "stream_silent"

    EXTERNAL_ORDER = "external_order"
    SUSPENDED = "suspended"
    CRASH_BEFORE_RECORD = "crash_before_record"
    CRASH_AFTER_RECORD = "crash_after_record"
    CRASH_BETWEEN_CALLS = "crash_between_calls"


# The share of occasions at which a fault strikes in a mildly ill world. Each was set so that ten
# days meet it about ten times, crashes and account faults about once.
_MILD = {
    Fault.REQUEST_LOST: 0.02,
    Fault.ACK_LOST: 0.03,
    Fault.ERROR_AFTER: 0.03,
    Fault.HUNG: 0.01,
    Fault.REFUSED_BEFORE: 0.02,
    Fault.SLOW: 0.02,
    Fault.RATE_LIMITED: 0.005,
    Fault.BANNED: 0.001,
    Fault.AUTH: 0.003,
    Fault.CLOCK_DRIFT: 0.001,
    Fault.UNREADABLE: 0.03,
    Fault.UNKNOWN_WORD: 0.01,
    Fault.READ_LAG: 0.05,
    Fault.FILL_ON_CANCEL: 0.1,
    Fault.OVERFILL: 0.02,
    Fault.STREAM_DROPPED: 0.03,
    Fault.STREAM_DOUBLED: 0.03,
    Fault.STREAM_LATE: 0.05,
    Fault.STREAM_SILENT: 0.002,
    Fault.EXTERNAL_ORDER: 0.1,
    Fault.SUSPENDED: 0.001,
    Fault.CRASH_BEFORE_RECORD: 0.0004,
    Fault.CRASH_AFTER_RECORD: 0.0004,
    Fault.CRASH_BETWEEN_CALLS: 0.0004,
}
_RARE = frozenset(fault for fault in Fault if fault.value.startswith("crash")) | {
    Fault.BANNED,
    Fault.SUSPENDED,
    Fault.AUTH,
}


def shares_of(draw: random.Random) -> dict[Fault, float]:
    """The shares of one world: a severity for all, and now and then one fault in the foreground."""
    severity = draw.choice((0.0, 0.5, 1.0, 1.0, 2.0))
    shares = {fault: share * severity for fault, share in _MILD.items()}
    if draw.random() < 0.5:
        worst = draw.choice(list(Fault))
        shares[worst] = min(0.5, _MILD[worst] * (5 if worst in _RARE else 10))
    return shares
