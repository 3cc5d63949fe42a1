"""A night that is killed, and one that is stopped with Ctrl-C: the next run goes on from there.

The real `pmx nightly` on the bundled data, as processes of their own.
"""

import datetime as dt
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from resources.settings import project_root
from tests.support.pmx_calls import command, desk_at, environment, in_own_process

NIGHT = dt.date(2022, 12, 1)


def stop_when(
    home: Path, is_time: Callable[[], bool], signal_number: signal.Signals
) -> tuple[int, str]:
    """Start the night, send the signal as soon as `is_time`; gives exit code and standard error."""
    process = subprocess.Popen(
        command("nightly", "--session", NIGHT),
        env=environment(home),
        cwd=project_root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not is_time():
        time.sleep(0.05)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def test_a_night_that_was_killed_and_one_that_was_interrupted_are_finished_by_the_next(
    tmp_path: Path,
) -> None:
    from apps.loading import load_sample

    with desk_at(tmp_path) as desk:
        load_sample(desk, until=NIGHT, run_id="history")
        loaded = desk.warehouse.snapshot_id()

        def rows(table: str) -> int:
            """The universe's own bars of the night."""
            found = desk.warehouse.rows(
                f"SELECT count(*) FROM {table} WHERE session = ? AND basis = ? "
                "AND symbol IN (SELECT unnest(?::VARCHAR[]))",
                [NIGHT, str(desk.universe.basis), list(desk.universe.symbols)],
            )
            return int(found[0][0])

        killed, err = stop_when(
            tmp_path, lambda: desk.warehouse.snapshot_id() > loaded, signal.SIGKILL
        )
        assert killed == -signal.SIGKILL
        assert rows("raw.daily_bars") in (0, 20)
        interrupted, err = stop_when(tmp_path, lambda: rows("clean.daily_bars") > 0, signal.SIGINT)
        # 130, or 6 where the signal met a query and the run recorded it as a failed step.
        assert interrupted in (130, 6), err
        assert "Traceback" not in err
        assert err.count("error: ") == 1

        finished = in_own_process(tmp_path, "nightly", "--session", NIGHT, "--json")
        assert finished.code == 0, finished
        assert finished.json["refusals"] + finished.json["intents"] > 0
        assert (rows("raw.daily_bars"), rows("clean.daily_bars")) == (20, 20)
        with desk.ledger() as ledger:
            book = desk.settings.book
            refused = [one.refusal_id for one in ledger.refusals(book=book)]
            orders = [one.client_order_id for one in ledger.intents(book=book)]
        assert len(set(refused)) == len(refused) == finished.json["refusals"]
        assert len(set(orders)) == len(orders) == finished.json["intents"]
