"""Dagster's SQLite storage with connections that stay open.

Dagster 1.13 opens a new connection, and a new engine, for each of the some two hundred events of a
night, and every commit waits for the disk twice. Tables, files and answers are Dagster's own; this
differs in two ways. A connection is kept for each database in use. And commits are synchronous to
the operating system, not to the disk: under the write-ahead log nothing that was committed is lost
when a process dies, and the database stays whole when the machine does, at worst without its last
moments. The record of decisions is the ledger's journal, which waits for the disk.

`deploy/dagster.yaml` chooses this class.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._config import StringSource
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

# One database a run; a process seldom writes to more than one, web pages read several.
_OPEN_RUNS_MAX = 4


class KeptEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log; `_connect` alone differs, and holds the same lock as there."""

    _engines: "OrderedDict[str, sa.Engine] | None" = None
    _owner = 0

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        """The shard's engine, newest last; the one that was used least recently is closed."""
        if self._engines is None or self._owner != os.getpid():
            # A connection must not cross a fork: the child begins with none.
            self._engines, self._owner = OrderedDict(), os.getpid()
        engines = self._engines
        if shard in engines and not os.path.exists(self.path_for_shard(shard)):
            self._forget(shard)
        if shard not in engines:
            engines[shard] = kept_engine(self.conn_string_for_shard(shard))
        engines.move_to_end(shard)
        for old in [name for name in engines if name != INDEX_SHARD_NAME][:-_OPEN_RUNS_MAX]:
            engines.pop(old).dispose()
        return engines[shard]

    def _forget(self, shard: str) -> None:
        """The file was removed under the connection; begin again as for a new one."""
        if self._engines is not None:
            self._engines.pop(shard).dispose()
        self._initialized_dbs.discard(shard)

    def dispose(self) -> None:
        """Close what was kept open, then do as Dagster does."""
        engines, self._engines = self._engines, None
        if engines is not None and self._owner == os.getpid():
            for engine in engines.values():
                engine.dispose()
        super().dispose()


class KeptRunStorage(SqliteRunStorage):
    """Dagster's run storage on one kept engine."""

    _engine: sa.Engine | None = None
    _owner = 0

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """One transaction."""
        if self._engine is None or self._owner != os.getpid():
            self._engine, self._owner = kept_engine(self._conn_string), os.getpid()
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close what was kept open."""
        engine, self._engine = self._engine, None
        if engine is not None and self._owner == os.getpid():
            engine.dispose()
        super().dispose()


class KeptSqliteStorage(DagsterSqliteStorage):
    """All of Dagster's local storage, in the same files as Dagster's own class."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        history = os.path.join(base_dir, "history", "")
        self._run_storage = KeptRunStorage.from_local(history)
        self._event_log_storage = KeptEventLogStorage(os.path.join(history, "runs", ""))
        self._schedule_storage = SqliteScheduleStorage.from_local(
            os.path.join(base_dir, "schedules")
        )
        self._inst_data = inst_data
        # Past Dagster's class, which would open its own storages.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """`base_dir` is DAGSTER_HOME."""
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "KeptSqliteStorage":
        """How Dagster builds it from dagster.yaml."""
        os.makedirs(config_value["base_dir"], exist_ok=True)
        return cls(inst_data=inst_data, base_dir=config_value["base_dir"])


def kept_engine(address: str) -> sa.Engine:
    """An engine whose connections stay open and do not wait for the disk at each commit."""
    engine = sa.create_engine(
        address,
        poolclass=sa.QueuePool,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _relax)
    return engine


def _relax(connection: Any, _record: object) -> None:
    # Without a write-ahead log NORMAL could leave a torn database after a power cut; Dagster sets
    # that log on every database it makes, before it is first written to.
    connection.execute("PRAGMA synchronous = NORMAL").close()
