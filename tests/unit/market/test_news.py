"""What an item of news must say, when it counts as known, and news from a seed."""

import datetime as dt

import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.market.news import NEWS_COLUMNS, NewsItem, news_frame, parse_item
from quant.market.news_synthetic import synthetic_news
from quant.signals.sentiment import sentiment

NOW = dt.datetime(2026, 3, 2, 21, 15, tzinfo=dt.UTC)
RECORD = {
    "event_time": "2026-03-02T14:00:00-05:00",
    "known_at": "2026-03-02T19:01:00Z",
    "source": "agency",
    "symbol": "AAPL",
    "headline": "Shares rise",
    "body": "They rose.",
}


def parsed(**changes) -> NewsItem:
    return parse_item({**RECORD, **changes}, place="feed.csv, line 2", source="feed", now=NOW)


def test_times_become_utc_and_an_unknown_source_is_the_files_name():
    item = parsed(source="")
    assert item.event_time == dt.datetime(2026, 3, 2, 19, tzinfo=dt.UTC)
    assert item.known_at == dt.datetime(2026, 3, 2, 19, 1, tzinfo=dt.UTC)
    assert item.source == "feed"


@pytest.mark.parametrize("nothing", ["", None, float("nan"), pd.NaT])
def test_news_that_does_not_say_when_it_was_known_is_known_from_now_on(nothing):
    """Otherwise news bought today would decide last year's trades."""
    assert parsed(known_at=nothing).known_at == NOW


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("event_time", "2026-03-02 14:00", "no time with a zone"),
        ("event_time", "yesterday", "no time with a zone"),
        ("event_time", None, "no time with a zone"),
        ("event_time", pd.NaT, "no time with a zone"),
        ("known_at", "2026-03-02T18:59:59Z", "before event_time"),
        ("symbol", "../etc", "symbol"),
        ("symbol", "", "empty"),
        ("headline", "  ", "0 characters"),
        ("headline", "x" * 2001, "2001 characters"),
        ("body", "x" * 200_001, "200001 characters"),
    ],
)
def test_a_faulty_record_is_named_with_its_place(field, value, says):
    with pytest.raises(DataError, match=says) as caught:
        parsed(**{field: value})
    assert str(caught.value).startswith(f"feed.csv, line 2, field {field}")
    assert caught.value.remedy


def test_the_same_words_are_one_item_whenever_they_were_learned():
    early, late, other = parsed(), parsed(known_at=NOW.isoformat()), parsed(headline="Shares fall")
    assert early.hash == late.hash != other.hash
    frame = news_frame([early, late, other])
    assert len(frame) == 2
    assert tuple(frame.columns) == NEWS_COLUMNS
    assert list(frame["symbol"]) == ["AAPL", "AAPL"]


def test_no_news_is_an_empty_table_of_the_right_types():
    frame = news_frame([])
    assert (len(frame), tuple(frame.columns)) == (0, NEWS_COLUMNS)
    assert str(frame["known_at"].dtype) == "datetime64[us, UTC]"


def test_synthetic_news_carries_its_planted_tone():
    """Every planted tone is heard again; other symbols change nothing; a seed is a seed."""
    days = [dt.date(2022, 1, 3) + dt.timedelta(days=back) for back in range(200)]
    planted = synthetic_news(["AAPL", "KO"], days, seed=7)
    assert len(planted) > 50
    assert {one.tone for one in planted} == {-1, 0, 1}
    for one in planted:
        score = sentiment(one.item.headline)
        assert (score > 0.05) - (score < -0.05) == one.tone, one.item.headline
        assert one.item.source == "synthetic"
        assert one.item.known_at > one.item.event_time
    own = tuple(one for one in planted if one.item.symbol == "KO")
    assert synthetic_news(["KO"], days, seed=7) == own
    assert synthetic_news(["KO"], days, seed=8) != own
