"""The real command line in this process, without pytest: what it prints is caught here."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from apps.cli.main import main
from tests.support.pmx_calls import Answer


def quiet_pmx(home: Path, *arguments: object) -> Answer:
    """One command on `home`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--home", str(home), *map(str, arguments)])
    return Answer(code=code, out=out.getvalue(), err=err.getvalue())


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with no setting of the product but `changes`."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("PMX_")]:
        del os.environ[name]
    os.environ |= changes
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
