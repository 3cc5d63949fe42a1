"""Nothing but a night in its own window trades: not a rerun, not a backfill, not a night too late.

Each test compares everything a run could have changed: the ledger's head, the row hashes of every
table, and the lake's newest snapshot. Sending is part of it, since an order is a ledger record
before it leaves.
"""

import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from apps.loading import load_sample
from apps.night import night_runner
from assets.order.records import order_records
from dagster_project.definitions import build_defs
from quant.core.clock import Clock, SteppedClock, SystemClock
from quant.core.errors import UsageError
from resources.desk import Desk
from resources.settings import Settings
from resources.warehouse import quoted
from tests.support.small_home import (
    LEARNING,
    NIGHTS,
    contents,
    small_bundle,
    small_settings,
    story,
    unlearned,
    write_bundle,
    write_policy,
)

ORDER_TABLES = {"order/exits", "order/intents", "order/refusals", "order/fills"}
# Tables of one row or more a session, whose content depends on nothing but the session's past.
BY_SESSION = (
    *("feature.daily_features", "forecast.naive", "forecast.sarimax", "forecast.garch"),
    *("forecast.persistence", "forecast.combined", "signal.daily_signals"),
    *("target.daily_weights", "order.intents", "order.fills", "audit.model_audits"),
)


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


def materialise_orders(desk: Desk, sessions: Sequence[dt.date], clock: Clock) -> set[str]:
    """Materialise `order/*` through plain Dagster; the assets that were materialised."""
    desk.clock = clock
    one = len(sessions) == 1
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [order_records],
            instance=instance,
            resources={"desk": desk},
            partition_key=sessions[0].isoformat() if one else None,
            tags={} if one else range_tags(sessions[0], sessions[-1]),
        )
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def test_orders_of_past_sessions_that_are_materialised_again_change_nothing(
    own_home: Settings,
) -> None:
    """Each session by itself and all as a range; on today's clock, as from the web pages, on the
    clock of that very night, and on that of the book's last one."""
    before = contents(own_home)
    with Desk(own_home) as desk:
        for sessions in (*([night] for night in NIGHTS), NIGHTS):
            for moment in (desk.as_of(sessions[0]), desk.as_of(sessions[-1])):
                assert materialise_orders(desk, sessions, SteppedClock(moment)) == ORDER_TABLES
            assert materialise_orders(desk, sessions, SystemClock()) == ORDER_TABLES
            assert contents(own_home) == before, sessions


def test_a_month_of_backfill_leaves_the_ledger_alone(own_home: Settings) -> None:
    """Every asset there is, the order tables too, over sessions before and within the book's."""
    first = dt.date(2022, 12, 1)
    before = contents(own_home)
    with Desk(own_home) as desk, dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(resources={"desk": desk}).resolve_job_def("nightly")
        assert job.execute_in_process(instance=instance, tags=range_tags(first, NIGHTS[-1])).success
        days = desk.warehouse.rows("SELECT DISTINCT session FROM forecast.combined ORDER BY 1")
    now = contents(own_home)
    assert now.head == before.head
    assert now.tables["order.fills"] == before.tables["order.fills"]
    # It did compute: without that, the lines above would say nothing.
    assert days[0] == (first,)
    assert len(days) == 19


def test_the_same_night_again_changes_nothing(own_home: Settings) -> None:
    """Three times; the first may know what the demo's fills taught, the others know no more."""
    demo = contents(own_home)
    found = []
    for _ in range(3):
        with small_bundle(own_home), night_runner(own_home) as runner:
            assert runner.run_night(NIGHTS[-1]).trades == 1  # told again, not traded again
        found.append(contents(own_home))
    assert unlearned(found[0]) == unlearned(demo)
    assert found[0] == found[1] == found[2]


def test_a_night_that_the_book_has_passed_is_refused_with_what_to_do_instead(
    own_home: Settings,
) -> None:
    before = contents(own_home)
    with night_runner(own_home) as runner, pytest.raises(UsageError) as refused:
        runner.run_night(NIGHTS[0])
    assert "has traded 2022-12-28 already" in str(refused.value)
    assert "pmx backfill --from 2022-12-20 --to 2022-12-20" in refused.value.remedy
    assert contents(own_home) == before


def rows_of(settings: Settings, sessions: Sequence[dt.date]) -> dict[str, list[tuple[str, ...]]]:
    with Desk(settings) as desk:
        return {
            table: desk.warehouse.rows(
                f"SELECT row_hash FROM {quoted(table)} "
                "WHERE session IN (SELECT unnest(?::DATE[])) ORDER BY ALL",
                [list(sessions)],
            )
            for table in BY_SESSION
        }


def test_night_after_night_gives_what_research_for_all_of_them_at_once_gave(
    small_home: Settings, tmp_path: Path
) -> None:
    """The demo computes research for all nights in one run; a schedule computes one at a time.

    The rows are the same to the bit, and so is the book's story: nothing saw the future. Only from
    the third night on do decisions know what the first fills cost, and research before them cannot.
    """
    write_policy(tmp_path / "config")
    write_bundle(tmp_path / "sample")
    settings = small_settings(tmp_path)
    nights = NIGHTS[:3]
    with small_bundle(settings), night_runner(settings) as runner:
        load_sample(runner.desk, until=nights[0], run_id="load")
        for night in nights:
            runner.run_night(night)
    assert rows_of(settings, nights[:2]) == rows_of(small_home, nights[:2])
    one, other = rows_of(settings, nights), rows_of(small_home, nights)
    for table in set(BY_SESSION) - LEARNING - {"order.intents"}:
        assert one[table] == other[table], table
    told = story(settings)
    pairs = zip(told, story(small_home), strict=False)
    alike = list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    assert len(alike) > 15
