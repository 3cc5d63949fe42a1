"""Every command that loads the code location pays for its imports, so they are counted."""

import subprocess
import sys

import pytest

from benchmarks import imports
from resources.settings import project_root

HEAVY = (
    *("pandas", "numpy", "mlflow", "great_expectations", "statsmodels", "arch", "duckdb", "scipy"),
    *("sqlalchemy", "plotly", "talib", "numba", "ccxt", "alpaca", "yfinance", "exchange_calendars"),
)


def loaded_by(module: str) -> set[str]:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_code_location_imports_none_of_the_heavy_packages() -> None:
    """Each of them costs as much as Dagster itself, and most commands need none."""
    needed_by_dagster = loaded_by("dagster")
    loaded = loaded_by("dagster_project.definitions")
    assert [name for name in HEAVY if name in loaded - needed_by_dagster] == []
    assert {"dagster", "quant.market.calendars", "assets.order.records"} <= loaded


def test_the_code_location_costs_little_more_than_dagster() -> None:
    """The benchmark's own row; a busy machine gets a second chance."""
    row = imports.run()[0]
    if not row["holds"]:
        row = imports.run()[0]
    assert row["holds"], row


def test_the_benchmark_can_say_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "best_seconds", lambda *_modules: [2.0, 1.5])
    row = imports.run()[0]
    assert (row["ratio"], row["holds"]) == (1.333, False)
