"""Reconciliation: every difference is explained by a look-up or held, and nothing is invented."""

import itertools
import random
from decimal import Decimal

from quant.execution import IntentRecorded, OrderState, RefusalRecorded, Side
from quant.execution.broker import Listing, UnreadableRow, VenueOrder
from quant.execution.broker_events import (
    Alarm,
    AlarmRaised,
    Breaker,
    BreakerChanged,
    ReconciliationRecorded,
)
from quant.execution.commands import Find, ReadFills, Send, TakeSnapshot
from quant.execution.reconcile import UNREADABLE, VenueView, reconcile
from tests.execution_values import fill, intent
from tests.support.manager_bench import Bench, account, execution, told, view

D = Decimal


def stranger(symbol: str = "AAPL", *, name: str = "web-1", filled: str = "0") -> VenueOrder:
    return VenueOrder(
        client_order_id=name,
        venue_order_id="x-" + name,
        symbol=symbol,
        side=Side.BUY,
        quantity=D(10),
        filled_quantity=D(filled),
        state=OrderState.PARTIAL if filled != "0" else OrderState.WORKING,
    )


def holding(quantity: str = "20") -> Bench:
    bench = Bench(intent(10, symbol="MSFT"))
    bench.record(fill(Side.BUY, quantity, "100"))
    return bench


def snapshot(bench: Bench, answer: VenueView) -> None:
    commands: list[TakeSnapshot] = []
    for _ in range(301):
        bench.wait(1)
        if commands := bench.take(TakeSnapshot):
            break
    [command] = commands
    bench.settle(command, answer)


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


KINDS = (
    "agree", "more", "less", "flat", "flip", "foreign_position", "external", "orphan",
    "missed_fill", "missed_cancel", "unreadable", "many_external",
)  # fmt: skip


def diverged(kind: str, bench: Bench, send: Send, draw: random.Random) -> VenueView:
    """What the venue says when it and the ledger have come apart in one of twelve ways."""
    orders: list[VenueOrder] = [told(send)]
    positions, fills = {"AAPL": "20"}, []
    part = str(draw.randint(1, 9))
    match kind:
        case "more":
            positions["AAPL"] = str(20 + draw.randint(1, 50))
        case "less":
            positions["AAPL"] = str(20 - draw.randint(1, 19))
        case "flat":
            del positions["AAPL"]
        case "flip":
            positions["AAPL"] = str(-draw.randint(1, 50))
        case "foreign_position":
            positions["XOM"] = part
        case "external":
            orders.append(stranger("XOM"))
        case "orphan":
            orders.append(stranger("XOM", name="pmx-lost"))
        case "missed_fill":
            fills.append(execution(send, part))
            orders = [told(send, OrderState.PARTIAL, filled=part)]
            positions["MSFT"] = part
        case "missed_cancel":
            orders = []
        case "unreadable":
            return UNREADABLE
        case "many_external":
            orders += [stranger("XOM", name=f"web-{number}") for number in range(600)]
    return view(orders=orders, positions=positions, fills=fills)


def carry_out(bench: Bench, send: Send, answer: VenueView, kind: str) -> None:
    """One cycle: the reading, and whatever is looked up because of it."""
    snapshot(bench, answer)
    for _ in range(3):
        for find in bench.finds():
            ended = kind == "missed_cancel"
            filled = sum((one.quantity for one in answer.fills.rows), D(0)) if answer.fills else 0
            state = OrderState.CANCELED if ended else OrderState.WORKING
            bench.settle(find, told(send, state, filled=str(filled)))
        for read in bench.take(ReadFills):
            bench.settle(read, answer.fills)


def test_a_thousand_divergences_of_twelve_kinds_are_matched_or_held_in_one_cycle() -> None:
    """And the second cycle over the same account changes nothing, nor does a restart."""
    explained = {"agree", "external", "many_external", "missed_fill", "missed_cancel"}
    for number, kind in zip(range(1_104), itertools.cycle(KINDS), strict=False):
        if kind == "many_external" and number % 10:
            continue
        draw = random.Random(number)
        bench = holding()
        [send] = bench.offer()
        bench.settle(send, told(send))
        answer = diverged(kind, bench, send, draw)
        carry_out(bench, send, answer, kind)
        state = bench.manager.state
        assert bool(state.held) is (kind not in explained), kind
        assert state.is_readable is (kind != "unreadable")
        if kind == "missed_cancel":
            assert bench.state_of(send) is OrderState.CANCELED
        before = (state.state_hash(), len(bench.events))
        carry_out(bench, send, answer, kind)
        assert (bench.manager.state.state_hash(), len(bench.events)) == before, kind
        bench.restart()
        assert bench.manager.state.state_hash() == before[0], kind
