"""Language models over a real connection: well-behaved, broken, hostile, slow and dead."""

import dataclasses
import datetime as dt
import json
import time

import pytest

from quant.core.clock import SteppedClock
from quant.signals.language import Direction, passed_over
from resources.language.client import LanguageModel, Outcome
from resources.language.costs import CostLedger
from resources.language.fallback import LanguageNight
from resources.language.recall import Recall
from tests.loopback import refusing_address, response, serving
from tests.support.language_server import (
    GOOD,
    NOW,
    SESSION,
    bodies,
    model,
    ollama,
    openai,
    policy,
    question,
    saying,
)
from tests.unit.signals.injected_news import INJECTED

BENIGN = question("Shares rise")
REFUSAL = "I'm sorry, but I cannot provide financial advice."


def ask(server, *, seconds=2.0, protocol="ollama", about=BENIGN, key="", **more):
    one = model(server.url, protocol=protocol, key_env="PMX_LLM_KEY" if key else "")
    client = LanguageModel(one, policy(one, **more), environment={"PMX_LLM_KEY": key})
    asked = client.ask(about, seconds_max=seconds)
    client.close()
    return asked


def test_ollama_is_asked_with_the_schema_and_without_tools():
    with saying(GOOD) as server:
        asked = ask(server)
    (body,) = bodies(server)
    assert server.asks[0].path == "/api/chat"
    assert body["model"] == "small:1b"
    assert body["format"]["additionalProperties"] is False
    assert body["options"]["temperature"] == 0
    assert not {"tools", "functions", "images"} & set(body)
    assert asked.outcome is Outcome.ANSWERED
    assert asked.answer.direction is Direction.UP
    assert (asked.attempts, asked.prompt_tokens, asked.answer_tokens) == (1, 300, 40)


def test_an_openai_compatible_server_is_asked_with_its_key():
    with serving(lambda _ask: openai(json.dumps(GOOD))) as server:
        asked = ask(server, protocol="openai", key="sk-secret-1")
    (body,) = bodies(server)
    assert server.asks[0].path == "/v1/chat/completions"
    assert server.asks[0].headers["authorization"] == "Bearer sk-secret-1"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert asked.answer.confidence == 0.8


@pytest.mark.parametrize(
    "first", ["{broken", REFUSAL, json.dumps({**GOOD, "size": 10}), json.dumps({"direction": "up"})]
)
def test_an_answer_that_does_not_fit_is_repaired_once(first):
    """The second question repeats the first and says what was wrong, in our words alone."""
    with saying(first, GOOD) as server:
        asked = ask(server)
    one, two = bodies(server)
    assert asked.outcome is Outcome.ANSWERED
    assert (asked.attempts, asked.prompt_tokens) == (2, 600)
    assert two["messages"][:2] == one["messages"]
    assert len(two["messages"]) == 3
    assert "sorry" not in two["messages"][2]["content"]


def test_an_answer_that_does_not_fit_twice_is_none():
    with saying(REFUSAL) as server:
        asked = ask(server)
    assert len(server.asks) == 2
    assert asked.outcome is Outcome.UNUSABLE
    assert asked.answer is None
    assert asked.text == REFUSAL


def test_a_slow_server_is_left_at_the_deadline():
    with saying(GOOD, fault="hang") as server:
        began = time.monotonic()
        asked = ask(server, seconds=0.3)
    assert time.monotonic() - began < 1.5
    assert asked.outcome is Outcome.TOO_SLOW


def test_a_server_that_drips_is_left_at_the_deadline():
    """Each byte comes in time for a read timeout that starts anew with it."""
    with saying(GOOD, fault="drip") as server:
        asked = ask(server, seconds=0.3)
    assert asked.outcome is Outcome.TOO_SLOW


def test_the_repair_shares_the_deadline():
    def respond(_ask):
        time.sleep(0.2)
        return ollama("{broken")

    with serving(respond) as server:
        began = time.monotonic()
        asked = ask(server, seconds=0.3)
    assert time.monotonic() - began < 1.0
    assert asked.outcome is Outcome.TOO_SLOW


def test_nobody_listens():
    one = model(refusing_address())
    asked = LanguageModel(one, policy(one)).ask(BENIGN, seconds_max=2)
    assert asked.outcome is Outcome.NO_SERVER
    assert "cannot be reached" in asked.sentence
    assert asked.cost_usd == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("500", Outcome.NO_SERVER),
        ("503", Outcome.NO_SERVER),
        ("429", Outcome.NO_SERVER),
        ("401", Outcome.REFUSED),
        ("404", Outcome.REFUSED),
        ("html", Outcome.UNUSABLE),
        ("empty", Outcome.UNUSABLE),
        ("truncated", Outcome.UNUSABLE),
        ("cut", Outcome.UNUSABLE),
        ("shape", Outcome.UNUSABLE),
    ],
)
def test_what_servers_do_when_they_fail(fault, outcome):
    with saying(GOOD, fault=fault) as server:
        asked = ask(server)
    assert asked.outcome is outcome
    assert asked.answer is None
    assert asked.sentence
    assert len(server.asks) == 1


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {"message": {"content": None}},
        {"message": {"content": ["up"]}},
        {"message": {"content": json.dumps(GOOD), "tool_calls": [{"function": {"name": "buy"}}]}},
        {**ollama(json.dumps(GOOD)), "done_reason": "length"},
    ],
)
def test_a_reply_of_another_shape_is_no_answer(told):
    """Among them a call of a tool that nobody offered, and an answer that was cut off."""
    with serving(lambda _ask: told) as server:
        asked = ask(server)
    assert asked.outcome is Outcome.UNUSABLE


def test_a_huge_answer_is_not_read_to_its_end():
    with saying("x" * 3_000_000) as server:
        asked = ask(server)
    assert asked.outcome is Outcome.UNUSABLE
    assert "more than 262144 bytes" in asked.sentence
    assert len(asked.text) <= 4_000


def test_a_long_answer_within_the_limit_is_not_kept_whole():
    with saying("x" * 100_000) as server:
        asked = ask(server)
    assert asked.outcome is Outcome.UNUSABLE
    assert len(asked.text) == 4_000


def test_a_redirect_is_not_followed():
    """A server cannot send the question, with its key, to another one."""

    class Moved:
        def answer(self, _ask):
            return response(307, b"", Location="http://127.0.0.1:1/")

    with saying(GOOD) as server:
        server.answer = Moved().answer
        asked = ask(server)
    assert asked.outcome is Outcome.UNUSABLE


def test_hostile_news_reaches_the_wire_as_quoted_data_alone():
    """120 hostile items: every request differs from the benign one in the quoted line and nowhere
    else.
    """
    with saying(GOOD) as server:
        one = model(server.url)
        client = LanguageModel(one, policy(one))
        for text in ("Shares rise", *INJECTED):
            assert client.ask(question(text), seconds_max=5).outcome is Outcome.ANSWERED
        client.close()
    benign, *hostile = (outside_of(body) for body in bodies(server))
    assert len(hostile) >= 100
    assert all(one == benign for one in hostile)


def outside_of(body):
    user = body["messages"][1]["content"].splitlines()
    begin, end = user.index("<<<QUOTED NEWS"), user.index("QUOTED NEWS>>>")
    assert end == begin + 2
    rest = [body["messages"][0]["content"], *user[: begin + 1], *user[end:]]
    return rest, {key: value for key, value in body.items() if key != "messages"}


def test_a_model_that_obeys_hostile_news_is_bounded_all_the_same():
    """It says whatever the news dictated: more keys, another horizon, sell."""
    dictated = [
        {**GOOD, "size": 1_000_000},
        {**GOOD, "horizon_days": 60},
        {**GOOD, "confidence": 1e9},
        {**GOOD, "tool": "send_order"},
    ]
    for said in dictated:
        with saying(said) as server:
            assert ask(server, about=question(INJECTED[0])).answer is None
    with saying({**GOOD, "direction": "down", "confidence": 1.0}) as server:
        answer = ask(server, about=question(INJECTED[0])).answer
    assert passed_over(answer, policy().fallback)


def night(tmp_path, *models, clock=None, flags=None, **more):
    told = policy(*models, **more)
    clock = clock or SteppedClock(NOW)
    recall = Recall(
        told.recall, cache_dir=tmp_path / "cache", record_dir=tmp_path / "answers", clock=clock
    )
    on = {one.name: True for one in models} if flags is None else flags
    costs = CostLedger(tmp_path / "costs.jsonl")
    return LanguageNight(told, SESSION, flags=on, recall=recall, costs=costs, clock=clock)


def test_a_model_whose_switch_is_off_is_never_asked(tmp_path):
    with saying(GOOD) as server, night(tmp_path, model(server.url), flags={}) as asking:
        assert not asking.is_on
        assert asking.ask(BENIGN) == []
    assert server.asks == []


def test_the_second_model_stands_in_for_a_dead_one(tmp_path):
    """And the dead one is not asked again that night."""
    with saying(GOOD) as server:
        models = model(refusing_address()), model(server.url, name="llm_second")
        with night(tmp_path, *models) as asking:
            for symbol in ("AAPL", "KO", "XOM"):
                first, second = asking.ask(question(symbol=symbol))
                assert first.outcome is Outcome.NO_SERVER
                assert second.outcome is Outcome.ANSWERED
    calls = list(CostLedger(tmp_path / "costs.jsonl").calls())
    assert [call.model for call in calls].count("llm_first") == 1


def test_a_model_is_not_asked_about_what_it_may_remember(tmp_path):
    with saying(GOOD) as server:
        well_read = model(server.url, knows_until=SESSION.isoformat())
        with night(tmp_path, well_read) as asking:
            (asked,) = asking.ask(BENIGN)
    assert asked.outcome is Outcome.NOT_ASKED
    assert "may have read what came after" in asked.sentence
    assert server.asks == []


def test_the_night_has_a_deadline_of_its_own(tmp_path):
    with saying(GOOD, fault="hang") as server:
        guard = {"seconds_per_question_max": 0.2, "seconds_per_night_max": 0.5}
        with night(tmp_path, model(server.url), guard=guard) as asking:
            began = time.monotonic()
            said = [asking.ask(question(symbol=f"S{i}"))[0].outcome for i in range(20)]
        assert time.monotonic() - began < 2
    assert said[0] is Outcome.TOO_SLOW
    assert said[-1] is Outcome.NOT_ASKED


def test_the_night_has_a_budget_that_outlives_the_process(tmp_path):
    """300 tokens at 1,000 and 40 at 5,000 USD a million are 0.30 and 0.20 USD a call."""
    prices = {"usd_per_million_prompt_tokens": 1000, "usd_per_million_answer_tokens": 5000}
    with saying(GOOD) as server:
        for symbols in (("AAPL", "KO"), ("XOM", "JNJ")):
            with night(tmp_path, model(server.url, **prices)) as asking:
                said = [asking.ask(question(symbol=symbol))[0] for symbol in symbols]
    assert len(server.asks) == 2
    assert [one.outcome for one in said] == [Outcome.NOT_ASKED] * 2
    assert "1 USD are spent" in said[0].sentence
    (spent,) = CostLedger(tmp_path / "costs.jsonl").spent()
    assert spent.cost_usd == pytest.approx(1.0)
    assert (spent.calls, spent.answered, spent.prompt_tokens) == (2, 2, 600)


def test_what_a_server_does_not_say_is_charged_at_the_most_it_can_be():
    untold = {"message": {"content": json.dumps(GOOD)}, "done": True}
    with serving(lambda _ask: untold) as server:
        one = model(server.url, usd_per_million_answer_tokens=1_000_000)
        asked = LanguageModel(one, policy(one)).ask(BENIGN, seconds_max=2)
    assert asked.is_cost_bound
    assert asked.answer_tokens == 256
    assert asked.cost_usd == pytest.approx(256)


def test_three_tiers_remember_and_each_forgets_in_its_time(tmp_path):
    """Memory for a minute; the disk for an hour; the record for a day, and for ever in a replay."""
    clock = SteppedClock(NOW)
    with saying(GOOD) as server:
        one = model(server.url)

        def recalled(after: dt.timedelta, *, forget: bool = True) -> str:
            clock.step_to(NOW + after)
            nonlocal asking
            if forget:
                asking = night(tmp_path, one, clock=clock)
            return asking.ask(BENIGN)[0].recalled_from

        asking = night(tmp_path, one, clock=clock)
        assert recalled(dt.timedelta(0), forget=False) == ""
        assert recalled(dt.timedelta(seconds=59), forget=False) == "memory"
        assert recalled(dt.timedelta(seconds=59)) == "disk"
        assert recalled(dt.timedelta(hours=1)) == "disk"
        assert recalled(dt.timedelta(hours=1, seconds=1)) == "recorded"
        assert len(server.asks) == 1
        assert recalled(dt.timedelta(days=1, seconds=1)) == ""
    assert len(server.asks) == 2
    found = asking._recall.recorded(asking._models[0].question_hash(BENIGN))
    assert [kept.answered_at for kept in found] == [NOW, NOW + dt.timedelta(days=1, seconds=1)]


def test_a_record_that_was_edited_is_not_believed(tmp_path):
    with saying(GOOD) as server, night(tmp_path, model(server.url)) as asking:
        asking.ask(BENIGN)
    (file,) = (tmp_path / "answers").rglob("*.json")
    file.write_text(file.read_text().replace("0.8", "0.99"))
    assert asking._recall.recorded(file.parent.name) == ()


def test_another_question_or_model_is_another_memory(tmp_path):
    one = model("http://127.0.0.1:9")
    client = LanguageModel(one, policy(one))
    other = LanguageModel(one.model_copy(update={"model": "large:70b"}), policy(one))
    hashes = {
        client.question_hash(BENIGN),
        client.question_hash(question("Shares fall")),
        client.question_hash(dataclasses.replace(BENIGN, horizon_days=6)),
        other.question_hash(BENIGN),
    }
    assert len(hashes) == 4


def test_a_key_never_shows(tmp_path):
    """Not in the sentence of a refusal that repeats it."""
    with serving(lambda _ask: (401, {"error": "bad key sk-secret-1"})) as server:
        asked = ask(server, key="sk-secret-1")
    assert "sk-secret-1" not in repr(asked)
    assert "***" in asked.sentence
