"""Plants each defect into a copy of the code and says which of them the tests see.

Run it as `python -m tests.planted.plant [--every N] [--name TEXT]`. The gate of one defect is ten
seeds of the simulation, then the unit tests of execution, then (for a defect of the ledger's code)
the tests of the ledger's files, in a process of its own; the first thing that fails has caught it.
A gate that does not end within its time has caught it too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.planted.defects import DEFECTS, Defect

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("quant", "resources", "apps", "tests", "docs", "pyproject.toml")
GATE_TIMEOUT_S: Final = 240
SHARE_MIN: Final = 0.95
# Exit codes of the gate, so that it is known who has seen the defect.
SEEN_BY: Final = {0: "", 3: "simulation", 4: "unit tests", 5: "ledger tests"}
_LEDGER: Final = "resources/ledger/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Who saw a defect; nobody when `seen_by` is empty."""

    name: str
    file: str
    seen_by: str
    seconds: float


def plant(defect: Defect, place: Path, *, unit_tests: bool = True) -> Outcome:
    """Plant one defect in the copy at `place`, run the gate, and take it out again."""
    path = place / defect.file
    sound = path.read_text(encoding="utf-8")
    start = time.perf_counter()
    path.write_text(planted(defect, sound), encoding="utf-8")
    try:
        is_ledger = defect.file.startswith(_LEDGER)
        seen_by = _gate(place, unit_tests=unit_tests, ledger_tests=unit_tests and is_ledger)
    finally:
        path.write_text(sound, encoding="utf-8")
    return Outcome(
        name=defect.name,
        file=defect.file,
        seen_by=seen_by,
        seconds=round(time.perf_counter() - start, 2),
    )


def planted(defect: Defect, sound: str) -> str:
    """The text with the defect in it."""
    if sound.count(defect.old) != 1:
        raise ValueError(f"{defect.file} has {sound.count(defect.old)} places for: {defect.name}")
    return sound.replace(defect.old, defect.new)


def copy_of_the_code(folder: Path) -> Path:
    """A copy that may be spoiled; data and the like are read where they are."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)
    (folder / "data").symlink_to(ROOT / "data")
    return folder


class UnsoundError(Exception):
    """The gate fails without any defect, so that it would see all of them and mean none."""


def plant_each(chosen: Sequence[Defect]) -> list[Outcome]:
    """Plant them one after the other in one copy, and say on standard error who saw each."""
    with tempfile.TemporaryDirectory(prefix="pmx-planted-") as folder:
        place = copy_of_the_code(Path(folder))
        if seen_by := _gate(place, unit_tests=True, ledger_tests=True):
            raise UnsoundError(f"the sound code does not pass its own gate: {seen_by}")
        outcomes = []
        for defect in chosen:
            outcomes.append(outcome := plant(defect, place))
            sys.stderr.write(f"{outcome.seen_by or 'NOT SEEN':<12} {outcome.name}\n")
            sys.stderr.flush()
    return outcomes


def _gate(place: Path, *, unit_tests: bool, ledger_tests: bool) -> str:
    command = [sys.executable, "-m", "tests.planted.gate"]
    command += ["--unit"] if unit_tests else []
    command += ["--ledger"] if ledger_tests else []
    # No bytecode: two texts of one length in one second would be taken for the same.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(place)}
    try:
        done = subprocess.run(
            command, cwd=place, env=env, capture_output=True, timeout=GATE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "time-out"
    return SEEN_BY.get(done.returncode, "a crash")


def main() -> int:
    """Plant all that are asked for; 0 when enough of them were seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="plant each Nth defect only")
    parser.add_argument("--first", type=int, default=0, help="start with this one")
    parser.add_argument("--name", default="", help="plant defects whose name contains this")
    options = parser.parse_args()
    chosen = [one for one in DEFECTS[options.first :: options.every] if options.name in one.name]
    try:
        outcomes = plant_each(chosen)
    except UnsoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    seen = sum(bool(one.seen_by) for one in outcomes)
    share = seen / len(outcomes)
    summary = {
        "planted": len(outcomes),
        "seen": seen,
        "share": round(share, 4),
        "seen_by_simulation": sum(one.seen_by == "simulation" for one in outcomes),
        "seen_by_unit_tests": sum(one.seen_by == "unit tests" for one in outcomes),
        "seen_by_ledger_tests": sum(one.seen_by == "ledger tests" for one in outcomes),
        "not_seen": [one.name for one in outcomes if not one.seen_by],
        "seconds": round(sum(one.seconds for one in outcomes), 1),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0 if share >= SHARE_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
