"""Closed trades: matched by hand, exact to the cent, and never losing a fee."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.portfolio.trades import ClosedTrade, TradeFill, closed_trades, trade_statistics

DAY = dt.date(2022, 1, 3)


def fill(
    quantity: str, price: str, fee: str = "0", *, day: int = 0, symbol: str = "A"
) -> TradeFill:
    return TradeFill(
        symbol=symbol,
        session=DAY + dt.timedelta(days=day),
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
    )


def test_two_purchases_and_one_sale_close_at_the_average_cost():
    """10 at 100 and 10 at 110 cost 105 on average; selling all at 108 earns 60 before fees of 3."""
    trades = closed_trades(
        [fill("10", "100", "1"), fill("10", "110", "1", day=1), fill("-20", "108", "1", day=2)]
    )
    assert trades == [
        ClosedTrade(
            symbol="A",
            opened=DAY,
            closed=DAY + dt.timedelta(days=2),
            quantity=Decimal(20),
            gross_profit=Decimal("60.00"),
            fees=Decimal(3),
        )
    ]
    assert trades[0].profit == Decimal("57.00")


def test_a_sale_beyond_what_is_held_closes_it_and_opens_a_short():
    """Long 10 at 50, sell 15 at 60: the long earns 100, and 5 short are bought back at 55 for
    25."""
    trades = closed_trades(
        [fill("10", "50"), fill("-15", "60", "0.30", day=1), fill("5", "55", day=2)]
    )
    assert [trade.gross_profit for trade in trades] == [Decimal("100.00"), Decimal("25.00")]
    assert [trade.quantity for trade in trades] == [Decimal(10), Decimal(-5)]
    assert [trade.fees for trade in trades] == [Decimal("0.20"), Decimal("0.10")]


def test_statistics_of_two_wins_one_loss_and_one_that_came_out_even():
    """Won 30, lost 10: profit factor 3, and half of four trades won."""
    trades = [
        ClosedTrade(
            symbol="A",
            opened=DAY,
            closed=DAY,
            quantity=Decimal(1),
            gross_profit=Decimal(gross),
            fees=Decimal("0.50"),
        )
        for gross in ("20.50", "10.50", "-9.50", "0.50")
    ]
    statistics = trade_statistics(trades)
    assert (statistics.won, statistics.lost) == (Decimal("30.00"), Decimal("10.00"))
    assert statistics.net_profit == Decimal("20.00")
    assert statistics.fees == Decimal("2.00")
    assert (statistics.win_rate, statistics.profit_factor) == (0.5, 3.0)
    assert (statistics.average_win, statistics.average_loss) == (Decimal("15.00"), Decimal("10.00"))


def test_without_trades_or_losses_a_ratio_is_unknown_and_not_infinite():
    """No trade has no win rate, and no loss has no profit factor."""
    nothing = trade_statistics([])
    assert (nothing.count, nothing.win_rate, nothing.profit_factor) == (0, None, None)
    won = trade_statistics(closed_trades([fill("1", "10"), fill("-1", "11")]))
    assert (won.win_rate, won.profit_factor) == (1.0, None)


@pytest.mark.parametrize(
    ("quantity", "price", "fee"),
    [("0", "1", "0"), ("1", "0", "0"), ("NaN", "1", "0"), ("1", "1", "Infinity")],
)
def test_a_fill_that_cannot_be_is_refused(quantity, price, fee):
    """A zero quantity, a zero price, a NaN or an infinity is a defect upstream."""
    with pytest.raises(DataError):
        fill(quantity, price, fee)


CENTS = st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100)
LOTS = st.integers(-50, 50).filter(bool).map(Decimal)


@given(st.lists(st.tuples(LOTS, CENTS, CENTS), min_size=1, max_size=25))
def test_when_the_book_is_flat_again_profit_equals_cash_to_the_cent(steps):
    """Money cannot appear: closed profits add up to the cash that came in less what went out."""
    fills = [
        TradeFill(symbol="A", session=DAY, quantity=quantity, price=price, fee=fee)
        for quantity, price, fee in steps
    ]
    rest = sum((one.quantity for one in fills), Decimal(0))
    if rest:
        fills.append(
            TradeFill(
                symbol="A", session=DAY, quantity=-rest, price=Decimal(7), fee=Decimal("0.01")
            )
        )
    trades = closed_trades(fills)
    fees = sum((one.fee for one in fills), Decimal(0))
    received = -sum((one.quantity * one.price for one in fills), Decimal(0))
    assert sum((trade.fees for trade in trades), Decimal(0)) == fees
    gross = sum((trade.gross_profit for trade in trades), Decimal(0))
    # Each partial close rounds its own profit once, by half a cent at most.
    assert abs(gross - received) <= Decimal("0.005") * len(trades)
