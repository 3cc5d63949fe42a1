"""Exits in real nights: judged before targets, traded, explained, and derived again."""

import json
import math
from typing import Any

import pytest

from apps.cli.main import main
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_home import POLICY, small_bundle


@pytest.fixture
def pmx(small_home: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> Any:
    """A command's exit code and JSON."""
    monkeypatch.setenv("PMX_CONFIG_DIR", str(small_home.config_dir))

    def call(*arguments: str) -> tuple[int, Any]:
        capfd.readouterr()
        with small_bundle(small_home):
            code = main([*arguments, "--json", "--home", str(small_home.home)])
        return code, json.loads(capfd.readouterr().out)

    return call


def left(settings: Settings) -> list[Any]:
    """Intents of exit rules, oldest first."""
    with Desk(settings) as desk, desk.ledger() as ledger:
        return [one for one in ledger.intents(book=settings.book) if one.exit_reason]


def test_a_position_that_had_its_time_is_left_whole(small_home: Settings) -> None:
    """One session after its entry, at the next open, all of it, and never more."""
    assert POLICY["exits.yaml"]["holding_sessions_max"] == 1
    intents = left(small_home)
    assert intents
    with Desk(small_home) as desk, desk.ledger() as ledger:
        for intent in intents:
            assert intent.exit_reason == "TIME_EXIT"
            before = ledger.book(small_home.book, until_seq=intent.ledger_head.seq)
            assert intent.quantity == -before.quantity(intent.symbol) != 0
        fills = {fill.decision_id: fill for fill in ledger.fills(book=small_home.book)}
    done = {one.decision_id: -one.quantity for one in intents if one.decision_id in fills}
    assert done
    assert done == {decision: fills[decision].quantity for decision in done}


def test_a_night_has_one_end_for_each_signal_and_its_exits_beside_them(
    small_home: Settings,
) -> None:
    """signals = trades + refusals; the signal of a position that is left is refused by name."""
    intents = left(small_home)
    with Desk(small_home) as desk:
        nights = desk.warehouse.rows(
            "SELECT session, signals, intents, refusals, exits FROM audit.nights ORDER BY session"
        )
        decided = [night for night in nights if night[2] + night[3]]
        assert decided
        assert all(signals == wished + refused for _, signals, wished, refused, _ in decided)
        assert sum(night[4] for night in nights) == len(intents)
        with desk.ledger() as ledger:
            for intent in intents:
                ends = ledger.refusals(book=small_home.book, session=intent.session)
                of_symbol = [one for one in ends if one.symbol == intent.symbol]
                own = [one for one in of_symbol if one.decision_id != intent.decision_id]
                assert own, "the signals of a position that is left must be refused"
                assert "exit" in {one.gate for one in own}


def test_every_held_position_is_judged_every_night_and_says_what_it_did_not_know(
    small_home: Settings,
) -> None:
    """The bundled prices are closes: no touch and no range is known, and each row says so."""
    with Desk(small_home) as desk:
        rows = desk.warehouse.rows(
            "SELECT session, symbol, reason, doubts, stop_price, trailing_price, sessions_held "
            'FROM "order".exits ORDER BY session, symbol'
        )
        with desk.ledger() as ledger:
            marks = {one.session: set(one.prices) for one in ledger.marks(small_home.book)}
    judged: dict[Any, set[str]] = {}
    for session, symbol, reason, doubts, stop, trailing, sessions_held in rows:
        judged.setdefault(session, set()).add(symbol)
        assert "only a close" in doubts
        assert "no trailing stop" in doubts
        assert stop > 0
        assert trailing is None or math.isnan(trailing)
        assert (sessions_held >= 1) == (reason == "TIME_EXIT")
    assert judged == {session: held for session, held in marks.items() if held}


def test_an_exit_is_explained_and_derived_again(small_home: Settings, pmx: Any) -> None:
    """`pmx why` names the rule and the entry; `pmx replay --verify` gets the same intent."""
    intent = left(small_home)[0]
    code, answer = pmx("why", intent.decision_id)
    assert code == 0
    steps = {step["table"]: step for step in answer["steps"]}
    assert answer["steps"][-1]["table"] == "raw.daily_bars"
    assert steps["order.exits"]["says"].startswith("TIME_EXIT at the close of")
    assert "to leave the position: TIME_EXIT" in steps["order.intents"]["says"]
    entered = steps["order.exits"]["values"]["entry_decision_id"]
    assert steps["signal.daily_signals"]["values"]["decision_id"] == entered
    code, answer = pmx("replay", intent.decision_id, "--verify")
    assert (code, answer["verdict"]) == (0, "MATCH")


def test_a_changed_judgement_is_named(own_home: Settings, capfd: Any, monkeypatch: Any) -> None:
    """Somebody moves the stop in the table after the fact: the replay says which row it was."""
    monkeypatch.setenv("PMX_CONFIG_DIR", str(own_home.config_dir))
    intent = left(own_home)[0]
    with Desk(own_home) as desk:
        desk.warehouse.execute(
            'UPDATE "order".exits SET stop_price = stop_price + 1 '
            f"WHERE decision_id = '{intent.decision_id}'"
        )
    capfd.readouterr()
    with small_bundle(own_home):
        code = main(
            ["replay", intent.decision_id, "--verify", "--json", "--home", str(own_home.home)]
        )
    answer = json.loads(capfd.readouterr().out)
    assert (code, answer["verdict"]) == (1, "DIFFERS")
    found = answer["first_difference"]
    assert (found["table"], found["column"]) == ("order.exits", "stop_price")


def test_round_trips_say_that_time_ended_them(small_home: Settings, pmx: Any) -> None:
    """The attribution of a trade that an exit ended carries its rule."""
    code, answer = pmx("trades", "--reason", "TIME_EXIT")
    assert code == 0
    assert answer["count"] == len(answer["trades"]) > 0
    # Decided after one session and sold in the next; a lot bought in between was held for one.
    assert {one["sessions_held"] for one in answer["trades"]} <= {1, 2}
    assert max(one["sessions_held"] for one in answer["trades"]) == 2
    assert answer["complete_share"] == 1.0
