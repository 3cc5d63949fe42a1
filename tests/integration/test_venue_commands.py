"""`pmx venue` and `pmx broker check`, as whole processes."""

import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.cli.trade import require_open
from apps.simulator.instruments import TradingHours, stock
from apps.simulator.server import Venue, VenueOptions, running
from apps.trader.venues import connect
from quant.core.errors import StateError
from quant.execution.venues import Environment, VenueName, VenuePolicy
from resources.settings import Settings, project_root

PMX = [sys.executable, "-m", "apps.cli.main"]


def pmx(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PMX, *words, "--json", "--home", str(home)],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """A venue on free ports whose answers to orders are late."""
    faults = tmp_path / "faults.json"
    faults.write_text('{"rules": [{"fault": "delay", "on": ["submit"], "delay_ms_max": 6}]}')
    options = [
        "--alpaca",
        "0",
        "--binance",
        "0",
        "--ctrader",
        "0",
        "--seed",
        "7",
        "--faults",
        str(faults),
    ]
    command = [*PMX, "venue", *options, "--json", "--home", str(tmp_path)]
    with subprocess.Popen(command, cwd=project_root(), stdout=subprocess.PIPE, text=True) as child:
        told = ""
        for line in child.stdout or ():
            told += line
            if line.startswith("}") or line.rstrip().endswith("}"):
                break
        yield json.loads(told), child
        if child.poll() is None:
            child.kill()


def test_a_venue_is_traded_from_another_process_and_logs_every_event(
    venue: tuple[dict[str, str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Two commands: the venue, and a broker that is tried against it; then Ctrl-C."""
    told, child = venue
    for name, symbol in (("alpaca", "AAPL"), ("binance", "BTC/USDT")):
        done = pmx("broker", "check", name, "--url", told[name], "--trial", home=tmp_path)
        answer = json.loads(done.stdout)
        assert done.returncode == 0, answer
        assert answer["trial"]["state"] == "filled"
        assert [row["symbol"] for row in answer["positions"]] == [symbol]
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 130
    lines = [json.loads(line) for line in Path(told["events"]).read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["seed"] for line in lines} == {7}
    kinds = {line["kind"] for line in lines}
    assert {"request", "order new", "order fill"} <= kinds
    assert any(line.get("faults") == ["delay"] for line in lines)
    assert told["secret"] not in Path(told["events"]).read_text()


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("broker", "check", "alpaca"), 2, "PMX_ALPACA_KEY_ID"),
        (("broker", "check", "nosuch"), 2, "alpaca"),
        (("broker", "check", "alpaca", "--trial"), 2, "--url"),
        (("broker", "check", "alpaca", "--url", "https://api.alpaca.markets"), 2, "pmx venue"),
        (("broker", "check", "alpaca", "--url", "http://127.0.0.1:1"), 8, "pmx venue"),
        (("venue", "--faults", "/nowhere.json"), 2, "path"),
    ],
)
def test_wrong_words_are_answered_with_a_remedy(
    words: tuple[str, ...], code: int, hint: str, tmp_path: Path
) -> None:
    done = pmx(*words, home=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["exit_code"]) == (code, code)
    assert hint in error["remedy"]


def test_a_venue_that_says_it_is_shut_gets_no_order(tmp_path: Path) -> None:
    """The calendar has said open; an unscheduled closure is known to the venue alone."""
    never = TradingHours(opens=dt.time(0), closes=dt.time(0))
    for hours, is_open in ((never, False), (None, True)):
        listed = (stock("AAPL", "100", hours=hours),)
        with running(Venue(VenueOptions(instruments=listed)), {"alpaca": 0}) as urls:
            policy = VenuePolicy(
                venue=VenueName.ALPACA, environment=Environment.SIMULATED, url=urls["alpaca"]
            )
            broker = connect(Settings.from_env({}, home=tmp_path), policy)
            assert broker.is_open() is is_open
            if is_open:
                require_open(broker, policy)
                continue
            with pytest.raises(StateError, match="says that it is closed"):
                require_open(broker, policy)
