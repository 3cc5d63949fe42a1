"""Dask and Ray behind the same function: the same bits, and failures that stay where they are."""

import builtins
import os
import time

import numpy as np
import pytest

from quant.core.clusters import Backend
from quant.core.compute import Done, Failed, fan_out
from quant.core.errors import ModelError, UsageError

# What the engines themselves warn of: their own choice of defaults, and sockets that they leave to
# the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _work(seed: int) -> bytes:
    """Sums whose last bit shows another order of adding, a refusal, and a crash."""
    if seed == 3:
        raise ModelError("three cannot be fitted", remedy="give more data")
    if seed == 4:
        os._exit(7)
    matrix = np.random.default_rng(seed).normal(size=(80, 80))
    return (matrix @ matrix.T).sum(axis=0).tobytes()


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_gives_the_bytes_of_a_plain_loop_and_contains_its_failures(backend):
    """A cluster of two processes on loopback, made for the call and gone after it."""
    seeds = [5, 3, 11, 4, 2, 7]
    began = time.monotonic()
    found = fan_out(_work, seeds, workers=2, backend=backend)
    harmless = [seed for seed in seeds if seed != 4]
    expected = dict(zip(harmless, fan_out(_work, harmless, workers=1), strict=True))
    assert {seed: one for seed, one in zip(seeds, found, strict=True) if seed != 4} == expected
    assert found[seeds.index(4)] == Failed(
        error="WorkerLostError", message="the task ended its worker process"
    )
    assert all(not isinstance(one, Exception) for one in found)
    assert found[1] == Failed(
        error="ModelError", message="three cannot be fitted", remedy="give more data"
    )
    assert time.monotonic() - began < 30


def test_a_backend_is_named_by_one_word_or_by_the_address_of_a_cluster():
    """The two forms of PMX_FIT_BACKEND."""
    assert Backend.parse("loky") == Backend(engine="loky")
    assert Backend.parse("dask") == Backend(engine="dask")
    assert Backend.parse("ray://head:10001") == Backend(engine="ray", address="ray://head:10001")
    for wrong in ("spark", "loky://host", "", "dask:host"):
        with pytest.raises(UsageError, match="there is no backend") as refused:
            Backend.parse(wrong)
        assert "dask://host:port" in refused.value.remedy


def test_a_running_dask_cluster_is_used_by_its_address():
    """The scheduler's own port; the cluster is not ours, and still stands afterwards."""
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=None,
        protocol="tcp",
        host="127.0.0.1",
    ) as running:
        address = running.scheduler_address.replace("tcp://", "dask://")
        found = fan_out(_work, [1, 2], workers=1, backend=address)
        assert found == fan_out(_work, [1, 2], workers=1)
        with Client(running, set_as_default=False) as client:
            assert len(client.scheduler_info()["workers"]) == 1


def test_a_missing_engine_is_refused_with_the_way_to_install_it(monkeypatch):
    """Before any task is started."""
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.partition(".")[0] in ("ray", "distributed"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr("quant.core.clusters.import_module", refuse)
    for backend, missing in (("ray", "ray"), ("dask", "distributed")):
        with pytest.raises(UsageError, match=f"needs {missing}") as refused:
            fan_out(_work, [1, 2], workers=2, backend=backend)
        assert "portfolio-maximizer[cluster]" in refused.value.remedy


@pytest.mark.parametrize("backend", ["dask", "ray", "threading"])
def test_a_time_limit_is_refused_where_it_cannot_be_kept(backend):
    """Better than a limit that is silently none."""
    with pytest.raises(UsageError, match="time limit cannot be kept"):
        fan_out(_work, [1, 2], workers=2, backend=backend, time_limit_s=1)


def test_sequential_is_a_plain_loop_whatever_the_workers():
    """For a debugger, and for a machine with little memory."""
    assert fan_out(_work, [1, 2], workers=4, backend="sequential") == [
        Done(value=_work(1)),
        Done(value=_work(2)),
    ]
