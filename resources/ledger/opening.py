"""Opens the ledger's SQL tables: to write, to read beside a writer, or in memory.

Belongs here: what to do with a database file that is missing, foreign or beyond reading. The tables
hold nothing of their own, so throwing them away is always an answer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quant.core.errors import StorageUnavailableError
from resources.ledger.journal import storage_errors
from resources.ledger.seal import Seal, TablesState, is_changed

if TYPE_CHECKING:
    from resources.ledger.projection import Projection

_TABLES: Final = "projection.sqlite"


def open_tables(directory: Path, url: str | None) -> "Projection":
    """The tables, made anew where their file cannot be trusted: they hold nothing of their own."""
    if url is not None:
        return _opened(url)
    path = directory / _TABLES
    with storage_errors(directory):
        seal = Seal.take(path)
    try:
        tables = _trusted(path, seal.state)
    except BaseException:
        seal.close()
        raise
    tables.seal = seal
    return tables


def _opened(url: str) -> "Projection":
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect

    tables = Projection(connect(url))
    try:
        tables.create()
        tables.head()
    except (sa.exc.DatabaseError, KeyError, ValueError) as error:
        tables.engine.dispose()
        raise StorageUnavailableError(
            f"the ledger's tables cannot be opened: {error}",
            remedy="make the database reachable and writable, then try again",
        ) from error
    return tables


def _trusted(path: Path, state: TablesState) -> "Projection":
    """The tables of a file, and empty ones where it is damaged or its writer died over it.

    What a dead writer left still tells how far the journal had come, if it can be read.
    """
    import sqlalchemy as sa

    from resources.ledger.projection import file_url, unavailable

    if state is TablesState.CHANGED:
        _set_aside(path)
        return _opened(file_url(path))
    try:
        tables = _opened(file_url(path))
        if state is TablesState.SOUND:
            return tables
        witness = tables.head() if tables.is_current() else None
        tables.engine.dispose()
        _remove(path)
    except (StorageUnavailableError, sa.exc.DatabaseError) as error:
        if unavailable(error.__cause__ or error):
            raise
        witness = None
        _set_aside(path)
    tables = _opened(file_url(path))
    tables.witness = witness
    return tables


def _parts(path: Path) -> Iterator[Path]:
    every = (path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))
    return (part for part in every if part.exists())


def _remove(path: Path) -> None:
    for part in _parts(path):
        part.unlink()


def _set_aside(path: Path) -> None:
    """Keep a file that is not trusted for whoever wants to know why, and take its name back."""
    for part in _parts(path):
        part.replace(part.with_name(f"damaged-{part.name}"))


def open_tables_to_read(directory: Path, url: str | None) -> "Projection":
    """The tables as they are, or derived in memory where they cannot be used."""
    import sqlalchemy as sa

    from resources.ledger.projection import Projection, connect, file_url

    path = directory / _TABLES
    if url is None and not path.exists():
        return tables_in_memory()
    if url is None and is_changed(path):
        tables = tables_in_memory()
        tables.trouble = (
            f"{path.name} is not as its last writer left it; the next one derives it again"
        )
        return tables
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
