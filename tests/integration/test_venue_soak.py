"""Many orders through each real SDK while many calls go wrong: the short form.

The long form is `python -m benchmarks.venue_soak --orders 10000`.
"""

from collections.abc import Callable

import pytest

from benchmarks import venue_soak
from quant.execution.broker import OrderTicket, VenueOrder
from resources.brokers.once import SubmitOnce


@pytest.mark.parametrize("sdk", ["alpaca", "binance"])
def test_300_orders_become_300_orders(sdk: str) -> None:
    """No duplicate, no orphan, none lost, every end told as the venue tells it, no egress."""
    row = venue_soak.soak(sdk, orders=venue_soak.SHORT_ORDERS, seed=11)
    wrong = ("duplicates", "orphans", "lost", "differing", "egress")
    assert {name: row[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert row["met"]["unknown"] >= 30
    assert len(row["faults"]) >= 15


def test_the_judge_finds_the_duplicates_of_a_bot_that_just_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the look before a second send, Binance fills the same intent twice."""

    def naive(
        self: SubmitOnce,
        ticket: OrderTicket,
        *,
        find: Callable[[], VenueOrder],
        send: Callable[[], VenueOrder],
    ) -> VenueOrder:
        return send()

    monkeypatch.setattr(SubmitOnce, "submit", naive)
    # A naive bot also dies of "duplicate"; only what fills at once shows the second order.
    faults = [rule for rule in venue_soak.FAULTS if rule["fault"] in {"ack_lost", "page", "cut"}]
    monkeypatch.setattr(venue_soak, "FAULTS", tuple(faults))
    monkeypatch.setattr(venue_soak, "RESTING_SHARE", 0.0)
    row = venue_soak.soak("binance", orders=200, seed=11)
    assert row["duplicates"] > 0
    assert not row["holds"]
