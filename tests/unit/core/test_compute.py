"""Fan-out: order, equality of backends, and failures that stay where they are."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from quant.core import compute
from quant.core.compute import Done, Failed, fan_out, single_threaded
from quant.core.errors import ModelError, UsageError


def _sum_of_squares(seed: int) -> float:
    matrix = np.random.default_rng(seed).normal(size=(60, 60))
    return float((matrix @ matrix.T).sum())


def _refuse_three(number: int) -> int:
    if number == 3:
        raise ModelError("three cannot be fitted", remedy="give more data")
    return number * number


def _die_on_two(number: int) -> int:
    if number == 2:
        os._exit(7)
    return number


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _sleep_deaf(seconds: float) -> float:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(seconds)
    return seconds


def _thread_counts(_: int) -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.mark.parametrize(("workers", "backend"), [(1, "loky"), (2, "loky"), (3, "threading")])
def test_every_backend_gives_the_same_bits_in_the_order_of_the_items(workers, backend):
    """The reference is a plain loop in one thread."""
    seeds = [5, 3, 11, 2, 7, 1]
    with single_threaded():
        expected = [Done(value=_sum_of_squares(seed)) for seed in seeds]
    assert fan_out(_sum_of_squares, seeds, workers=workers, backend=backend) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_raises_costs_only_itself_and_keeps_its_words(workers):
    """Class, message and remedy survive the way between processes."""
    first, refused, last = fan_out(_refuse_three, [2, 3, 4], workers=workers)
    assert (first, last) == (Done(value=4), Done(value=16))
    assert refused == Failed(
        error="ModelError", message="three cannot be fitted", remedy="give more data"
    )
    assert str(refused) == "ModelError: three cannot be fitted"


def test_a_task_that_kills_its_worker_costs_only_itself():
    """Nobody says which task took the pool down, so the open ones are tried alone."""
    results = fan_out(_die_on_two, [0, 1, 2, 3, 4, 5, 6, 7], workers=2)
    done = [result.value for result in results if isinstance(result, Done)]
    assert done == [0, 1, 3, 4, 5, 6, 7]
    assert isinstance(results[2], Failed)
    assert results[2].message == "the task ended its worker process"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_hangs_is_stopped_at_its_limit(workers):
    """Ten seconds of sleep become a failure after three tenths."""
    began = time.monotonic()
    quick, slow = fan_out(_sleep, [0.0, 30.0], workers=workers, time_limit_s=0.3)
    assert quick == Done(value=0.0)
    assert slow == Failed(error="TaskTimeoutError", message="ran longer than 0.3 s")
    assert time.monotonic() - began < 10


def test_a_limit_that_cannot_be_kept_is_refused():
    """Threads cannot be interrupted, and an alarm rings only in a main thread."""
    with pytest.raises(UsageError, match="cannot be kept on the backend 'threading'"):
        fan_out(_sleep, [0.0, 0.0], workers=2, backend="threading", time_limit_s=1)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(fan_out, _sleep, [0.0], workers=1, time_limit_s=1)
        with pytest.raises(UsageError, match="needs the main thread"):
            answer.result()


def test_a_task_that_cannot_be_interrupted_is_ended_with_its_worker(monkeypatch):
    """Deaf to the alarm, as code in C is: the caller's own limit ends it, and only it."""
    monkeypatch.setattr(compute, "_HARD_LIMIT_EXTRA_S", 5.0)
    began = time.monotonic()
    results = fan_out(_sleep_deaf, [0.0, 60.0, 0.1], workers=2, time_limit_s=0.2)
    assert results[0] == Done(value=0.0)
    assert results[1] == Failed(error="TaskTimeoutError", message="ran longer than 0.2 s")
    assert results[2] == Done(value=0.1)
    assert time.monotonic() - began < 30


def test_an_alarm_that_someone_else_had_set_is_handed_back():
    """There is one timer per process, and a test runner may be using it."""
    handler, (rest_s, _) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 100.0)
    fan_out(_sleep, [0.0], workers=1, time_limit_s=5.0)
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, rest_s)
    assert 90 < left_s < 100
    assert signal.getsignal(signal.SIGALRM) is handler


@pytest.mark.parametrize(("workers", "backend"), [(1, "loky"), (2, "loky"), (2, "threading")])
def test_linear_algebra_has_one_thread_in_every_task(workers, backend):
    """More workers times more threads would fight over the cores, and sums would change.

    scikit-learn brings OpenMP, which counts its threads for each thread that calls it.
    """
    import sklearn.cluster  # noqa: F401

    for result in fan_out(_thread_counts, [0, 1], workers=workers, backend=backend):
        assert isinstance(result, Done)
        assert set(result.value) == {1}


def test_nothing_to_do_gives_nothing_and_no_workers_is_a_mistake():
    """The two ends of the range."""
    assert fan_out(_sleep, [], workers=4) == []
    with pytest.raises(UsageError, match="workers must be at least 1, was 0"):
        fan_out(_sleep, [0.0], workers=0)


def test_one_worker_does_not_even_import_joblib():
    """A nightly on one core pays for nothing it does not use."""
    code = (
        "import sys; from quant.core.compute import fan_out; fan_out(abs, [-1], workers=1); "
        "assert 'joblib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
