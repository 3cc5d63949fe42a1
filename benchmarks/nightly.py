"""A whole night as a process, as a multiple of an empty Dagster run through the same command line.

The rival is `pmx heartbeat`: one asset that does nothing, in process, on the same instance, in a
code location of its own, so that it loads nothing of the product's graph. Both are whole processes,
from the start of Python to its end, and take turns. Data is warm: a home is prepared before the
clock starts, with history loaded and nights behind it. Both find their bytecode in a cache, as an
installation has it.

A night on which fits or verdicts are due has a row of its own. Synthetic homes of 100 and 500
symbols show how a night grows with its universe; the cost per symbol is the time of a whole night
divided by its symbols, and beside it stands the same without what an empty run costs.
"""

import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from quant.market.calendars import next_session, sessions
from resources.settings import Settings, project_root

LIMIT_RATIO = 2.5
PER_SYMBOL_LIMIT_RATIO = 1.0
CALENDAR = "XNYS"
# The bundled data ends on 2022-12-28; a month before it leaves room for the timed nights.
REAL_UNTIL = dt.date(2022, 12, 1)
SYNTHETIC_START = dt.date(2019, 1, 2)
SYNTHETIC_END = dt.date(2022, 12, 28)
SMALL, LARGE = 100, 500


@dataclass(frozen=True, slots=True)
class Home:
    """A prepared installation and the process environment that leads there."""

    folder: Path
    environment: Mapping[str, str]

    def seconds(self, *command: str) -> float:
        """Wall time of one `pmx` process; its failure is the benchmark's."""
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "apps.cli.main", *command, "--json"],
            env=self.environment,
            cwd=project_root(),
            capture_output=True,
            text=True,
            check=False,
        )
        spent = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(f"pmx {' '.join(command)} failed: {done.stdout} {done.stderr}")
        return spent

    def night(self, session: dt.date) -> float:
        """One night."""
        return self.seconds("nightly", "--session", session.isoformat())

    def heartbeat(self) -> float:
        """One empty run."""
        return self.seconds("heartbeat")

    def is_fitting(self, session: dt.date) -> bool:
        """Whether fits or verdicts are due on a session."""
        from assets.model.fitting import due_fits
        from assets.model.verdicts import due_sessions
        from resources.desk import Desk

        with Desk(Settings.from_env(self.environment)) as desk:
            return due_fits(desk, [session]) == [session] or bool(due_sessions(desk, [session]))


def run(*, nights: int = 8, small: int = SMALL, large: int = LARGE) -> list[dict[str, object]]:
    """Rows of the real universe, then of the synthetic ones."""
    with tempfile.TemporaryDirectory(prefix="pmx-bench-nightly-") as folder:
        place = Path(folder)
        real = real_home(place / "real")
        rows, update = _real_rows(real, REAL_UNTIL, nights)
        return [*rows, *_growth_rows(place, update, small, large, nights=3)]


def _real_rows(home: Home, until: dt.date, nights: int) -> tuple[list[dict[str, object]], float]:
    timed: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    home.heartbeat()
    for index, session in enumerate(following(until, nights)):
        pair = _turns(lambda day=session: home.night(day), home.heartbeat, index)
        timed[home.is_fitting(session)].append(pair)
    rows = [
        night_row("nightly", timed[False], limit=LIMIT_RATIO, symbols=20),
        night_row("nightly_with_fits", timed[True], limit=LIMIT_RATIO, symbols=20),
    ]
    return rows, statistics.median(night for night, _ in timed[False])


def _growth_rows(
    place: Path, real_s: float, small: int, large: int, *, nights: int
) -> list[dict[str, object]]:
    homes = {count: synthetic_home(place / f"synthetic-{count}", count) for count in (small, large)}
    first = fit_session(homes[small], SYNTHETIC_END)
    for home in homes.values():
        home.night(first)
    spent: dict[int, list[tuple[float, float]]] = {small: [], large: []}
    for index, session in enumerate(following(first, nights)):
        for count, home in homes.items():
            pair = _turns(lambda h=home, d=session: h.night(d), home.heartbeat, index)
            spent[count].append(pair)
    small_s, large_s = (
        statistics.median(night for night, _ in spent[count]) for count in (small, large)
    )
    per_symbol = (large_s / large) / (small_s / small)
    empty_s = statistics.median(rival for pairs in spent.values() for _, rival in pairs)
    net = ((large_s - empty_s) / large) / ((small_s - empty_s) / small)
    return [
        night_row(f"nightly_{large}_symbols", spent[large], limit=None, symbols=large),
        {
            "name": f"nightly_per_symbol_{large}_vs_{small}",
            "ratio": round(per_symbol, 3),
            "limit": PER_SYMBOL_LIMIT_RATIO,
            "holds": round(per_symbol, 3) <= PER_SYMBOL_LIMIT_RATIO,
            "night_s": {small: round(small_s, 2), large: round(large_s, 2)},
            "real_20_s": round(real_s, 2),
        },
        {
            "name": f"nightly_per_symbol_{large}_vs_{small}_net",
            "ratio": round(net, 3),
            "limit": None,
            "holds": True,
            "heartbeat_s": round(empty_s, 2),
        },
    ]


def _turns(
    ours: Callable[[], float], rival: Callable[[], float], index: int
) -> tuple[float, float]:
    """Both once; who goes first alternates."""
    if index % 2 == 0:
        first = ours()
        return first, rival()
    second = rival()
    return ours(), second


def night_row(
    name: str, pairs: Sequence[tuple[float, float]], *, limit: float | None, symbols: int
) -> dict[str, object]:
    """The median night over the median heartbeat."""
    night, heartbeat = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    ratio = round(night / heartbeat, 3)
    return {
        "name": name,
        "ratio": ratio,
        "limit": limit,
        "holds": limit is None or ratio <= limit,
        "night_s": round(night, 2),
        "heartbeat_s": round(heartbeat, 2),
        "nights": len(pairs),
        "symbols": symbols,
    }


def following(session: dt.date, count: int) -> list[dt.date]:
    """The next `count` sessions."""
    found = [session]
    for _ in range(count):
        found.append(next_session(CALENDAR, found[-1]))
    return found[1:]


def fit_session(home: Home, end: dt.date) -> dt.date:
    """The last session before `end` on which fits are due, with four behind it that need none."""
    from assets.model.fitting import due_fits
    from resources.desk import Desk

    with Desk(Settings.from_env(home.environment)) as desk:
        return due_fits(desk, [end - dt.timedelta(days=14)])[0]


def real_home(folder: Path) -> Home:
    """The default universe with a few nights behind it."""
    home = _home(folder, config=project_root() / "config")
    home.seconds("demo", "--sessions", "6", "--until", REAL_UNTIL.isoformat())
    return home


def synthetic_home(folder: Path, symbols: int, *, start: dt.date = SYNTHETIC_START) -> Home:
    """A generated market that was ingested: one bar a symbol and session, no defects."""
    from apps.loading import land_and_publish
    from quant.market.synthetic import SyntheticPolicy, generate
    from resources.desk import Desk

    whole = SyntheticPolicy(late_listing_share=0, delisting_rate_annual=0)
    days = sessions(CALENDAR, start, SYNTHETIC_END)
    market = generate(seed=7, symbols=symbols, days=days, policy=whole)
    home = _home(folder, config=_config(folder / "config", market.bars, start))
    with Desk(Settings.from_env(home.environment)) as desk:
        land_and_publish(desk, market.bars, market.actions, run_id="load:benchmark")
    return home


def _config(folder: Path, bars: "pd.DataFrame", start: dt.date) -> Path:  # noqa: F821
    """The shipped policy with the market's symbols as the universe."""
    shutil.copytree(project_root() / "config", folder)
    universe = yaml.safe_load((folder / "universe.yaml").read_text(encoding="utf-8"))
    universe |= {
        "name": "synthetic",
        "basis": str(bars["basis"].iloc[0]),
        "history_start": start,
        "symbols": sorted(bars["symbol"].unique().tolist()),
    }
    (folder / "universe.yaml").write_text(yaml.safe_dump(universe), encoding="utf-8")
    return folder


def _home(folder: Path, *, config: Path) -> Home:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PMX_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    environment |= {
        "PMX_HOME": str(folder),
        "PMX_CONFIG_DIR": str(config),
        "PYTHONPATH": str(project_root()),
    }
    environment.setdefault("PYTHONPYCACHEPREFIX", str(folder.parent / "bytecode"))
    return Home(folder, environment)


if __name__ == "__main__":
    print(json.dumps({"bench": "nightly", "rows": run()}))
