"""The real adapters under a venue that enforces its limits: they never meet them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.simulator.faults import FaultFile
from quant.execution.broker import RateLimitedError
from quant.execution.budget import CallLimits
from tests.support.venue_rig import Rig, rig

LIMITS = {"alpaca": 60, "binance": 900}
FILE = FaultFile(alpaca_requests_per_minute=60, binance_weight_per_minute=900)


def connected(made: Rig, folder: Path) -> Any:
    """One of several bots: a fresh adapter that shares the count."""
    limits = CallLimits(per_minute=LIMITS[made.adapter])
    return made.connect(limits=limits, calls_folder=folder)


def refusals(ask: Callable[[int], object], times: int) -> list[RateLimitedError]:
    """What asking so often was refused with."""
    found = []
    for number in range(times):
        try:
            ask(number)
        except RateLimitedError as error:
            found.append(error)
    return found


@pytest.mark.parametrize("adapter", LIMITS)
def test_a_storm_of_reads_leaves_room_for_orders_and_then_for_cancels(
    adapter: str, tmp_path: Path
) -> None:
    """Three adapters share the count; the venue never says 429, and a cancel always goes."""
    with rig(adapter, faults=FILE) as made:
        made.broker.account()
        bots = [connected(made, tmp_path) for _ in range(3)]
        bots[0].submit(made.resting("rests", "0.01"))
        reads = refusals(lambda number: bots[number % 3].positions(), 60)
        assert len(reads) > 20
        assert all(error.stops_reads_only for error in reads)
        bots[1].submit(made.resting("second", "0.01"))
        sends = refusals(lambda number: bots[2].submit(made.resting(f"m-{number}", "0.01")), 150)
        assert sends
        assert bots[0].cancel("rests", symbol=made.symbol).client_order_id == "rests"
        # All of them were our own; the venue was never asked too much.
        assert all("share of" in str(error) for error in (*reads, *sends))


def test_a_limit_that_one_adapter_meets_silences_the_others(tmp_path: Path) -> None:
    """The venue's own no is for the address: nobody here asks again before its time."""
    tight = FaultFile(alpaca_requests_per_minute=3)
    with rig("alpaca", faults=tight) as made:
        bots = [connected(made, tmp_path) for _ in range(2)]
        assert len(refusals(lambda _: bots[0].account(), 5)) == 2
        before = made.requests()
        with pytest.raises(RateLimitedError) as caught:
            bots[1].account()
        assert not caught.value.stops_reads_only
        assert made.requests() == before
