"""What must hold when everything has come to rest: ledger and venue agree, and nothing is open.

Belongs here: the end of a day. Does not belong here: what holds at every event (`invariants`).
"""

from decimal import Decimal

from apps.simulation.invariants import Judge, ViolationError
from apps.simulation.venue import SimVenue


def require_settled(judge: Judge, venue: SimVenue, *, day: int, external_cash: Decimal) -> None:
    """Raise for the first contradiction; `external_cash` is what other hands took and paid."""
    mirror = judge.mirror
    if mirror.open:
        raise ViolationError(2, f"day {day}: {len(mirror.open)} orders are still open")
    for symbol, theirs in venue.positions.items():
        ours = judge.positions[symbol]
        if ours != theirs:
            raise ViolationError(2, f"day {day}: {symbol} is {ours} here and {theirs} there")
    apart = venue.cash - judge.cash - external_cash
    if apart:
        raise ViolationError(2, f"day {day}: the venue has {apart} more in cash")
    if mirror.held or not mirror.is_readable:
        raise ViolationError(2, f"day {day}: still held: {dict(mirror.held)}")
    for key in venue.orders:
        _require_same(judge, venue, key)


def _require_same(judge: Judge, venue: SimVenue, key: str) -> None:
    orders = venue.orders[key]
    if len(orders) > 1:
        raise ViolationError(3, f"the venue took order {key} {len(orders)} times")
    if key not in judge.orders:
        raise ViolationError(4, f"the venue has order {key}, and no record names it")
    life, theirs = judge.mirror.lives[key], orders[0]
    if life.filled != theirs.filled:
        raise ViolationError(2, f"order {key}: {life.filled} here, {theirs.filled} there")
    if life.order.side is not theirs.ticket.side:
        raise ViolationError(2, f"order {key} has two sides")
