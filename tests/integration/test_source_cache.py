"""Closed sessions are asked for once; today's, adjusted and damaged ones again."""

import datetime as dt
import logging
from pathlib import Path

import pandas as pd
import pytest

from quant.core.clock import SteppedClock
from quant.market.bars import Basis
from resources.market_data.cache import CachedSource
from resources.market_data.http import SourceRules
from tests.loopback import Vendor, serving
from tests.vendor_answers import RAW, SESSIONS, VENDORS

YAHOO = VENDORS["yfinance"]
RULES = SourceRules(requests_per_minute=1000, timeout_s=3.0, retries=0)
SETTLED = dt.datetime(2020, 9, 3, 12, 0, tzinfo=dt.UTC)


def cached(vendor: Vendor, directory: Path, *, now: dt.datetime = SETTLED) -> CachedSource:
    source = YAHOO.build(vendor.url, RULES)
    source._clock.moment = now  # type: ignore[attr-defined]
    return CachedSource(source, directory=directory, clock=SteppedClock(now))


def test_a_closed_range_is_asked_for_once_and_comes_back_equal(tmp_path: Path) -> None:
    """Same values, types and order from disk as from the vendor, in another process's object."""
    with serving(YAHOO.respond(RAW)) as vendor:
        fresh = cached(vendor, tmp_path).bars(YAHOO.request())
        kept = cached(vendor, tmp_path).bars(YAHOO.request())
        assert len(vendor.asks) == 1
    pd.testing.assert_frame_equal(fresh, kept)


def test_the_session_of_today_is_never_kept(tmp_path: Path) -> None:
    """Half an hour after the close the last session is delivered, but asked for again."""
    soon = dt.datetime(2020, 9, 2, 20, 30, tzinfo=dt.UTC)
    with serving(YAHOO.respond(RAW)) as vendor:
        first = cached(vendor, tmp_path, now=soon).bars(YAHOO.request())
        second = cached(vendor, tmp_path, now=soon).bars(YAHOO.request())
        starts = [int(ask.query["period1"]) for ask in vendor.asks]
    assert len(starts) == 2
    # The second question is only for the open end: a day before 2 September.
    assert starts[1] == int(dt.datetime(2020, 9, 1, tzinfo=dt.UTC).timestamp())
    pd.testing.assert_frame_equal(first, second)


def test_a_correction_after_the_session_is_seen(tmp_path: Path) -> None:
    """The vendor corrects the last close in the evening; the cache must not hide that."""
    soon = dt.datetime(2020, 9, 2, 20, 30, tzinfo=dt.UTC)
    with serving(YAHOO.respond(RAW)) as vendor:
        cached(vendor, tmp_path, now=soon).bars(YAHOO.request())
        corrected = (*RAW[:4], (137.59, 137.98, 127.0, 131.41, 200_119_000))
        vendor.respond = YAHOO.respond(corrected)
        bars = cached(vendor, tmp_path, now=SETTLED).bars(YAHOO.request())
    assert bars["close"].iloc[-1] == 131.41


def test_only_symbols_that_are_not_kept_are_asked_for(tmp_path: Path) -> None:
    """And a symbol that the vendor does not know is asked again: it may be listed tomorrow."""
    with serving(YAHOO.respond(RAW)) as vendor:
        source = cached(vendor, tmp_path)
        source.bars(YAHOO.request("AAPL"))
        vendor.asks.clear()
        for _ in range(2):
            assert set(source.bars(YAHOO.request("AAPL", "NOSUCH"))["symbol"]) == {"AAPL"}
        assert [ask.path.rsplit("/", 1)[1] for ask in vendor.asks] == ["NOSUCH", "NOSUCH"]


def test_adjusted_prices_are_kept_for_the_day_only(tmp_path: Path) -> None:
    """Tomorrow's split changes all of them."""
    request = YAHOO.request(basis=Basis.SPLIT_ADJUSTED)
    with serving(YAHOO.respond(RAW)) as vendor:
        for hours in (0, 1, 24):
            cached(vendor, tmp_path, now=SETTLED + dt.timedelta(hours=hours)).bars(request)
        assert len(vendor.asks) == 2


def test_old_files_are_asked_for_again(tmp_path: Path) -> None:
    with serving(YAHOO.respond(RAW)) as vendor:
        for days in (0, 29, 31):
            cached(vendor, tmp_path, now=SETTLED + dt.timedelta(days=days)).bars(YAHOO.request())
        assert len(vendor.asks) == 2


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "text"])
def test_a_damaged_file_is_removed_and_fetched_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One flipped bit in a price would otherwise be a price."""
    with serving(YAHOO.respond(RAW)) as vendor:
        good = cached(vendor, tmp_path).bars(YAHOO.request())
        (file,) = tmp_path.glob("*.bars")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        broken = {"bit": bytes(content), "cut": content[:-100], "empty": b"", "text": b"{}\nxx"}
        file.write_bytes(broken[damage])
        with caplog.at_level(logging.WARNING):
            again = cached(vendor, tmp_path).bars(YAHOO.request())
        assert len(vendor.asks) == 2
        cached(vendor, tmp_path).bars(YAHOO.request())
        assert len(vendor.asks) == 2
    assert "damaged" in caplog.text
    pd.testing.assert_frame_equal(good, again)


def test_a_directory_that_cannot_be_written_costs_the_cache_and_not_the_bars(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the directory should be; the answer is there all the same."""
    blocked = tmp_path / "cache"
    blocked.write_text("not a directory")
    with serving(YAHOO.respond(RAW)) as vendor, caplog.at_level(logging.WARNING):
        assert len(cached(vendor, blocked).bars(YAHOO.request())) == len(SESSIONS)
    assert "nothing is cached" in caplog.text


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    with serving(YAHOO.respond(RAW)) as vendor:
        cached(vendor, tmp_path).bars(YAHOO.request())
    assert [path.suffix for path in tmp_path.iterdir()] == [".bars"]
