"""Every cent of a book's result belongs to a round trip or to an open lot."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution import (
    ActionApplied,
    ActionKind,
    Event,
    FillRecorded,
    IntentRecorded,
    OrderSent,
    Side,
    book_from,
)
from quant.execution.attribution import (
    Attribution,
    attribute,
    premature_share,
    sessions_after,
)
from tests.execution_values import BOOK, MONDAY, fill, intent, opened, order_of

D = Decimal
NEXT_MONDAY = dt.date(2022, 12, 5)


def attributed(*events: Event) -> Attribution:
    """The round trips of the paper book."""
    return attribute([opened(), *events], BOOK, calendar="XNYS")


def paid(event: FillRecorded, **parts: str) -> FillRecorded:
    """The fill with its costs in parts."""
    amounts = {f"{name}_amount": D(value) for name, value in parts.items()}
    return replace(event, fill=replace(event.fill, **amounts))


def action(kind: ActionKind, value: str, symbol: str = "AAPL") -> ActionApplied:
    """A split's price factor or a dividend's cash per share, on Wednesday."""
    return ActionApplied(
        book=BOOK,
        symbol=symbol,
        ex_session=dt.date(2022, 11, 30),
        action=kind,
        value=D(value),
        row_hash="row",
        run_id="run",
    )


def decided(number: int, quantity: int, **fields: Any) -> list[Event]:
    """An intent, its order and its fill at 50, sent on the day its decision says."""
    wish = replace(intent(quantity, salt=str(number)), **fields)
    order = order_of(wish)
    side = Side.BUY if quantity > 0 else Side.SELL
    done = fill(side, str(abs(quantity)), "50", number=number)
    moved = replace(done.fill, client_order_id=order.client_order_id, decision_id=wish.decision_id)
    return [IntentRecorded(intent=wish), OrderSent(order=order), FillRecorded(fill=moved)]


def test_a_sale_closes_the_oldest_lot_first() -> None:
    """10 at 100, 10 at 110, 15 sold at 120: ten earn 20 each, five earn 10 each, five stay."""
    found = attributed(
        fill(Side.BUY, "10", "100", fee="1.00", number=1),
        fill(Side.BUY, "10", "110", fee="1.00", number=2),
        fill(Side.SELL, "15", "120", fee="3.00", number=3),
    )
    first, second = found.round_trips
    assert (first.quantity, first.entry_price, first.exit_price) == (10, 100, 120)
    assert (second.quantity, second.entry_price) == (5, 110)
    # The sale's fee of 3 is shared 10 to 5; the first purchase pays its own, the second half of it.
    assert (first.fees, second.fees) == (D("3.00"), D("1.50"))
    assert (first.net_result, second.net_result) == (D("197.00"), D("48.50"))
    (rest,) = found.open_lots
    assert (rest.quantity, rest.paid.notional, rest.paid.fee) == (5, D("550.00"), D("0.50"))
    assert found.result({"AAPL": D(120)}) == D("295.00")


def test_costs_come_in_parts_and_add_up() -> None:
    """Gross 100 at the references, 4 of spread, slippage, impact and 3 of fees: 93 are left."""
    found = attributed(
        paid(fill(Side.BUY, "10", "100", number=1), spread="1", slippage="0.5", fee="1"),
        paid(fill(Side.SELL, "10", "109.6", number=2), spread="1.5", impact="1", fee="2"),
    )
    (trip,) = found.round_trips
    assert trip.net_result == D("93.00")
    assert (trip.costs, trip.fees) == (D("7.0"), D("3"))
    assert trip.gross_result == D("100.00")
    assert (trip.entry.spread, trip.exit.impact) == (D(1), D(1))


def test_a_fee_kept_in_coins_is_a_cost_and_no_holding() -> None:
    """10 for 1,000, a hundredth kept: 9.99 for 999 and a fee of 1; sold at 110, nothing is left."""
    bought = fill(Side.BUY, "10", "100", fee="1.00", number=1)
    kept = replace(bought, fill=replace(bought.fill, fee_quantity=D("0.01")))
    events = [kept, fill(Side.SELL, "9.99", "110", number=2)]
    found = attributed(*events)
    (trip,) = found.round_trips
    assert (trip.quantity, trip.fees, trip.net_result) == (D("9.99"), D("1.00"), D("98.90"))
    assert found.open_lots == ()
    book = book_from([opened(), *events], BOOK)
    assert book is not None
    assert (book.quantity("AAPL"), book.cash) == (0, D("100098.90"))
    assert book.realised - book.fees == trip.net_result


def test_a_sale_beyond_what_is_held_opens_a_short_lot() -> None:
    """Long 10 from 100, sell 15 at 110: 100 earned, and 5 short, which cover at 90 for 100 more."""
    found = attributed(
        fill(Side.BUY, "10", "100", number=1),
        fill(Side.SELL, "15", "110", number=2),
        fill(Side.BUY, "5", "90", number=3),
    )
    assert [(one.side, one.net_result) for one in found.round_trips] == [
        ("long", D("100.00")),
        ("short", D("100.00")),
    ]
    assert found.open_lots == ()


def test_a_split_keeps_the_cost_and_rescales_the_price() -> None:
    """One share of 100 becomes four of 25; sold at 30 they earn 20."""
    found = attributed(
        fill(Side.BUY, "1", "100", number=1),
        action(ActionKind.SPLIT, "0.25"),
        fill(Side.SELL, "4", "30", number=2),
    )
    (trip,) = found.round_trips
    assert (trip.quantity, trip.entry_price, trip.split_ratio) == (4, 100, "1/4")
    assert trip.net_result == D("20.00")


def test_a_reverse_split_that_leaves_nothing_ends_the_lot_at_no_price() -> None:
    """The worth is gone from the book, so it is gone from the lots, and somebody says so."""
    found = attributed(
        fill(Side.BUY, "0.000000001", "10000000", number=1),
        action(ActionKind.SPLIT, "10"),
    )
    (trip,) = found.round_trips
    assert (trip.reason, trip.net_result) == ("SPLIT_REMAINDER", D("-0.01"))


def test_a_dividend_belongs_to_the_lots_that_were_held() -> None:
    """0.333 a share on 10 and 5: five dollars in all, rounded once, the rest to the newest."""
    found = attributed(
        fill(Side.BUY, "10", "100", number=1),
        fill(Side.BUY, "5", "100", number=2),
        action(ActionKind.CASH_DIVIDEND, "0.333"),
    )
    assert [lot.paid.dividends for lot in found.open_lots] == [D("3.33"), D("1.67")]


def test_a_round_trip_says_why_it_ended_and_what_began_it() -> None:
    """An exit's reason is the rule's; a signal to hold nothing is a signal; less is a rebalance."""
    start = decided(1, 10, barbell_bucket="core", barbell_multiplier=D("0.5"))
    wish = start[0]
    assert isinstance(wish, IntentRecorded)
    found = attributed(
        *start,
        *decided(2, -2),
        *decided(3, -3, target_weight=D(0)),
        *decided(4, -5, exit_reason="STOP_LOSS", target_weight=D(0)),
    )
    assert [one.reason for one in found.round_trips] == ["REBALANCE", "SIGNAL", "STOP_LOSS"]
    assert {one.entry_decision_id for one in found.round_trips} == {wish.intent.decision_id}
    barbell = {(one.barbell_bucket, one.barbell_multiplier) for one in found.round_trips}
    assert barbell == {("core", D("0.5"))}
    assert found.complete_share == 1.0


def test_days_are_counted_in_trading_days_and_in_calendar_days() -> None:
    """Bought on Tuesday, sold on the Monday after: four sessions, six days."""
    later = decided(2, -10, valid_session=NEXT_MONDAY)
    (trip,) = attributed(*decided(1, 10), *later).round_trips
    assert (trip.sessions_held, trip.calendar_days_held) == (4, 6)
    assert sessions_after("XNYS", MONDAY, MONDAY) == 0


def test_what_is_not_known_is_named_and_not_filled_in() -> None:
    """Fills without intents, such as those of another book's history, are no full attribution."""
    found = attributed(fill(Side.BUY, "1", "100", number=1), fill(Side.SELL, "1", "100", number=2))
    (trip,) = found.round_trips
    assert trip.missing == ("reason", "signal", "barbell")
    assert found.complete_share == 0.0
    assert attributed().complete_share is None


def test_an_open_lot_without_a_price_is_not_worth_nothing() -> None:
    """The sum refuses, and names the symbol."""
    found = attributed(fill(Side.BUY, "1", "100"))
    with pytest.raises(DataError, match="AAPL"):
        found.result({})


def test_an_exit_before_a_rise_was_premature() -> None:
    """Of two stops, one was followed by a higher price; a third one's horizon is still open."""
    trips = attributed(
        *decided(1, 30),
        *decided(2, -10, exit_reason="STOP_LOSS"),
        *decided(3, -10, exit_reason="TIME_EXIT"),
        *decided(4, -5, exit_reason="STOP_LOSS"),
        *decided(5, -5, target_weight=D(0)),
    ).round_trips
    later = {trips[0].trade_id: D(60), trips[1].trade_id: D(40), trips[3].trade_id: D(60)}
    assert premature_share(later, trips) == 0.5
    assert premature_share({}, trips) is None


cents = st.integers(1, 50_000).map(lambda n: D(n) / 100)
shares = st.integers(1, 900_000).map(lambda n: D(n) / 10_000)
steps = st.one_of(
    st.tuples(st.just("fill"), st.sampled_from(list(Side)), shares, cents),
    st.tuples(st.just("split"), st.sampled_from(["0.5", "0.142857", "3", "1.5", "250"])),
    st.tuples(st.just("dividend"), st.integers(1, 900).map(lambda n: D(n) / 1_000)),
)


def history(path: list[Any]) -> list[Event]:
    """Fills and actions of two symbols, each with a key of its own."""
    events: list[Event] = [opened()]
    for number, step in enumerate(path):
        symbol = "AAPL" if number % 3 else "MSFT"
        if step[0] == "fill":
            bare = fill(step[1], str(step[2]), str(step[3]), symbol=symbol, number=number)
            events.append(
                paid(bare, fee=str(step[3] % 7), spread="0.0123", slippage="0.5", impact="0.25")
            )
        else:
            kind = ActionKind.SPLIT if step[0] == "split" else ActionKind.CASH_DIVIDEND
            events.append(
                replace(
                    action(kind, str(step[1]), symbol),
                    ex_session=MONDAY + dt.timedelta(days=number),
                )
            )
    return events


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, min_size=1, max_size=25), cents, cents)
def test_the_attributed_results_are_the_change_in_equity(
    path: list[Any], apple: Decimal, other: Decimal
) -> None:
    """Through long and short, splits and dividends: not a cent is missing or counted twice."""
    events, prices = history(path), {"AAPL": apple, "MSFT": other}
    book = book_from(events, BOOK)
    assert book is not None
    found = attribute(events, BOOK, calendar="XNYS")
    assert found.result(prices) == book.equity(prices) - book.capital
    for symbol in prices:
        lots = [lot.quantity for lot in found.open_lots if lot.fill.symbol == symbol]
        assert sum(lots, start=D(0)) == book.quantity(symbol)
        assert len({quantity > 0 for quantity in lots}) < 2


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, min_size=1, max_size=25))
def test_every_cost_of_every_fill_is_attributed_once(path: list[Any]) -> None:
    """Fees, spread, slippage and impact of lots and round trips are those of the fills."""
    events = history(path)
    found = attribute(events, BOOK, calendar="XNYS")
    fills = [event.fill for event in events if isinstance(event, FillRecorded)]
    amounts = [lot.paid for lot in found.open_lots]
    amounts += [part for trip in found.round_trips for part in (trip.entry, trip.exit)]
    for name in ("fee", "spread", "slippage", "impact"):
        total = sum((getattr(one, name) for one in amounts), start=D(0))
        assert total == sum((getattr(one, f"{name}_amount") for one in fills), start=D(0))
    assert len({trip.trade_id for trip in found.round_trips}) == len(found.round_trips)


def test_the_lots_are_those_of_a_queue_of_single_shares() -> None:
    """The slow twin: every share is an object, and each sale takes the oldest ones."""
    import random

    chance = random.Random(5)
    queue: list[tuple[int, Decimal]] = []
    events: list[Event] = []
    expected: dict[tuple[int, int], int] = {}
    for number in range(1, 60):
        price, quantity = D(chance.randint(50, 150)), chance.randint(1, 9)
        is_sale = len(queue) > 20 or (len(queue) >= quantity and chance.random() < 0.45)
        side = Side.SELL if is_sale else Side.BUY
        events.append(fill(side, str(quantity), str(price), number=number))
        for _ in range(quantity):
            if is_sale:
                bought, _price = queue.pop(0)
                expected[bought, number] = expected.get((bought, number), 0) + 1
            else:
                queue.append((number, price))
    orders = {f"o-AAPL-{number}": number for number in range(1, 60)}
    by_fill = {
        event.fill.fill_id: orders[event.fill.client_order_id]
        for event in events
        if isinstance(event, FillRecorded)
    }
    found = {
        (by_fill[one.entry_fill_id], by_fill[one.exit_fill_id]): int(one.quantity)
        for one in attributed(*events).round_trips
    }
    assert found == expected
