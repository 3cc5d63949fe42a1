"""The lake as it is and as it was: stored rows with their lineage, read at any snapshot.

Belongs here: opening snapshots, and one form for a stored row whatever its table.
Does not belong here: which rows a decision needs (`trail`), or what they should say (`replay`).
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant.core.errors import LakeDamagedError, PmxError, StateError, UsageError
from resources.desk import Desk

if TYPE_CHECKING:
    from resources.warehouse import Warehouse

# A snapshot is a connection of its own; the replay walks through them in order.
_OPEN_MAX = 6


class UnreadableTableError(StateError):
    """One table of the lake cannot be read; the others may be sound."""

    def __init__(self, table: str, cause: PmxError) -> None:
        super().__init__(f"{table} cannot be read: {cause}", remedy=cause.remedy)
        self.table = table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stored row; `computed_hash` is the hash of the values that are there now."""

    table: str
    values: Mapping[str, Any]
    run_id: str
    snapshot_id: int
    code_version: str
    row_hash: str
    computed_hash: str

    def __getitem__(self, column: str) -> Any:
        return self.values[column]

    @property
    def stage(self) -> str:
        """The first part of the table's name."""
        return self.table.partition(".")[0]


class Lakes:
    """The newest state of the lake, and past ones while they are needed."""

    def __init__(self, desk: Desk) -> None:
        require_lake(desk)
        self.desk = desk
        self.newest: Warehouse = desk.warehouse
        self._open: dict[int, Warehouse] = {}
        self._types: dict[tuple[int | None, str], dict[str, str]] = {}

    def close(self) -> None:
        """Let go of the past; the desk keeps the present."""
        for warehouse in self._open.values():
            warehouse.close()
        self._open.clear()

    def at(self, snapshot_id: int) -> "Warehouse":
        """The lake at a snapshot; the ones used last stay open."""
        warehouse = self._open.pop(snapshot_id, None)
        if warehouse is None:
            while len(self._open) >= _OPEN_MAX:
                self._open.pop(next(iter(self._open))).close()
            warehouse = self.desk.warehouse.at(snapshot_id)
        self._open[snapshot_id] = warehouse
        return warehouse

    def lake(self, snapshot_id: int | None) -> "Warehouse":
        """The lake at a snapshot, or the newest state for None."""
        return self.newest if snapshot_id is None else self.at(snapshot_id)

    def types(self, table: str, snapshot_id: int | None) -> dict[str, str]:
        """Column types of a table as they were; features gain columns over time."""
        key = (snapshot_id, table)
        if key not in self._types:
            self._types[key] = self.lake(snapshot_id).columns(table)
        return self._types[key]

    def rows(
        self,
        table: str,
        where: str,
        parameters: Sequence[object] = (),
        *,
        at: int | None = None,
    ) -> list[Row]:
        """Stored rows of a table at a snapshot (None: now), each hashed again from its values."""
        from resources.warehouse import LINEAGE_COLUMNS, quoted, row_hash_sql

        with named(table):
            content = {
                name: kind
                for name, kind in self.types(table, at).items()
                if name not in LINEAGE_COLUMNS
            }
            selected = ", ".join(f'"{name}"' for name in (*content, *LINEAGE_COLUMNS))
            found = self.lake(at).rows(
                f"SELECT {selected}, {row_hash_sql(content)} FROM {quoted(table)} WHERE {where}",
                parameters,
            )
        width = len(content)
        return [
            Row(
                table=table,
                values=dict(zip(content, row[:width], strict=True)),
                run_id=row[width],
                snapshot_id=int(row[width + 1]),
                code_version=row[width + 2],
                row_hash=row[width + 3],
                computed_hash=row[width + 4],
            )
            for row in found
        ]


@contextmanager
def named(table: str) -> Iterator[None]:
    """Say which table it was that could not be read."""
    try:
        yield
    except LakeDamagedError as error:
        raise UnreadableTableError(table, error) from error


@contextmanager
def open_lakes(desk: Desk) -> Iterator[Lakes]:
    """Lakes that are closed at the end, whatever happened."""
    lakes = Lakes(desk)
    try:
        yield lakes
    finally:
        lakes.close()


def require_lake(desk: Desk) -> None:
    """Looking must not create an empty warehouse."""
    folder = desk.lake_location.local_folder
    if folder is not None and not (folder / "catalog.sqlite").exists():
        raise UsageError(
            f"there is no warehouse in {folder}",
            remedy="run `pmx demo` or `pmx nightly` first, or name another folder with --home",
        )


def as_date(value: Any) -> dt.date:
    """A day, whatever type the driver or pandas gave it."""
    return value.date() if isinstance(value, dt.datetime) else value
