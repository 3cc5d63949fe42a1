"""Switches of models: comments stay, changes are recorded, and running processes see them."""

import datetime as dt
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apps.cli.main import main
from quant.core.errors import PolicyError, StateError, UsageError
from quant.signals.flags import FlagsPolicy
from resources.flags import FILE_NAME, HISTORY_NAME, FlagReader, history, set_flag
from resources.policy import load_policy
from resources.settings import project_root

NOW = dt.datetime(2022, 12, 28, 22, 0, tzinfo=dt.UTC)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    shutil.copytree(project_root() / "config", folder)
    return folder


def switch(config: Path, model: str, *, is_on: bool, by: str = "ada", reason: str = ""):
    return set_flag(
        config, config.parent / "flags", model, is_on=is_on, changed_by=by, reason=reason, now=NOW
    )


def test_one_line_changes_and_everything_else_of_the_file_stays(config: Path) -> None:
    """Comments are why the next person trusts the file."""
    before = (config / FILE_NAME).read_text(encoding="utf-8")
    switch(config, "sarimax", is_on=False)
    after = (config / FILE_NAME).read_text(encoding="utf-8")
    assert after == before.replace("sarimax: true", "sarimax: false")


def test_a_model_without_a_switch_gets_one(config: Path) -> None:
    switch(config, "qwen", is_on=True)
    assert load_policy(config / FILE_NAME, FlagsPolicy).models["qwen"] is True


def test_who_moved_what_when_and_why_is_kept(config: Path) -> None:
    """Two changes, chained; the same again is no change."""
    switch(config, "sarimax", is_on=False, reason="drift")
    assert switch(config, "sarimax", is_on=False) is None
    switch(config, "sarimax", is_on=True, by="grace")
    first, second = history(config.parent / "flags")
    assert (first.before, first.after, first.changed_by, first.reason) == (
        True,
        False,
        "ada",
        "drift",
    )
    assert second.previous == first.hash
    assert second.changed_at == "2022-12-28T22:00:00+00:00"


def test_a_record_that_was_edited_is_noticed(config: Path) -> None:
    switch(config, "sarimax", is_on=False)
    path = config.parent / "flags" / HISTORY_NAME
    path.write_text(path.read_text(encoding="utf-8").replace("ada", "eve"), encoding="utf-8")
    with pytest.raises(StateError, match="record 1 does not fit"):
        history(config.parent / "flags")


def test_twelve_writers_at_once_lose_nothing(config: Path) -> None:
    """Each switches its own model on; the chain holds and the file has all of them."""
    names = [f"model_{i}" for i in range(12)]
    threads = [
        threading.Thread(target=switch, args=(config, name), kwargs={"is_on": True})
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(names) <= set(load_policy(config / FILE_NAME, FlagsPolicy).models)
    assert sorted(change.model for change in history(config.parent / "flags")) == sorted(names)


def test_a_reader_looks_again_after_its_time_and_not_before(config: Path) -> None:
    """The clock is the test's: at four seconds the old answer, at five the new one."""
    clock = [0.0]
    reader = FlagReader(config / FILE_NAME, monotonic=lambda: clock[0])
    assert reader.is_on("sarimax")
    switch(config, "sarimax", is_on=False)
    clock[0] = 4.9
    assert reader.is_on("sarimax")
    clock[0] = 5.0
    assert not reader.is_on("sarimax")
    assert not reader.is_on("never_heard_of")


def test_a_file_that_was_broken_raises_and_is_not_taken_for_on(config: Path) -> None:
    clock = [0.0]
    reader = FlagReader(config / FILE_NAME, monotonic=lambda: clock[0])
    reader.current()
    (config / FILE_NAME).write_text("models: [", encoding="utf-8")
    clock[0] = 60.0
    with pytest.raises(PolicyError):
        reader.is_on("sarimax")
    (config / FILE_NAME).unlink()
    clock[0] = 120.0
    with pytest.raises(PolicyError):
        reader.is_on("sarimax")


def test_a_running_process_sees_a_switch_that_another_one_moved(config: Path) -> None:
    """A process of its own polls; this one runs the command. Well within the promised minute."""
    text = (config / FILE_NAME).read_text(encoding="utf-8")
    (config / FILE_NAME).write_text(
        text.replace("recheck_seconds: 5", "recheck_seconds: 1"), encoding="utf-8"
    )
    script = (
        "import sys, time; from pathlib import Path; from resources.flags import FlagReader\n"
        "reader = FlagReader(Path(sys.argv[1])); print(reader.is_on('garch'), flush=True)\n"
        "end = time.monotonic() + 30\n"
        "while reader.is_on('garch') and time.monotonic() < end: time.sleep(0.05)\n"
        "print(reader.is_on('garch'), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(config / FILE_NAME)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "True"
        switch(config, "garch", is_on=False)
        assert process.stdout.readline().strip() == "False"


def test_the_command_moves_a_switch_and_shows_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMX_CONFIG_DIR", str(config))
    home = str(config.parent / "home")
    assert main(["flags", "set", "sarimax", "off", "--reason", "drift", "--home", home]) == 0
    capfd.readouterr()
    assert main(["flags", "show", "--json", "--home", home]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["models"]["sarimax"] is False
    assert shown["changes"][0]["reason"] == "drift"


@pytest.mark.parametrize(("model", "state"), [("sarimax", "perhaps"), ("nobody", "off")])
def test_a_switch_that_means_nothing_is_refused(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    model: str,
    state: str,
) -> None:
    monkeypatch.setenv("PMX_CONFIG_DIR", str(config))
    assert main(["flags", "set", model, state, "--home", str(config.parent / "home")]) == 2
    with pytest.raises(UsageError):
        switch(config, "No Name", is_on=True)
