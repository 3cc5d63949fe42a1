"""The order manager against a venue that loses, doubles and reorders what it says."""

from dataclasses import replace
from decimal import Decimal

import pytest

from quant.core.errors import OrderUnknownError, VenueUnavailableError
from quant.execution import (
    FillRecorded,
    IntentRecorded,
    Mode,
    OrderSent,
    OrderState,
    OrderStateChanged,
    RefusalRecorded,
    Side,
)
from quant.execution.book import open_book, postings_of
from quant.execution.broker import (
    Listing,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
)
from quant.execution.broker_events import Alarm, AlarmRaised, Breaker, BreakerChanged, FillReversed
from quant.execution.commands import Cancel, Find, ReadFills, Send, TakeSnapshot
from quant.execution.events import ModeChanged
from quant.execution.orders import Intent
from tests.execution_values import MONDAY, WEDNESDAY, after_close, fill, intent, opened
from tests.support.manager_bench import Bench, around, execution, told, view

D = Decimal


def sent(*wishes: Intent) -> tuple[Bench, Send]:
    bench = Bench(*(wishes or (intent(10),)))
    [send, *_] = bench.offer()
    return bench, send


def alarms(bench: Bench) -> list[Alarm]:
    return [one.alarm for one in bench.of_kind(AlarmRaised)]


def shares(bench: Bench, symbol: str = "AAPL") -> Decimal:
    assert bench.manager.state.book is not None
    return bench.manager.state.book.quantity(symbol)


def find_once(bench: Bench, answer: object) -> None:
    [find] = bench.finds()
    bench.settle(find, answer)


def test_what_other_books_trade_is_nothing_to_this_one() -> None:
    """One ledger holds several books; a fill of another moves no share and no cash of ours."""
    bench = Bench(intent(10))
    before = bench.manager.state.state_hash()
    foreign = fill(Side.BUY, "10", "100")
    bench.record(FillRecorded(fill=replace(foreign.fill, book="another")))
    bench.record(IntentRecorded(intent=replace(intent(7, symbol="MSFT"), book="another")))
    assert bench.manager.state.state_hash() == before
    assert [send.order.symbol for send in bench.offer()] == ["AAPL"]


def test_an_order_is_on_record_before_it_leaves() -> None:
    """One step carries the record and the sending; whoever drives it writes first."""
    bench = Bench(intent(10))
    bench.manager.offer(intent(10).valid_session, around(), now=0.0)
    step = bench.manager.take()
    [record] = [one for one in step.events if isinstance(one, OrderSent)]
    [command] = [one for one in step.commands if isinstance(one, Send)]
    assert record.order == command.order
    assert command.ticket.client_order_id == intent(10).client_order_id


def test_an_intent_is_offered_twice_and_sent_once() -> None:
    """The same wish again, in this process or the next, sends nothing."""
    bench, _ = sent()
    assert bench.offer() == []
    bench.restart()
    assert bench.offer() == []


def test_an_intent_that_is_told_a_second_time_is_not_sent_a_second_time() -> None:
    """Whoever records intents may repeat one to the manager; its order has gone out, and filled."""
    wish = intent(10)
    bench, send = sent(wish)
    bench.settle(send, told(send))
    bench.manager.on_fill(execution(send, "10"), now=1)
    bench.manager.observe(IntentRecorded(intent=wish))
    assert bench.offer() == []
    assert len(bench.of_kind(OrderSent)) == 1
    assert bench.state_of(send) is OrderState.FILLED


def test_partial_fills_add_up_and_the_last_one_ends_the_order() -> None:
    """Acknowledged, a part, the rest; each told by stream, report and listing at once."""
    bench, send = sent()
    bench.settle(send, told(send))
    assert bench.state_of(send) is OrderState.WORKING
    bench.manager.on_fill(execution(send, "4"), now=1)
    assert bench.state_of(send) is OrderState.PARTIAL
    bench.manager.on_fill(execution(send, "4"), now=1)
    bench.manager.on_fill(execution(send, "6", name="e2"), now=2)
    bench.manager.on_report(told(send, OrderState.FILLED, filled="10", price="100"), now=2)
    assert bench.state_of(send) is OrderState.FILLED
    assert shares(bench) == 10
    assert len(bench.of_kind(FillRecorded)) == 2
    assert alarms(bench) == []


def test_a_fee_that_is_kept_in_coins_never_comes_into_the_position() -> None:
    """Ten bought for 1,000, a hundredth of a coin kept: 9.99 held for 999, a fee of 1, no more."""
    wish = intent(10, symbol="BTC/USD")
    bench, send = sent(wish)
    bench.settle(send, told(send))
    bench.manager.on_fill(execution(send, "10", fee="0.01", fee_currency="BTC"), now=1)
    book = bench.manager.state.book
    assert book is not None
    assert bench.state_of(send) is OrderState.FILLED
    assert book.quantity("BTC/USD") == D("9.99")
    assert (book.cash, book.fees) == (D("99000"), D("1"))
    assert book.positions["BTC/USD"].cost == D("999")
    [filled] = bench.of_kind(FillRecorded)
    assert sum(one.amount for one in postings_of(open_book(opened()), filled)) == 0
    # The account holds exactly that, so nothing is held back.
    bench.manager.compare(view(positions={"BTC/USD": "9.99"}))
    bench.manager.compare(view(positions={"BTC/USD": "9.99"}))
    assert bench.manager.state.held == {}


def test_a_fee_larger_than_the_trade_is_not_taken_for_coins() -> None:
    """A venue that says nonsense is charged at the estimate, and stops nobody."""
    bench, send = sent(intent(10, symbol="BTC/USD"))
    bench.settle(send, told(send))
    bench.manager.on_fill(execution(send, "10", fee="11", fee_currency="BTC"), now=1)
    [filled] = bench.of_kind(FillRecorded)
    assert (filled.fill.fee_quantity, filled.fill.costs_hash) == (0, "venue:estimated")


def test_a_fill_before_the_acknowledgement_is_a_fill() -> None:
    """Streams overtake answers; the late answer of a working order changes nothing."""
    bench, send = sent()
    bench.manager.on_fill(execution(send, "10"), now=1)
    bench.settle(send, told(send))
    assert bench.state_of(send) is OrderState.FILLED


def test_a_lost_acknowledgement_is_looked_up_and_adopted() -> None:
    """The time-out says nothing; the look-up finds the order at work, and nothing is sent again."""
    bench, send = sent()
    bench.settle(send, OrderUnknownError("read timeout"))
    assert bench.state_of(send) is OrderState.UNKNOWN
    find_once(bench, told(send))
    assert bench.state_of(send) is OrderState.WORKING
    bench.wait(200)
    assert bench.take(Send) == []


def test_silence_is_unknown_after_a_while() -> None:
    """An answer that never comes is not a refusal."""
    bench, send = sent()
    bench.wait(9)
    assert bench.state_of(send) is OrderState.SENT
    bench.wait(2)
    assert bench.state_of(send) is OrderState.UNKNOWN
    assert len(bench.finds()) == 1


def test_not_found_proves_nothing_within_the_grace_time_and_twice_after_it() -> None:
    """Then, and only then, the same id leaves a second time."""
    bench, send = sent()
    bench.settle(send, OrderUnknownError("reset"))
    while bench.now < bench.policy.grace_s - 1:
        for find in bench.finds():
            bench.settle(find, OrderNotFoundError("never heard of it"))
        bench.wait(1)
        assert bench.take(Send) == []
    bench.wait(6)
    for find in bench.finds():
        bench.settle(find, OrderNotFoundError("never heard of it"))
    [again] = bench.take(Send)
    assert (again.number, again.order) == (2, send.order)
    assert bench.state_of(send) is OrderState.SENT


def test_an_order_that_was_seen_at_the_venue_is_never_sent_again() -> None:
    """It vanished: an alarm, no second order, and it keeps counting at its worst case."""
    bench, send = sent()
    bench.settle(send, told(send))
    for _ in range(8):
        bench.wait(61)
        for find in bench.finds():
            bench.settle(find, OrderNotFoundError("gone"))
    assert bench.take(Send) == []
    assert alarms(bench) == [Alarm.VANISHED]
    assert bench.manager.state.lives[send.order.client_order_id].rest == 10


def test_a_refusal_ends_a_first_sending() -> None:
    """A definite no, with the venue's words kept."""
    bench, send = sent()
    bench.settle(send, OrderRejectedError("no funds", rule="cash"))
    assert bench.state_of(send) is OrderState.REJECTED
    [move] = bench.of_kind(OrderStateChanged)
    assert move.reason == "no funds"


def test_a_refusal_of_a_second_sending_is_not_believed_before_a_look() -> None:
    """The first may have used the cash that the second one lacked."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.wait(6)
    [again] = bench.take(Send)
    bench.settle(again, OrderRejectedError("no funds", rule="cash"))
    assert bench.state_of(send) is OrderState.UNKNOWN
    find_once(bench, told(send, OrderState.FILLED, filled="10", price="100"))
    assert bench.state_of(send) is OrderState.WORKING


def test_a_failure_of_an_old_sending_says_nothing_of_the_new_one() -> None:
    """Number one fails a second time, late; number two is at work."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.wait(6)
    [again] = bench.take(Send)
    bench.settle(send, OrderRejectedError("late", rule="late"))
    assert bench.state_of(send) is OrderState.SENT
    bench.settle(again, told(again))
    assert bench.state_of(send) is OrderState.WORKING


def test_sendings_are_counted_and_end() -> None:
    """A venue that never takes anything is left alone after the third time."""
    bench, send = sent()
    sends = [send]
    for _ in range(5):
        for one in sends:
            bench.settle(one, VenueUnavailableError("nothing left"))
        bench.wait(6)
        sends = bench.take(Send)
    assert bench.state_of(send) is OrderState.REJECTED
    assert bench.manager.state.lives[send.order.client_order_id].sends == 3


def test_a_rate_limit_is_obeyed_and_a_ban_silences_cancels_too() -> None:
    """Nothing is asked before its time; a mere limit leaves room for cancels."""
    for is_banned in (False, True):
        bench, send = sent()
        bench.settle(send, told(send))
        [find] = [Find(send.order.client_order_id, "AAPL")]
        bench.settle(find, RateLimitedError("slow", retry_after_s=100, is_banned=is_banned))
        bench.manager.cancel(send.order.client_order_id, reason="test", now=bench.now)
        bench.wait(99)
        cancels = bench.cancels()
        assert bool(cancels) is not is_banned
        assert bench.finds() == bench.take(TakeSnapshot) == []
        bench.wait(20)
        assert bench.cancels()


def test_nothing_is_judged_or_sent_while_the_venue_wants_silence() -> None:
    """A new intent waits, and so does an order that replaces another; both leave afterwards."""
    bench, send = sent(intent(10))
    bench.settle(send, told(send))
    key = send.order.client_order_id
    bench.manager.replace(key, quantity=D(9), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    find = Find(key, "AAPL")
    bench.settle(find, RateLimitedError("slow", retry_after_s=30))
    bench.record(IntentRecorded(intent=intent(5, symbol="MSFT")))
    assert bench.offer() == []
    bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []
    bench.wait(29)
    assert bench.take(Send) == []
    bench.wait(2)
    [follower] = bench.take(Send)
    assert follower.order.quantity == 9
    [late] = bench.offer()
    assert late.order.symbol == "MSFT"


@pytest.mark.parametrize("between", ["an answer", "a definite no", "no such order"])
def test_two_refused_keys_in_a_row_halt_the_venue_and_one_does_not(between: str) -> None:
    """Whatever the venue says with our key in hand breaks the row; the halt waits for a person."""
    bench, send = sent()
    find = Find(send.order.client_order_id, "AAPL")
    bench.settle(find, VenueAuthError("revoked"))
    answers = {
        "an answer": told(send),
        "a definite no": OrderRejectedError("no", rule="x"),
        "no such order": OrderNotFoundError("works again"),
    }
    bench.settle(find, answers[between])
    bench.settle(find, VenueAuthError("revoked"))
    assert bench.of_kind(BreakerChanged) == []
    bench.settle(find, VenueAuthError("revoked"))
    [halt] = bench.of_kind(BreakerChanged)
    assert (halt.breaker, halt.is_tripped) == (Breaker.VENUE_AUTH, True)
    assert bench.manager.mode is Mode.PAUSE


def test_a_sum_without_executions_is_inferred_and_later_replaced_by_them() -> None:
    """Position and cash are right at once, and exact when the executions come."""
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.on_report(told(send, OrderState.PARTIAL, filled="6", price="99"), now=bench.now)
    assert len(bench.take(ReadFills)) == 1
    assert shares(bench) == 0
    bench.wait(7)
    find_once(bench, told(send, OrderState.PARTIAL, filled="6", price="99"))
    assert shares(bench) == 6
    [guess] = bench.of_kind(FillRecorded)
    assert (guess.fill.is_inferred, guess.fill.notional) == (True, D("594.00"))
    assert guess.fill.fee_amount == D("0.59")  # the policy's ten basis points, and never zero
    read = ReadFills(after_close(MONDAY))
    rows = (execution(send, "4", price="98"), execution(send, "2", price="101", name="e2"))
    bench.settle(read, Listing(rows=rows))
    bench.settle(read, Listing(rows=rows))
    assert shares(bench) == 6
    assert sum(one.notional for one in bench.of_kind(FillReversed)) == D("594.00")
    book = bench.manager.state.book
    assert book is not None
    assert book.cash == D("100000") - 4 * 98 - 2 * 101 - D("0.20")
    assert bench.manager.state.lives[send.order.client_order_id].inferred == []


def test_a_guess_is_taken_back_by_as_much_as_is_told_and_no_more() -> None:
    """Six were inferred and four are told: six are held, two of them still a guess."""
    bench, send = sent()
    bench.settle(send, told(send))
    half = told(send, OrderState.PARTIAL, filled="6", price="99")
    bench.manager.on_report(half, now=bench.now)
    bench.wait(7)
    find_once(bench, half)
    bench.manager.on_fill(execution(send, "4", price="98"), now=bench.now)
    life = bench.manager.state.lives[send.order.client_order_id]
    assert (life.filled, life.inferred_quantity) == (6, 2)
    assert shares(bench) == 6
    book = bench.manager.state.book
    assert book is not None
    assert book.cash == D(100_000) - 392 - D("0.10") - 198 - D("0.20")


def test_the_venues_own_name_of_an_order_is_kept() -> None:
    """It is what a person asks the venue about."""
    bench, send = sent()
    bench.settle(send, told(send))
    life = bench.manager.state.lives[send.order.client_order_id]
    assert life.venue_order_id == "v-" + send.order.client_order_id


def test_one_absence_is_no_proof_however_late() -> None:
    """Looking up fails until the grace time is over; the first not-found does not send again."""
    bench, send = sent()
    bench.settle(send, OrderUnknownError("reset"))
    while bench.now < bench.policy.grace_s + 10:
        for find in bench.finds():
            bench.settle(find, VenueUnavailableError("down"))
        bench.wait(1)
    for expected in (0, 1):
        while not (finds := bench.finds()):
            bench.wait(1)
        for find in finds:
            bench.settle(find, OrderNotFoundError("never heard of it"))
        assert len(bench.take(Send)) == expected


def test_a_slow_answer_does_not_break_the_silence_that_a_later_one_asked_for() -> None:
    """Found by seed 35: not found, told late, is proof; the second sending waits all the same."""
    bench, send = sent()
    bench.settle(send, OrderUnknownError("reset"))
    find = Find(send.order.client_order_id, "AAPL")
    bench.settle(find, OrderNotFoundError("never heard of it"))
    bench.now = bench.policy.grace_s + 1
    bench.settle(find, RateLimitedError("slow", retry_after_s=20))
    bench.settle(find, OrderNotFoundError("never heard of it"))
    bench.wait(19)
    assert bench.take(Send) == []
    bench.wait(2)
    for again in bench.finds():
        bench.settle(again, OrderNotFoundError("never heard of it"))
    assert len(bench.take(Send)) == 1


def test_an_order_that_is_confirmed_meanwhile_is_not_sent_a_second_time() -> None:
    """The adapter swore that nothing had left; the stream tells that it works."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.manager.on_report(told(send), now=bench.now)
    bench.wait(60)
    assert bench.take(Send) == []
    assert bench.state_of(send) is OrderState.WORKING


def test_an_order_of_yesterday_does_not_leave_today() -> None:
    """It waited to be sent again when its session ended; the next session lets it go."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.offer(WEDNESDAY)
    bench.wait(10)
    assert bench.take(Send) == []
    assert bench.state_of(send) is OrderState.REJECTED


def test_an_execution_without_a_fee_is_charged_an_estimate_and_says_so() -> None:
    """Unknown is not zero."""
    bench, send = sent()
    bench.manager.on_fill(execution(send, "10", fee=None), now=1)
    [one] = bench.of_kind(FillRecorded)
    assert (one.fill.fee_amount, one.fill.costs_hash) == (D("1.00"), "venue:estimated")


def test_an_overfill_is_booked_and_cried_out() -> None:
    """What happened happened; hiding it would make the position wrong."""
    bench, send = sent()
    bench.manager.on_fill(execution(send, "7"), now=1)
    bench.manager.on_fill(execution(send, "7", name="e2"), now=1)
    assert shares(bench) == 14
    assert alarms(bench) == [Alarm.OVERFILL]


def test_a_fill_after_the_cancel_is_kept() -> None:
    """A late fill is the one way out of CANCELED; a part leaves it there."""
    bench, send = sent()
    bench.manager.on_report(told(send, OrderState.CANCELED), now=1)
    bench.manager.on_fill(execution(send, "4"), now=2)
    assert (bench.state_of(send), shares(bench)) == (OrderState.CANCELED, 4)
    bench.manager.on_fill(execution(send, "6", name="e2"), now=2)
    assert (bench.state_of(send), shares(bench)) == (OrderState.FILLED, 10)


def test_a_fill_after_a_rejection_is_booked_with_an_alarm() -> None:
    """The venue said no and traded: the position is true, and a person must look."""
    bench, send = sent()
    bench.settle(send, OrderRejectedError("no", rule="x"))
    bench.manager.on_fill(execution(send, "4"), now=2)
    assert (bench.state_of(send), shares(bench)) == (OrderState.REJECTED, 4)
    assert alarms(bench) == [Alarm.FILL_AFTER_REJECTION]


def test_old_news_is_dropped() -> None:
    """A report of fewer fills than are known, and WORKING after PARTIAL, change nothing."""
    bench, send = sent()
    bench.manager.on_fill(execution(send, "4"), now=1)
    bench.manager.on_report(told(send, OrderState.CANCELED, filled="0"), now=2)
    bench.manager.on_report(told(send, OrderState.WORKING, filled="4"), now=2)
    assert bench.state_of(send) is OrderState.PARTIAL


@pytest.mark.parametrize("end", [OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED])
def test_nothing_brings_an_ended_order_back(end: OrderState) -> None:
    """Late words of an order at work, or of another end, are dropped and not written down."""
    bench, send = sent()
    bench.manager.on_report(told(send, end), now=1)
    before = len(bench.of_kind(OrderStateChanged))
    for late in (OrderState.WORKING, OrderState.PARTIAL, OrderState.CANCELED, OrderState.UNKNOWN):
        bench.manager.on_report(told(send, late), now=2)
    assert bench.state_of(send) is end
    assert len(bench.of_kind(OrderStateChanged)) == before


def test_what_was_cancelled_is_not_sent_a_second_time() -> None:
    """A cancel that comes while the order waits to leave again is obeyed."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.manager.cancel(send.order.client_order_id, reason="test", now=bench.now)
    bench.wait(10)
    assert bench.take(Send) == []
    assert bench.state_of(send) is OrderState.REJECTED


def test_a_report_of_another_order_under_our_id_changes_nothing() -> None:
    """Wrong side, symbol or size: an alarm, and the order keeps its state."""
    bench, send = sent()
    for number, change in enumerate(({"side": Side.SELL}, {"symbol": "MSFT"}, {"quantity": D(9)})):
        bench.manager.on_report(told(send, OrderState.WORKING, **change), now=number)
    bench.manager.on_fill(execution(send, "1", symbol="MSFT"), now=5)
    assert bench.state_of(send) is OrderState.SENT
    assert alarms(bench) == [Alarm.CONFLICTING_REPORT, Alarm.BAD_EXECUTION]


def test_a_word_new_to_us_keeps_the_order_at_its_worst_case() -> None:
    """The venue has it, in a state that we cannot read: unknown, asked again, never sent again."""
    bench, send = sent()
    bench.settle(send, told(send, OrderState.UNKNOWN, reason="held_for_review"))
    assert bench.state_of(send) is OrderState.UNKNOWN
    bench.wait(6)
    find_once(bench, told(send, OrderState.UNKNOWN))
    bench.wait(300)
    assert bench.take(Send) == []


def test_a_cancel_is_asked_until_the_venue_says_the_end() -> None:
    """Failing cancels are followed by a look, and by another cancel; nobody guesses."""
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.cancel(send.order.client_order_id, reason="test", now=bench.now)
    [cancel] = bench.cancels()
    bench.settle(cancel, OrderRejectedError("too late", rule="state"))
    find_once(bench, told(send))
    bench.wait(6)
    [again] = bench.cancels()
    bench.settle(again, told(send, OrderState.CANCELED))
    assert bench.state_of(send) is OrderState.CANCELED
    bench.wait(60)
    assert bench.cancels() == []


def test_a_fill_during_the_cancel_wins() -> None:
    """The cancel's answer says filled; the executions come by the listing."""
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.cancel(send.order.client_order_id, reason="test", now=bench.now)
    [cancel] = bench.cancels()
    bench.settle(cancel, told(send, OrderState.FILLED, filled="10", price="100"))
    [read] = bench.take(ReadFills)
    bench.settle(read, Listing(rows=(execution(send, "10"),)))
    assert (bench.state_of(send), shares(bench)) == (OrderState.FILLED, 10)


def test_a_replacement_leaves_after_the_first_has_ended_and_for_the_rest_only() -> None:
    """3 of 10 filled during the change to 8: the follower asks for 5, never for more."""
    bench, send = sent()
    bench.settle(send, told(send))
    key = send.order.client_order_id
    bench.manager.replace(key, quantity=D(8), reason="smaller", now=bench.now, limit_price=D(99))
    [cancel] = bench.cancels()
    assert bench.take(Send) == []
    bench.manager.on_fill(execution(send, "3"), now=bench.now)
    assert bench.take(Send) == []
    bench.settle(cancel, told(send, OrderState.CANCELED, filled="3", price="100"))
    [second] = bench.take(Send)
    assert (second.order.quantity, second.order.limit_price, second.order.attempt) == (5, 99, 1)
    assert second.order.client_order_id != key
    assert second.order.decision_id == send.order.decision_id
    # Told twice, it still follows once.
    bench.settle(cancel, told(send, OrderState.CANCELED, filled="3", price="100"))
    assert bench.take(Send) == []
    bench.settle(second, told(second))
    bench.manager.replace(
        second.order.client_order_id, quantity=D(8), reason="again", now=bench.now
    )
    [cancel] = bench.cancels()
    bench.settle(cancel, told(second, OrderState.CANCELED))
    [third] = bench.take(Send)
    assert (third.order.quantity, third.order.attempt) == (5, 2)


def test_a_replacement_never_asks_for_more_than_the_intent() -> None:
    """A larger size is a new decision."""
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.replace(send.order.client_order_id, quantity=D(99), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    bench.settle(cancel, told(send, OrderState.CANCELED))
    [second] = bench.take(Send)
    assert second.order.quantity == 10


def test_a_restart_looks_up_what_was_on_its_way_and_sends_nothing() -> None:
    """Sent and not answered is unknown; twice restarted is the same state."""
    bench, send = sent()
    bench.restart()
    assert bench.state_of(send) is OrderState.UNKNOWN
    assert len(bench.finds()) == 1
    before = bench.manager.state.state_hash()
    bench.restart()
    assert bench.take(Send) == []
    assert bench.manager.state.state_hash() == before


def test_emergency_cancels_everything_and_reduce_what_would_add() -> None:
    """Orders sent before the mode changed are bound by it too."""
    for mode, wish, held, is_cancelled in (
        (Mode.EMERGENCY, intent(10), "0", True),
        (Mode.EMERGENCY, intent(-10), "20", True),
        (Mode.REDUCE, intent(10), "0", True),
        (Mode.REDUCE, intent(-10), "20", False),
        (Mode.PAUSE, intent(10), "0", False),
        (Mode.NORMAL, intent(10), "0", False),
    ):
        bench = Bench(wish)
        if held != "0":
            bench.record(fill(Side.BUY, held, "100"))
        [send] = bench.offer()
        bench.settle(send, told(send))
        bench.record(
            ModeChanged(
                scope="*", mode=mode, reason="r", changed_by="p", changed_at=after_close(MONDAY)
            )
        )
        bench.wait(1)
        assert bool(bench.cancels()) is is_cancelled, mode


def test_the_end_of_a_session_ends_its_orders_and_lets_none_leave() -> None:
    """A second sending that was due is dropped, and the order is closed on proof."""
    bench, send = sent()
    bench.settle(send, VenueUnavailableError("nothing left"))
    bench.manager.end_session(now=bench.now)
    bench.wait(10)
    assert bench.take(Send) == []
    assert bench.state_of(send) is OrderState.REJECTED
    assert len(bench.take(Cancel)) == 1


@pytest.mark.parametrize("mode", [Mode.REDUCE, Mode.PAUSE, Mode.EMERGENCY])
def test_no_second_order_of_a_decision_leaves_in_a_stricter_mode(mode: Mode) -> None:
    """Neither what waits to be sent again nor what replaces another: the gates have to be asked."""
    change = ModeChanged(
        scope="*", mode=mode, reason="r", changed_by="p", changed_at=after_close(MONDAY)
    )
    waiting, send = sent()
    waiting.settle(send, VenueUnavailableError("nothing left"))
    waiting.record(change)
    waiting.wait(10)
    assert waiting.take(Send) == []
    assert waiting.state_of(send) is OrderState.REJECTED
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.replace(send.order.client_order_id, quantity=D(9), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    bench.record(change)
    bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []


def test_a_follower_is_refused_where_an_order_of_another_decision_is_unknown() -> None:
    """Found by seed 425: a replacement must not trade a symbol that a lost order keeps closed."""
    bench, send = sent(intent(10))
    bench.settle(send, told(send))
    bench.record(IntentRecorded(intent=intent(5, salt="second")))
    [lost] = bench.offer()
    bench.settle(lost, OrderUnknownError("reset"))
    bench.manager.replace(send.order.client_order_id, quantity=D(9), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    for _ in range(2):
        bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []
    [refusal] = bench.of_kind(RefusalRecorded)
    assert (refusal.refusal.gate, refusal.refusal.numbers["missing"]) == ("unknown", "9")
    assert lost.order.client_order_id in refusal.refusal.reason
    # The lost order turns up: the refused follower stays refused, also for the next process.
    find_once(bench, told(lost))
    bench.restart()
    bench.offer()
    bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []


def test_a_follower_is_refused_for_what_reconciliation_holds() -> None:
    """The account disagrees about the symbol while the first order is being taken back."""
    bench, send = sent(intent(10))
    bench.settle(send, told(send))
    bench.manager.compare(view(orders=(told(send),), positions={"AAPL": "3"}))
    bench.manager.replace(send.order.client_order_id, quantity=D(9), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []
    [refusal] = bench.of_kind(RefusalRecorded)
    assert refusal.refusal.gate == "reconciliation"


def test_a_replacement_that_was_due_does_not_leave_after_the_session() -> None:
    """The first order ends with the session, and nothing follows it."""
    bench, send = sent()
    bench.settle(send, told(send))
    bench.manager.replace(send.order.client_order_id, quantity=D(9), reason="x", now=bench.now)
    [cancel] = bench.cancels()
    bench.manager.end_session(now=bench.now)
    bench.settle(cancel, told(send, OrderState.CANCELED))
    assert bench.take(Send) == []
    assert [one.refusal.gate for one in bench.of_kind(RefusalRecorded)] == ["window"]


@pytest.mark.parametrize("answer", [VenueUnavailableError("down"), OrderUnknownError("?")])
def test_an_unreadable_account_holds_everything_and_is_read_again_soon(answer: Exception) -> None:
    """Unknown is not flat: nothing is sent, no position is touched."""
    bench = Bench(intent(10))
    bench.wait(301)
    [snapshot] = bench.take(TakeSnapshot)
    bench.settle(snapshot, answer)
    assert bench.offer() == []
    [refusal] = bench.of_kind(RefusalRecorded)
    assert refusal.refusal.gate == "reconciliation"
    bench.wait(7)
    [soon] = bench.take(TakeSnapshot)
    bench.settle(soon, view())
    assert bench.manager.state.held == {}
