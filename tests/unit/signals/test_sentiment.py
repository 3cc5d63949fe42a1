"""The tone of financial news, against hand-labelled headlines and against plain VADER."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.signals.sentiment import sentiment
from tests.unit.signals.finance_headlines import FIRST, SECOND

# Within this of zero a text has no tone, as VADER's authors have it.
NO_TONE = 0.05


def side(score: float) -> int:
    return (score > NO_TONE) - (score < -NO_TONE)


def accuracy(headlines, score) -> float:
    return sum(side(score(text)) == label for label, text in headlines) / len(headlines)


def test_a_profit_that_fell_sharply_is_bad_news():
    """Plain VADER hears the profit and not the fall: +0.44."""
    assert plain("Profit fell sharply") == pytest.approx(0.44, abs=0.005)
    assert sentiment("Profit fell sharply") < -0.4
    assert (
        sentiment("Profit fell sharply") < sentiment("Profit fell") < 0 < sentiment("Profit rose")
    )


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("Costs fell", "Costs rose"),
        ("Losses narrowed", "Losses widened"),
        ("Acme cuts costs", "Acme cuts dividend"),
        ("Unemployment falls", "Unemployment rises"),
        ("Acme reduces debt", "Acme reduces guidance"),
    ],
)
def test_what_is_unwelcome_turns_a_direction_around(good, bad):
    assert sentiment(bad) < -0.2
    assert sentiment(good) > 0.2


def test_most_headlines_are_heard_as_a_person_hears_them(record_property):
    """54 headlines labelled by hand; the second half was written after the lexicon."""
    figures = {
        "first": accuracy(FIRST, sentiment),
        "second": accuracy(SECOND, sentiment),
        "plain_first": accuracy(FIRST, plain),
        "plain_second": accuracy(SECOND, plain),
    }
    for name, value in figures.items():
        record_property(name, value)
    print({name: f"{value:.0%}" for name, value in figures.items()})  # noqa: T201 (the finding)
    assert len(FIRST) + len(SECOND) >= 40
    assert figures["first"] >= 0.9
    assert figures["second"] >= 0.8
    assert figures["second"] >= figures["plain_second"] + 0.2


@given(st.text(max_size=300))
def test_any_text_has_a_tone_between_minus_one_and_one(text):
    assert -1.0 <= sentiment(text) <= 1.0


def plain(text: str) -> float:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer().polarity_scores(text)["compound"]
