"""Dagster's storage with kept connections is Dagster's storage: same files, same answers."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

from resources.dagster_storage import KeptEventLogStorage, KeptRunStorage


@dg.asset(check_specs=[dg.AssetCheckSpec("is_fine", asset="thing")])
def thing() -> dg.MaterializeResult:
    """Something with a check and a figure."""
    return dg.MaterializeResult(
        metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True)]
    )


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance that the shipped dagster.yaml describes."""
    shipped = Path(__file__).parents[2] / "deploy/dagster.yaml"
    (tmp_path / "dagster.yaml").write_text(shipped.read_text(encoding="utf-8"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_shipped_settings_choose_this_storage(instance: dg.DagsterInstance) -> None:
    """Everything that opens DAGSTER_HOME, web pages included, gets it."""
    assert isinstance(instance.event_log_storage, KeptEventLogStorage)
    assert isinstance(instance.run_storage, KeptRunStorage)


def test_dagsters_own_class_reads_what_was_written(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """While the connection is open, as another process would: runs, events, checks."""
    result = dg.materialize([thing], instance=instance)
    assert result.success
    plain = DagsterSqliteStorage(str(tmp_path))
    plain.register_instance(instance)
    assert [run.run_id for run in plain.run_storage.get_runs()] == [result.run_id]
    theirs = [e.dagster_event_type for e in plain.event_log_storage.get_logs_for_run(result.run_id)]
    ours = [e.dagster_event_type for e in instance.all_logs(result.run_id)]
    assert theirs == ours
    assert dg.DagsterEventType.ASSET_MATERIALIZATION in theirs
    assert dg.DagsterEventType.ASSET_CHECK_EVALUATION in theirs


def test_many_runs_keep_few_files_open(instance: dg.DagsterInstance) -> None:
    """Sixty nights in one process must not hold sixty databases."""
    for _ in range(8):
        assert dg.materialize([thing], instance=instance).success
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system has no /proc")
    opened = {os.readlink(link) for link in folder.iterdir() if link.is_symlink() and link.exists()}
    own = str(instance.root_directory)
    runs = {name for name in opened if name.startswith(own) and name.endswith(".db")}
    runs = {name for name in runs if "/history/runs/" in name}
    assert 1 <= len(runs) <= 5
    assert len(instance.get_runs()) == 8


def test_a_wiped_event_log_begins_again(instance: dg.DagsterInstance) -> None:
    """`dagster instance` commands remove files under open connections."""
    first = dg.materialize([thing], instance=instance)
    instance.wipe()
    second = dg.materialize([thing], instance=instance)
    assert second.success
    assert [run.run_id for run in instance.get_runs()] == [second.run_id]
    assert instance.all_logs(first.run_id) == []
