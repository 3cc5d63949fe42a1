"""Fan-out beyond joblib: Dask and Ray, on a cluster that is there or on one made for the call.

Belongs here: which text names which engine, and running independent tasks on these two. Does not
belong here: the rule about failures and order (`compute`), which is the same for all of them.

Their joblib adapters are passed over: Ray's rewires a base class of joblib for the whole process,
and neither says which task took its worker down. Their own clients do.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from quant.core.errors import UsageError

LOCAL_ENGINES: Final = ("sequential", "threading", "loky")
CLUSTER_ENGINES: Final = ("dask", "ray")
# The address of a Dask scheduler is written dask://host:port, and is TCP to Dask itself.
_MODULES: Final = {"dask": ("dask", "distributed"), "ray": ("ray",)}
# Ray wants at least 75 MiB; a task carries one window of returns, a few kilobytes.
_RAY_STORE_BYTES: Final = 100 * 1024 * 1024


class WorkerLostError(Exception):
    """The process that ran a task is gone, and the task may have been why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where tasks run: an engine, and for a cluster that is there already its address."""

    engine: str
    address: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Backend":
        """One of the engines' names, or dask://host:port, or ray://host:port."""
        engine, found, _ = text.partition("://")
        if engine in LOCAL_ENGINES and not found:
            return cls(engine=engine)
        if engine in CLUSTER_ENGINES:
            return cls(engine=engine, address=text if found else None)
        raise UsageError(
            f"there is no backend {text!r}",
            remedy=f"use one of {', '.join((*LOCAL_ENGINES, *CLUSTER_ENGINES))}, "
            "or dask://host:port or ray://host:port for a cluster that is running",
        )

    @property
    def is_cluster(self) -> bool:
        """Whether tasks go through Dask or Ray."""
        return self.engine in CLUSTER_ENGINES

    def require(self) -> None:
        """Refuse with a remedy what is not installed."""
        for name in _MODULES.get(self.engine, ()):
            try:
                import_module(name)
            except ImportError as error:
                raise UsageError(
                    f"the backend {self.engine!r} needs {name}, which is not installed",
                    remedy='install it with pip install "portfolio-maximizer[cluster]", '
                    'or use the backend "loky"',
                ) from error


@contextmanager
def cluster(backend: Backend, *, workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A function that runs calls on the cluster and gives their outcomes in order.

    It is called as `run(function, [arguments, ...])`. An outcome is what the call returned, or the
    error that kept it from returning: `WorkerLostError` where its process ended. A cluster without
    an address is started here, on loopback, with `workers` processes of one thread, and is gone
    afterwards.
    """
    backend.require()
    with (_dask if backend.engine == "dask" else _ray)(backend, workers) as run:
        yield run


@contextmanager
def _dask(backend: Backend, workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    import dask
    import distributed

    engine: Any = distributed  # its classes have no types

    def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        # Not pure: two equal tasks are two tasks, and a result is never taken from another run.
        futures = [client.submit(function, *arguments, pure=False) for arguments in calls]
        for future in futures:
            try:
                yield future.result()
            except engine.KilledWorker as error:
                yield WorkerLostError(str(error))
            except Exception as error:  # what cannot be sent or unpacked; the caller records it
                yield error

    if backend.address is not None:
        address = backend.address.replace("dask://", "tcp://", 1)
        with engine.Client(address, set_as_default=False) as client:
            yield run
        return
    # A worker that dies is not tried again with the same tasks: who it was is found out by the
    # caller, one task at a time.
    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.admin.tick.interval": "1s",
        "distributed.worker.multiprocessing-method": "spawn",
    }
    with (
        dask.config.set(settings),
        engine.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as local,
        engine.Client(local, set_as_default=False) as client,
    ):
        yield run


@contextmanager
def _ray(backend: Backend, workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    # Read by Ray when it starts: nothing is reported to its makers, and its processes find the same
    # modules as this one.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with _environment({"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": path}):
        import ray
        from ray.exceptions import WorkerCrashedError

        def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
            remote = ray.remote(num_cpus=1, max_retries=0)(function)
            waiting = [remote.remote(*arguments) for arguments in calls]
            for one in waiting:
                try:
                    yield ray.get(one)
                except WorkerCrashedError as error:
                    yield WorkerLostError(str(error))
                except Exception as error:  # what cannot be sent or unpacked
                    yield error

        if ray.is_initialized():
            yield run
            return
        started: dict[str, Any] = {
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _RAY_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
        ray.init(
            address=backend.address or "local",
            log_to_driver=False,
            configure_logging=False,
            **({} if backend.address else started),
        )
        try:
            yield run
        finally:
            ray.shutdown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for the children that are started meanwhile, and then as it was."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
