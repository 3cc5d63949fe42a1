"""A helper process that pays for slow imports while its parent does other work.

Belongs here: starting the process, carrying calls to it and answers back, and noticing when it is
gone. Does not belong here: what is called (handlers are named by import strings such as
"resources.quality_engine:validate_here"), or anything that must survive the parent.

A call never depends on the helper: when it crashes, hangs past the time limit or was never started,
the same handler runs in this process, and `incidents` says so. So a handler must be a pure function
of its arguments. Both ends are this product's own processes, joined by an unnamed socket pair that
no one else can open; several runs side by side do not meet.
"""

import atexit
import contextlib
import itertools
import logging
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import IO, Any, Final

from quant.core.errors import UsageError
from resources.companion_child import (
    POLL_S,
    Answer,
    CompanionError,
    Request,
    pack,
    receive,
    run,
)

__all__ = ["Companion", "CompanionError", "Incident"]

# Several thousand small fits or checks a night gain nothing from BLAS threads and lose to their
# quarrel over cores; the other settings keep vendors from phoning home and from drawing bars.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "TQDM_DISABLE": "1",
}

_LOG = logging.getLogger(__name__)
_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One reason why work was done in this process instead of the helper."""

    handler: str
    reason: str


@dataclass(slots=True, kw_only=True)
class _Pending:
    request: Request
    deadline: float
    future: "Future[Any]" = field(default_factory=Future)


class Companion:
    """The parent's end. Thread-safe; calls are served one after the other, in order."""

    def __init__(self, *, warm: Iterable[str] = (), timeout_s: float = 120.0) -> None:
        """`warm` names handlers to call ahead of need, for their imports.

        `timeout_s` counts from the submission of a call.
        """
        self.incidents: list[Incident] = []
        self._warm = tuple(warm)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._numbers = itertools.count(1)
        self._owner = os.getpid()
        self._is_closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stderr: IO[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the helper can take calls."""
        return self._socket is not None

    @property
    def pid(self) -> int | None:
        """The helper's process id while it lives."""
        return self._process.pid if self._process is not None and self.is_alive else None

    def start(self) -> "Companion":
        """Start the helper; returns at once, since its imports run on the other side."""
        if self._process is not None:
            return self
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = self._spawn(theirs)
            except OSError as error:
                # No memory or no process to spare: everything runs here, which is slower only.
                ours.close()
                self._note("start", f"the helper could not be started: {error}")
                return self
        self._socket = ours
        # A helper that is gone already is noticed by the reader.
        with contextlib.suppress(OSError):
            ours.sendall(pack(self._warm))
        self._reader = threading.Thread(target=self._read, name="companion", daemon=True)
        self._reader.start()
        atexit.register(self.close)
        return self

    def _spawn(self, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the helper)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "resources.companion_child", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            # Standard output belongs to the parent's answer (`--json`).
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            # Out of the terminal's group: Ctrl-C is the parent's to answer.
            process_group=0,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": _import_path()},
        )

    def submit(self, handler: str, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Hand over a call; the future holds what the handler returned or raised."""
        _require_name(handler)
        request = Request(number=next(self._numbers), handler=handler, args=args, kwargs=kwargs)
        pending = _Pending(request=request, deadline=time.monotonic() + self._timeout_s)
        if not self._hand_over(pending):
            _settle(pending.future, run(request))
        return pending.future

    def call(self, handler: str, /, *args: Any, **kwargs: Any) -> Any:
        """Hand over a call and wait for it."""
        return self.submit(handler, *args, **kwargs).result()

    def close(self) -> None:
        """End the helper and wait for it; calls still pending are cancelled. Safe to repeat."""
        self._is_closing = True
        target = self._socket
        if target is not None:
            # Already gone is as good.
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join()
        atexit.unregister(self.close)

    def __enter__(self) -> "Companion":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hand_over(self, pending: _Pending) -> bool:
        """Send a call across; False if there is no helper to send it to."""
        # A forked copy of this process shares the socket and must not speak on it.
        if self._socket is None or os.getpid() != self._owner:
            return False
        payload = pack(pending.request)
        with self._lock:
            if self._socket is None:
                return False
            self._pending[pending.request.number] = pending
            # A broken socket is seen by the reader too, and it runs what is pending.
            with contextlib.suppress(OSError):
                self._socket.sendall(payload)
        return True

    def _read(self) -> None:
        """Settle answers as they come, until the helper is gone; then do its work here."""
        target = self._socket
        assert target is not None  # set before the thread starts
        reason = self._settle_answers(target)
        assert self._process is not None
        # Before the lock: a call that cannot be sent to a helper that hangs is holding it.
        if reason:
            self._process.kill()
        with self._lock:
            self._socket = None
        target.close()
        self._bury(reason or "it ended")

    def _settle_answers(self, target: socket.socket) -> str:
        """Until the helper ends; if it has to be given up instead, say why."""
        while True:
            if self._is_overdue():
                return f"no answer within {self._timeout_s:g} s"
            if not select.select([target], [], [], POLL_S)[0]:
                continue
            answer = receive(target)
            if answer is None:
                return ""
            pending = self._pending.pop(answer.number, None)
            if pending is not None:
                _settle(pending.future, answer)

    def _is_overdue(self) -> bool:
        now = time.monotonic()
        return any(pending.deadline < now for pending in list(self._pending.values()))

    def _bury(self, reason: str) -> None:
        """Leave no zombie, then run what the helper still owed."""
        process, errors = self._process, self._stderr
        assert process is not None  # set before the thread starts
        assert errors is not None
        try:
            process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with errors:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        why = f"the helper was lost: {reason}, exit status {process.returncode}"
        for pending in list(self._pending.values()):
            self._work_off(pending, ", ".join([why, *last]))
        self._pending.clear()

    def _work_off(self, pending: _Pending, why: str) -> None:
        if self._is_closing:
            pending.future.cancel()
            return
        self._note(pending.request.handler, why)
        _settle(pending.future, run(pending.request))

    def _note(self, handler: str, why: str) -> None:
        _LOG.warning("%s runs in this process: %s", handler, why)
        self.incidents.append(Incident(handler=handler, reason=why))


def _import_path() -> str:
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)


def _require_name(handler: str) -> None:
    module, _, function = handler.partition(":")
    if not module or not function:
        raise UsageError(
            f"{handler!r} names no handler", remedy='write it as "package.module:function"'
        )


def _settle(future: "Future[Any]", answer: Answer) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if answer.error is not None:
        future.set_exception(answer.error)
    else:
        future.set_result(answer.value)
