"""`pmx bench NAME|all`: runs modules of `benchmarks/` and says whether their limits hold.

A benchmark is `benchmarks/NAME.py` with `run() -> list[dict]`: each row has `name` and `ratio`
(smaller is better), usually `limit`, and any further numbers. It measures the product and its
rival in one process; `all` starts a fresh process for each, so that none warms another's caches.
"""

import importlib
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import DataError, UsageError
from resources.settings import project_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench(CommandResult):
    """The rows of one benchmark, or of all."""

    bench: str
    rows: list[dict[str, Any]]

    @property
    def exit_code(self) -> int:
        """1 when any limit does not hold."""
        return 0 if all(row["holds"] for row in self.rows) else 1

    def render(self, console: Any) -> None:
        """One line a row."""
        for row in self.rows:
            console.print(_line(row))


def run(
    cli: Cli,
    name: Annotated[str, typer.Argument(help="A benchmark's name, or all.", metavar="NAME|all")],
) -> Bench:
    """Run one benchmark, or every one."""
    known = names(project_root() / "benchmarks")
    if name == "all":
        rows = [row for each in cli.console.track(known, "benchmarks") for row in _apart(each)]
        return Bench(bench=name, rows=rows)
    if name not in known:
        raise UsageError(
            f"there is no benchmark {name!r}",
            remedy=f"choose one of: {', '.join([*known, 'all'])}",
        )
    # Found by path and not installed, since benchmarks belong to the checkout.
    sys.path.insert(0, str(project_root()))
    module = importlib.import_module(f"benchmarks.{name}")
    return Bench(bench=name, rows=[checked_row(row, bench=name) for row in module.run()])


def names(folder: Path) -> list[str]:
    """Every benchmark in `folder`; names with a leading underscore are helpers."""
    found = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    if not found:
        raise UsageError(
            f"there are no benchmarks in {folder}", remedy="run this from a source checkout"
        )
    return found


def checked_row(row: dict[str, Any], *, bench: str) -> dict[str, Any]:
    """The row with `limit` and `holds` filled in; `DataError` if it is not a measurement."""
    ratio, limit = row.get("ratio"), row.get("limit")
    if not isinstance(row.get("name"), str) or not _is_number(ratio):
        raise DataError(
            f"benchmark {bench} gave a row without a name and a finite ratio: {row}",
            remedy=f"mend run() in benchmarks/{bench}.py",
        )
    holds = limit is None or float(str(ratio)) <= float(limit)
    if row.get("holds", holds) != holds:
        raise DataError(
            f"benchmark {bench} says holds={row['holds']} of ratio {ratio} and limit {limit}",
            remedy=f"mend run() in benchmarks/{bench}.py",
        )
    return {"name": row["name"], "ratio": ratio, "limit": limit, "holds": holds} | row


def _is_number(value: object) -> bool:
    number = value.item() if hasattr(value, "item") else value
    return isinstance(number, int | float) and math.isfinite(number)


def _apart(name: str) -> list[dict[str, Any]]:
    """The rows of one benchmark from a process of its own; a crash is a row that does not hold."""
    command = [sys.executable, "-m", "apps.cli.main", "bench", name, "--json"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=project_root(), check=False
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"error": {"message": f"ended with exit code {done.returncode} and no answer"}}
    if "error" in answer:
        message = answer["error"]["message"]
        return [{"bench": name, "name": name, "ratio": None, "holds": False, "error": message}]
    return [{"bench": name} | row for row in answer["rows"]]


def _line(row: dict[str, Any]) -> str:
    place = f"{row['bench']}: {row['name']}" if "bench" in row else row["name"]
    if row["ratio"] is None:
        return f"FAILED  {place}: {row['error']}"
    limit = "no limit" if row["limit"] is None else f"limit {row['limit']:g}"
    return f"{'holds ' if row['holds'] else 'BROKEN'}  {place}: {row['ratio']:.3g} ({limit})"
