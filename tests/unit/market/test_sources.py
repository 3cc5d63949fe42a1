"""Requests are checked before anyone is asked; vendor rows become bars or are refused by name."""

import datetime as dt
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import SourceAnswerError, UsageError
from quant.market.bars import INTRADAY_BAR_COLUMNS, AssetClass, Basis
from quant.market.sources import (
    MARKET_DAYS,
    VENDOR_COLUMNS,
    BadBarError,
    BarRequest,
    normalise_actions,
    normalise_bars,
    refuse_unbelievable,
)

DAY = dt.date(2024, 3, 8)
LATER = dt.datetime(2024, 4, 1, tzinfo=dt.UTC)


def request(**changes: object) -> BarRequest:
    settings = {"symbols": ("AAPL",), "start": dt.date(2024, 3, 1), "end": dt.date(2024, 3, 31)}
    return BarRequest(**(settings | changes))  # type: ignore[arg-type]


def rows(*bars: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(bars, columns=list(VENDOR_COLUMNS), dtype=object)


def bar(stamp: object, close: object = 10.0, symbol: str = "AAPL") -> tuple[object, ...]:
    return (symbol, stamp, 9.0, 11.0, 8.0, close, 100)


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "^GSPC", "ES=F", "BRK-B", "MTNN.LG", "BINANCE:BTCUSDT", "7203.T"]
)
def test_symbols_of_every_venue_are_taken(symbol: str) -> None:
    assert request(symbols=(symbol,)).symbols == (symbol,)


@pytest.mark.parametrize(
    "symbol", ["", "../etc/passwd", "A..B", "A B", "A\n", "X" * 300, "A;B", "A%2F"]
)
def test_what_is_no_symbol_is_refused_before_anyone_is_asked(symbol: str) -> None:
    """Symbols end up in paths and addresses; the message never repeats 300 characters."""
    with pytest.raises(UsageError) as caught:
        request(symbols=(symbol,))
    assert caught.value.remedy
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "changes",
    [
        {"symbols": ()},
        {"symbols": ("A", "A")},
        {"start": dt.date(2024, 4, 2)},
        {"start": dt.datetime(2024, 3, 1, tzinfo=dt.UTC)},
        {"interval_minutes": 0},
        {"interval_minutes": 1440},
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        request(**changes)


def test_a_session_closes_at_the_local_hour_on_both_sides_of_summer_time() -> None:
    """On 8 March 2024 New York is five hours behind UTC, on 11 March four."""
    day = MARKET_DAYS[AssetClass.US_EQUITY]
    assert day.end_of(DAY) == dt.datetime(2024, 3, 8, 21, tzinfo=dt.UTC)
    assert day.end_of(dt.date(2024, 3, 11)) == dt.datetime(2024, 3, 11, 20, tzinfo=dt.UTC)


@given(st.dates(dt.date(1990, 1, 1), dt.date(2035, 12, 31)), st.sampled_from(list(AssetClass)))
def test_the_end_of_a_session_lies_in_that_session(session: dt.date, kind: AssetClass) -> None:
    """Whatever the zone and the season: a daily bar's event time names its own session."""
    day = MARKET_DAYS[kind]
    ends = pd.Series(pd.to_datetime([day.end_of(session)], utc=True))
    assert list(day.session_of(ends)) == [session]


def test_a_futures_bar_after_five_in_new_york_belongs_to_the_next_session() -> None:
    """The bar of 18:00 on Thursday opens Friday's session; that of 16:00 closes Thursday's."""
    opened = [
        dt.datetime(2024, 3, 7, 21, 0, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 7, 23, 0, tzinfo=dt.UTC),
    ]
    wanted = request(symbols=("ES",), asset_class=AssetClass.FUTURE, interval_minutes=60)
    bars = normalise_bars(
        rows(*(bar(moment, symbol="ES") for moment in opened)),
        request=wanted,
        source="test",
        retrieved_at=LATER,
    )
    assert tuple(bars.columns) == INTRADAY_BAR_COLUMNS
    assert list(bars["session"]) == [dt.date(2024, 3, 7), DAY]
    assert bars["event_time"].iloc[0] == pd.Timestamp("2024-03-07T22:00Z")
    assert set(bars["interval_minutes"]) == {60}


def test_the_last_quarter_hour_of_a_crypto_day_belongs_to_that_day() -> None:
    """It ends at midnight, and an end belongs to the bar that it ends."""
    wanted = request(symbols=("BTC/USDT",), asset_class=AssetClass.CRYPTO, interval_minutes=15)
    opened = dt.datetime(2024, 3, 8, 23, 45, tzinfo=dt.UTC)
    bars = normalise_bars(
        rows(bar(opened, symbol="BTC/USDT")), request=wanted, source="t", retrieved_at=LATER
    )
    assert list(bars["session"]) == [DAY]


def test_an_adjusted_price_was_known_only_when_it_was_read() -> None:
    """It holds every later split; a backtest that used it at the session's close would cheat."""
    frames = {
        basis: normalise_bars(
            rows(bar(DAY)), request=request(basis=basis), source="t", retrieved_at=LATER
        )
        for basis in Basis
    }
    assert frames[Basis.RAW]["known_at"].iloc[0] == pd.Timestamp("2024-03-08T21:00Z")
    for basis in (Basis.SPLIT_ADJUSTED, Basis.TOTAL_RETURN):
        assert frames[basis]["known_at"].iloc[0] == pd.Timestamp(LATER)


def test_a_bar_that_has_only_a_close_stays_a_bar() -> None:
    """An index has no open and no volume; the fields are empty, not zero."""
    told = rows(("AAPL", DAY, None, None, None, "10.5", None))
    bars = normalise_bars(told, request=request(), source="t", retrieved_at=LATER)
    assert bars["close"].to_list() == [10.5]
    assert bars[["open", "high", "low", "volume"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "value", [math.nan, "NaN", "nan", math.inf, "1e999", -0.01, "abc", "", True, [1.0], {}]
)
def test_what_is_no_price_is_refused_by_name(value: object) -> None:
    """Symbol, day, field and value stand in the message, and the culprit on the error."""
    with pytest.raises(BadBarError) as caught:
        refuse_unbelievable(rows(bar(DAY), bar(dt.date(2024, 3, 11), value)), source="vendor")
    assert caught.value.symbol == "AAPL"
    for word in ("vendor", "close", "AAPL", "2024-03-11", repr(str(value)[:40])):
        assert word in str(caught.value)


def test_oil_may_settle_below_zero() -> None:
    """-37.63 on 20 April 2020: true of a future, impossible for a share."""
    told = rows(("CL", dt.date(2020, 4, 20), 17.73, 17.85, -40.32, -37.63, 247947))
    kept, _ = refuse_unbelievable(told, asset_class=AssetClass.FUTURE)
    assert kept["close"].to_list() == [-37.63]
    with pytest.raises(SourceAnswerError):
        refuse_unbelievable(told)


def test_gaps_are_counted_and_other_rows_stand() -> None:
    kept, missing = refuse_unbelievable(rows(bar(DAY, None), bar(dt.date(2024, 3, 11), 12)))
    assert missing == 1
    assert kept["close"].to_list() == [12.0]


def test_a_bar_told_twice_counts_once_and_two_different_ones_not_at_all() -> None:
    """Yahoo repeats the last session; a different price for it would be a coin toss."""
    twice = rows(bar(DAY), bar(DAY))
    assert len(normalise_bars(twice, request=request(), source="t", retrieved_at=LATER)) == 1
    with pytest.raises(BadBarError, match="two different bars"):
        normalise_bars(
            rows(bar(DAY), bar(DAY, 10.01)), request=request(), source="t", retrieved_at=LATER
        )


def test_no_rows_give_no_bars_with_all_columns() -> None:
    bars = normalise_bars(rows(), request=request(), source="t", retrieved_at=LATER)
    assert bars.empty
    assert "event_time" in bars.columns


def test_an_action_is_known_from_the_first_minute_of_its_ex_session() -> None:
    found = [("AAPL", DAY, "split", 0.25), ("AAPL", dt.date(2023, 1, 3), "split", 0.5)]
    actions = normalise_actions(found, source="t", start=DAY, end=DAY)
    assert actions["ex_session"].to_list() == [DAY]
    assert actions["known_at"].iloc[0] == pd.Timestamp("2024-03-08T05:00Z")


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan, math.inf])
def test_an_impossible_action_is_refused(value: float) -> None:
    with pytest.raises(SourceAnswerError, match="AAPL on 2024-03-08"):
        normalise_actions([("AAPL", DAY, "split", value)], source="t", start=DAY, end=DAY)
