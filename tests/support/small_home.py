"""A small installation with real nights in it: four symbols, a few years, six sessions traded.

Belongs here: making such a home through the product's own demo, and the fixtures that lend it.
Does not belong here: what a test asks of it.

`conftest.py` offers two fixtures. `small_home` is made once a test session and is only looked at;
`own_home` is a copy that the test may change. Both are settings: `Desk(small_home)` opens them.
Anything the demo does can be run on them again with `small_cli`, in this process, or with
`python -m tests.support.small_demo` in one that may be killed.
"""

import contextlib
import dataclasses
import datetime as dt
import functools
import io
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from apps.cli.console import Console
from apps.cli.result import Cli
from quant.execution.codec import to_payload
from resources.desk import Desk
from resources.settings import Settings, project_root

SYMBOLS = ("AAPL", "JPM", "KO", "XOM")
HISTORY_START = dt.date(2020, 1, 2)
SESSIONS = 6
UNTIL = dt.date(2022, 12, 28)
NIGHTS = tuple(dt.date(2022, 12, day) for day in (20, 21, 22, 23, 27, 28))

# Everything that a policy file says stays as it is shipped, but for these lines.
POLICY = {
    "universe.yaml": {
        "history_start": HISTORY_START,
        "symbols": f"[{', '.join(SYMBOLS)}]",
    },
    # Four symbols over a short hold-out have fewer forecasts to judge than twenty over a year.
    "forecasts.yaml": {"fit_window_sessions": 252, "holdout_sessions": 60},
    "gates.yaml": {
        "holdout_observations_min": 100,
        "effective_audits_min": 1,
        "rmse_excess_max_fraction": 0.5,
    },
    # Six nights are too few for anybody's patience to end.
    "exits.yaml": {"holding_sessions_max": 1},
    "signals.yaml": {"expected_return_bps_min": 1.0, "cost_multiple_min": 1.0},
}


def make_small_home(folder: Path) -> Settings:
    """Policy, bundle and home in `folder`; the home is what the demo leaves behind."""
    settings = small_settings(folder)
    write_policy(settings.config_dir)
    write_bundle(folder / "sample")
    run_small_demo(settings)
    return settings


def small_settings(folder: Path) -> Settings:
    """The settings of a small installation in `folder`."""
    return Settings.from_env(small_environment(folder))


def small_environment(folder: Path) -> dict[str, str]:
    """What PMX_* must say for it."""
    # One process: four symbols are fitted faster than two workers start.
    return {
        "PMX_HOME": str(folder / "home"),
        "PMX_CONFIG_DIR": str(folder / "config"),
        "PMX_WORKERS": "1",
    }


def write_policy(folder: Path) -> None:
    """The shipped policy with the lines of `POLICY`."""
    shutil.copytree(project_root() / "config", folder)
    for name, lines in POLICY.items():
        path = folder / name
        text = path.read_text(encoding="utf-8")
        for key, value in lines.items():
            text, count = re.subn(rf"(?m)^{key}:.*$", f"{key}: {value}", text)
            if count != 1:
                raise ValueError(f"{name} has {count} lines with {key}, 1 was expected")
        path.write_text(text, encoding="utf-8")


def write_bundle(folder: Path) -> None:
    """The bundled data, cut down: the four symbols since the start, and a month of all else."""
    import pandas as pd

    from resources.market_data.sample import DAILY_FILES

    folder.mkdir()
    sample = project_root() / "data/sample"
    shutil.copy(sample / "corporate_actions_2004_2014.parquet", folder)
    for file in DAILY_FILES:
        rows = pd.read_parquet(sample / f"{file.stem}.parquet")
        if file.stem == "us_equity_adjclose_daily":
            since = pd.to_datetime(rows["date"]) >= pd.Timestamp(HISTORY_START)
            rows = rows[rows["symbol"].isin(SYMBOLS) & since]
        else:
            rows = rows.head(22)
        rows.to_parquet(folder / f"{file.stem}.parquet", index=False)


def run_small_demo(settings: Settings) -> Any:
    """The demo's own steps in this process; again does only what is missing."""
    from apps.demo_run import run_demo

    with small_bundle(settings):
        return run_demo(small_cli(settings), sessions=SESSIONS, until=UNTIL)


def small_cli(settings: Settings) -> Cli:
    """What a command is given, with nobody listening."""
    cli = Cli(console=Console(stream=io.StringIO(), as_json=True), emit=lambda _result: None)
    cli.settings = settings
    return cli


@contextlib.contextmanager
def small_bundle(settings: Settings) -> Iterator[None]:
    """Desks read the cut-down bundle beside the home for as long as this lasts."""
    before = Desk.sample_folder
    Desk.sample_folder = property(  # type: ignore[method-assign, assignment]
        lambda _desk: settings.home.parent / "sample"
    )
    try:
        yield
    finally:
        Desk.sample_folder = before  # type: ignore[method-assign]


def copy_small_home(settings: Settings, folder: Path) -> Settings:
    """A copy that may be changed, with the policy and the bundle that belong to it."""
    shutil.copytree(settings.home.parent, folder, dirs_exist_ok=True)
    return small_settings(folder)


# What a home holds, in a form that two homes can be compared by


@dataclasses.dataclass(frozen=True)
class Contents:
    """The ledger's head and the row hashes of every table."""

    head: str
    tables: Mapping[str, tuple[str, ...]]
    snapshot_id: int


def contents(settings: Settings) -> Contents:
    """All that a night may change."""
    with Desk(settings) as desk:
        with desk.ledger() as ledger:
            head = ledger.head().hash
        return Contents(
            head=head, tables=_row_hashes(desk), snapshot_id=desk.warehouse.snapshot_id()
        )


# The demo researches all its nights before the first fill; told again, they know what fills taught.
LEARNING = {"signal.daily_signals", "target.daily_weights"}


def unlearned(found: Contents) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    """The ledger and every table but those that own fills may teach."""
    tables = {name: rows for name, rows in found.tables.items() if name not in LEARNING}
    return found.head, tables


def _row_hashes(desk: Desk) -> dict[str, tuple[str, ...]]:
    lake = desk.warehouse
    tables = lake.rows(
        "SELECT DISTINCT table_schema, table_name FROM information_schema.columns "
        "WHERE table_catalog = 'lake' AND column_name = 'row_hash' ORDER BY ALL"
    )
    return {
        f"{stage}.{table}": tuple(
            row for (row,) in lake.rows(f'SELECT row_hash FROM "{stage}"."{table}" ORDER BY ALL')
        )
        for stage, table in tables
    }


# Where and when something was computed; all else must be the same in every run of the same nights.
_ORIGIN = frozenset({"run_id", "snapshot_id", "hash", "recorded_at", "verdict_id", "evidence"})


def story(settings: Settings) -> list[Any]:
    """What happened in the ledger, event by event, without where and when it was computed."""
    with Desk(settings) as desk, desk.ledger() as ledger:
        return [_told(to_payload(event)) for event in ledger.events()]


@functools.singledispatch
def _told(value: Any) -> Any:
    return value


@_told.register
def _(value: dict) -> Any:  # type: ignore[type-arg]
    dropped = {*_ORIGIN, "key"} if value.get("kind") == "verdict_recorded" else _ORIGIN
    return {key: _told(part) for key, part in value.items() if key not in dropped}


@_told.register
def _(value: list) -> Any:  # type: ignore[type-arg]
    return [_told(part) for part in value]
