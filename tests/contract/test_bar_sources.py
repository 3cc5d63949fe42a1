"""One suite for every source of bars: the same answers, the same errors, the same silence on keys.

Each adapter, with the vendor's real SDK where it uses one, speaks to a loopback server that answers
as its vendor does.
"""

import datetime as dt
import logging
import math
import time
import traceback
from collections.abc import Iterator

import pandas as pd
import pytest

from quant.core.errors import (
    SourceAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from quant.market.bars import ACTION_COLUMNS, DAILY_BAR_COLUMNS, AssetClass
from quant.market.sources import MARKET_DAYS
from resources.market_data.http import SourceRules
from tests.loopback import Vendor, refusing_address, serving
from tests.vendor_answers import KEY, NOW, RAW, SECRET, SESSIONS, VENDORS, VendorCase, with_close

QUICK = SourceRules(
    requests_per_minute=1000, timeout_s=5.0, connect_timeout_s=1.0, retries=1, backoff_first_s=0.01
)
# For faults that last: long enough for an answer on a busy machine, short enough to wait for.
SHORT = SourceRules(requests_per_minute=1000, timeout_s=0.4, connect_timeout_s=0.4, retries=0)
# Alpaca and Finnhub answer a name that they do not know as one without bars.
TELLS_NO_SUCH_SYMBOL = {"yfinance", "alpha_vantage", "ccxt_binance"}


@pytest.fixture(params=VENDORS, name="case")
def _case(request: pytest.FixtureRequest) -> VendorCase:
    return VENDORS[request.param]


@pytest.fixture(name="vendor")
def _vendor(case: VendorCase) -> Iterator[Vendor]:
    with serving(case.respond(RAW)) as vendor:
        yield vendor


def test_every_vendor_tells_the_same_raw_bars(case: VendorCase, vendor: Vendor) -> None:
    """Some vendors divide by later splits, some do not; after the adapter nobody can tell."""
    bars = case.build(vendor.url, QUICK).bars(case.request())
    assert tuple(bars.columns) == DAILY_BAR_COLUMNS
    assert list(bars["session"]) == list(SESSIONS)
    for place, field in enumerate(("open", "high", "low", "close", "volume")):
        expected = [bar[place] for bar in RAW]
        assert bars[field].to_list() == pytest.approx(expected, rel=1e-12)
        assert bars[field].dtype == "float64"
    assert set(bars["source"]) == {case.name}
    assert set(bars["basis"]) == {"raw"}
    assert set(bars["symbol"]) == {case.symbol}


def test_times_are_utc_and_a_bar_is_known_when_it_ended(case: VendorCase, vendor: Vendor) -> None:
    """New York closes at 20:00 UTC in August; a day of crypto ends at midnight UTC."""
    bars = case.build(vendor.url, QUICK).bars(case.request())
    assert str(bars["event_time"].dt.tz) == "UTC"
    assert str(bars["known_at"].dt.tz) == "UTC"
    first = bars["event_time"].iloc[0]
    if case.asset_class is AssetClass.CRYPTO:
        assert first == pd.Timestamp("2020-08-28T00:00Z")
    else:
        assert first == pd.Timestamp("2020-08-27T20:00Z")
    assert (bars["known_at"] == bars["event_time"]).all()
    day = MARKET_DAYS[case.asset_class]
    assert list(day.session_of(bars["event_time"])) == list(SESSIONS)


def test_the_range_is_closed_on_both_sides(case: VendorCase, vendor: Vendor) -> None:
    """Vendors answer more than was asked; the port does not."""
    request = case.request(start=SESSIONS[1], end=SESSIONS[2])
    bars = case.build(vendor.url, QUICK).bars(request)
    assert list(bars["session"]) == [SESSIONS[1], SESSIONS[2]]


def test_a_raw_price_needs_the_split_that_came_after_the_range(
    case: VendorCase, vendor: Vendor
) -> None:
    """The range ends on Friday, the split is on Monday: Friday closed at 499.23 all the same."""
    request = case.request(start=SESSIONS[0], end=SESSIONS[1])
    bars = case.build(vendor.url, QUICK).bars(request)
    assert bars["close"].to_list() == pytest.approx([500.04, 499.23], rel=1e-12)


def test_a_bar_that_still_grows_is_not_delivered(case: VendorCase, vendor: Vendor) -> None:
    """At noon in New York on 2 September the bar of that day is not a bar yet."""
    source = case.build(vendor.url, QUICK)
    source._clock.moment = dt.datetime(2020, 9, 2, 16, 0, tzinfo=dt.UTC)  # type: ignore[attr-defined]
    assert list(source.bars(case.request())["session"]) == list(SESSIONS[:-1])


def test_an_unknown_symbol_costs_only_itself(case: VendorCase, vendor: Vendor) -> None:
    """One misspelt name must not lose the others."""
    bars = case.build(vendor.url, QUICK).bars(case.request(case.unknown, case.symbol))
    assert set(bars["symbol"]) == {case.symbol}


def test_only_unknown_symbols_give_an_empty_frame_or_a_refusal(
    case: VendorCase, vendor: Vendor
) -> None:
    """Either tells the failover to ask elsewhere; neither is a failure of the source."""
    source = case.build(vendor.url, QUICK)
    if case.name in TELLS_NO_SUCH_SYMBOL:
        with pytest.raises(SourceRefusedError) as caught:
            source.bars(case.request(case.unknown))
        assert caught.value.remedy
        return
    bars = source.bars(case.request(case.unknown))
    assert bars.empty
    assert tuple(bars.columns) == DAILY_BAR_COLUMNS


def test_every_vendor_tells_the_same_actions(case: VendorCase, vendor: Vendor) -> None:
    """A split is the factor on prices; a dividend is what one share of that day was paid."""
    source = case.build(vendor.url, QUICK)
    actions = source.actions((case.symbol,), SESSIONS[0], SESSIONS[-1])
    assert tuple(actions.columns) == ACTION_COLUMNS
    if case.asset_class is AssetClass.CRYPTO:
        assert actions.empty
        return
    told = {(row.ex_session.isoformat(), row.kind): row.value for row in actions.itertuples()}
    assert told == pytest.approx(
        {
            ("2020-08-31", "split"): 0.25,
            ("2020-08-28", "cash_dividend"): 0.82,
            ("2020-09-01", "cash_dividend"): 0.205,
        }
    )
    assert (actions["known_at"] <= pd.Timestamp(NOW)).all()


def test_a_null_close_is_a_gap_and_is_counted(case: VendorCase) -> None:
    """Null says "no value": the session is missing, the rest stands."""
    with serving(case.respond(with_close(None))) as vendor:
        bars = case.build(vendor.url, QUICK).bars(case.request())
    assert list(bars["session"]) == [s for s in SESSIONS if s != SESSIONS[3]]
    assert bars.attrs["missing_bars"] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -134.18], ids=["nan", "inf", "negative"])
def test_an_impossible_price_is_refused_by_name(case: VendorCase, value: float) -> None:
    """NaN is not "no value": the message names the symbol, the day and what was told."""
    with (
        serving(case.respond(with_close(value))) as vendor,
        pytest.raises(SourceAnswerError) as caught,
    ):
        case.build(vendor.url, QUICK).bars(case.request())
    message = str(caught.value)
    assert case.symbol in message
    assert SESSIONS[3].isoformat() in message
    assert str(value) in message


@pytest.mark.parametrize("status", ["429", "500", "502", "503"])
def test_a_passing_failure_is_retried(case: VendorCase, vendor: Vendor, status: str) -> None:
    """One bad answer, then good ones: the caller sees only the bars."""
    vendor.faults = [status]
    assert len(case.build(vendor.url, QUICK).bars(case.request())) == 5


@pytest.mark.parametrize("status", ["429", "500", "502", "503"])
def test_a_lasting_failure_is_unavailable(case: VendorCase, vendor: Vendor, status: str) -> None:
    """Exactly as many requests as the rules allow, then the typed error with the status."""
    vendor.fault = status
    with pytest.raises(SourceUnavailableError, match=status):
        case.build(vendor.url, QUICK).bars(case.request())
    assert len(vendor.asks) == QUICK.retries + 1


def test_retry_after_is_obeyed(case: VendorCase, vendor: Vendor) -> None:
    """A wait that fits is kept; one that does not fit is not begun."""
    vendor.faults, vendor.retry_after = ["429"], "0.4"
    source = case.build(vendor.url, QUICK)
    started = time.monotonic()
    assert len(source.bars(case.request())) == 5
    assert time.monotonic() - started >= 0.4
    vendor.faults, vendor.retry_after = ["429"], "3600"
    asked, started = len(vendor.asks), time.monotonic()
    with pytest.raises(SourceUnavailableError):
        case.build(vendor.url, QUICK).bars(case.request())
    assert len(vendor.asks) == asked + 1
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_a_refusal_is_not_retried(case: VendorCase, vendor: Vendor, status: str) -> None:
    """A wrong key stays wrong."""
    vendor.fault = status
    with pytest.raises(SourceRefusedError, match=status):
        case.build(vendor.url, QUICK).bars(case.request())
    assert len(vendor.asks) == 1


@pytest.mark.parametrize("fault", ["html", "truncated", "cut", "empty", "shape"])
def test_a_broken_answer_is_unbelievable(case: VendorCase, vendor: Vendor, fault: str) -> None:
    """A web page, half a JSON or another object is never read as "no bars"."""
    vendor.fault = fault
    with pytest.raises(SourceAnswerError) as caught:
        case.build(vendor.url, QUICK).bars(case.request())
    assert caught.value.remedy
    assert case.name in str(caught.value)


@pytest.mark.parametrize("fault", ["html", "truncated", "cut", "empty", "shape"])
def test_a_broken_answer_after_a_good_one_is_unbelievable(
    case: VendorCase, vendor: Vendor, fault: str
) -> None:
    """The second request of an adapter (pages, splits, candles) is judged like the first."""
    source = case.build(vendor.url, QUICK)
    source.bars(case.request())
    good = vendor.respond
    vendor.fault = fault
    vendor.respond = good
    with pytest.raises(SourceAnswerError):
        source.bars(case.request())


def test_nobody_at_the_address_is_unavailable(case: VendorCase) -> None:
    """Connection refused: worth another try later, not a refusal of the symbol."""
    with pytest.raises(SourceUnavailableError, match="reached"):
        case.build(refusing_address(), SHORT).bars(case.request())


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_vendor_that_does_not_finish_is_left_at_its_time_limit(
    case: VendorCase, vendor: Vendor, fault: str
) -> None:
    """alpaca-py alone would wait for ever, and a slow drip outlives every read timeout."""
    vendor.fault = fault
    started = time.monotonic()
    with pytest.raises(SourceUnavailableError):
        case.build(vendor.url, SHORT).bars(case.request())
    assert time.monotonic() - started < SHORT.timeout_s + 1.0


@pytest.mark.parametrize("fault", ["429", "403", "html", "truncated", "gone"])
def test_no_key_is_ever_shown(
    case: VendorCase, vendor: Vendor, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the message, nor in the traceback with its causes, nor in any log."""
    caplog.set_level(logging.DEBUG)
    vendor.fault = fault
    url = refusing_address() if fault == "gone" else vendor.url
    with pytest.raises(SourceError) as caught:
        case.build(url, SHORT).bars(case.request())
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert KEY.get_secret_value() not in shown
    assert SECRET.get_secret_value() not in shown
