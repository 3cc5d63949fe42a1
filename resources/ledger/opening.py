"""Opens the ledger's SQL tables: to write, to read beside a writer, or in memory.

Belongs here: what to do with a database file that is missing, foreign or beyond reading. The tables
hold nothing of their own, so throwing them away is always an answer.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from quant.core.errors import StorageUnavailableError

if TYPE_CHECKING:
    from resources.ledger.projection import Projection

_TABLES: Final = "projection.sqlite"


def open_tables(directory: Path, url: str | None) -> "Projection":
    """The tables, made anew when their file is beyond reading: they hold nothing of their own."""
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect, file_url, unavailable

    path = directory / _TABLES
    tables = Projection(connect(url or file_url(path)))
    try:
        tables.create()
        tables.head()
    except (sa.exc.DatabaseError, KeyError, ValueError) as error:
        tables.engine.dispose()
        if url is not None or unavailable(error):
            raise StorageUnavailableError(
                f"the ledger's tables cannot be opened: {error}",
                remedy="make the database reachable and writable, then try again",
            ) from error
        _set_aside(path)
        tables = Projection(connect(file_url(path)))
        tables.create()
    return tables


def _set_aside(path: Path) -> None:
    """Keep an unreadable file for whoever wants to know why, and take its name back."""
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(part.with_name(f"damaged-{part.name}"))


def open_tables_to_read(directory: Path, url: str | None) -> "Projection":
    """The tables as they are, or derived in memory where they cannot be used."""
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect, file_url

    path = directory / _TABLES
    if url is None and not path.exists():
        return tables_in_memory()
    tables = Projection(connect(url or file_url(path)))
    try:
        tables.head()
        is_current = tables.is_current()
    except (sa.exc.DatabaseError, KeyError, ValueError):
        is_current = False
    if is_current:
        return tables
    tables.engine.dispose()
    return tables_in_memory()


def tables_in_memory() -> "Projection":
    """Tables of this process alone, empty."""
    from resources.ledger.projection import Projection, connect

    tables = Projection(connect("sqlite://"))
    tables.create()
    return tables
