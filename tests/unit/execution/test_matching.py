"""The order book: priority, conservation, and a slow twin that agrees with it."""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from quant.execution.broker import TimeInForce
from quant.execution.matching import BookOrder, Execution, OrderBook, Trade
from quant.execution.orders import Side


def order(
    order_id: str,
    side: Side,
    quantity: int,
    limit: int | None = None,
    *,
    owner: str = "",
    tif: TimeInForce = TimeInForce.GTC,
) -> BookOrder:
    return BookOrder(
        order_id=order_id,
        owner=owner or order_id,
        side=side,
        quantity=Decimal(quantity),
        limit=None if limit is None else Decimal(limit),
        time_in_force=tif,
    )


def test_a_market_order_walks_the_book_level_by_level() -> None:
    """7 shares against 5 at 100 and 5 at 101: five at the better price, two at the next."""
    book = OrderBook()
    book.submit(order("a", Side.SELL, 5, 101))
    book.submit(order("b", Side.SELL, 5, 100))
    done = book.submit(order("t", Side.BUY, 7))
    assert [(t.price, t.quantity, t.maker_id) for t in done.trades] == [
        (100, 5, "b"),
        (101, 2, "a"),
    ]
    assert (done.traded, done.resting, done.ended) == (7, 0, 0)
    assert book.depth(Side.SELL) == [(101, 3)]


def test_at_one_price_who_came_first_trades_first() -> None:
    book = OrderBook()
    for name in ("first", "second"):
        book.submit(order(name, Side.BUY, 4, 50))
    done = book.submit(order("t", Side.SELL, 6, 50))
    assert [(t.maker_id, t.quantity) for t in done.trades] == [("first", 4), ("second", 2)]
    assert book.resting("second") == 2


def test_fill_or_kill_leaves_the_book_as_it_was_when_it_cannot_fill() -> None:
    book = OrderBook()
    book.submit(order("a", Side.SELL, 5, 100))
    done = book.submit(order("t", Side.BUY, 6, 100, tif=TimeInForce.FOK))
    assert (done.trades, done.ended) == ((), 6)
    assert book.resting("a") == 5


def test_an_owner_never_trades_with_himself() -> None:
    """The taker's rest ends; the order that rested stays."""
    book = OrderBook()
    book.submit(order("other", Side.SELL, 1, 99))
    book.submit(order("mine", Side.SELL, 5, 100, owner="me"))
    done = book.submit(order("t", Side.BUY, 3, 100, owner="me"))
    assert [t.maker_id for t in done.trades] == ["other"]
    assert done.is_self_trade_prevented
    assert (done.ended, book.resting("mine"), book.best(Side.BUY)) == (2, 5, None)


@dataclass
class SlowBook:
    """The obvious twin: a list, searched whole for the best maker each time."""

    rows: list[list[object]]  # order_id, side, limit, quantity

    def submit(self, new: BookOrder) -> list[Trade]:
        left, trades = new.quantity, []
        while left > 0:
            makers = [
                row
                for row in self.rows
                if row[1] is not new.side
                and (
                    new.limit is None
                    or (row[2] <= new.limit if new.side is Side.BUY else row[2] >= new.limit)
                )
            ]
            if not makers:
                break
            # min and max keep the first of equals: the earliest arrival.
            pick = min if new.side is Side.BUY else max
            maker = pick(makers, key=lambda row: row[2])
            quantity = min(left, maker[3])
            left -= quantity
            maker[3] -= quantity
            trades.append(
                Trade(
                    price=maker[2],
                    quantity=quantity,
                    maker_id=maker[0],
                    taker_id=new.order_id,
                    taker_side=new.side,
                )
            )
            self.rows = [row for row in self.rows if row[3] > 0]
        if left > 0 and new.limit is not None and new.time_in_force is TimeInForce.GTC:
            self.rows.append([new.order_id, new.side, new.limit, left])
        return trades


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(list(Side)),
            st.integers(1, 9),
            st.one_of(st.none(), st.integers(95, 105)),
            st.sampled_from([TimeInForce.GTC, TimeInForce.IOC]),
        ),
        st.integers(0, 30),  # cancel the n-th order
    ),
    max_size=40,
)


@given(STEPS)
def test_the_book_agrees_with_its_slow_twin_and_loses_nothing(steps: list[object]) -> None:
    """Same trades as the obvious book; quantity conserved; never crossed; a maker's price holds."""
    book, twin = OrderBook(), SlowBook([])
    arrived: dict[str, BookOrder] = {}
    gone: dict[str, Decimal] = {}
    for place, step in enumerate(steps):
        if isinstance(step, int):
            name = f"o{step}"
            taken = book.cancel(name)
            assert taken == sum((row[3] for row in twin.rows if row[0] == name), Decimal(0))
            twin.rows = [row for row in twin.rows if row[0] != name]
            gone[name] = gone.get(name, Decimal(0)) + taken
            continue
        side, quantity, limit, tif = step
        new = order(f"o{place}", side, quantity, limit, tif=tif)
        arrived[new.order_id] = new
        done: Execution = book.submit(new)
        assert list(done.trades) == twin.submit(new)
        assert done.traded + done.resting + done.ended == new.quantity
        gone[new.order_id] = gone.get(new.order_id, Decimal(0)) + done.ended + done.traded
        for trade in done.trades:
            gone[trade.maker_id] += trade.quantity
            assert new.limit is None or (new.limit - trade.price) * side.sign >= 0
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid < ask
    for name, first in arrived.items():
        assert gone[name] + book.resting(name) == first.quantity
