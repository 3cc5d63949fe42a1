"""The helper process: answers, errors, crashes, hangs, and a parent that dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quant.core.errors import LimitBreachError, UsageError
from resources.companion import Companion, CompanionError

ROOT = Path(__file__).resolve().parents[2]


def die_unless(pid: int) -> int:
    """A handler that kills its process, except in the one named."""
    if os.getpid() != pid:
        os._exit(3)
    return pid


def sleep_unless(pid: int) -> int:
    """A handler that hangs, except in the process named."""
    if os.getpid() != pid:
        time.sleep(60)
    return pid


def breach() -> None:
    """An error whose constructor takes only keywords, so it cannot be unpickled."""
    raise LimitBreachError(limit="gross", value=2.0, maximum=1.0)


def _here(name: str) -> str:
    return f"{__name__}:{name}"


def _is_gone(pid: int) -> bool:
    """Neither running nor a zombie of this process."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_a_call_is_answered_by_another_process_with_one_blas_thread() -> None:
    """Many calls travel at once, large ones too, and each future gets its own answer."""
    with Companion() as companion:
        assert companion.call("os:getpid") == companion.pid != os.getpid()
        assert companion.call("os:getenv", "OMP_NUM_THREADS") == "1"
        futures = [companion.submit("operator:mul", b"x" * 100_000, n) for n in range(20)]
        assert [len(future.result()) for future in futures] == [100_000 * n for n in range(20)]
        pid = companion.pid
    assert companion.incidents == []
    assert pid is not None
    assert _is_gone(pid)


def test_errors_come_back_as_themselves_and_otherwise_as_text() -> None:
    """A handler's error is the caller's to handle; one that cannot travel is told in words."""
    with Companion() as companion:
        with pytest.raises(ZeroDivisionError) as caught:
            companion.call("operator:truediv", 1, 0)
        assert "Traceback" in caught.value.__notes__[0]
        with pytest.raises(CompanionError, match=r"gross: 2\.0000 exceeds 1\.0000"):
            companion.call(_here("breach"))
        with pytest.raises(TypeError, match="cannot pickle"):
            companion.call("threading:Lock")
        with pytest.raises(UsageError, match="names no handler"):
            companion.call("operator.mul", 1, 2)
        assert companion.call("operator:add", 1, 2) == 3
    assert companion.incidents == []


def test_a_crash_is_made_up_for_here_and_reported() -> None:
    """The helper dies with two calls on its hands; both are answered, later ones run here."""
    with Companion() as companion:
        pid = companion.pid
        futures = [companion.submit(_here("die_unless"), os.getpid()) for _ in range(2)]
        assert [future.result(timeout=30) for future in futures] == [os.getpid()] * 2
        assert len(companion.incidents) == 2
        assert "exit status 3" in companion.incidents[0].reason
        assert not companion.is_alive
        assert companion.call("os:getpid") == os.getpid()
    assert pid is not None
    assert _is_gone(pid)


def test_a_helper_that_hangs_is_given_up_after_the_time_limit() -> None:
    """The call is answered here instead, and the helper is killed and waited for."""
    with Companion(timeout_s=1.0) as companion:
        pid = companion.pid
        assert companion.call(_here("sleep_unless"), os.getpid()) == os.getpid()
        assert "no answer within 1 s" in companion.incidents[0].reason
    assert pid is not None
    assert _is_gone(pid)


def test_a_stopped_helper_cannot_block_a_large_call() -> None:
    """A call larger than the socket's buffer waits no longer than the time limit."""
    with Companion(timeout_s=1.5) as companion:
        assert companion.call("os:getpid") != os.getpid()
        assert companion.pid is not None
        os.kill(companion.pid, signal.SIGSTOP)
        assert companion.call("builtins:len", b"x" * 5_000_000) == 5_000_000
        assert len(companion.incidents) == 1


def test_without_a_helper_the_handler_runs_here_without_an_incident() -> None:
    """Tests and small tools need no second process."""
    companion = Companion()
    assert companion.call("os:getpid") == os.getpid()
    assert companion.incidents == []
    companion.close()


def test_closing_cancels_what_is_pending() -> None:
    """Nobody waits a minute for work that nobody wants any more."""
    companion = Companion().start()
    future = companion.submit("time:sleep", 60)
    began = time.monotonic()
    companion.close()
    companion.close()
    assert future.cancelled()
    assert time.monotonic() - began < 5


def test_the_helper_dies_with_a_parent_that_was_killed() -> None:
    """kill -9 gives the parent no chance to say goodbye; the helper notices by itself.

    The parent has forked a child that outlives it and holds the socket open, the worst case.
    """
    script = (
        "import os, time\n"
        "from resources.companion import Companion\n"
        "companion = Companion().start()\n"
        "companion.call('os:getpid')\n"
        "child = os.fork()\n"
        "if child == 0:\n    time.sleep(20)\n    os._exit(0)\n"
        "print(companion.pid, child, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        helper, orphan = map(int, parent.stdout.readline().split())
        parent.kill()
        parent.wait()
        assert _is_gone(helper)
        os.kill(orphan, signal.SIGKILL)


def test_ctrl_c_reaches_the_parent_only() -> None:
    """The terminal's signal goes to a group; the helper is in a group of its own and ignores it."""
    with Companion() as companion:
        assert companion.call("os:getpgrp") != os.getpgrp()
        assert companion.pid is not None
        os.kill(companion.pid, signal.SIGINT)
        assert companion.call("operator:add", 1, 2) == 3


def test_ctrl_c_ends_both_at_once() -> None:
    """The parent waits for a long answer when the terminal's whole group is interrupted."""
    script = (
        "from resources.companion import Companion\n"
        "companion = Companion().start()\n"
        "companion.call('os:getpid')\n"
        "print(companion.pid, flush=True)\n"
        "companion.call('time:sleep', 60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        time.sleep(0.3)
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=10)
        assert parent.returncode != 0
        assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
        assert _is_gone(helper)


def test_a_helper_that_cannot_start_is_an_incident_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter is not where it was; work goes on here."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Companion() as companion:
        assert companion.call("os:getpid") == os.getpid()
        assert "could not be started" in companion.incidents[0].reason
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Companion(warm=["json:dumps"]) as companion:
        assert companion.call("os:getpid") == os.getpid()


def test_two_runs_side_by_side_do_not_meet() -> None:
    """Each parent has its own helper."""
    with Companion() as one, Companion() as other:
        assert one.call("os:getpid") == one.pid != other.pid == other.call("os:getpid")
