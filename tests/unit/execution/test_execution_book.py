"""A book is arithmetic: every case here can be checked with a pencil."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution import (
    ActionApplied,
    ActionKind,
    BookPolicy,
    Side,
    book_from,
    postings_of,
    split_ratio,
)
from quant.execution.book import Book, apply, split_quantity
from quant.market.bars import Basis
from tests.execution_values import BOOK, POLICY, fill, opened

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
D = Decimal


def book_after(*events: object, policy: BookPolicy = POLICY) -> Book:
    book = book_from([opened(policy=policy), *events], BOOK)  # type: ignore[list-item]
    assert book is not None
    return book


def action(kind: ActionKind, value: str, symbol: str, day: dt.date) -> ActionApplied:
    return ActionApplied(
        book=BOOK,
        symbol=symbol,
        ex_session=day,
        action=kind,
        value=D(value),
        row_hash="row",
        run_id="run-1",
    )


def test_a_round_trip_realises_its_profit_less_both_fees() -> None:
    """Buy 100 at 10.00 for 0.15, sell them at 11.00 for 0.17: 100 gained, 0.32 paid."""
    book = book_after(
        fill(Side.BUY, "100", "10", fee="0.15"), fill(Side.SELL, "100", "11", fee="0.17", number=2)
    )
    assert book.positions == {}
    assert (book.realised, book.fees, book.cash) == (D("100.00"), D("0.32"), D("100099.68"))


def test_a_partial_sale_realises_against_the_average_cost() -> None:
    """100 at 10 and 100 at 12 cost 2,200; selling 50 at 15 takes a quarter, 550, off the cost."""
    book = book_after(
        fill(Side.BUY, "100", "10"),
        fill(Side.BUY, "100", "12", number=2),
        fill(Side.SELL, "50", "15", number=3),
    )
    position = book.positions["AAPL"]
    assert (position.quantity, position.cost, position.average_cost) == (150, 1650, 11)
    assert book.realised == D("200.00")


def test_a_short_sale_has_a_negative_cost_and_gains_when_bought_back_lower() -> None:
    """Sell 10 at 50 without holding any, buy them back at 40: 100 gained."""
    short = book_after(fill(Side.SELL, "10", "50"))
    assert (short.positions["AAPL"].quantity, short.positions["AAPL"].cost) == (-10, -500)
    covered = apply(short, fill(Side.BUY, "10", "40", number=2))
    assert covered is not None
    assert (covered.realised, covered.cash) == (D("100.00"), D("100100.00"))


def test_a_sale_through_zero_closes_the_old_position_and_opens_a_new_one() -> None:
    """Long 10 at 10, sell 25 at 12: 20 gained on the ten, and 15 are short at 12."""
    book = book_after(fill(Side.BUY, "10", "10"), fill(Side.SELL, "25", "12", number=2))
    assert book.realised == D("20.00")
    assert (book.positions["AAPL"].quantity, book.positions["AAPL"].cost) == (-15, -180)


def test_cost_that_does_not_divide_evenly_is_never_lost() -> None:
    """Three shares for 10.00 are sold one by one: 3.33, 3.34 and 3.33 add up to the cent."""
    one_each = [fill(Side.SELL, "1", "5", number=n) for n in (2, 3, 4)]
    book = book_after(fill(Side.BUY, "3", "3.333333", notional="10.00"), *one_each)
    assert book.positions == {}
    assert book.realised == D("5.00")


def test_a_rounded_split_factor_is_read_as_the_fraction_it_stands_for() -> None:
    """0.142857 is one seventh: dividing 100 shares by the decimal would invent 0.0007 of one."""
    assert split_quantity(D(100), D("0.142857")) == 700
    assert split_quantity(D(100), D("0.5")) == 200
    assert split_quantity(D(90), D("0.666667")) == 135
    assert split_quantity(D(100), D("10")) == 10
    assert split_ratio(D("0.952381")).limit_denominator() == split_ratio(D("0.952381"))
    assert str(split_ratio(D("0.952381"))) == "20/21"


def sample_actions(symbol: str) -> list[ActionApplied]:
    frame = pd.read_parquet(SAMPLE / "corporate_actions_2004_2014.parquet")
    rows = frame[frame["symbol"] == symbol].itertuples()
    return [action(ActionKind(r.kind), repr(r.value), symbol, r.date) for r in rows]


def raw_closes(symbol: str) -> pd.Series:
    frame = pd.read_parquet(SAMPLE / "us_equity_raw_2004_2014_daily.parquet")
    return frame[frame["symbol"] == symbol].set_index("date")["close"].map(lambda p: D(repr(p)))


@pytest.mark.parametrize(
    ("day", "times"), [(dt.date(2005, 2, 28), 2), (dt.date(2014, 6, 9), 7)], ids=["2005", "2014"]
)
def test_apples_splits_change_the_count_and_neither_the_cost_nor_the_worth(
    day: dt.date, times: int
) -> None:
    """The holder of 100 shares on the eve has the same money in the morning, to the cent."""
    closes = raw_closes("AAPL")
    eve = max(session for session in closes.index if session < day)
    [split] = [one for one in sample_actions("AAPL") if one.ex_session == day]
    held = book_after(fill(Side.BUY, "100", str(closes[eve])))
    held = apply(held, _mark(held, {"AAPL": closes[eve]}, eve))
    assert held is not None
    morning = apply(held, split)
    assert morning is not None
    assert morning.quantity("AAPL") == 100 * times
    assert morning.cost == held.cost
    assert morning.equity() == held.equity()
    # The market agrees that nothing was gained: the raw close fell to about one part of it.
    ratio = closes[day] * times / closes[eve]
    assert D("0.9") < ratio < D("1.1")


def test_eleven_years_of_apple_at_raw_prices_follow_the_split_adjusted_series() -> None:
    """100 raw shares of 2004 are 5,600 adjusted ones, through both splits and on every day.

    The adjusted series comes from another source, in which four closes of 2,769 differ by 0.1 to
    0.5 %; on all the others the two agree to a basis point or two. A split missed would be 50 %.
    """
    adjusted = pd.read_parquet(SAMPLE / "us_equity_ohlcv_daily.parquet")
    adjusted = adjusted[adjusted["symbol"] == "AAPL"].set_index("date")["close"]
    closes = raw_closes("AAPL")
    splits = {a.ex_session: a for a in sample_actions("AAPL") if a.action is ActionKind.SPLIT}
    book = book_after(fill(Side.BUY, "100", str(closes.iloc[0])))
    differences = []
    for session, close in closes.items():
        if session in splits:
            moved = apply(book, splits[session])
            assert moved is not None
            book = moved
        other = D(repr(float(adjusted[session]))) * 5600
        differences.append(abs(book.quantity("AAPL") * close - other) / other)
    assert book.quantity("AAPL") == 1400
    assert max(differences) < D("0.005")
    assert sum(one > D("0.0002") for one in differences) == 4


def _mark(book: Book, prices: dict[str, Decimal], session: dt.date) -> object:
    from quant.execution import MarkRecorded

    return MarkRecorded(
        book=BOOK, session=session, equity=book.equity(prices), cash=book.cash, prices=prices
    )


def test_microsofts_dividends_arrive_as_cash_and_leave_the_cost_alone() -> None:
    """1,000 shares through eleven years: 42 dividends, 9,960.00 in cash, the 3.08 of 2004 among."""
    dividends = sample_actions("MSFT")
    total = sum((one.value for one in dividends), start=D(0))
    before = book_after(fill(Side.BUY, "1000", "27.50", symbol="MSFT"))
    after = before
    for dividend in dividends:
        moved = apply(after, dividend)
        assert moved is not None
        # Ex-dividend the share is worth that much less: book and share together are unchanged.
        was = after.equity({"MSFT": D("27.50")})
        assert moved.equity({"MSFT": D("27.50") - dividend.value}) == was
        after = moved
    assert len(dividends) == 42
    assert after.dividends == total * 1000
    assert after.cost == before.cost
    assert after.cash - before.cash == total * 1000


def test_a_book_on_adjusted_prices_refuses_the_split_they_already_contain() -> None:
    """Counting a split twice would double the position."""
    policy = POLICY.model_copy(update={"price_basis": Basis.TOTAL_RETURN})
    held = book_after(fill(Side.BUY, "100", "10"), policy=policy)
    with pytest.raises(DataError, match="total_return"):
        apply(held, action(ActionKind.SPLIT, "0.5", "AAPL", dt.date(2005, 2, 28)))


def test_a_position_without_a_price_has_no_worth_rather_than_none() -> None:
    """An unknown price is an error to the caller, never a zero in the sum."""
    held = book_after(fill(Side.BUY, "100", "10"))
    with pytest.raises(DataError, match="AAPL without a price"):
        held.equity({})


trades = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "MSFT", "XOM"]),
        st.sampled_from(list(Side)),
        st.decimals(min_value="0.001", max_value="5000", places=3),
        st.decimals(min_value="0.01", max_value="900", places=4),
        st.decimals(min_value=0, max_value=20, places=2),
    ),
    max_size=25,
)
splits = st.lists(
    st.tuples(st.integers(0, 24), st.sampled_from(["0.5", "0.142857", "0.666667", "10", "0.25"])),
    max_size=4,
)


@settings(max_examples=120, deadline=None)
@given(trades, splits)
def test_every_entry_sums_to_zero_and_the_accounts_explain_the_cash(
    drawn: list[tuple[str, Side, Decimal, Decimal, Decimal]], factors: list[tuple[int, str]]
) -> None:
    """Whatever is traded and split: postings sum to exactly zero, one by one and all together,
    and the book built step by step is the book built at once."""
    events: list[object] = [opened()]
    for number, (symbol, side, quantity, price, fee) in enumerate(drawn):
        for place, factor in factors:
            if place == number:
                day = dt.date(2010, 1, 1) + dt.timedelta(days=number)
                events.append(action(ActionKind.SPLIT, factor, symbol, day))
        events.append(
            fill(side, str(quantity), str(price), fee=str(fee), symbol=symbol, number=number)
        )
    book: Book | None = None
    totals: dict[str, Decimal] = {}
    for event in events:
        lines = postings_of(book, event)  # type: ignore[arg-type]
        assert sum((line.amount for line in lines), start=D(0)) == 0
        for line in lines:
            totals[line.account] = totals.get(line.account, D(0)) + line.amount
        book = apply(book, event)  # type: ignore[arg-type]
    assert book is not None
    assert totals["cash"] == book.cash
    assert totals.get("position", D(0)) == book.cost
    assert -totals.get("realised", D(0)) == book.realised
    # Money is conserved: what the capital became is cash, cost of positions, fees and profit.
    assert book.capital + book.realised == book.cash + book.cost + book.fees
    assert book.state_hash() == book_from(events, BOOK).state_hash()  # type: ignore[arg-type,union-attr]
