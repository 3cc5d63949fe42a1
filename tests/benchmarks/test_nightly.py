"""The nightly's benchmark on a market of two symbols; its limits mean something at full size."""

import datetime as dt
from pathlib import Path

from benchmarks.nightly import following, night_row, synthetic_home


def test_a_heartbeat_runs_in_a_prepared_home_and_its_market_is_loaded(tmp_path: Path) -> None:
    """The home is a real installation: generated bars are in clean, and Dagster records a run."""
    from resources.desk import Desk
    from resources.settings import Settings

    home = synthetic_home(tmp_path / "home", 2, start=dt.date(2022, 11, 1))
    assert home.heartbeat() > 0
    with Desk(Settings.from_env(home.environment)) as desk:
        found = desk.warehouse.rows("SELECT DISTINCT symbol FROM clean.daily_bars ORDER BY 1")
        assert [symbol for (symbol,) in found] == list(desk.universe.symbols)
    assert (tmp_path / "home/dagster/history/runs/index.db").exists()


def test_a_row_is_the_median_night_over_the_median_heartbeat() -> None:
    """Three nights of 2, 4 and 9 s beside heartbeats of 1, 2 and 3 s are a ratio of two."""
    row = night_row("nightly", [(2.0, 1.0), (9.0, 2.0), (4.0, 3.0)], limit=2.5, symbols=20)
    assert (row["ratio"], row["holds"], row["nights"]) == (2.0, True, 3)
    slow = night_row("nightly", [(6.0, 2.0)], limit=2.5, symbols=20)
    assert (slow["ratio"], slow["holds"]) == (3.0, False)


def test_nights_follow_each_other_on_trading_days() -> None:
    """Friday, then Monday."""
    assert following(dt.date(2022, 12, 1), 2) == [dt.date(2022, 12, 2), dt.date(2022, 12, 5)]
