"""What `pmx doctor` looks at on this machine: packages, disk, locks, extensions, ports, clock.

Belongs here: one function a check, each of which finds out and never repairs.
"""

import contextlib
import datetime as dt
import os
import platform
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from resources.settings import Settings, project_root

Status = Literal["ok", "warn", "fail"]

# The packages whose behaviour the stored state depends on.
WATCHED: Final = ("dagster", "duckdb", "great-expectations", "mlflow", "numpy", "pandas")
EXTENSIONS: Final = ("ducklake", "sqlite_scanner", "postgres_scanner", "httpfs")
PORTS: Final = {"Dagster": 3000, "MLflow": 5000, "dashboard": 8050}

# A nightly of 500 symbols writes a few megabytes; below the first number even the log may not fit.
DISK_FAIL_BYTES: Final = 200_000_000
DISK_WARN_BYTES: Final = 2_000_000_000
FILES_MAX: Final = 20_000
# A file from the future by more than this means that the clock ran back since it was written.
CLOCK_SLACK_SECONDS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def machine_checks(settings: Settings) -> Iterator[Check]:
    """Every check of this module, in the order in which a person would look."""
    yield python_version()
    yield package_versions(project_root() / "requirements.lock")
    yield home_writable(settings.home)
    yield disk_free(settings.home)
    yield locks(settings.home)
    yield duckdb_extensions()
    yield ports()
    yield clock(settings.home)


def python_version() -> Check:
    """What runs; an older Python than 3.11 cannot import this."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check(name="python", status="ok", found=found)


def package_versions(lock: Path) -> Check:
    """The installed versions are those that were tested together."""
    pinned = _pinned(lock)
    installed = {name: metadata.version(name) for name in WATCHED}
    wrong = [
        f"{name} {found} instead of {' or '.join(pinned[name])}"
        for name, found in installed.items()
        if found not in pinned.get(name, [found])
    ]
    if wrong:
        return Check(
            name="packages",
            status="warn",
            found=f"differs from requirements.lock: {', '.join(wrong)}",
            remedy="make clean, then make run, installs the tested versions",
        )
    return Check(
        name="packages", status="ok", found=", ".join(f"{n} {v}" for n, v in installed.items())
    )


def home_writable(home: Path) -> Check:
    """A file can be made, renamed and removed where the state lies."""
    place = next(p for p in (home, *home.parents) if p.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".pmx-doctor-", dir=place) as probe:
            (Path(probe) / "a").write_bytes(b"x")
            (Path(probe) / "a").replace(Path(probe) / "b")
    except OSError as error:
        return Check(
            name="home",
            status="fail",
            found=f"{place} cannot be written ({error.strerror})",
            remedy="give this user access, or choose another folder with PMX_HOME",
        )
    return Check(name="home", status="ok", found=f"{home}{'' if place == home else ' (new)'}")


def disk_free(home: Path) -> Check:
    """There is room for the next runs."""
    place = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free"
    if free < DISK_WARN_BYTES:
        status: Status = "fail" if free < DISK_FAIL_BYTES else "warn"
        return Check(name="disk", status=status, found=found, remedy=f"free some space at {place}")
    return Check(name="disk", status="ok", found=found)


def locks(home: Path) -> Check:
    """Who holds a lock on a file of ours. A lock ends with its process, so none can be stale."""
    held = sorted({f"{path.relative_to(home)} by PID {pid}" for path, pid in held_locks(home)})
    more = f" and {len(held) - 5} more" if len(held) > 5 else ""
    return Check(name="locks", status="ok", found=", ".join(held[:5]) + more or "none held")


def held_locks(home: Path) -> list[tuple[Path, int]]:
    """Locked files under home with the process that holds each; empty where /proc is missing."""
    table = Path("/proc/locks")
    if not table.exists():
        return []
    owners: dict[tuple[int, int, int], int] = {}
    for line in table.read_text().splitlines():
        match = re.search(r"(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) \d+ \S+$", line)
        if match and "->" not in line:
            major, minor = int(match[2], 16), int(match[3], 16)
            owners[major, minor, int(match[4])] = int(match[1])
    found = []
    for path in _files(home):
        with contextlib.suppress(OSError):
            stat = path.stat()
            key = (os.major(stat.st_dev), os.minor(stat.st_dev), stat.st_ino)
            if key in owners:
                found.append((path, owners[key]))
    return found


def duckdb_extensions() -> Check:
    """Every extension the warehouse may need loads, and DuckDB accepts its signature."""
    import duckdb

    failed = []
    with duckdb.connect() as connection:
        for name in EXTENSIONS:
            path = _extension_file(name)
            try:
                connection.execute(f"LOAD '{path}'" if path else f"LOAD {name}")
            except duckdb.Error as error:
                failed.append(f"{name} ({str(error).splitlines()[0]})")
    if failed:
        return Check(
            name="duckdb extensions",
            status="fail",
            found=f"not loaded: {'; '.join(failed)}",
            remedy=f"install duckdb-extension-... of version {duckdb.__version__}",
        )
    return Check(name="duckdb extensions", status="ok", found=", ".join(EXTENSIONS))


def ports() -> Check:
    """Which of the usual ports are taken; `pmx up` then takes the next free one."""
    taken = [f"{name} {port}" for name, port in PORTS.items() if not is_free(port)]
    if taken:
        return Check(
            name="ports",
            status="warn",
            found=f"in use: {', '.join(taken)}",
            remedy="nothing, if that is a running `pmx up`; another one takes the next free port",
        )
    return Check(name="ports", status="ok", found=f"free: {', '.join(map(str, PORTS.values()))}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def clock(home: Path) -> Check:
    """No file of ours is from the future: decisions are ordered by this clock."""
    now = dt.datetime.now(dt.UTC)
    newest = max((_modified(path) for path in _files(home)), default=0.0)
    ahead = newest - now.timestamp()
    if ahead > CLOCK_SLACK_SECONDS:
        return Check(
            name="clock",
            status="fail",
            found=f"it is {now:%Y-%m-%d %H:%M} UTC, but a stored file is {ahead:.0f} s newer",
            remedy="set the clock (timedatectl set-ntp true), then run this again",
        )
    return Check(name="clock", status="ok", found=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _pinned(lock: Path) -> dict[str, list[str]]:
    """The versions a package may have: one, or one for each Python."""
    pins: dict[str, list[str]] = {}
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    for match in re.finditer(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
        pins.setdefault(match[1], []).append(match[2])
    return pins


def _files(home: Path) -> Iterator[Path]:
    paths = (Path(folder) / name for folder, _, files in os.walk(home) for name in files)
    return (path for path, _ in zip(paths, range(FILES_MAX), strict=False))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone since it was listed
        return 0.0


def _extension_file(name: str) -> Path | None:
    try:
        files = metadata.files(f"duckdb-extension-{name.replace('_', '-')}") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())) for f in files if f.suffix == ".duckdb_extension"), None)
