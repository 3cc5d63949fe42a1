"""When a source fails, the next one answers, within five seconds, and the record says why.

The sources are the real adapters against loopback vendors where the wire matters, and small ones
written here where only the order of asking does.
"""

import time
from collections.abc import Callable

import pytest

from quant.core.errors import (
    SourceAnswerError,
    SourceRefusedError,
    SourceUnavailableError,
    UsageError,
)
from quant.market.bars import ACTION_COLUMNS, Basis
from quant.market.sources import (
    BadBarError,
)
from resources.market_data.failover import FailoverSource
from resources.market_data.http import SourceRules
from resources.market_data.skips import SkipReason, SourceLimit
from tests.fake_sources import FakeSource, HangingSource
from tests.loopback import serving
from tests.vendor_answers import RAW, SESSIONS, VENDORS

YAHOO = VENDORS["yfinance"]
FINNHUB = VENDORS["finnhub"]
SLOW = SourceRules(requests_per_minute=1000, timeout_s=20.0, connect_timeout_s=1.0, retries=0)


def failing(error: Exception) -> Callable[[tuple[str, ...]], Exception]:
    return lambda _symbols: error


def test_the_first_source_that_has_the_symbol_serves_it_alone() -> None:
    """Priority decides, and nobody further down is bothered."""
    first, second = FakeSource("first"), FakeSource("second")
    result = FailoverSource([first, second]).fetch(YAHOO.request())
    assert set(result.bars["source"]) == {"first"}
    assert result.skips == ()
    assert second.asked == []


def test_what_one_source_lacks_the_next_one_brings() -> None:
    """Each symbol from exactly one source; the record names who lacked what."""
    first, second = FakeSource("first", has=("AAPL",)), FakeSource("second", has=("AAPL", "MSFT"))
    result = FailoverSource([first, second]).fetch(YAHOO.request("AAPL", "MSFT", "NOSUCH"))
    assert dict(result.served) == {"AAPL": "first", "MSFT": "second"}
    assert result.unserved == ("NOSUCH",)
    assert [(s.source, s.symbols, s.reason) for s in result.skips] == [
        ("first", ("MSFT", "NOSUCH"), SkipReason.LACKS),
        ("second", ("NOSUCH",), SkipReason.LACKS),
    ]
    assert second.asked == [("MSFT", "NOSUCH")]
    assert not result.bars.duplicated(["symbol", "session"]).any()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SourceUnavailableError("busy"), SkipReason.UNAVAILABLE),
        (SourceRefusedError("no such plan"), SkipReason.REFUSED),
        (SourceAnswerError("a web page"), SkipReason.UNBELIEVABLE),
        (KeyError("a bug"), SkipReason.CRASHED),
    ],
)
def test_every_kind_of_failure_is_recorded_and_passed_over(
    error: Exception, reason: SkipReason
) -> None:
    """Reason, message and seconds stand in the record; the bars come from the next."""
    sources = [FakeSource("bad", failure=failing(error)), FakeSource("good")]
    result = FailoverSource(sources).fetch(YAHOO.request())
    assert set(result.bars["source"]) == {"good"}
    (skip,) = result.skips
    assert (skip.source, skip.symbols, skip.reason) == ("bad", ("AAPL",), reason)
    assert str(error.args[0]) in skip.message
    assert 0 <= skip.seconds < 1


def test_a_wrong_request_is_not_a_failure_of_the_source() -> None:
    """The caller's mistake is told to the caller."""
    source = FakeSource("first", failure=failing(UsageError("no such exchange")))
    with pytest.raises(UsageError):
        FailoverSource([source, FakeSource("second")]).fetch(YAHOO.request())


def test_an_unavailable_source_is_asked_once_and_not_for_every_symbol() -> None:
    """With 30 symbols in calls of one, a dead vendor costs one question."""
    symbols = tuple(f"S{n}" for n in range(30))
    dead = FakeSource("dead", failure=failing(SourceUnavailableError("down")))
    good = FakeSource("good", has=symbols)
    limits = {"dead": SourceLimit(symbols_per_call=1), "good": SourceLimit(symbols_per_call=10)}
    result = FailoverSource([dead, good], limits=limits).fetch(YAHOO.request(*symbols))
    assert len(dead.asked) == 1
    assert [len(part) for part in good.asked] == [10, 10, 10]
    assert len(result.served) == 30


def test_one_bad_symbol_does_not_cost_its_neighbours_their_source() -> None:
    """A NaN for MSFT sends MSFT to the next source and leaves the other two."""

    def failure(symbols: tuple[str, ...]) -> Exception | None:
        return BadBarError("close 'nan' for MSFT", symbol="MSFT") if "MSFT" in symbols else None

    names = ("AAPL", "MSFT", "IBM")
    first = FakeSource("first", has=names, failure=failure)
    result = FailoverSource([first, FakeSource("second", has=names)]).fetch(YAHOO.request(*names))
    assert dict(result.served) == {"AAPL": "first", "IBM": "first", "MSFT": "second"}
    assert [skip.symbols for skip in result.skips] == [("MSFT",)]


def test_prices_of_another_basis_are_never_mixed_in() -> None:
    """A source that answers adjusted prices for raw ones is passed over."""
    liar = FakeSource("liar", basis=Basis.TOTAL_RETURN)
    result = FailoverSource([liar, FakeSource("honest")]).fetch(YAHOO.request())
    assert set(result.bars["basis"]) == {"raw"}
    assert set(result.bars["source"]) == {"honest"}
    assert "another basis" in result.skips[0].message


def test_when_all_fail_the_error_lists_each_with_its_reason_and_a_way_out() -> None:
    sources = [
        FakeSource("one", failure=failing(SourceUnavailableError("no route"))),
        FakeSource("two", failure=failing(SourceRefusedError("no key"))),
        FakeSource("three", has=()),
    ]
    with pytest.raises(SourceUnavailableError) as caught:
        FailoverSource(sources).bars(YAHOO.request())
    for word in ("one", "no route", "two", "no key", "three", "AAPL"):
        assert word in str(caught.value)
    assert "sample" in caught.value.remedy


def test_a_symbol_that_nobody_has_is_an_empty_answer_and_no_failure() -> None:
    assert FailoverSource([FakeSource("one", has=())]).bars(YAHOO.request()).empty


def test_five_hanging_sources_leave_the_sixth_within_the_deadline() -> None:
    """Shares of what is left: however many hang, the last one is still asked in time."""
    hanging = [HangingSource(f"hang{n}") for n in range(5)]
    failover = FailoverSource([*hanging, FakeSource("good")], deadline_s=1.0)
    started = time.monotonic()
    result = failover.fetch(YAHOO.request())
    assert time.monotonic() - started < 1.5
    assert set(result.bars["source"]) == {"good"}
    assert [skip.reason for skip in result.skips] == [SkipReason.TIMED_OUT] * 5
    assert sum(skip.seconds for skip in result.skips) < 1.2
    for source in hanging:
        source.release.set()


def test_a_source_that_still_hangs_is_not_asked_again() -> None:
    """Otherwise every question would leave another thread behind."""
    stuck = HangingSource("stuck")
    failover = FailoverSource([stuck, FakeSource("good")], deadline_s=0.2)
    failover.fetch(YAHOO.request())
    second = failover.fetch(YAHOO.request())
    assert [skip.reason for skip in second.skips] == [SkipReason.STILL_HANGING]
    assert len(stuck.asked) == 1
    stuck.release.set()


def test_a_vendor_that_hangs_in_a_socket_is_passed_over_within_five_seconds() -> None:
    """The default deadline, a real adapter with a limit of 20 s, a server that never answers."""
    with serving(YAHOO.respond(RAW), fault="hang") as dead, serving(FINNHUB.respond(RAW)) as alive:
        sources = [YAHOO.build(dead.url, SLOW), FINNHUB.build(alive.url, SLOW)]
        started = time.monotonic()
        result = FailoverSource(sources).fetch(YAHOO.request())
        seconds = time.monotonic() - started
    assert seconds < 5.0
    assert set(result.bars["source"]) == {"finnhub"}
    assert result.skips[0].reason is SkipReason.TIMED_OUT
    assert result.bars["close"].to_list() == pytest.approx([bar[3] for bar in RAW])


@pytest.mark.parametrize("fault", ["429", "503", "html", "truncated", "empty"])
def test_a_vendor_that_answers_rubbish_is_passed_over(fault: str) -> None:
    """The same bars arrive from the other vendor, to the last digit of the raw price."""
    with serving(YAHOO.respond(RAW), fault=fault) as bad, serving(FINNHUB.respond(RAW)) as good:
        sources = [YAHOO.build(bad.url, SLOW), FINNHUB.build(good.url, SLOW)]
        result = FailoverSource(sources).fetch(YAHOO.request())
    assert set(result.bars["source"]) == {"finnhub"}
    assert len(result.skips) == 1


def test_actions_are_asked_where_the_bars_came_from() -> None:
    """An empty list of splits means "none" only from a source that has the symbol."""
    first, second = FakeSource("first", has=()), FakeSource("second")
    failover = FailoverSource([first, second])
    failover.fetch(YAHOO.request())
    result = failover.fetch_actions(("AAPL",), SESSIONS[0], SESSIONS[-1])
    assert dict(result.served) == {"AAPL": "second"}
    assert tuple(result.bars.columns) == ACTION_COLUMNS
    assert first.asked == [("AAPL",)]


def test_no_sources_at_all_is_told_as_such() -> None:
    with pytest.raises(SourceUnavailableError, match="no source"):
        FailoverSource([]).bars(YAHOO.request())
