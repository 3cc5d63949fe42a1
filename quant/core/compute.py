"""Fan-out: one function over many independent items, here or on a cluster, with equal results.

Belongs here: the one way in which the domain uses more than one core, how a task's failure becomes
a value, and how linear-algebra libraries are kept to one thread where exactness is promised.
Does not belong here: what the tasks compute. Results come in the order of the items, whatever the
backend and the number of workers, so a caller may zip them with its items.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from quant.core.clusters import Backend, WorkerLostError, cluster
from quant.core.errors import UsageError

Item = TypeVar("Item")
Value = TypeVar("Value")

# The backend's own limit only has to catch what the alarm inside the worker cannot (a hang in C
# code, a stopped process), so it may be generous.
_HARD_LIMIT_FACTOR = 2.0
_HARD_LIMIT_EXTRA_S = 10.0
# joblib hands out twice as many tasks as there are workers before it waits.
_TASKS_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[Value]):
    """The task returned `value`."""

    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task did not return: its error's class name and message, and the remedy if any."""

    error: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


Result = Done[Value] | Failed


class TaskTimeoutError(BaseException):
    """A task ran longer than it was allowed to.

    Not an `Exception`, so that no library's own handler between here and there can eat it.
    """


def fan_out(
    function: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    workers: int,
    backend: str = "loky",
    time_limit_s: float | None = None,
    imports: Sequence[str] = (),
) -> list[Result[Value]]:
    """Apply `function` to every item; a task that raises, crashes or hangs costs only itself.

    `imports` names the modules that tasks load on their own: they are loaded before the limit on
    threads is set, which reaches only libraries that are there. Without it the first task of a
    process would sum in another order than all later ones.

    `backend` is "loky" (processes), "threading" or "sequential", or a cluster: "dask" or "ray"
    start one on this machine for the call, "dask://host:port" and "ray://host:port" use one that
    runs, and how many workers that has is its own affair.

    With one worker everything runs in this process and joblib is not even imported; there a crash
    of the interpreter cannot be contained. `time_limit_s` holds per task and needs the main thread
    of a process, so it works in this process and on "loky", and is refused elsewhere.
    """
    where = Backend.parse(backend)
    if workers < 1:
        raise UsageError(f"workers must be at least 1, was {workers}")
    if not items:
        return []
    if (workers == 1 and where.address is None) or where.engine == "sequential":
        if time_limit_s is not None:
            _require_alarm()
        _load(imports)
        with single_threaded():
            return [_attempt(function, item, time_limit_s) for item in items]
    if time_limit_s is not None and backend != "loky":
        raise UsageError(
            f"a time limit cannot be kept on the backend {backend!r}",
            remedy='use backend="loky", or leave time_limit_s out',
        )
    pool = _Pool(
        workers=workers,
        backend=backend,
        time_limit_s=time_limit_s,
        imports=tuple(imports),
        caller_pid=os.getpid(),
    )
    if where.is_cluster:
        return _fan_out_cluster(function, items, pool, where)
    return _fan_out_joblib(function, items, pool)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread: sums are then taken in one order on every machine.

    Only libraries that are loaded by then are held.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

    with threadpool_limits(limits=1):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """How tasks are run elsewhere; travels with every task, so it stays small."""

    workers: int
    backend: str
    time_limit_s: float | None
    imports: tuple[str, ...]
    caller_pid: int

    @property
    def is_loky(self) -> bool:
        return self.backend == "loky"


def _fan_out_cluster(
    function: Callable[[Item], Value], items: Sequence[Item], pool: _Pool, where: Backend
) -> list[Result[Value]]:
    with cluster(where, workers=pool.workers) as run:
        results = list(run(_attempt_elsewhere, [(function, item, pool) for item in items]))
        for place, result in enumerate(results):
            if isinstance(result, WorkerLostError):
                # Tasks that waited at the same worker were lost with it; alone, only the guilty is.
                (results[place],) = run(_attempt_elsewhere, [(function, items[place], pool)])
    return [_failed(result) if isinstance(result, Exception) else result for result in results]


def _failed(error: Exception) -> Failed:
    if isinstance(error, BrokenExecutor | WorkerLostError):
        return Failed(error=type(error).__name__, message="the task ended its worker process")
    return Failed(error=type(error).__name__, message=str(error) or "no message")


def _fan_out_joblib(
    function: Callable[[Item], Value], items: Sequence[Item], pool: _Pool
) -> list[Result[Value]]:
    results: list[Result[Value]] = []
    while len(results) < len(items):
        try:
            for result in _stream(function, items[len(results) :], pool):
                results.append(result)
        except _timeout_errors():
            # Results come in order and tasks start in order, so the one waited for is the one.
            results.append(_overdue(pool.time_limit_s))
        except BrokenExecutor:
            # A task took the pool down, and the pool cannot say which. Those that may have been
            # running are tried alone, where a second crash can only be a task's own.
            suspects = items[len(results) : len(results) + _TASKS_IN_FLIGHT * pool.workers]
            results += [_alone(function, item, pool) for item in suspects]
    return results


def _stream(
    function: Callable[[Item], Value], items: Sequence[Item], pool: _Pool
) -> Iterator[Result[Value]]:
    """Results in the order of the items, as they become available."""
    from joblib import Parallel, delayed, parallel_config

    if not pool.is_loky:
        _load(pool.imports)
    # Threads of this process share its limit, so it is set around all of them.
    caller_limit = nullcontext() if pool.is_loky else single_threaded()
    # Only loky can set the thread variables of a process before its libraries load.
    options: dict[str, Any] = {"inner_max_num_threads": 1} if pool.is_loky else {}
    with caller_limit, parallel_config(pool.backend, n_jobs=pool.workers, **options):
        parallel = Parallel(
            n_jobs=pool.workers,
            return_as="generator",
            timeout=_hard_limit_s(pool.time_limit_s),
            # One task at a time: the limit then holds for a task, not for a batch of them.
            batch_size="auto" if pool.time_limit_s is None else 1,
        )
        yield from parallel(delayed(_attempt_elsewhere)(function, item, pool) for item in items)


def _alone(function: Callable[[Item], Value], item: Item, pool: _Pool) -> Result[Value]:
    try:
        # At least two workers, since one would make joblib run the task in this process.
        return next(_stream(function, [item], pool))
    except _timeout_errors():
        return _overdue(pool.time_limit_s)
    except BrokenExecutor as error:
        return _failed(error)


def _overdue(time_limit_s: float | None) -> Failed:
    return Failed(error=TaskTimeoutError.__name__, message=_too_long(time_limit_s))


def _timeout_errors() -> tuple[type[BaseException], ...]:
    # joblib raises the class of multiprocessing, which is not Python's own.
    from multiprocessing import TimeoutError as PoolTimeoutError

    return (TimeoutError, PoolTimeoutError)


def _hard_limit_s(time_limit_s: float | None) -> float | None:
    return None if time_limit_s is None else time_limit_s * _HARD_LIMIT_FACTOR + _HARD_LIMIT_EXTRA_S


def _attempt(
    function: Callable[[Item], Value], item: Item, time_limit_s: float | None
) -> Result[Value]:
    """Run one task and turn what it raises into a value."""
    try:
        with _alarm(time_limit_s) if time_limit_s is not None else nullcontext():
            return Done(value=function(item))
    except (Exception, TaskTimeoutError) as error:
        # A boundary by design: the caller gets every failure as a value and must look at it.
        return Failed(
            error=type(error).__name__,
            message=str(error) or "no message",
            remedy=getattr(error, "remedy", ""),
        )


def _attempt_elsewhere(function: Callable[[Item], Value], item: Item, pool: _Pool) -> Result[Value]:
    """Run one task on a worker; its libraries are loaded before its time starts to count."""
    _load(pool.imports)
    if not pool.is_loky:
        # For good rather than for the task: the limit is the process's, and of two tasks in two
        # threads the first to end would lift it for the other. In the caller's own process it is
        # set around all tasks; only OpenMP counts for each thread on its own.
        from threadpoolctl import threadpool_limits

        is_caller = os.getpid() == pool.caller_pid
        threadpool_limits(limits=1, user_api="openmp" if is_caller else None)
    return _attempt(function, item, pool.time_limit_s)


def _load(imports: Sequence[str]) -> None:
    for name in imports:
        import_module(name)


@contextmanager
def _alarm(time_limit_s: float) -> Iterator[None]:
    """Raise `TaskTimeoutError` in this thread when the time is up."""

    def ring(*_: object) -> None:
        raise TaskTimeoutError(_too_long(time_limit_s))

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    pending_s, interval_s = signal.setitimer(signal.ITIMER_REAL, time_limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        if pending_s > 0:
            # There is one such timer per process: whoever had set it gets the rest of its time.
            rest_s = max(pending_s - (time.monotonic() - began), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, rest_s, interval_s)


def _require_alarm() -> None:
    if os.name == "posix" and threading.current_thread() is threading.main_thread():
        return
    raise UsageError(
        "a time limit needs the main thread of its process on a POSIX system",
        remedy='call fan_out from the main thread, use workers >= 2 with backend="loky", '
        "or leave time_limit_s out",
    )


def _too_long(time_limit_s: float | None) -> str:
    return f"ran longer than {time_limit_s} s"
