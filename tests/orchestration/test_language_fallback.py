"""A night on which the time series are silent on two symbols and a language model is not.

The nights are the small home's; the forecasts of KO, which is held, and of JPM, which is not, are
taken out of the last one. A loopback server speaks Ollama's protocol.
"""

import datetime as dt
import json
import re
from decimal import Decimal

import pandas as pd
import pytest

from quant.core.clock import SteppedClock, SystemClock
from quant.market.news import NewsItem, news_frame
from resources.desk import Desk
from resources.language.costs import CostLedger
from tests.support.language_server import GOOD as ANSWER
from tests.support.language_server import bodies, saying
from tests.support.small_home import NIGHTS
from tests.unit.signals.injected_news import INJECTED

NIGHT = NIGHTS[-1]
SILENT = ("JPM", "KO")
HORIZON = 20  # of signals.yaml
SIGNALS = "signal.daily_signals"


@pytest.fixture
def desk(own_home):
    with Desk(own_home) as desk:
        desk.clock = SteppedClock(desk.as_of(NIGHT))
        for table in ("forecast.combined", "forecast.persistence"):
            publish(desk, table, no_rows(desk, table), symbol=SILENT)
        yield desk


def publish(desk, table, frame, **scope):
    provenance = desk.provenance("test", table.split(".")[0])
    return desk.warehouse.publish(table, frame, provenance, scope={"session": [NIGHT], **scope})


def no_rows(desk, table):
    return pd.DataFrame(columns=[c for c in desk.warehouse.columns(table) if c not in LINEAGE])


GOOD = {**ANSWER, "horizon_days": HORIZON}
LINEAGE = ("run_id", "snapshot_id", "code_version", "row_hash")


def switch_on(desk, url, *, knows_until="2020-01-01"):
    """The policy names the loopback server, and somebody moves the switch."""
    from assets.signal.model_flags import flag_rows
    from resources.flags import set_flag

    config = desk.settings.config_dir
    text = (config / "llm.yaml").read_text(encoding="utf-8")
    text = re.sub(r"base_url: \S+", f"base_url: {url}", text)
    text = re.sub(r"knows_until: \S+", f"knows_until: {knows_until}", text)
    (config / "llm.yaml").write_text(text, encoding="utf-8")
    now = desk.clock.now()
    set_flag(
        config, desk.flags_record, "llm_first", is_on=True, changed_by="ada", reason="", now=now
    )
    # A process that starts now: what a desk has read of policy stays as it was.
    desk.__dict__.pop("policies", None)
    desk.__dict__.pop("flags", None)
    publish(desk, "signal.model_flags", flag_rows(desk, [NIGHT]))


def ask_and_decide(desk):
    """The stages of the night from the question to the orders, as the assets run them."""
    from assets.order.decide import night_inputs, order_events, standing
    from assets.signal.asking import answer_rows
    from assets.signal.decide import signal_rows
    from assets.target.sizing import target_rows

    publish(desk, "signal.llm_answers", answer_rows(desk, [NIGHT]))
    provenance = desk.provenance("test", "signal")
    publish(desk, SIGNALS, signal_rows(desk, [NIGHT], provenance))
    publish(desk, "target.daily_weights", target_rows(desk, [NIGHT]))
    inputs = night_inputs(desk, desk.warehouse, NIGHT)
    with desk.ledger() as ledger:
        before = standing(desk, ledger, inputs)
    return order_events(desk, inputs, before, desk.provenance("test", "order"))


def signal_of(desk, symbol):
    frame = desk.warehouse.read(
        f"SELECT * FROM {SIGNALS} WHERE session = ? AND symbol = ? AND strategy = 'ts_edge'",
        [NIGHT, symbol],
    )
    return frame.to_dict("records")[0]


def ended(events, symbol):
    """How each strategy's signal on a symbol ended: the gate, or "" for an intent."""
    found = {}
    for event in events:
        record = getattr(event, "intent", None) or event.refusal
        if record.symbol == symbol:
            found[record.strategy] = getattr(record, "gate", "")
    return found


def test_as_shipped_nobody_is_asked_and_the_symbol_is_refused(desk):
    """A symbol without a forecast is a refusal, and no server is looked for."""
    events = ask_and_decide(desk)
    assert desk.warehouse.rows("SELECT count(*) FROM signal.llm_answers") == [(0,)]
    row = signal_of(desk, "JPM")
    assert (row["gate"], row["action"], row["source"]) == ("forecast", "none", "")
    assert ended(events, "JPM")["ts_edge"] == "forecast"


def test_a_language_model_speaks_for_the_silent_and_opens_a_small_position(desk):
    """And only that: what is held stays as it is, and every other gate still stands."""
    with saying(GOOD) as server:
        switch_on(desk, server.url)
        events = ask_and_decide(desk)
    assert [body["messages"][1]["content"].splitlines()[0] for body in bodies(server)] == [
        'Symbol: "JPM"',
        'Symbol: "KO"',
    ]
    row = signal_of(desk, "JPM")
    assert (row["source"], row["source_model"], row["action"]) == (
        "language_model",
        "llm_first",
        "buy",
    )
    assert "combined: no usable forecast" in row["routing"]
    assert 0 < row["expected_return"] <= 0.01
    assert 0 <= row["proposed_weight"] <= 0.02
    weights = dict(
        desk.warehouse.rows(
            "SELECT symbol, max(weight) FROM target.daily_weights "
            "WHERE session = ? AND strategy = 'ts_edge' GROUP BY symbol",
            [NIGHT],
        )
    )
    assert row["gate"] == ""
    assert 0 < weights["JPM"] <= 0.02
    assert ended(events, "JPM")["ts_edge"] == "impact"
    assert ended(events, "KO") == {"ts_edge": "language_model", "day_momentum": "language_model"}
    assert [signal_of(desk, symbol)["source"] for symbol in ("AAPL", "XOM")] == ["time_series"] * 2


def test_where_no_other_gate_refuses_it_its_intent_is_small(desk):
    """With limits that let everything pass, the bound of llm.yaml is what is left."""
    limits = desk.settings.config_dir / "limits.yaml"
    text = limits.read_text(encoding="utf-8")
    limits.write_text(
        text.replace("sharpe_loss_max_fraction: 0.10", "sharpe_loss_max_fraction: 1.0"),
        encoding="utf-8",
    )
    with saying({**GOOD, "confidence": 1.0}) as server:
        switch_on(desk, server.url)
        events = ask_and_decide(desk)
    intents = [event.intent for event in events if hasattr(event, "intent")]
    (word,) = [one for one in intents if one.symbol == "JPM" and one.strategy == "day_momentum"]
    assert 0 < word.target_weight <= Decimal("0.02")


def test_such_a_decision_is_explained_and_replayed_with_the_server_gone(desk):
    """`pmx why` shows the word; `pmx replay --verify` says MATCH from the stored row alone."""
    from apps.lineage.explain import explain
    from apps.lineage.lakes import Lakes
    from apps.lineage.replay import Replay
    from apps.lineage.subject import find_subject
    from assets.order.decide import decide_session

    with saying(GOOD) as server:
        switch_on(desk, server.url)
        ask_and_decide(desk)
    with desk.ledger(write=True) as ledger:
        decide_session(desk, ledger, NIGHT, desk.provenance("test", "order"))
    decision = signal_of(desk, "JPM")["decision_id"]
    lakes = Lakes(desk)
    steps = {step.table: step.says for step in explain(lakes, decision).steps}
    assert steps["signal.llm_answers"].startswith("llm_first says up over 20 days, 80 % sure")
    (replayed,) = Replay(lakes).run([find_subject(lakes, decision)])
    assert replayed.first_difference is None
    assert "signal.llm_answers" in replayed.checked


@pytest.mark.parametrize("said", ["down", "flat"])
def test_its_word_sells_nothing(desk, said):
    with saying({**GOOD, "direction": said, "confidence": 1.0}) as server:
        switch_on(desk, server.url)
        events = ask_and_decide(desk)
    row = signal_of(desk, "KO")
    assert (row["gate"], row["action"]) == ("forecast", "none")
    assert f"llm_first: says {said}, and its word alone closes nothing" in row["routing"]
    assert set(ended(events, "KO").values()) == {"forecast"}


def test_news_is_asked_about_as_it_was_known_and_cannot_give_orders(desk):
    """Of three items one was not known yet; the hostile one stays quoted data."""
    as_of = desk.as_of(NIGHT)
    hours = (-2, -1, 1)
    texts = ("JPM profit fell sharply", INJECTED[5], "JPM soars tomorrow")
    items = [
        NewsItem(
            event_time=as_of + dt.timedelta(hours=hour),
            known_at=as_of + dt.timedelta(hours=hour),
            source="agency",
            symbol="JPM",
            headline=text[:300],
        )
        for hour, text in zip(hours, texts, strict=True)
    ]
    provenance = desk.provenance("test", "raw")
    desk.warehouse.append_versions("raw.news", news_frame(items), provenance, key=("hash",))
    with saying(GOOD) as server:
        switch_on(desk, server.url)
        ask_and_decide(desk)
    asked = bodies(server)[0]["messages"][1]["content"].splitlines()
    quoted = asked[asked.index("<<<QUOTED NEWS") + 1 : asked.index("QUOTED NEWS>>>")]
    heard = [json.loads(line) for line in quoted]
    assert [item["headline"] for item in heard] == [texts[1][:300], texts[0]]
    assert heard[1]["sentiment"] < 0
    (stored,) = desk.warehouse.rows("SELECT news_hashes FROM signal.llm_answers WHERE symbol='JPM'")
    assert set(json.loads(stored[0])) == {items[0].hash, items[1].hash}


def test_a_night_that_is_over_is_not_asked_about_again(desk):
    """It keeps the answers that it was decided with, whoever listens by then."""
    from assets.signal.asking import answer_rows

    with saying(GOOD) as server:
        switch_on(desk, server.url)
        ask_and_decide(desk)
        first = answer_rows(desk, [NIGHT]).drop(columns=["recalled_from", "seconds", "cost_usd"])
        desk.clock = SystemClock()
        later = answer_rows(desk, [NIGHT])
    assert len(server.asks) == 2
    pd.testing.assert_frame_equal(first, later[list(first.columns)], check_dtype=False)


def test_a_model_is_not_asked_about_a_night_that_it_may_have_read_about(desk):
    with saying(GOOD) as server:
        switch_on(desk, server.url, knows_until=NIGHT.isoformat())
        ask_and_decide(desk)
    assert server.asks == []
    assert "may have read what came after" in signal_of(desk, "JPM")["routing"]


def test_a_dead_server_is_no_signal_and_no_crash(desk):
    from tests.loopback import refusing_address

    switch_on(desk, refusing_address())
    events = ask_and_decide(desk)
    row = signal_of(desk, "JPM")
    assert row["gate"] == "forecast"
    assert "llm_first: llm_first cannot be reached" in row["routing"]
    assert ended(events, "JPM")["ts_edge"] == "forecast"
    # One knock a night: the second symbol is not tried.
    costs = CostLedger(desk.settings.paths.language / "costs.jsonl")
    assert [call.outcome for call in costs.calls()] == ["no_server"]


def test_what_a_verdict_has_stopped_nobody_else_speaks_for(desk):
    """A refused model is not gone around by asking a language model."""
    verdict = no_rows(desk, "model.verdicts")
    verdict.loc[0] = dict.fromkeys(verdict.columns, "") | {
        "model": "garch",
        "session": NIGHT,
        "passed": False,
        "reason": "garch failed",
    }
    publish(desk, "model.verdicts", verdict, model=["garch"])
    persistence = verdict.assign(model="persistence", reason="persistence failed")
    publish(desk, "model.verdicts", persistence, model=["persistence"])
    with saying(GOOD) as server:
        switch_on(desk, server.url)
        ask_and_decide(desk)
    assert server.asks == []
