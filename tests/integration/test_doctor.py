"""`pmx doctor` on real state: a run whose process was killed, a lock, a clock that ran back."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from apps.cli import checks
from resources.dagster_home import child_environment, prepare_dagster_home
from resources.settings import Settings, project_root


def doctor(home: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli.main", "doctor", "--json", *arguments],
        cwd=project_root(),
        env=os.environ | {"PMX_HOME": str(home)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    answer = json.loads(done.stdout)
    assert answer["holds"] == (done.returncode == 0), done.stderr.decode()
    return done.returncode, {check["name"]: check for check in answer["checks"]}


def test_a_run_whose_process_was_killed_is_found_and_freed(tmp_path: Path) -> None:
    """While it lives it is left alone; after kill -9 it is named; --fix marks it failed."""
    settings = Settings.from_env({}, home=tmp_path)
    prepare_dagster_home(settings)
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.tiny.sleeper"],
        cwd=project_root(),
        env=child_environment(settings, with_secrets=False),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert run.stdout is not None
        assert any(line == "sleeping\n" for line in run.stdout)
        code, found = doctor(tmp_path)
        assert (code, found["dagster runs"]["found"]) == (0, "none is stuck")
    finally:
        run.kill()
        run.wait()

    code, found = doctor(tmp_path)
    assert code == 1
    assert "1 without a live process" in found["dagster runs"]["found"]
    assert "--fix" in found["dagster runs"]["remedy"]

    assert "marked failed" in doctor(tmp_path, "--fix")[1]["dagster runs"]["found"]
    assert doctor(tmp_path)[1]["dagster runs"]["found"] == "none is stuck"


def test_a_fresh_home_is_sound_and_stays_untouched(tmp_path: Path) -> None:
    """Every extension of DuckDB loads, there is room, and nothing was written."""
    code, found = doctor(tmp_path / "new")
    assert code == 0
    assert found["duckdb extensions"]["status"] == "ok"
    assert found["dagster runs"]["found"] == "no run recorded yet"
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_is_named_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "writer.lock"
    path.parent.mkdir()
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (path, os.getpid()) in checks.held_locks(tmp_path)
    assert checks.held_locks(tmp_path) == []


def test_a_clock_that_ran_back_is_a_failure(tmp_path: Path) -> None:
    """Decisions are ordered by the clock, so a stored file from the future must not be ignored."""
    path = tmp_path / "x"
    path.write_text("")
    assert checks.clock(tmp_path).status == "ok"
    os.utime(path, (time.time() + 3600,) * 2)
    assert checks.clock(tmp_path).status == "fail"


def test_a_home_inside_a_file_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = checks.home_writable(tmp_path / "file" / "home")
    assert check.status == "fail"
    assert "PMX_HOME" in check.remedy


def test_other_versions_than_the_locked_ones_are_a_warning(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0.0.1 ; python_version < '3'\nnumpy==0.0.2\n")
    check = checks.package_versions(lock)
    assert check.status == "warn"
    assert "instead of 0.0.1 or 0.0.2" in check.found
