"""The warehouse: DuckDB over a DuckLake. The only module that talks to DuckDB.

Belongs here: opening, migrating, reading (now or at a snapshot), appending, publishing a slice.
Does not belong here: what the columns mean (duckdb/migrations), or any finance.

Every write is one short transaction of a frame that was computed before it began, so several
processes can work side by side; a conflict is retried, since the loser has written nothing.
"""

import datetime as dt
import importlib
import itertools
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import pandas as pd

from quant.core.errors import LakeDamagedError, StorageUnavailableError

LINEAGE_COLUMNS = ("run_id", "snapshot_id", "code_version", "row_hash")
_EXTENSIONS = {
    "ducklake": "ducklake",
    "sqlite": "sqlite_scanner",
    "postgres": "postgres_scanner",
    "httpfs": "httpfs",
}
_COMMIT_ATTEMPTS = 8
_T = TypeVar("_T")
_FRAMES = itertools.count()
# Where DuckDB shows the tables of DuckLake's own catalog.
_CATALOG = "__ducklake_metadata_lake"
_PAST_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeLocation:
    """Where the catalog and the data files are; both local by default."""

    catalog: str  # "sqlite:<path>" or "postgres:<libpq connection string>"
    data: str  # a folder or "s3://bucket/prefix"

    @classmethod
    def in_folder(cls, folder: Path) -> "LakeLocation":
        """The embedded default: a SQLite catalog with Parquet files beside it."""
        return cls(catalog=f"sqlite:{folder / 'catalog.sqlite'}", data=f"{folder / 'data'}/")

    @property
    def local_folder(self) -> Path | None:
        """The folder of an embedded catalog."""
        kind, _, rest = self.catalog.partition(":")
        return Path(rest).parent if kind == "sqlite" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What every written row says about its origin."""

    run_id: str
    snapshot_id: int
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write changed; zero rows means that the content was already there."""

    table: str
    rows: int
    snapshot_id: int


class Warehouse:
    """One connection to the lake; cheap to open (about 0.2 s), not shared between threads."""

    def __init__(
        self, location: LakeLocation, *, connection: duckdb.DuckDBPyConnection | None = None
    ) -> None:
        self.location = location
        self._connection = _connect(location) if connection is None else connection
        self._columns: dict[str, dict[str, str]] = {}
        self._past = ""

    @classmethod
    def open(cls, location: LakeLocation, *, migrations: Path) -> "Warehouse":
        """Open for reading and writing, bringing the schema up to date first."""
        folder = location.local_folder
        if folder is not None:
            _make_folder(folder)
        warehouse = cls(location)
        warehouse._migrate(migrations)
        return warehouse

    def at(self, snapshot_id: int) -> "Warehouse":
        """The same lake as it stood at `snapshot_id`; read only by nature.

        It shares this warehouse's database, which takes a twentieth of opening another one, so it
        has to be closed before this one is.
        """
        past = Warehouse(self.location, connection=self._connection.cursor())
        past._past = f"past_{int(snapshot_id)}_{next(_PAST_NUMBERS)}"
        try:
            with storage_errors(self.location):
                _attach(past._connection, self.location, past._past, snapshot_id=snapshot_id)
        except BaseException:
            past._connection.close()
            raise
        return past

    def close(self) -> None:
        """Let go of the catalog."""
        if self._past:
            with suppress(duckdb.Error):
                self._connection.execute(f"USE lake; DETACH {self._past}")
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Reading

    def read(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:
        """The rows of a query as a DataFrame; tables are named `stage.table`."""
        with storage_errors(self.location), warnings.catch_warnings():
            # duckdb 1.5.5 calls DataFrame.drop(inplace=...) itself; pandas 3.1 deprecates that.
            warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.drop")
            return _when_unlocked(lambda: self._connection.execute(sql, parameters or None).df())

    def rows(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of a query as tuples; for the few places where a frame is too much."""
        with storage_errors(self.location):
            return _when_unlocked(
                lambda: self._connection.execute(sql, parameters or None).fetchall()
            )

    def snapshot_id(self) -> int:
        """The newest snapshot; what a run records as the state it read."""
        return int(self.rows("SELECT id FROM lake.current_snapshot()")[0][0])

    def last_change(self, table: str) -> int:
        """The snapshot that last changed a table, by anyone; between two nothing was written."""
        rows = self.rows(
            "SELECT coalesce(max(c.snapshot_id), -1) "
            f"FROM {_CATALOG}.ducklake_snapshot_changes AS c, {_CATALOG}.ducklake_table AS t "
            f"JOIN {_CATALOG}.ducklake_schema AS s USING (schema_id) "
            "WHERE s.schema_name = ? AND t.table_name = ? AND t.end_snapshot IS NULL "
            "AND regexp_matches(c.changes_made, ':' || t.table_id || '(,|$)')",
            table.split("."),
        )
        return int(rows[0][0])

    def columns(self, table: str) -> dict[str, str]:
        """Column names and types of a table, in order; asked once, until this process alters it."""
        if table not in self._columns:
            described = self.rows(f"DESCRIBE {quoted(table)}")
            self._columns[table] = {row[0]: row[1] for row in described}
        return self._columns[table]

    # Writing

    def append_versions(
        self,
        table: str,
        frame: pd.DataFrame,
        provenance: Provenance,
        *,
        key: Sequence[str],
        retrieved_at: dt.datetime | None = None,
    ) -> Written:
        """Add the rows that say something new of their key; nothing is ever changed or removed.

        A row whose content, apart from `known_at`, is what the newest stored row of its key already
        says is not a restatement and is left out, so that asking a source twice adds nothing. A
        restatement cannot have been known before it was retrieved, whatever its source claims: it
        would rewrite what past decisions saw. So its `known_at` is at least `retrieved_at`.
        """
        self._stage(table, frame, provenance)
        count = self._commit(lambda: self._insert_versions(table, key, retrieved_at))
        return Written(table=table, rows=count, snapshot_id=self.snapshot_id())

    def publish(
        self,
        table: str,
        frame: pd.DataFrame,
        provenance: Provenance,
        *,
        scope: Mapping[str, Sequence[object]],
        admit: Callable[[], object] | None = None,
    ) -> Written:
        """Make `frame` the whole content of a slice: the rows where every column of `scope` has
        one of its values. The same content again writes nothing; the old content stays readable
        at its snapshot. `admit` is called when everything is ready to be written; if it raises,
        nothing is."""
        self._stage(table, frame, provenance)
        if admit is not None:
            admit()
        count = self._commit(lambda: self._replace_slice(quoted(table), scope))
        return Written(table=table, rows=count, snapshot_id=self.snapshot_id())

    def as_stored(
        self, table: str, frame: pd.DataFrame, provenance: Provenance
    ) -> list[dict[str, Any]]:
        """The rows that `frame` would become in `table`, typed and hashed; nothing is written."""
        self._stage(table, frame, provenance)
        names = [row[0] for row in self.rows("DESCRIBE temp.staged")]
        staged = self.rows("SELECT * FROM temp.staged")
        return [dict(zip(names, row, strict=True)) for row in staged]

    def execute(self, sql: str) -> None:
        """A statement without rows: schema changes and maintenance."""
        self._columns.clear()
        with storage_errors(self.location):
            self._connection.execute(sql)

    def add_columns(self, table: str, columns: Mapping[str, str]) -> list[str]:
        """Add the columns that the table lacks, before its lineage is read; returns their names."""
        present = self.columns(table)
        missing = [name for name in columns if name not in present]
        added = "; ".join(
            f'ALTER TABLE {quoted(table)} ADD COLUMN "{name}" {columns[name]}' for name in missing
        )
        if missing:
            self._commit(lambda: len(missing) if self._connection.execute(added) else 0)
            del self._columns[table]
        return missing

    def _stage(self, table: str, frame: pd.DataFrame, provenance: Provenance) -> None:
        """Fill `temp.staged` with the target's columns and types, lineage and row hashes."""
        types = self.columns(table)
        content = [name for name in types if name not in LINEAGE_COLUMNS]
        missing = [name for name in content if name not in frame.columns]
        if missing:
            raise ValueError(f"{table} needs the columns {missing}, the frame lacks them")
        typed = ", ".join(_typed(name, types[name]) for name in content)
        hashed = row_hash_sql({name: types[name] for name in content})
        origin = {
            "run_id": provenance.run_id,
            "snapshot_id": provenance.snapshot_id,
            "code_version": provenance.code_version,
        }

        def stage() -> None:
            # A name of its own for every try: one that failed may have left its view half made.
            name = f"frame_{next(_FRAMES)}"
            self._connection.register(name, frame)
            self._connection.execute(
                "CREATE OR REPLACE TEMP TABLE staged AS "
                f"WITH typed AS (SELECT {typed} FROM {name}) "
                "SELECT *, $run_id AS run_id, $snapshot_id::BIGINT AS snapshot_id, "
                f"$code_version AS code_version, {hashed} AS row_hash FROM typed",
                origin,
            )
            self._connection.unregister(name)

        with storage_errors(self.location):
            _when_unlocked(stage)

    def _insert_versions(
        self, table: str, key: Sequence[str], retrieved_at: dt.datetime | None
    ) -> int | None:
        execute = self._connection.execute
        types = self.columns(table)
        said = {
            name: kind for name, kind in types.items() if name not in (*LINEAGE_COLUMNS, "known_at")
        }
        keys = ", ".join(f'"{name}"' for name in key)
        same_key = " AND ".join(f'stored."{name}" = incoming."{name}"' for name in key)
        execute(
            f"CREATE OR REPLACE TEMP TABLE fresh AS "
            f"WITH incoming AS (SELECT *, {row_hash_sql(said)} AS said FROM temp.staged), "
            f"stored AS (SELECT {keys}, {row_hash_sql(said)} AS said FROM {quoted(table)} "
            f"SEMI JOIN temp.staged USING ({keys}) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_at DESC) = 1) "
            f"SELECT DISTINCT ON (row_hash) incoming.* EXCLUDE (said), "
            f"EXISTS (SELECT 1 FROM stored WHERE {same_key}) AS is_restatement FROM incoming "
            f"ANTI JOIN stored USING ({keys}, said)"
        )
        if retrieved_at is not None:
            content = {name: kind for name, kind in types.items() if name not in LINEAGE_COLUMNS}
            execute(
                "UPDATE temp.fresh SET known_at = greatest(known_at, $1) WHERE is_restatement",
                [retrieved_at],
            )
            execute(
                f"UPDATE temp.fresh SET row_hash = {row_hash_sql(content)} WHERE is_restatement"
            )
        count = int(execute("SELECT count(*) FROM temp.fresh").fetchall()[0][0])
        if count:
            execute(
                f"INSERT INTO {quoted(table)} BY NAME "
                "SELECT * EXCLUDE (is_restatement) FROM temp.fresh"
            )
        return count or None

    def _replace_slice(self, target: str, scope: Mapping[str, Sequence[object]]) -> int | None:
        execute = self._connection.execute
        where, values = _scope_sql(scope)
        old = execute(f"SELECT row_hash FROM {target} WHERE {where}", values).fetchall()
        new = execute("SELECT row_hash FROM temp.staged").fetchall()
        if sorted(old) == sorted(new):
            return None
        if old:
            execute(f"DELETE FROM {target} WHERE {where}", values)
        if new:
            execute(f"INSERT INTO {target} BY NAME SELECT * FROM temp.staged")
        return len(new) or len(old)

    def _commit(self, write: Callable[[], int | None]) -> int:
        """Run `write` as one transaction; a conflict with another writer starts it over.

        `write` returns how many rows it wrote, or None when there was nothing to change.
        """
        with storage_errors(self.location):
            for attempt in range(_COMMIT_ATTEMPTS):
                try:
                    self._connection.execute("BEGIN")
                    count = write()
                    self._connection.execute("ROLLBACK" if count is None else "COMMIT")
                    return count or 0
                except duckdb.Error as error:
                    _rollback(self._connection)
                    if attempt + 1 == _COMMIT_ATTEMPTS or not _is_conflict(error):
                        raise
                    # Jitter only spreads competing writers; it decides nothing that is recorded.
                    time.sleep(0.02 * 2**attempt * random.random())
        raise AssertionError("unreachable: the loop returns or raises")

    def _migrate(self, folder: Path) -> None:
        with storage_errors(self.location):
            create = "CREATE TABLE IF NOT EXISTS main.migrations (name VARCHAR)"
            _when_unlocked(lambda: self._connection.execute(create))
        applied = {row[0] for row in self.rows("SELECT name FROM main.migrations")}
        for path in sorted(folder.glob("*.sql")):
            if path.name not in applied:
                self._commit(partial(self._apply_migration, path))

    def _apply_migration(self, path: Path) -> int:
        self._connection.execute(path.read_text(encoding="utf-8"))
        self._connection.execute("INSERT INTO main.migrations VALUES (?)", [path.name])
        return 1


def quoted(table: str) -> str:
    """`order.fills` as SQL; every part is checked, since identifiers cannot be parameters."""
    parts = table.split(".")
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"not a table name: {table!r}")
    return ".".join(f'"{part}"' for part in parts)


def row_hash_sql(types: Mapping[str, str]) -> str:
    """The hash of a row's content as a SQL expression, the same wherever it is computed.

    Times go in as microseconds since 1970, so that no session setting changes the text; a missing
    value is a letter that no number's text can be.
    """
    texts = (f"coalesce({_as_text(name, kind)}, 'N')" for name, kind in types.items())
    return f"left(sha256(concat_ws('|', {', '.join(texts)})), 32)"


@contextmanager
def storage_errors(location: LakeLocation) -> Iterator[None]:
    """Turn DuckDB's errors into what the caller should do about them."""
    try:
        yield
    except (RuntimeError, duckdb.Error) as error:
        # Ctrl-C in the middle of a query comes out of DuckDB as an error of one of two kinds.
        if any(sign in str(error) for sign in _INTERRUPT_SIGNS):
            raise KeyboardInterrupt from error
        if isinstance(error, duckdb.Error):
            translated = _translated(error, location)
            if translated is not error:
                raise translated from error
        raise


def _translated(error: duckdb.Error, location: LakeLocation) -> Exception:
    """What the caller should do about an error of DuckDB; itself where nothing is known."""
    message = str(error)
    if isinstance(error, duckdb.SerializationException):
        return _damaged(message, location)
    if isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.InvalidInputException):
        return _state_error(message, location)
    if any(sign in message.lower() for sign in _DAMAGE_SIGNS + _STORAGE_SIGNS):
        return _state_error(message, location)
    return error


_INTERRUPT_SIGNS = ("Query interrupted", "KeyboardInterrupt")
_DAMAGE_SIGNS = ("malformed", "not a database", "corrupt", "no magic bytes", "disk image")
_STORAGE_SIGNS = (
    "no space left",
    "read-only",
    "readonly",
    "permission denied",
    "disk full",
    "database or disk is full",
    "unable to open database",
    "is locked",
)


def _state_error(message: str, location: LakeLocation) -> Exception:
    if any(sign in message.lower() for sign in _STORAGE_SIGNS):
        return StorageUnavailableError(
            f"the warehouse at {location.data} cannot be written: {_first_line(message)}",
            remedy="free disk space or make the folder writable, then run the same command again; "
            "nothing was written half",
        )
    return _damaged(message, location)


def _damaged(message: str, location: LakeLocation) -> LakeDamagedError:
    return LakeDamagedError(
        f"the warehouse at {location.catalog} cannot be read: {_first_line(message)}",
        remedy="restore the folder from a backup, or move it away and run the command again: "
        "the warehouse is rebuilt from the sources, and the ledger is kept apart from it",
    )


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0]


def _make_folder(folder: Path) -> None:
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailableError(
            f"the folder {folder} cannot be made: {error.strerror}",
            remedy="make it writable, or set PMX_HOME to a folder that is",
        ) from error


def _connect(location: LakeLocation) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    _load(connection, "ducklake")
    _load(connection, location.catalog.partition(":")[0])
    if location.data.startswith("s3://"):
        _load(connection, "httpfs")
    with storage_errors(location):
        _attach(connection, location, "lake")
        # One thread: rows come back in one order, and the nightly's other work keeps its core.
        connection.execute("SET threads = 1; SET enable_progress_bar = false")
    return connection


def _attach(
    connection: duckdb.DuckDBPyConnection,
    location: LakeLocation,
    name: str,
    *,
    snapshot_id: int | None = None,
) -> None:
    """Make the lake the connection's own, whole or as of a snapshot."""
    # A copied or moved home has its data elsewhere than when the catalog was made.
    options = [f"DATA_PATH '{_sql_text(location.data)}'", "OVERRIDE_DATA_PATH true"]
    if snapshot_id is not None:
        options += [f"SNAPSHOT_VERSION {int(snapshot_id)}", "READ_ONLY"]
    attach = f"ATTACH 'ducklake:{_sql_text(location.catalog)}' AS {name} ({', '.join(options)})"
    _when_unlocked(lambda: connection.execute(attach))
    connection.execute(f"USE {name}; SET TimeZone = 'UTC'")


def _when_unlocked(act: Callable[[], _T]) -> _T:
    """What `act` gives, once no other process is committing to the catalog at that moment.

    Only for what has no effect where it fails: opening, reading and staging.
    """
    for attempt in range(_COMMIT_ATTEMPTS - 1):
        try:
            return act()
        except duckdb.Error as error:
            if "is locked" not in str(error).lower():
                raise
            time.sleep(0.05 * 2**attempt * random.random())
    return act()


def _load(connection: duckdb.DuckDBPyConnection, extension: str) -> None:
    """From the Python package by path, so that no network is needed; else by INSTALL."""
    name = _EXTENSIONS[extension]
    try:
        package = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError:
        connection.execute(f"INSTALL {extension}; LOAD {extension}")
        return
    folder = Path(str(package.__file__)).parent
    path = next(folder.rglob("*.duckdb_extension"))
    connection.execute(f"LOAD '{_sql_text(str(path))}'")


def _sql_text(text: str) -> str:
    return text.replace("'", "''")


def _typed(name: str, kind: str) -> str:
    value = f'"{name}"'
    if kind == "DOUBLE":  # pandas says NaN for missing; the warehouse says NULL
        value = f"CASE WHEN isnan({value}::DOUBLE) THEN NULL ELSE {value}::DOUBLE END"
    return f'CAST({value} AS {kind}) AS "{name}"'


def _as_text(name: str, kind: str) -> str:
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f'epoch_us("{name}")::VARCHAR'
    return f'"{name}"::VARCHAR'


def _scope_sql(scope: Mapping[str, Sequence[object]]) -> tuple[str, list[object]]:
    clauses: list[str] = []
    values: list[object] = []
    for column, allowed in scope.items():
        clauses.append(f'"{column}" IN ({", ".join("?" for _ in allowed) or "NULL"})')
        values.extend(allowed)
    return " AND ".join(clauses), values


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # a failed COMMIT has already ended the transaction
        connection.execute("ROLLBACK")


def _is_conflict(error: Exception) -> bool:
    return any(sign in str(error).lower() for sign in ("conflict", "is locked", "concurrent"))
