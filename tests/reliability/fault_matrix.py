"""Each fault alone at each kind of call through each real SDK: what `real_sdks` mixes, taken apart.

Belongs here: the cells and what is judged in each. The port has no call that replaces, and streams
are tested by themselves.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from apps.simulator.faults import FaultRule
from apps.simulator.server import Venue, VenueOptions, running
from benchmarks.venue_soak import ATTEMPTS_MAX, Soak, _broker, _ticket, judge
from quant.core.errors import OrderUnknownError, VenueUnavailableError
from quant.execution.broker import Listing, OrderNotFoundError, RateLimitedError
from quant.execution.orders import OrderState
from tests.reliability.progress import counted

SDKS = ("alpaca", "binance")
CALLS = ("submit", "cancel", "query", "list")
ORDERS = 8
# Two calls of three, from the first on: each cell is struck, and each call succeeds in the end.
STRUCK = tuple(number for number in range(1, 1_000) if number % 3)
BELIEVABLE = ("empty_list", "list")
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "request_lost"},
    {"fault": "ack_lost"},
    {"fault": "error_after", "status": 504},
    {"fault": "error_after", "status": 500, "code": -1006},
    {"fault": "error_after", "status": 502},
    {"fault": "error_before", "status": 503},
    {"fault": "error_before", "status": 500},
    {"fault": "rate_limited", "retry_after_s": 0.0},
    {"fault": "page"},
    {"fault": "empty"},
    {"fault": "truncated"},
    {"fault": "cut"},
    {"fault": "empty_object"},
    {"fault": "empty_list"},
    {"fault": "unknown_word"},
    {"fault": "null_field"},
    {"fault": "nan_field"},
    {"fault": "extra_field"},
    {"fault": "answer_doubled"},
    {"fault": "delay", "delay_ms_min": 1.0, "delay_ms_max": 10.0},
    {"fault": "read_lag", "lag_ms": 30.0},
    {"fault": "fill_on_cancel"},
)


def cells(every: int) -> list[tuple[str, str, FaultRule]]:
    """SDK, call and rule; each Nth of them. Two faults have one place only.

    An empty list for a list is left out: nobody can tell it from an empty account, and the order
    manager concludes nothing from an absence before it has asked for the order itself.
    """
    only = {"read_lag": "query", "fill_on_cancel": "cancel"}
    found = [
        (sdk, call, FaultRule(**fault, on=(call,), calls=STRUCK))
        for sdk in SDKS
        for fault in FAULTS
        for call in CALLS
        if only.get(fault["fault"], call) == call and (fault["fault"], call) != BELIEVABLE
    ]
    return found[::every]


def live_through(every: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """What was done in all cells, and what was wrong in which."""
    done: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for sdk, call, rule in counted(cells(every), "cells of fault and call"):
        struck, bad = _cell(sdk, rule, seed)
        done["cells"] += 1
        done["struck"] += struck > 0
        for what, count in bad.items():
            wrong[f"{sdk}: {rule.fault} at {call}: {what}"] += count
    return done, +wrong


def _cell(sdk: str, rule: FaultRule, seed: int) -> tuple[int, Counter[str]]:
    venue, draw = Venue(VenueOptions(seed=seed)), random.Random(seed)
    start = venue.clock.now()
    with running(venue, {sdk: 0}) as urls:
        one = Soak(sdk=sdk, broker=_broker(sdk, urls[sdk]))
        venue.plan.rules = [rule]
        for place in range(ORDERS):
            is_resting = place % 2 == 1
            ticket = _ticket(sdk, venue, place, draw, is_resting)
            one.trade(ticket, is_canceled=is_resting and place < ORDERS - 2)
            name = ticket.client_order_id
            one.told[name] = one.until_known(partial(one.broker.find, name, symbol=ticket.symbol))
        lists = {
            "open orders": _patiently(one.broker.open_orders),
            "positions": _patiently(one.broker.positions),
            "executions": _patiently(lambda: one.broker.fills_since(start)),
        }
        struck = venue.plan.struck[rule.fault]
        venue.plan.clear()
        _learn_the_rest(one)
    return struck, Counter(judge(one, venue)) + _lists_wrong(lists, sdk, venue)


def _patiently(ask: Callable[[], Listing[Any]]) -> Listing[Any]:
    """A list of which every row could be read."""
    for _ in range(ATTEMPTS_MAX):
        try:
            found = ask()
        except (VenueUnavailableError, RateLimitedError, OrderUnknownError, OrderNotFoundError):
            time.sleep(0.005)
        else:
            if not found.unreadable:
                return found
    raise AssertionError("the venue was never readable")


def _learn_the_rest(one: Soak) -> None:
    """A word that was new to us leaves an order open: it is asked for once more."""
    for name, told in list(one.told.items()):
        if told.state is OrderState.UNKNOWN:
            one.told[name] = one.broker.find(name, symbol=told.symbol)


def _lists_wrong(lists: dict[str, Listing[Any]], sdk: str, venue: Venue) -> Counter[str]:
    """Against the venue's books: nothing hidden, nothing invented."""
    account = venue.exchange.accounts[sdk]
    ours = {one.client_order_id for one in lists["open orders"].rows}
    theirs = {one.request.client_id for one in account.open_orders()}
    fills = {one.execution_id for one in lists["executions"].rows}
    held = {
        name for name, amount in account.balances.items() if amount and name != account.cash_asset
    }
    return Counter(
        {
            "open orders told otherwise": len(ours ^ theirs),
            "executions told otherwise": abs(len(fills) - len(account.fills)),
            "positions told otherwise": abs(len(lists["positions"].rows) - len(held)),
        }
    )
