"""`pmx bench`: rows are checked, limits decide the exit code."""

import json
from pathlib import Path

import pytest

from apps.cli import bench
from apps.cli.main import main
from quant.core.errors import DataError, UsageError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with benchmarks of its own, under names that no other test imports."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "_helper.py").write_text("")
    (folder / "swift.py").write_text(
        "def run():\n    return [{'name': 'read', 'ratio': 0.5, 'limit': 2, 'seconds': 0.1},"
        " {'name': 'beside', 'ratio': 9.0}]\n"
    )
    (folder / "slow.py").write_text(
        "def run():\n    return [{'name': 'read', 'ratio': 3.0, 'limit': 2}]\n"
    )
    (folder / "broken.py").write_text("def run():\n    raise RuntimeError('no')\n")
    monkeypatch.setattr(bench, "project_root", lambda: tmp_path)
    monkeypatch.setenv("PMX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    for name in [m for m in __import__("sys").modules if m.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(__import__("sys").modules, name)
    return tmp_path


def test_rows_get_their_verdict(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A smaller ratio is better; a row without a limit is printed beside and holds."""
    assert main(["bench", "swift", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "bench": "swift",
        "rows": [
            {"name": "read", "ratio": 0.5, "limit": 2, "holds": True, "seconds": 0.1},
            {"name": "beside", "ratio": 9.0, "limit": None, "holds": True},
        ],
    }


def test_a_broken_limit_is_exit_code_one(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "slow"]) == 1
    assert capfd.readouterr().out == "BROKEN  read: 3 (limit 2)\n"


def test_an_unknown_benchmark_lists_the_known_ones(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "swft"]) == 2
    assert "choose one of: broken, slow, swift, all" in capfd.readouterr().err


def test_a_folder_without_benchmarks_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no benchmarks in"):
        bench.names(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"name": "x"},
        {"ratio": 1.0},
        {"name": "x", "ratio": float("nan")},
        {"name": "x", "ratio": "1"},
        {"name": "x", "ratio": 3.0, "limit": 2.0, "holds": True},
    ],
)
def test_a_row_that_is_no_measurement_is_refused(row: dict[str, object]) -> None:
    """Above all one that claims to hold although its own numbers say otherwise."""
    with pytest.raises(DataError, match="benchmark b "):
        bench.checked_row(row, bench="b")


def test_a_benchmark_that_crashes_in_its_own_process_is_a_row_that_does_not_hold(
    checkout: Path,
) -> None:
    """`bench all` goes on with the others and still ends with exit code 1."""
    (row,) = bench._apart("no_such_benchmark")
    assert row["holds"] is False
    assert row["error"]
    assert bench.Bench(bench="all", rows=[row]).exit_code == 1
