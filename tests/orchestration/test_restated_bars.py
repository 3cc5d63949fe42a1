"""A vendor corrects a bar: the next night believes it, and the nights before keep theirs."""

import datetime as dt

import pytest

from apps.demo_run import run_demo
from apps.night import night_runner
from assets.keys import BAR_KEY
from resources.desk import Desk
from tests.support.small_home import (
    NIGHTS,
    SESSIONS,
    small_bundle,
    small_cli,
    small_settings,
    write_bundle,
    write_policy,
)

# MLflow 3.17 declares its mappers with a loader that SQLAlchemy 2.1 deprecates; it works.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]

*_, RESTATED, BEFORE, LAST = NIGHTS
LEARNT_AT = dt.datetime(2022, 12, 28, 12, tzinfo=dt.UTC)


def restate(desk: Desk, factor: float) -> None:
    """A later version of Apple's bar of 23 December, known between two nights."""
    bar = desk.warehouse.read(
        "SELECT * FROM raw.daily_bars WHERE symbol = 'AAPL' AND session = ?", [RESTATED]
    )
    bar["close"] = bar["close"] * factor
    desk.warehouse.append_versions(
        "raw.daily_bars",
        bar.assign(known_at=LEARNT_AT),
        desk.provenance("restatement", "raw"),
        key=BAR_KEY,
        retrieved_at=LEARNT_AT,
    )


def naive_means(desk: Desk, session: dt.date) -> dict[str, float]:
    return dict(
        desk.warehouse.rows(
            "SELECT symbol, mean FROM forecast.naive WHERE session = ? AND horizon_days = 1",
            [session],
        )
    )


def test_a_restated_bar_reaches_the_next_night_and_no_earlier_one(tmp_path, small_home):
    """Two percent on the close of 23 December moves the drift of the 28th, of Apple alone."""
    settings = small_settings(tmp_path)
    write_policy(settings.config_dir)
    write_bundle(tmp_path / "sample")
    with small_bundle(settings):
        run_demo(small_cli(settings), sessions=SESSIONS - 1, until=BEFORE)
        with Desk(settings) as desk:
            told = naive_means(desk, BEFORE)
            restate(desk, 1.02)
        with night_runner(settings) as runner:
            runner.run_night(LAST)
    with Desk(settings) as desk, Desk(small_home) as untouched:
        [(versions,)] = desk.warehouse.rows(
            "SELECT count(*) FROM clean.daily_bars WHERE symbol = 'AAPL' AND session = ?",
            [RESTATED],
        )
        assert versions == 2
        assert naive_means(desk, BEFORE) == told
        now, else_now = naive_means(desk, LAST), naive_means(untouched, LAST)
        assert {symbol for symbol in now if now[symbol] != else_now[symbol]} <= {"AAPL"}
        hashes = "SELECT symbol, input_hash FROM forecast.naive WHERE session = ? ORDER BY ALL"
        mine = set(desk.warehouse.rows(hashes, [LAST]))
        theirs = set(untouched.warehouse.rows(hashes, [LAST]))
        assert {symbol for symbol, _ in mine - theirs} == {"AAPL"}
