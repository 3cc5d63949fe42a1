"""The warehouse on a real DuckLake: what a write adds, what stays readable, what a hash is."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from resources.settings import project_root
from resources.warehouse import LakeLocation, Provenance, Warehouse

MIGRATIONS = project_root() / "duckdb/migrations"
KEY = ("symbol", "basis", "session", "source")
RAW = "raw.daily_bars"
SESSION = dt.date(2022, 12, 1)
CLOSE = pd.Timestamp("2022-12-01 21:00", tz="UTC")


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Warehouse]:
    """An empty warehouse with all tables."""
    with Warehouse.open(LakeLocation.in_folder(tmp_path / "lake"), migrations=MIGRATIONS) as lake:
        yield lake


def origin(lake: Warehouse, run_id: str = "run-1") -> Provenance:
    return Provenance(run_id=run_id, snapshot_id=lake.snapshot_id(), code_version="c0de")


def bars(close: float = 10.0, *, symbol: str = "AAA", minutes: int = 15) -> pd.DataFrame:
    """One bar as a source delivers it, known some minutes after the close."""
    return pd.DataFrame(
        {
            "symbol": [symbol],
            "basis": ["raw"],
            "session": [SESSION],
            "event_time": [CLOSE],
            "known_at": [CLOSE + pd.Timedelta(minutes=minutes)],
            "source": ["test"],
            "asset_class": ["us_equity"],
            "currency": ["USD"],
            "open": [float("nan")],
            "high": [close + 1],
            "low": [close - 1],
            "close": [close],
            "volume": [100.0],
        }
    )


def scores(*rows: tuple[dt.date, float]) -> pd.DataFrame:
    """Rows of `clean.night_quality`."""
    return pd.DataFrame(
        [(day, "us20", score, "{}") for day, score in rows],
        columns=["session", "universe", "score", "reduce_only"],
    )


def test_the_same_answer_of_a_source_adds_nothing_and_a_restatement_adds_a_row(
    lake: Warehouse,
) -> None:
    """Asked again a minute later with the same price: nothing. With another price: a version."""
    first = lake.append_versions(RAW, bars(10.0), origin(lake), key=KEY)
    again = lake.append_versions(RAW, bars(10.0, minutes=16), origin(lake), key=KEY)
    restated = lake.append_versions(RAW, bars(10.5, minutes=17), origin(lake), key=KEY)
    assert (first.rows, again.rows, restated.rows) == (1, 0, 1)
    assert again.snapshot_id == first.snapshot_id < restated.snapshot_id
    found = lake.rows(f"SELECT close FROM {RAW} ORDER BY known_at")
    assert found == [(10.0,), (10.5,)]


def test_a_price_that_goes_back_to_an_older_one_is_a_restatement_too(lake: Warehouse) -> None:
    """10, then 11, then 10 again: three versions, since each contradicts the newest."""
    for minutes, close in ((15, 10.0), (16, 11.0), (17, 10.0)):
        lake.append_versions(RAW, bars(close, minutes=minutes), origin(lake), key=KEY)
    assert lake.rows(f"SELECT count(*) FROM {RAW}") == [(3,)]


def test_the_same_row_twice_in_one_delivery_is_one_row(lake: Warehouse) -> None:
    """Vendors repeat rows at page borders."""
    twice = pd.concat([bars(), bars()], ignore_index=True)
    assert lake.append_versions(RAW, twice, origin(lake), key=KEY).rows == 1


def test_publishing_the_same_content_again_writes_nothing(lake: Warehouse) -> None:
    """A rerun by another run leaves the rows of the first, and makes no snapshot."""
    table, scope = "clean.night_quality", {"session": [SESSION]}
    first = lake.publish(table, scores((SESSION, 1.0)), origin(lake, "run-1"), scope=scope)
    again = lake.publish(table, scores((SESSION, 1.0)), origin(lake, "run-2"), scope=scope)
    assert (first.rows, again.rows) == (1, 0)
    assert again.snapshot_id == first.snapshot_id
    assert lake.rows(f"SELECT run_id FROM {table}") == [("run-1",)]


def test_publishing_replaces_its_slice_alone_and_the_old_one_stays_readable(
    lake: Warehouse,
) -> None:
    """Monday is corrected, Tuesday is not touched, the old Monday is there at its snapshot."""
    table, tuesday = "clean.night_quality", SESSION + dt.timedelta(days=1)
    days = {"session": [SESSION, tuesday]}
    before = lake.publish(table, scores((SESSION, 0.9), (tuesday, 0.8)), origin(lake), scope=days)
    lake.publish(table, scores((SESSION, 0.95)), origin(lake), scope={"session": [SESSION]})
    query = f"SELECT session, score FROM {table} ORDER BY session"
    assert lake.rows(query) == [(SESSION, 0.95), (tuesday, 0.8)]
    with lake.at(before.snapshot_id) as past:
        assert past.rows(query) == [(SESSION, 0.9), (tuesday, 0.8)]


def test_publishing_nothing_empties_the_slice(lake: Warehouse) -> None:
    """A finding that is mended has to disappear."""
    table, scope = "clean.night_quality", {"session": [SESSION]}
    lake.publish(table, scores((SESSION, 0.9)), origin(lake), scope=scope)
    lake.publish(table, scores(), origin(lake), scope=scope)
    assert lake.rows(f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_row_hash_is_what_anybody_computes_from_the_same_text(lake: Warehouse) -> None:
    """Half of SHA-256 over the columns joined by bars: times in microseconds, N for null."""
    lake.append_versions(RAW, bars(10.25), origin(lake), key=KEY)
    ((stored,),) = lake.rows(f"SELECT row_hash FROM {RAW}")
    closed_us = int(CLOSE.timestamp()) * 1_000_000
    known_us = closed_us + 15 * 60 * 1_000_000
    text = f"AAA|raw|2022-12-01|{closed_us}|{known_us}|test|us_equity|USD|N|11.25|9.25|10.25|100.0"
    assert stored == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_the_hash_says_nothing_of_who_wrote_the_row(lake: Warehouse) -> None:
    """Content alone, so that a replay by another run can be compared."""
    frame = scores((SESSION, 0.9))
    (one,) = lake.as_stored("clean.night_quality", frame, origin(lake, "run-1"))
    (other,) = lake.as_stored("clean.night_quality", frame, origin(lake, "run-2"))
    assert one["row_hash"] == other["row_hash"]
    assert one["run_id"] != other["run_id"]


def test_types_and_missing_values_survive_the_journey(lake: Warehouse) -> None:
    """A price that is missing is null in the lake and NaN in a frame, never zero."""
    lake.append_versions(RAW, bars(), origin(lake), key=KEY)
    frame = lake.read(f"SELECT * FROM {RAW}")
    assert frame["open"].isna().all()
    assert frame["known_at"].iloc[0] == CLOSE + pd.Timedelta(minutes=15)
    assert frame["session"].iloc[0] == pd.Timestamp(SESSION)
    assert lake.rows(f"SELECT count(*) FROM {RAW} WHERE open IS NULL") == [(1,)]


def test_a_frame_without_a_column_is_refused_before_anything_is_written(lake: Warehouse) -> None:
    """The table and the missing column are named."""
    before = lake.snapshot_id()
    with pytest.raises(ValueError, match=r"raw\.daily_bars needs the columns \['volume'\]"):
        lake.append_versions(RAW, bars().drop(columns="volume"), origin(lake), key=KEY)
    assert lake.snapshot_id() == before


def test_a_table_name_that_is_no_name_is_refused(lake: Warehouse) -> None:
    """Identifiers cannot be parameters, so they are checked."""
    with pytest.raises(ValueError, match="not a table name"):
        lake.columns('raw.daily_bars"; DROP TABLE raw.daily_bars; --')


def test_added_columns_are_there_at_once_and_only_once(lake: Warehouse) -> None:
    """The list of columns that is kept in memory follows what this process alters."""
    table = "clean.night_quality"
    assert "extra_ratio" not in lake.columns(table)
    assert lake.add_columns(table, {"extra_ratio": "DOUBLE"}) == ["extra_ratio"]
    assert lake.add_columns(table, {"extra_ratio": "DOUBLE"}) == []
    lake.publish(
        table,
        scores((SESSION, 0.9)).assign(extra_ratio=2.0),
        origin(lake),
        scope={"session": [SESSION]},
    )
    assert lake.rows(f"SELECT extra_ratio FROM {table}") == [(2.0,)]


def test_the_last_change_of_a_table_moves_with_every_write_to_it_and_with_no_other(
    lake: Warehouse,
) -> None:
    """By another connection, by a correction, by a deletion; not by a write elsewhere."""
    table, scope = "clean.night_quality", {"session": [SESSION]}
    seen = [lake.last_change(table)]
    with Warehouse.open(lake.location, migrations=MIGRATIONS) as other:
        other.publish(table, scores((SESSION, 0.9)), origin(other), scope=scope)
    seen.append(lake.last_change(table))
    lake.publish(table, scores((SESSION, 0.8)), origin(lake), scope=scope)
    seen.append(lake.last_change(table))
    many = [(SESSION + dt.timedelta(days=day), 0.5) for day in range(200)]
    lake.publish(table, scores(*many), origin(lake), scope={"session": [day for day, _ in many]})
    seen.append(lake.last_change(table))
    lake.publish(table, scores(), origin(lake), scope=scope)
    seen.append(lake.last_change(table))
    assert seen == sorted(set(seen))
    lake.append_versions(RAW, bars(), origin(lake), key=KEY)
    assert lake.last_change(table) == seen[-1] < lake.last_change(RAW)


def test_migrations_are_applied_once_and_in_order(tmp_path: Path) -> None:
    """A second opening applies only what is new."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_one.sql").write_text("CREATE TABLE main.one (a INTEGER);")
    location = LakeLocation.in_folder(tmp_path / "lake")
    for _ in range(2):
        with Warehouse.open(location, migrations=folder) as lake:
            assert lake.rows("SELECT name FROM main.migrations") == [("0001_one.sql",)]
    (folder / "0002_two.sql").write_text("INSERT INTO main.one VALUES (7);")
    for _ in range(2):
        with Warehouse.open(location, migrations=folder) as lake:
            assert lake.rows("SELECT a FROM main.one") == [(7,)]


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    """Its statements are one transaction with the note that it was applied."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_bad.sql").write_text("CREATE TABLE main.one (a INTEGER); SELECT nonsense;")
    location = LakeLocation.in_folder(tmp_path / "lake")
    with pytest.raises(Exception, match="nonsense"):
        Warehouse.open(location, migrations=folder)
    (folder / "0001_bad.sql").write_text("CREATE TABLE main.one (a INTEGER);")
    with Warehouse.open(location, migrations=folder) as lake:
        assert lake.rows("SELECT count(*) FROM main.one") == [(0,)]
