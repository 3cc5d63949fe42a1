"""Our own budget keeps reads back: orders and cancels go on, and nothing is concluded from it."""

from quant.execution import IntentRecorded, OrderState
from quant.execution.broker import RateLimitedError
from quant.execution.broker_events import ReconciliationRecorded
from quant.execution.commands import Cancel, Find, ManagerPolicy, Send, TakeSnapshot
from tests.execution_values import intent
from tests.support.manager_bench import Bench, told, view

QUICK = ManagerPolicy(snapshot_every_s=5.0)


def kept_back(seconds: float) -> RateLimitedError:
    return RateLimitedError("reads wait", retry_after_s=seconds, stops_reads_only=True)


def test_orders_and_cancels_leave_while_reads_wait() -> None:
    """Only questions stop, and they stop for exactly so long."""
    bench = Bench(intent(10), policy=QUICK)
    [send] = bench.offer()
    bench.settle(send, told(send))
    bench.wait(6)
    [snapshot] = bench.take(TakeSnapshot)
    bench.settle(snapshot, kept_back(30))
    bench.record(IntentRecorded(intent=intent(5, symbol="MSFT")))
    [late] = bench.offer()
    bench.manager.cancel(send.order.client_order_id, reason="test", now=bench.now)
    assert [one.client_order_id for one in bench.take(Cancel)] == [send.order.client_order_id]
    bench.wait(29)
    assert bench.take(TakeSnapshot) == bench.take(Find) == []
    bench.wait(2)
    assert len(bench.take(TakeSnapshot)) == 1
    assert late.order.symbol == "MSFT"


def test_a_reading_that_nobody_made_says_nothing_of_the_account() -> None:
    """An unreadable account holds the book; one that was not asked for holds nothing."""
    bench = Bench(intent(10), policy=QUICK)
    before = len(bench.of_kind(ReconciliationRecorded))
    bench.wait(6)
    [snapshot] = bench.take(TakeSnapshot)
    bench.settle(snapshot, kept_back(3))
    assert len(bench.of_kind(ReconciliationRecorded)) == before
    assert bench.manager.state.is_readable
    assert len(bench.offer()) == 1
    bench.wait(6)
    [again] = bench.take(TakeSnapshot)
    bench.settle(again, view())
    assert len(bench.of_kind(ReconciliationRecorded)) == before


def test_what_the_venue_itself_limits_stops_orders_too() -> None:
    """The difference is who said no: the venue's word is for every kind but cancels."""
    bench = Bench(intent(10), policy=QUICK)
    bench.wait(6)
    [snapshot] = bench.take(TakeSnapshot)
    bench.settle(snapshot, RateLimitedError("429", retry_after_s=30))
    assert bench.offer() == []


def test_an_order_in_doubt_is_looked_up_when_reads_may_leave_again() -> None:
    bench = Bench(intent(10), policy=QUICK)
    [send] = bench.offer()
    bench.settle(send, object())
    [find] = bench.finds()
    assert isinstance(find, Find)
    bench.settle(find, kept_back(20))
    bench.wait(19)
    assert bench.finds() == bench.take(Send) == []
    bench.wait(5)
    assert len(bench.finds()) == 1
    assert bench.state_of(send) is OrderState.UNKNOWN
