"""What a language model is asked, and how little its word can move."""

import dataclasses
import datetime as dt
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.signals.language import (
    Answer,
    Direction,
    FallbackPolicy,
    UnusableAnswerError,
    answer_schema,
    capped_weight,
    outlook_of,
    passed_over,
    read_answer,
)
from quant.signals.language_prompt import (
    NEWS_BEGINS,
    NEWS_ENDS,
    NewsLine,
    Question,
    QuestionPolicy,
    messages,
    quoted,
)
from tests.unit.signals.injected_news import INJECTED

NOW = dt.datetime(2026, 3, 2, 21, 15, tzinfo=dt.UTC)
GOOD = '{"direction": "up", "confidence": 0.8, "horizon_days": 5, "reason": "orders rose"}'
POLICY = FallbackPolicy()


def asking(*news: str, at: dt.datetime = NOW - dt.timedelta(hours=1)) -> Question:
    lines = tuple(
        NewsLine(known_at=at, source=text, headline=text, body=text, sentiment=0.0) for text in news
    )
    return Question(symbol="AAPL", as_of=NOW, horizon_days=5, facts={"return_5": 0.01}, news=lines)


def said(direction: Direction = Direction.UP, confidence: float = 0.8) -> Answer:
    return Answer(direction=direction, confidence=confidence, horizon_days=5, reason="")


def test_an_answer_of_the_schema_is_read():
    answer = read_answer(GOOD, horizon_days=5)
    assert (answer.direction, answer.confidence) == (Direction.UP, 0.8)
    assert set(json.loads(GOOD)) == set(answer_schema()["required"]) == set(Answer.model_fields)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the whole"),
        ("I cannot give financial advice.", "the whole"),
        ("```json\n" + GOOD + "\n```", "the whole"),
        (GOOD + GOOD, "the whole"),
        (GOOD[:40], "the whole"),
        ("[" + GOOD + "]", "the whole"),
        (GOOD.replace("}", ', "size": 10}'), "extra forbidden"),
        (GOOD.replace('"up"', '"buy"'), "direction"),
        (GOOD.replace("0.8", "1.2"), "confidence"),
        (GOOD.replace("0.8", "NaN"), "confidence"),
        (GOOD.replace("0.8", "Infinity"), "confidence"),
        (GOOD.replace("0.8", '"0.8"'), "confidence"),
        (GOOD.replace("0.8", "true"), "confidence"),
        (GOOD.replace(": 5", ": 20"), "horizon_days: 5 was asked for"),
        (GOOD.replace(": 5", ": 5.5"), "horizon_days"),
        (GOOD.replace("orders", "o" * 501), "reason"),
        (GOOD.replace("orders", "o" * 5000), "longer than 4000"),
    ],
)
def test_anything_else_is_no_answer(text, says):
    """And what the model wrote is not in the error, which goes back to a model and to a person."""
    with pytest.raises(UnusableAnswerError, match=says) as caught:
        read_answer(text, horizon_days=5)
    assert "orders" not in str(caught.value)
    assert "advice" not in str(caught.value)


def test_its_word_closes_nothing():
    """Down and flat are recorded and move nothing; so does a model that is not sure."""
    assert passed_over(said(), POLICY) == ""
    assert "closes nothing" in passed_over(said(Direction.DOWN), POLICY)
    assert "closes nothing" in passed_over(said(Direction.FLAT), POLICY)
    assert passed_over(said(confidence=0.59), POLICY) == "is 59% sure, 60% are required"


def test_an_outlook_by_hand():
    """80 % of 100 bps, where half a deviation (0.5 x 4 %) reaches further; of 1 %, where not."""
    wide = outlook_of(said(), symbol="AAPL", price=100.0, volatility=0.04, policy=POLICY)
    calm = outlook_of(said(), symbol="AAPL", price=100.0, volatility=0.01, policy=POLICY)
    assert math.expm1(wide.mean) == pytest.approx(0.008, rel=1e-12)
    assert math.expm1(calm.mean) == pytest.approx(0.8 * 0.005, rel=1e-12)
    unknown = outlook_of(said(), symbol="AAPL", price=1.0, volatility=math.nan, policy=POLICY)
    assert math.isnan(unknown.mean)


@given(
    st.sampled_from(list(Direction)),
    st.floats(0, 1),
    st.floats(min_value=1e-6, max_value=5),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_no_answer_reaches_beyond_its_bounds(direction, confidence, volatility, weight):
    """Whatever is said, however wild the symbol, whatever weight is proposed."""
    outlook = outlook_of(
        said(direction, confidence), symbol="A", price=1.0, volatility=volatility, policy=POLICY
    )
    assert abs(math.expm1(outlook.mean)) <= 0.01 + 1e-12
    assert abs(math.expm1(outlook.mean)) <= 0.5 * volatility + 1e-12
    assert 0.0 <= capped_weight(weight, POLICY) <= POLICY.weight_max


def outside_and_inside(text: str) -> tuple[str, list[dict]]:
    before, _, rest = text.partition(NEWS_BEGINS)
    inside, _, after = rest.partition(NEWS_ENDS)
    return before + after, [json.loads(line) for line in inside.strip().splitlines()]


def test_injected_news_changes_nothing_but_what_is_quoted():
    """120 hostile items: the instructions stay the same to the byte, each item stays on its line,
    and its text comes back out of the quotation as it went in.
    """
    policy = QuestionPolicy()
    assert len(INJECTED) >= 100
    benign = messages(asking("Shares rise"), policy)
    expected, _ = outside_and_inside(benign[1].content)
    for text in INJECTED:
        system, user = messages(asking(text), policy)
        outside, items = outside_and_inside(user.content)
        assert system == benign[0]
        assert outside == expected
        assert len(items) == 1
        assert items[0]["headline"] == text[: policy.headline_characters_max]
        assert items[0]["body"] == text[: policy.body_characters_max]
        assert set(items[0]) == {"at", "source", "sentiment", "headline", "body"}


@given(st.text(max_size=200))
def test_any_text_becomes_one_inert_line(text):
    line = quoted(text, 500)
    assert line.isascii()
    assert line.isprintable()
    assert not set(line) & set("<>[]|`")
    assert json.loads(line) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_news_of_the_future_and_of_long_ago_is_not_asked_about():
    hour = dt.timedelta(hours=1)
    for at, count in ((NOW, 1), (NOW + hour, 0), (NOW - 73 * hour, 0), (NOW - 71 * hour, 1)):
        _, items = outside_and_inside(
            messages(asking("Shares rise", at=at), QuestionPolicy())[1].content
        )
        assert len(items) == count


def test_the_same_question_has_the_same_words_whatever_the_order_of_news():
    forward = asking("a", "b", "c")
    backward = dataclasses.replace(forward, news=tuple(reversed(forward.news)))
    assert messages(forward, QuestionPolicy()) == messages(backward, QuestionPolicy())
