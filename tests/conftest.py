"""Fixtures that many folders share; see `tests/support/small_home.py` for what they lend."""

import fcntl
import shutil
import signal
from pathlib import Path

import pytest

from resources.settings import Settings

# A shell that starts the tests in the background lets every child ignore Ctrl-C. The tests that
# press it need the usual handling, which children get unless their parent ignores the signal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with six nights in it, made once for all tests: look, do not touch."""
    from tests.support import small_home as support

    # Workers of one pytest-xdist run share the folder above their own.
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if root.name.startswith("popen-") else root) / "small_home"
    with (folder.parent / "small_home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            # What a worker that was stopped left behind is no home.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            support.make_small_home(folder)
            (folder / "made").touch()
    return support.small_settings(folder)


@pytest.fixture
def own_home(small_home: Settings, tmp_path: Path) -> Settings:
    """A copy of the small home that the test may change."""
    from tests.support.small_home import copy_small_home

    return copy_small_home(small_home, tmp_path / "own")
