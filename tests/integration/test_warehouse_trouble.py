"""The warehouse in trouble: several writers, a damaged catalog, a disk that refuses."""

import datetime as dt
import multiprocessing
import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from quant.core.errors import LakeDamagedError, StorageUnavailableError
from resources.settings import project_root
from resources.warehouse import LakeLocation, Provenance, Warehouse

MIGRATIONS = project_root() / "duckdb/migrations"
TABLE = "clean.night_quality"
ORIGIN = Provenance(run_id="r", snapshot_id=0, code_version="c")
WRITERS, NIGHTS = 4, 5


def nights(*days: dt.date, universe: str = "us20") -> pd.DataFrame:
    return pd.DataFrame(
        [(day, universe, 1.0, "{}") for day in days],
        columns=["session", "universe", "score", "reduce_only"],
    )


def filled(folder: Path, rows: int = 1) -> LakeLocation:
    """A closed warehouse with some nights in it."""
    location = LakeLocation.in_folder(folder)
    days = [dt.date(2022, 1, 1) + dt.timedelta(days=index) for index in range(rows)]
    with Warehouse.open(location, migrations=MIGRATIONS) as lake:
        lake.publish(TABLE, nights(*days), ORIGIN, scope={"session": days})
    return location


def _write_nights(location: LakeLocation, writer: int) -> None:
    with Warehouse.open(location, migrations=MIGRATIONS) as lake:
        for night in range(NIGHTS):
            name = f"writer{writer}_{night}"
            day = dt.date(2022, 2, 1) + dt.timedelta(days=night)
            lake.publish(TABLE, nights(day, universe=name), ORIGIN, scope={"universe": [name]})


def test_four_processes_that_write_one_table_lose_nothing(tmp_path: Path) -> None:
    """The nightly, the trader and two backfills: each write is whole and there at the end."""
    location = filled(tmp_path / "lake")
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_nights, args=(location, index)) for index in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    with Warehouse.open(location, migrations=MIGRATIONS) as lake:
        names = {name for (name,) in lake.rows(f"SELECT universe FROM {TABLE}")}
        assert lake.rows(f"SELECT count(*) FROM {TABLE}") == [(WRITERS * NIGHTS + 1,)]
    expected = {f"writer{w}_{n}" for w in range(WRITERS) for n in range(NIGHTS)}
    assert names == expected | {"us20"}


def test_a_catalog_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    """The message names the catalog, and what to do; the file is left as it is."""
    location = filled(tmp_path / "lake")
    catalog = tmp_path / "lake/catalog.sqlite"
    catalog.write_bytes(b"this is no database" * 100)
    with pytest.raises(LakeDamagedError, match=r"catalog\.sqlite") as caught:
        Warehouse.open(location, migrations=MIGRATIONS)
    assert "backup" in str(caught.value.remedy)
    assert catalog.read_bytes().startswith(b"this is no database")


def test_a_catalog_overwritten_in_the_middle_is_said_to_be_damaged(tmp_path: Path) -> None:
    """A disk that lost some pages: an error, never an empty warehouse."""
    location = filled(tmp_path / "lake")
    catalog = tmp_path / "lake/catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    catalog.write_bytes(bytes(content))
    with pytest.raises(LakeDamagedError):
        Warehouse.open(location, migrations=MIGRATIONS)


def test_a_data_file_that_is_missing_is_an_error_and_not_fewer_rows(tmp_path: Path) -> None:
    """Someone tidied up the folder: reading says so."""
    location = filled(tmp_path / "lake", rows=200)
    files = list((tmp_path / "lake/data").rglob("*.parquet"))
    assert files
    for file in files:
        file.unlink()
    with (
        Warehouse.open(location, migrations=MIGRATIONS) as lake,
        pytest.raises(LakeDamagedError, match="cannot be read"),
    ):
        lake.rows(f"SELECT * FROM {TABLE}")


def test_a_data_file_with_other_bytes_is_an_error(tmp_path: Path) -> None:
    """Half a file, as a crashed copy leaves it."""
    location = filled(tmp_path / "lake", rows=200)
    for file in (tmp_path / "lake/data").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with (
        Warehouse.open(location, migrations=MIGRATIONS) as lake,
        pytest.raises(LakeDamagedError),
    ):
        lake.rows(f"SELECT * FROM {TABLE}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_folder_without_the_right_to_write_says_what_to_do(tmp_path: Path) -> None:
    """Reading goes on; the write names the folder and its remedy."""
    filled(tmp_path / "lake")
    catalog = tmp_path / "lake/catalog.sqlite"
    catalog.chmod(stat.S_IRUSR)
    catalog.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StorageUnavailableError, match="cannot be written"):
            filled(tmp_path / "lake", rows=3)
    finally:
        catalog.parent.chmod(stat.S_IRWXU)


def test_a_home_below_a_file_cannot_be_made_and_says_so(tmp_path: Path) -> None:
    """A place that no one can write to, root neither: below a plain file."""
    (tmp_path / "file").write_text("occupied")
    location = LakeLocation.in_folder(tmp_path / "file" / "lake")
    with pytest.raises(StorageUnavailableError, match="cannot be made") as caught:
        Warehouse.open(location, migrations=MIGRATIONS)
    assert "PMX_HOME" in str(caught.value.remedy)
