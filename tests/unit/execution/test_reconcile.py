"""Reconciliation: every difference is explained by a look-up or held, and nothing is invented."""

from decimal import Decimal

from quant.execution import IntentRecorded, OrderState, RefusalRecorded
from quant.execution.broker import Listing, UnreadableRow
from quant.execution.broker_events import (
    Alarm,
    AlarmRaised,
    Breaker,
    BreakerChanged,
    ReconciliationRecorded,
)
from quant.execution.commands import Find, TakeSnapshot
from quant.execution.reconcile import UNREADABLE, VenueView, reconcile
from tests.execution_values import intent
from tests.reliability import divergences
from tests.reliability.divergences import holding, snapshot, stranger
from tests.reliability.goal import Form
from tests.support.manager_bench import Bench, account, execution, told, view

D = Decimal


def test_agreement_is_recorded_once_and_a_repeat_adds_nothing() -> None:
    """Two equal readings in a row leave one state and no new record."""
    bench = holding()
    snapshot(bench, view(positions={"AAPL": "20"}))
    before = (bench.manager.state.state_hash(), len(bench.events))
    snapshot(bench, view(positions={"AAPL": "20"}))
    assert (bench.manager.state.state_hash(), len(bench.events)) == before


def test_a_different_position_is_held_and_never_corrected() -> None:
    """More, less, flat, the other side, another symbol: held in words, the book untouched."""
    for told_positions, symbol in (
        ({"AAPL": "21"}, "AAPL"),
        ({"AAPL": "19"}, "AAPL"),
        ({}, "AAPL"),
        ({"AAPL": "-20"}, "AAPL"),
        ({"AAPL": "20", "XOM": "5"}, "XOM"),
    ):
        bench = holding()
        snapshot(bench, view(positions=told_positions))
        assert list(bench.manager.state.held) == [symbol]
        assert bench.manager.state.book is not None
        assert bench.manager.state.book.quantity("AAPL") == 20
        snapshot(bench, view(positions={"AAPL": "20"}))
        assert bench.manager.state.held == {}


def test_nothing_is_sent_for_what_is_held_and_the_rest_goes_on() -> None:
    """The refusal names reconciliation; another symbol trades, and reading badly keeps the hold."""
    bench = holding()
    bench.record(IntentRecorded(intent=intent(-5)))
    snapshot(bench, view(positions={"AAPL": "21"}))
    assert [one.order.symbol for one in bench.offer()] == ["MSFT"]
    [refusal] = bench.of_kind(RefusalRecorded)
    assert (refusal.refusal.gate, refusal.refusal.symbol) == ("reconciliation", "AAPL")
    snapshot(bench, UNREADABLE)
    assert sorted(bench.manager.state.held) == ["*", "AAPL"]


def test_an_account_that_may_not_trade_halts_the_venue() -> None:
    """Nothing is sent until a person has looked."""
    bench = holding()
    snapshot(bench, view(positions={"AAPL": "20"}, account=account(can_trade=False)))
    [halt] = bench.of_kind(BreakerChanged)
    assert halt.breaker is Breaker.VENUE_FATAL
    assert bench.offer() == []


def test_what_cannot_be_read_holds_the_book_and_is_never_flat() -> None:
    """Each missing part, and each single unreadable row, is enough."""
    row = UnreadableRow(what="position 3", reason="no quantity")
    for answer in (
        UNREADABLE,
        VenueView(orders=Listing(rows=()), positions=Listing(rows=()), account=None),
        VenueView(orders=None, positions=Listing(rows=()), account=account()),
        VenueView(orders=Listing(rows=()), positions=None, account=account()),
        VenueView(
            orders=Listing(rows=()),
            positions=Listing(rows=(), unreadable=(row,)),
            account=account(),
        ),
        VenueView(
            orders=Listing(rows=(), unreadable=(row,)),
            positions=Listing(rows=()),
            account=account(),
        ),
        VenueView(
            orders=Listing(rows=()),
            positions=Listing(rows=()),
            account=account(),
            fills=Listing(rows=(), unreadable=(row,)),
        ),
    ):
        bench = holding()
        snapshot(bench, answer)
        assert bench.manager.state.is_readable is False
        assert "*" in bench.manager.state.held
        assert bench.offer() == []
        assert bench.manager.state.book is not None
        assert bench.manager.state.book.quantity("AAPL") == 20


def test_other_peoples_orders_are_shown_and_never_owned() -> None:
    """An order with a foreign id is external; one with an id of our shape is an orphan and held."""
    bench = holding()
    orphan = stranger("XOM", name="pmx-lost")
    snapshot(bench, view(orders=(stranger(), orphan), positions={"AAPL": "20"}))
    state = bench.manager.state
    assert list(state.external) == ["x-web-1"]
    assert list(state.held) == ["XOM"]
    alarms = [one.alarm for one in bench.of_kind(AlarmRaised)]
    assert alarms == [Alarm.ORPHAN_ORDER, Alarm.EXTERNAL_ORDER]
    assert state.lives == {}


def test_the_fills_of_other_peoples_open_orders_explain_a_position() -> None:
    """20 of ours and 4 of theirs is 24; what they hold is not ours."""
    bench = holding()
    snapshot(bench, view(orders=(stranger(filled="4"),), positions={"AAPL": "24"}))
    assert bench.manager.state.held == {}
    assert bench.manager.state.book is not None
    assert bench.manager.state.book.quantity("AAPL") == 20


def test_a_fill_that_no_stream_told_is_found_by_the_reading() -> None:
    """The listing brings it; the position is compared in the next cycle and agrees."""
    bench = Bench(intent(10))
    [send] = bench.offer()
    bench.settle(send, told(send))
    missed = execution(send, "10")
    snapshot(bench, view(positions={"AAPL": "10"}, fills=(missed,)))
    assert bench.state_of(send) is OrderState.FILLED
    snapshot(bench, view(positions={"AAPL": "10"}, fills=(missed,)))
    assert bench.manager.state.held == {}
    assert len(bench.of_kind(ReconciliationRecorded)) == 0


def test_absence_from_the_list_of_open_orders_asks_for_the_order() -> None:
    """It may have ended or hide behind a page: nothing is concluded from the list."""
    bench = Bench(intent(10))
    [send] = bench.offer()
    bench.settle(send, told(send))
    bench.wait(301)
    for find in bench.finds():
        bench.settle(find, told(send))
    [command] = bench.take(TakeSnapshot)
    bench.settle(command, view())
    assert [one.client_order_id for one in bench.take(Find)] == [send.order.client_order_id]
    assert bench.state_of(send) is OrderState.WORKING


def test_a_symbol_that_traded_while_the_account_was_read_is_judged_next_time() -> None:
    """The reading is older than the fill: what it says of the symbol may be either."""
    bench = Bench(intent(10))
    [send] = bench.offer()
    bench.settle(send, told(send))
    bench.wait(301)
    [command] = bench.take(TakeSnapshot)
    bench.manager.on_fill(execution(send, "10"), now=bench.now)
    bench.settle(command, view())
    assert bench.manager.state.held == {}
    snapshot(bench, view())
    assert list(bench.manager.state.held) == ["AAPL"]


def test_strategies_must_believe_what_their_fills_say() -> None:
    """The third voice: a strategy that thinks it holds something else is held."""
    bench = holding()
    agreed = view(positions={"AAPL": "20"})
    for believed, is_held in (({("trend", "AAPL"): D(20)}, False), ({}, True)):
        bench.manager.compare(agreed, believed)
        assert bool(bench.manager.state.held) is is_held
    bench.manager.compare(agreed, {("trend", "AAPL"): D(20), ("other", "MSFT"): D(1)})
    assert list(bench.manager.state.held) == ["MSFT"]


def test_cash_is_compared_where_nothing_is_on_its_way() -> None:
    """A cent above the tolerance holds the book; a balance that is no match never passes."""
    bench = holding()
    ours = bench.manager.state.book
    assert ours is not None
    for apart, is_held in (("0", False), ("0.01", False), ("0.02", True), ("-0.02", True)):
        told_cash = account(str(ours.cash + D(apart)))
        found = reconcile(
            bench.manager.state,
            view(positions={"AAPL": "20"}, account=told_cash),
            cash_tolerance=D("0.01"),
        )
        assert found.is_matched is not is_held
        assert ("*" in found.held) is is_held


def test_divergences_of_twelve_kinds_are_matched_or_held_in_one_cycle() -> None:
    """The short form of goal 8: a second cycle changes nothing, nor do two restarts."""
    found = divergences.run(Form.SHORT)
    assert found.holds, found.notes
    assert found.figures["kinds"] == 12
    explained, held = (found.figures[f"{end} in one cycle"] for end in ("explained", "held"))
    each = found.figures["of each kind"]
    assert (explained, held) == (5 * each, 7 * each)
    assert found.figures["orders wanted of an unreadable venue"] == each
