"""The helper's side of `resources.companion`, and the messages that both sides exchange.

Belongs here: framing, running a handler, and the loop that serves. It imports nothing but the
standard library and the errors, so that the helper is ready as soon as Python is.
"""

import gc
import importlib
import os
import pickle
import queue
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quant.core.errors import PmxError

POLL_S = 0.5
_LENGTH = struct.Struct("!Q")


class CompanionError(PmxError):
    """A handler failed in the helper with an error that could not travel; its text is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call on its way; `handler` is "module:function"."""

    number: int
    handler: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call returned, or the error it raised."""

    number: int
    value: Any = None
    error: BaseException | None = None


def _resolve(handler: str) -> Callable[..., Any]:
    module, _, function = handler.partition(":")
    resolved: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return resolved


def run(request: Request) -> Answer:
    """Call the handler in this process."""
    try:
        value = _resolve(request.handler)(*request.args, **request.kwargs)
    except Exception as error:
        return Answer(number=request.number, error=error)
    return Answer(number=request.number, value=value)


def pack(message: object) -> bytes:
    """One frame: its length, then its pickle."""
    payload = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(payload)) + payload


def receive(target: socket.socket) -> Any:
    """The next message; None when the other end is gone."""
    header = _receive_exactly(target, _LENGTH.size)
    body = _receive_exactly(target, _LENGTH.unpack(header)[0]) if header else None
    # Only our own process can hold the other end of the pair.
    return pickle.loads(body) if body else None  # noqa: S301


def _receive_exactly(target: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        try:
            count = target.recv_into(view[filled:])
        except OSError:
            count = 0
        if count == 0:
            return None
        filled += count
    return bytes(buffer)


def serve(descriptor: int) -> None:
    """Import ahead of need, and answer calls until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Imports make a hundred thousand objects that stay; looking for garbage among them takes a
    # sixth of the time. What comes after them is looked at as ever.
    gc.disable()
    target = socket.socket(fileno=descriptor)
    calls: queue.SimpleQueue[Request] = queue.SimpleQueue()
    waiting = list(receive(target) or ())
    threading.Thread(target=_listen, args=(target, calls, os.getppid()), daemon=True).start()
    while True:
        request = _next_call(calls, is_idle=bool(waiting))
        if request is None:
            _warm_up(waiting.pop(0))
            if not waiting:
                gc.freeze()
                gc.enable()
        else:
            _answer(target, request)


def _next_call(calls: "queue.SimpleQueue[Request]", *, is_idle: bool) -> Request | None:
    """The next call; None if there is none and imports are left to do."""
    try:
        return calls.get(block=not is_idle)
    except queue.Empty:
        return None


def _listen(target: socket.socket, calls: "queue.SimpleQueue[Request]", parent: int) -> None:
    """Queue calls; end the process as soon as nobody is there to hear the answers.

    The end of the stream tells most of the time. The parent's id is watched too, because a child
    that the parent forked may hold the socket open after the parent was killed. (PR_SET_PDEATHSIG
    would not do: it fires when the *thread* that started us ends.)
    """
    while os.getppid() == parent:
        if not select.select([target], [], [], POLL_S)[0]:
            continue
        request = receive(target)
        if request is None:
            break
        calls.put(request)
    os._exit(0)


def _warm_up(handler: str) -> None:
    """What fails here fails in the call that needs it too, where it is reported."""
    try:
        _resolve(handler)()
    except Exception:
        traceback.print_exc()


def _answer(target: socket.socket, request: Request) -> None:
    answer = run(request)
    if answer.error is not None:
        answer = Answer(number=request.number, error=_portable(answer.error, request.handler))
    try:
        payload = pack(answer)
    except Exception as error:
        # The value cannot be pickled; that is the handler's error.
        payload = pack(Answer(number=request.number, error=_portable(error, request.handler)))
    try:
        target.sendall(payload)
    except OSError:
        os._exit(0)


def _portable(error: BaseException, handler: str) -> BaseException:
    """The error with its traceback as a note, or its text if it does not survive the journey."""
    story = "".join(traceback.format_exception(error))
    try:
        error.add_note(story)
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes of a moment ago)
    except Exception:
        return CompanionError(f"{handler}: {type(error).__name__}: {error}\n{story}")
    return error


if __name__ == "__main__":
    # The classes must be those of the module that the parent imports, not of `__main__`.
    importlib.import_module("resources.companion_child").serve(int(sys.argv[1]))
