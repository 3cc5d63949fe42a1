"""Calls of the real command line from tests: in this process, or as a process of its own."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.cli.main import main
from resources.companion import Companion
from resources.desk import Desk
from resources.quality_engine import vendor
from resources.settings import Settings, project_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one object that --json promises."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    def error(self, code: int, *words: str) -> str:
        """The one error, after checking its code, its form and that it holds `words`."""
        assert self.code == code, (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "do this: " in self.err, self.err
        assert "Traceback" not in self.err + self.out
        for word in words:
            assert word in self.err, (word, self.err)
        return lines[0]


Pmx = Callable[..., Answer]


def in_process(home: Path, capfd: pytest.CaptureFixture[str]) -> Pmx:
    """Commands on `home` in this process, whose judge is imported once for all of them."""

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        with judge_in_this_process():
            code = main([*map(str, arguments), "--home", str(home)])
        output = capfd.readouterr()
        return Answer(code=code, out=output.out, err=output.err)

    return call


@contextmanager
def judge_in_this_process() -> Iterator[None]:
    """A companion that was never started runs everything here; the verdicts are the same."""
    with warnings.catch_warnings():
        # Importing the vendor warns of its dependencies' modules; that is not ours to mend.
        warnings.simplefilter("ignore")
        vendor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "companion", property(lambda _: Companion()))
        yield


def command(*arguments: object) -> list[str]:
    """The command line as the console script runs it."""
    return [sys.executable, "-m", "apps.cli.main", *map(str, arguments)]


def environment(home: Path) -> dict[str, str]:
    """This process's environment with another home and no other setting of the product."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PMX_")}
    return kept | {"PMX_HOME": str(home), "PYTHONPATH": str(project_root())}


def in_own_process(home: Path, *arguments: object) -> Answer:
    """One command as a process of its own."""
    done = subprocess.run(
        command(*arguments),
        env=environment(home),
        cwd=project_root(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


@contextmanager
def desk_at(home: Path) -> Iterator[Desk]:
    """A desk on `home` that judges in this process."""
    with judge_in_this_process(), Desk(Settings.from_env(home=home)) as desk:
        yield desk


def table_counts(home: Path) -> dict[str, int]:
    """Rows of the tables that an ingest writes, and the lake's newest snapshot."""
    tables = ("raw.daily_bars", "raw.intraday_bars", "raw.corporate_actions")
    with desk_at(home) as desk:
        counts = {
            name: desk.warehouse.rows(f"SELECT count(*) FROM {name}")[0][0]
            for name in (*tables, "clean.daily_bars", "clean.findings")
        }
        return counts | {"snapshot": desk.warehouse.snapshot_id()}
