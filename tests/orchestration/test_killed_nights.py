"""A run that is killed goes on where it was, and ends where an undisturbed one ends.

Real processes, really killed: nothing else shows what a half-written night leaves behind.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.settings import Settings, project_root
from tests.support.small_home import (
    contents,
    small_environment,
    small_settings,
    story,
    write_bundle,
    write_policy,
)

INTERRUPTED = 130
# Far beyond any machine's need; a process that hangs must not hang the tests.
PATIENCE_S = 240.0


@contextlib.contextmanager
def demo(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """`pmx demo` on the home in `folder`; whatever is left of it at the end is ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.small_demo"],
        cwd=project_root(),
        env={**os.environ, **small_environment(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run_until(folder: Path, is_there: Callable[[], bool], number: signal.Signals) -> str:
    """Start the demo, send it a signal at the moment that is asked for; what it said of that."""
    with demo(folder) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not is_there():
            assert process.poll() is None, f"ended before the moment: {process.communicate()}"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_S)
    expected = INTERRUPTED if number is signal.SIGINT else -number
    assert process.returncode == expected, said
    return said


def run_to_the_end(folder: Path) -> str:
    with demo(folder) as process:
        printed, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return printed


def written(home: Path, table: str) -> Callable[[], bool]:
    """Whether a first file of the table is in the lake."""
    return lambda: any((home / "lake/data" / table).glob("**/*.parquet"))


def records(home: Path, count: int) -> Callable[[], bool]:
    """Whether the journal has as many records; its lines are whole or they are not counted."""
    journal = home / "ledger/journal.jsonl"
    return lambda: journal.exists() and journal.read_bytes().count(b"\n") >= count


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    """A small installation that has not run yet."""
    write_policy(tmp_path / "config")
    write_bundle(tmp_path / "sample")
    return small_settings(tmp_path)


@pytest.mark.timeout(900)
def test_a_demo_that_is_killed_again_and_again_ends_like_one_that_was_not(
    small_home: Settings, fresh: Settings, tmp_path: Path
) -> None:
    """Killed while it loads, in the middle of research, while intents and fills are written, and
    interrupted once more: the book's story and every table are those of an undisturbed run."""
    home = fresh.home
    run_until(tmp_path, written(home, "raw/daily_bars"), signal.SIGKILL)
    run_until(tmp_path, written(home, "forecast/naive"), signal.SIGKILL)
    run_until(tmp_path, records(home, 12), signal.SIGKILL)
    said = run_until(tmp_path, records(home, 60), signal.SIGINT)
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert "equity" in run_to_the_end(tmp_path)

    assert story(fresh) == story(small_home)
    assert contents(fresh).tables == contents(small_home).tables
