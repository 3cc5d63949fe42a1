"""`pmx mode`: the switch that every order passes, and the record of who moved it."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.cli.main import main
from apps.trader.paper_session import TradeSummary, trade_session
from quant.core.clock import SteppedClock
from quant.execution import IntentRecorded, Mode, PaperCostPolicy, Side
from quant.execution.broker_events import Breaker, BreakerChanged
from quant.execution.events import FillRecorded
from resources.ledger import Ledger
from tests.execution_values import (
    BOOK,
    POLICY,
    TUESDAY,
    WEDNESDAY,
    after_close,
    fill,
    intent,
    opened,
    reference,
    verdict,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a book of 20 AAPL and a passing verdict."""
    held: FillRecorded = fill(Side.BUY, "20", "100")
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.append_all([opened(), verdict(), held])
    return tmp_path


def pmx(capfd: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, Any]:
    code = main([words[0], *words[1:], "--home", str(home), "--json"])
    printed = capfd.readouterr().out
    return code, json.loads(printed) if printed else None


def trade(home: Path, *wishes: int) -> TradeSummary:
    with Ledger.open(home / "ledger") as ledger:
        asked = [intent(one, symbol="AAPL" if one < 0 else "MSFT") for one in wishes]
        ledger.append_all([IntentRecorded(intent=one) for one in asked])
        return trade_session(
            ledger,
            BOOK,
            TUESDAY,
            prices={"AAPL": reference("100"), "MSFT": reference("100")},
            clock=SteppedClock(after_close(WEDNESDAY)),
            costs=PaperCostPolicy(),
            policy=POLICY,
        )


def test_a_mode_is_set_for_every_book_and_told_with_who_and_why(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Set, shown, and let go of; each change stands in the ledger."""
    assert pmx(capfd, home, "mode")[1]["mode"] == "normal"
    code, told = pmx(capfd, home, "mode", "pause", "--by", "ada", "--reason", "odd fills")
    assert (code, told["mode"]) == (0, "pause")
    [change] = told["changes"]
    assert (change["scope"], change["changed_by"], change["reason"]) == ("*", "ada", "odd fills")
    pmx(capfd, home, "mode", "normal", "--by", "ada", "--reason", "explained")
    with Ledger.read(home / "ledger") as ledger:
        assert [one.mode for one in ledger.mode_changes()] == [Mode.PAUSE, Mode.NORMAL]
        assert ledger.mode(BOOK) is Mode.NORMAL


@pytest.mark.parametrize(
    ("mode", "sent", "gates"),
    [
        ("normal", 2, []),
        ("reduce", 1, ["mode"]),
        ("pause", 0, ["mode", "mode"]),
        ("emergency", 0, ["mode", "mode"]),
    ],
)
def test_the_nightly_trader_obeys_the_mode_with_typed_refusals(
    home: Path, capfd: pytest.CaptureFixture[str], mode: str, sent: int, gates: list[str]
) -> None:
    """A sale of 5 of the 20 held is a reduction; a purchase is none."""
    pmx(capfd, home, "mode", mode, "--by", "ada", "--reason", "test")
    done = trade(home, -5, 7)
    assert len(done.fills) == sent
    assert [one.gate for one in done.refusals] == gates
    assert all(mode in one.numbers["mode"] for one in done.refusals)


def test_a_mode_of_one_book_leaves_the_others_alone(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And the strictest rules: every book's pause is not undone by one book's normal."""
    words = ("--by", "ada", "--reason", "r")
    pmx(capfd, home, "mode", "pause", "--book", BOOK, *words)
    with Ledger.read(home / "ledger") as ledger:
        assert (ledger.mode(BOOK), ledger.mode("other")) == (Mode.PAUSE, Mode.NORMAL)
    pmx(capfd, home, "mode", "emergency", *words)
    assert pmx(capfd, home, "mode", "normal", "--book", BOOK, *words)[1]["mode"] == "emergency"


def test_a_breaker_holds_the_trader_until_a_person_resets_it(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`normal` alone does not reset it."""
    trip = BreakerChanged(
        book=BOOK,
        breaker=Breaker.DAILY_LOSS,
        is_tripped=True,
        reason="3.1 % lost",
        changed_by="risk manager",
        sequence=1,
    )
    with Ledger.open(home / "ledger") as ledger:
        ledger.append_all([trip])
    words = ("--by", "ada", "--reason", "r")
    _, told = pmx(capfd, home, "mode", "normal", *words)
    assert (told["mode"], told["breakers"][0]["reason"]) == ("reduce", "3.1 % lost")
    refused = trade(home, 7).refusals
    assert [one.gate for one in refused] == ["breaker"]
    assert "daily_loss: 3.1 % lost" in refused[0].reason
    _, told = pmx(capfd, home, "mode", "--reset", *words)
    assert (told["mode"], told["breakers"]) == ("normal", [])


@pytest.mark.parametrize(
    "words",
    [
        ("pause",),
        ("pause", "--by", "ada"),
        ("pause", "--by", " ", "--reason", "r"),
        ("pause", "--book", "nowhere", "--by", "ada", "--reason", "r"),
        ("loud", "--by", "ada", "--reason", "r"),
    ],
)
def test_a_change_without_who_why_or_a_known_book_changes_nothing(
    home: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """A usage error, and the ledger as it was."""
    assert main(["mode", *words, "--home", str(home), "--json"]) == 2
    capfd.readouterr()
    with Ledger.read(home / "ledger") as ledger:
        assert ledger.mode_changes() == []


def test_without_a_ledger_there_is_nothing_to_switch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The remedy says what makes one."""
    assert main(["mode", "--home", str(tmp_path)]) == 2
    assert "pmx nightly" in capfd.readouterr().err
