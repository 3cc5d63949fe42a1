"""A small real flow for tests: five symbols, the bundled prices, a few nights on a paper book."""

import datetime as dt
import shutil
from pathlib import Path

import yaml

from resources.settings import Settings, project_root

SYMBOLS = ["AAPL", "JNJ", "KO", "MSFT", "XOM"]
FIRST = dt.date(2022, 10, 4)
NIGHTS = 4
# Enough for a shorter hold-out and the window of fits before it.
HISTORY_START = dt.date(2021, 1, 4)
SMALLER = {
    "universe": {"symbols": SYMBOLS, "history_start": HISTORY_START},
    "forecasts": {
        "fit_window_sessions": 252,
        "holdout_sessions": 60,
        # Four nights are all there are to weigh models by.
        "ensemble": {"record_sessions_min": 1},
    },
    "gates": {"holdout_observations_min": 200},
}


def small_settings(folder: Path, home: Path) -> Settings:
    """Settings of a home whose policy knows five symbols."""
    config = folder / "config"
    if not config.exists():
        shutil.copytree(project_root() / "config", config)
        for name, values in SMALLER.items():
            path = config / f"{name}.yaml"
            policy = yaml.safe_load(path.read_text(encoding="utf-8"))
            path.write_text(yaml.safe_dump({**policy, **values}), encoding="utf-8")
    environment = {"PMX_HOME": str(home), "PMX_CONFIG_DIR": str(config), "PMX_WORKERS": "1"}
    return Settings.from_env(environment)


def run_small_flow(settings: Settings) -> list[dt.date]:
    """Load the history before `FIRST`, research all nights in one run, then trade them."""
    from apps.loading import land_and_publish
    from apps.night import night_runner
    from quant.market.calendars import sessions
    from resources.market_data.sample import SampleSource

    days = [day.item() for day in sessions("XNYS", FIRST, FIRST + dt.timedelta(days=30))][:NIGHTS]
    with night_runner(settings) as runner:
        desk = runner.desk
        bars = SampleSource(desk.sample_folder).all_daily_bars()
        own = (bars["basis"] == str(desk.universe.basis)) & bars["symbol"].isin(SYMBOLS)
        history = bars[own & (bars["session"] >= HISTORY_START) & (bars["session"] < FIRST)]
        land_and_publish(desk, history, None, run_id=f"load:{FIRST}")
        runner.run_job("backfill", days[0], days[-1])
        for day in days:
            runner.run_trading_night(day)
        runner.run_job("outcomes", days[0], days[-1])
    return days
