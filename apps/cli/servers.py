"""Servers that `pmx` starts, watches and stops together.

Belongs here: a process with a log, a test whether it answers, and an end without orphans.
Does not belong here: which servers there are (`up`).
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from apps.cli.checks import is_free
from apps.cli.leash import GRACE_SECONDS
from quant.core.errors import PmxError

HOST: Final = "127.0.0.1"
PORTS_TRIED: Final = 50
LOG_LINES_SHOWN: Final = 12
LOG_BYTES_MAX: Final = 20_000_000


class ServerError(PmxError):
    """A server did not start, or stopped by itself."""

    exit_code = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """How to start one server and how to tell that it answers."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    # None for a server without pages of its own.
    port: int | None
    answers: Callable[[], bool]

    @property
    def address(self) -> str | None:
        """What a person types into a browser."""
        return f"http://{HOST}:{self.port}" if self.port else None


class Server:
    """One running server, in a process group of its own."""

    def __init__(self, spec: ServerSpec, *, folder: Path) -> None:
        self.spec = spec
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        if spec.log.exists() and spec.log.stat().st_size > LOG_BYTES_MAX:
            spec.log.replace(spec.log.with_suffix(".log.1"))
        self._start_of_log = spec.log.stat().st_size if spec.log.exists() else 0
        with spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "apps.cli.leash", *spec.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(spec.environment),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process, and also its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def let_go(self) -> None:
        """Tell the family to end; does not wait."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def wait_ended(self) -> None:
        """Return when no process of the family is left."""
        try:
            self._process.wait(timeout=GRACE_SECONDS + 4)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()

    def last_lines(self) -> str:
        """The end of what it wrote to its log since it was started."""
        with self.spec.log.open("rb") as log:
            log.seek(self._start_of_log)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:]) or "  (nothing)"


class Family:
    """Servers that live and die together. Use as a context manager: leaving it stops all."""

    def __init__(self, specs: Sequence[ServerSpec], *, folder: Path) -> None:
        self._specs = specs
        self._folder = folder
        self.servers: list[Server] = []

    def __enter__(self) -> "Family":
        try:
            for spec in self._specs:
                self.servers.append(Server(spec, folder=self._folder))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process; a second Ctrl-C in the meantime does not leave any behind."""
        with _no_interrupts():
            for server in self.servers:
                server.let_go()
            for server in self.servers:
                server.wait_ended()

    def check_alive(self) -> None:
        """Raise `ServerError` with the last log lines of a server that stopped by itself."""
        for server in self.servers:
            if server.exit_code is not None:
                raise ServerError(
                    f"{server.spec.name} stopped by itself (exit code {server.exit_code}); "
                    f"the others were stopped too. Its last lines:\n{server.last_lines()}",
                    remedy=f"read {server.spec.log}, mend the cause, then start again",
                )

    def wait_until_ready(self, *, timeout_seconds: float, ready: Callable[[Server], None]) -> None:
        """Return when every server answers; `ready` is told of each."""
        deadline = time.monotonic() + timeout_seconds
        waiting = list(self.servers)
        while waiting:
            self.check_alive()
            for server in [s for s in waiting if s.spec.answers()]:
                waiting.remove(server)
                ready(server)
            if waiting and time.monotonic() > deadline:
                raise _too_slow(waiting[0], timeout_seconds)
            time.sleep(0.2 if waiting else 0)

    def watch(self) -> None:
        """Return never: wait until a server stops by itself or a signal comes."""
        while True:
            self.check_alive()
            time.sleep(0.5)


def free_port(wanted: int, *, taken: set[int]) -> int:
    """`wanted`, or the next port on which nothing listens."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        if port not in taken and is_free(port):
            return port
    raise ServerError(
        f"no port from {wanted} on is free",
        remedy="stop another server, or choose another port (see pmx up --help)",
    )


def get_json(port: int, path: str, body: dict[str, Any] | None = None) -> Any:
    """What a loopback server answers, or None while it does not. Proxies are never asked."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(
            "POST" if body else "GET",
            path,
            body=json.dumps(body) if body else None,
            headers={"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def answers_text(port: int, path: str) -> bool:
    """Whether the page answers with success."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _too_slow(server: Server, seconds: float) -> ServerError:
    return ServerError(
        f"{server.spec.name} did not answer within {seconds:.0f} s; all were stopped. "
        f"Its last lines:\n{server.last_lines()}",
        remedy=f"read {server.spec.log}; --timeout gives a slow machine more time",
    )


@contextlib.contextmanager
def _no_interrupts() -> Any:
    import signal

    old = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
