"""A Postgres of the machine's own package, on loopback, for as long as a test needs it.

Belongs here: finding the programs, and one server with an empty folder. Does not belong here: what
is stored in it. Postgres refuses to run for root, so there it runs for the account of its package.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 30.0


def program(name: str) -> Path | None:
    """Where `initdb` or `postgres` lies; Debian keeps them off the path."""
    found = shutil.which(name)
    # `initdb` looks for `postgres` beside itself, so links from elsewhere are followed.
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return versions[-1] if versions else Path(found).resolve() if found else None


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return pwd.getpwnam("nobody").pw_name


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """The address of a fresh server; a database is `address + "/name"` after `make_database`."""
    initdb, server = program("initdb"), program("postgres")
    if initdb is None or server is None:
        raise RuntimeError("initdb and postgres are not installed")
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="pmx-postgres-"))
    try:
        if account is not None:
            shutil.chown(folder, account)
        data = folder / "data"
        command = [initdb, "-D", data, "-U", "pmx", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(command, check=True, capture_output=True, user=account, cwd=folder)
        with _server(server, data, folder, account) as port:
            yield f"postgresql://pmx@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_database(address: str, name: str) -> str:
    """A new database on the server, and its address."""
    import psycopg

    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{address}/{name}"


@contextlib.contextmanager
def _server(server: Path, data: Path, folder: Path, account: str | None) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = ("fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}")
    flags = [word for setting in settings for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [server, "-D", data, "-p", str(port), *flags],
            stdout=log,
            stderr=log,
            user=account,
            cwd=folder,
        )
        try:
            _wait(process, port, folder / "log")
            yield port
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://pmx@127.0.0.1:{port}/postgres").close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"Postgres did not start: {log.read_text(errors='replace')[-2000:]}")
