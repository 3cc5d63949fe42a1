"""What the demo tells somebody who has never seen the product."""

import os
import sys
from pathlib import Path

import pytest

from apps.cli.demo import typed_name


def make_pmx(folder: Path) -> Path:
    """An environment's `pmx`."""
    script = folder / "bin" / "pmx"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_the_next_command_can_be_typed_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make run` changes no PATH: without one, "pmx why" would be "command not found"."""
    script = make_pmx(tmp_path / ".venv")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    assert typed_name() == os.path.join(".venv", "bin", "pmx")
    monkeypatch.setenv("PATH", str(script.parent))
    assert typed_name() == "pmx"


def test_another_installation_on_the_path_is_not_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkouts: the demo of one must not send its reader to the other."""
    make_pmx(tmp_path / "mine")
    other = make_pmx(tmp_path / "other")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(other.parent))
    assert typed_name() == os.path.join("mine", "bin", "pmx")
