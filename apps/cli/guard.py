"""Runs one command: one result on standard output, one clear error, a documented exit code.

Belongs here: what happens around every command. Does not belong here: what any command does.
"""

import contextlib
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from apps.cli import exit_codes
from apps.cli.console import Console
from apps.cli.logs import Redactor, log_exception, start_logging
from apps.cli.result import Cli, CommandResult, json_value
from quant.core.errors import PmxError, StorageUnavailableError
from resources.telemetry import switch_off

_NO_STORAGE: Final[dict[int, tuple[str, str]]] = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the command again"),
    errno.EROFS: ("the disk is read-only", "mount it writable, or choose another with --home"),
    errno.EACCES: ("permission was denied", "give this user access, or choose another --home"),
    errno.EPERM: ("permission was denied", "give this user access, or choose another --home"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n), then try again"),
}


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, raised like Ctrl-C so that every clean-up runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong, ready to be printed."""

    kind: str
    message: str
    remedy: str
    exit_code: int

    def to_json(self) -> dict[str, Any]:
        """The object that --json prints instead of a result."""
        return {
            "error": {
                "kind": self.kind,
                "message": self.message,
                "remedy": self.remedy,
                "exit_code": self.exit_code,
            }
        }

    def text(self) -> str:
        """Two lines for a person."""
        lines = f"error: {self.message}"
        return f"{lines}\ndo this: {self.remedy}" if self.remedy else lines


class Output:
    """Standard output, kept for exactly one result."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self.stream = stream
        self.as_json = as_json
        self.has_spoken = False

    def emit(self, result: CommandResult) -> None:
        """Print the result, as one JSON object or for a person."""
        if self.as_json:
            self.write_json(result.to_json())
        else:
            self._render(result)
        self.has_spoken = True

    def write_json(self, value: dict[str, Any]) -> None:
        """One line; NaN is refused, since JSON has none."""
        text = json.dumps(value, default=json_value, allow_nan=False, ensure_ascii=False)
        self._write(text + "\n")
        self.has_spoken = True

    def _render(self, result: CommandResult) -> None:
        from rich.console import Console as RichConsole

        is_terminal = self.stream.isatty()
        page = io.StringIO()
        console = RichConsole(
            file=page,
            force_terminal=is_terminal,
            width=None if is_terminal else 160,
            no_color=bool(os.environ.get("NO_COLOR")) or None,
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        result.render(console)
        self._write(page.getvalue())

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            # The reader (head, less) has seen enough. The work is done, so this is no failure; the
            # descriptor is pointed elsewhere, else the interpreter complains while it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


@contextlib.contextmanager
def kept_stdout(*, as_json: bool) -> Iterator[TextIO]:
    """The real standard output; under --json everything else that prints goes to standard error.

    The descriptor itself is moved, so that libraries in C and child processes are caught too.
    """
    if not as_json:
        yield sys.stdout
        return
    sys.stdout.flush()
    stream = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield stream
    finally:
        os.dup2(stream.fileno(), 1)
        # What was written has been flushed; what is left has failed before, and was reported.
        with contextlib.suppress(OSError):
            stream.close()


def run_guarded(
    function: Callable[..., CommandResult | None],
    arguments: dict[str, Any],
    *,
    safety: str,
    as_json: bool,
    debug: bool,
    home: Path | None,
) -> int:
    """Call a command and turn whatever happens into output and an exit code."""
    with kept_stdout(as_json=as_json) as stream:
        output = Output(stream, as_json=as_json)
        console = Console(as_json=as_json, no_color=bool(os.environ.get("NO_COLOR")))
        cli = Cli(console=console, emit=output.emit, home=home, as_json=as_json, debug=debug)
        try:
            switch_off(os.environ)
            start_logging(cli)
            result = function(cli, **arguments)
            if result is None:
                return exit_codes.OK
            output.emit(result)
            return result.exit_code
        except (Exception, KeyboardInterrupt) as error:
            failure = explain(error, cli, safety=safety)
            report(failure, output, error=error if debug else None, secrets=_secrets(cli))
            return failure.exit_code


def explain(error: BaseException, cli: Cli, *, safety: str) -> Failure:
    """Name what happened and what to do about it."""
    if isinstance(error, KeyboardInterrupt):
        return _stopped(error, safety)
    if isinstance(error, PmxError):
        return Failure(
            kind=type(error).__name__,
            message=_printable(str(error)),
            remedy=_printable(error.remedy),
            exit_code=error.exit_code,
        )
    storage = _storage_failure(error)
    if storage:
        return storage
    place = log_exception(error, cli)
    return Failure(
        kind="Bug",
        message=f"pmx has a bug: {type(error).__name__}: {_first_line(error)}",
        remedy=f"please report it with {place}; --debug shows the traceback here",
        exit_code=exit_codes.BUG,
    )


def report(
    failure: Failure, output: Output, *, error: BaseException | None, secrets: Redactor
) -> None:
    """Two lines on standard error; under --json also the object, unless a result was printed."""
    if error is not None:
        sys.stderr.write(secrets("".join(traceback.format_exception(error))))
    # Where not even this can be written, the exit code still tells.
    with contextlib.suppress(OSError):
        sys.stderr.write(secrets(failure.text()) + "\n")
        sys.stderr.flush()
    if output.as_json and not output.has_spoken:
        with contextlib.suppress(OSError):
            output.write_json(json.loads(secrets(json.dumps(failure.to_json()))))


def _stopped(error: KeyboardInterrupt, safety: str) -> Failure:
    terminated = isinstance(error, TerminatedError)
    return Failure(
        kind="Stopped",
        message=f"stopped by {'a termination signal' if terminated else 'Ctrl-C'}: {safety}",
        remedy="",
        exit_code=exit_codes.TERMINATED if terminated else exit_codes.INTERRUPTED,
    )


def _storage_failure(error: BaseException) -> Failure | None:
    """A disk's refusal that no adapter has translated, also where a database only quotes it."""
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else _quoted_errno(str(cause))
        if number in _NO_STORAGE:
            what, remedy = _NO_STORAGE[number]
            place = getattr(cause, "filename", None)
            return Failure(
                kind=StorageUnavailableError.__name__,
                message=f"{what}{f': {place}' if place else ''}; nothing half was kept",
                remedy=remedy,
                exit_code=StorageUnavailableError.exit_code,
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _quoted_errno(text: str) -> int | None:
    quotes = {
        "No space left on device": errno.ENOSPC,
        "database or disk is full": errno.ENOSPC,
        "Read-only file system": errno.EROFS,
        "attempt to write a readonly database": errno.EROFS,
    }
    return next((number for quote, number in quotes.items() if quote in text), None)


def _first_line(error: BaseException) -> str:
    return _printable((str(error).strip().splitlines() or ["no message"])[0][:300])


def _printable(text: str) -> str:
    """A message may quote what a file held; a screen must not obey it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c).strip("'") for c in text)


def _secrets(cli: Cli) -> Redactor:
    # Settings may be what failed; then nothing was read that could leak.
    try:
        return Redactor.of(cli.settings)
    except PmxError:
        return Redactor(())
