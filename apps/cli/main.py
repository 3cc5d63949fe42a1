"""`pmx`: the console script. Reads the command line, runs one command, returns its exit code."""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

from apps.cli import exit_codes
from apps.cli.commands import COMMANDS, Entry
from apps.cli.console import Console
from apps.cli.guard import Output, TerminatedError, explain, report
from apps.cli.lazy import LazyGroup
from apps.cli.logs import Redactor
from apps.cli.result import Cli
from quant.core.errors import UsageError

# Options of every command that stand alone; `--home` takes a folder.
_ALONE: Final = ("--json", "--debug")
INTRO: Final = """\
Portfolio Maximizer: a nightly machine that turns market data into audited paper trades.
Every decision can be explained (why), replayed, and is checked by gates before it may trade."""


def main(arguments: Sequence[str] | None = None, *, entries: Sequence[Entry] = COMMANDS) -> int:
    """Run `pmx` with `arguments`, or with those of the process; give back the exit code."""
    _open_closed_streams()
    # Commands are short and make most of their objects once, at import: at Python's own 700 a
    # tenth of a night was spent on looking for garbage among them.
    gc.set_threshold(50_000, 20, 20)
    given = _shared_options_last(list(sys.argv[1:] if arguments is None else arguments))
    if given[:1] in (["--version"], ["-V"]):
        return _print_version()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(given, entries)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(given: list[str], entries: Sequence[Entry]) -> int:
    group = LazyGroup(
        path="pmx",
        entries=entries,
        intro=INTRO,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    try:
        code = group.main(args=given, prog_name="pmx", standalone_mode=False)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        # The parser's errors, or a command that cannot be imported: a command's own errors never
        # leave `run_guarded`.
        return _report_early(error, given)
    return code if isinstance(code, int) else exit_codes.OK


def _shared_options_last(given: list[str]) -> list[str]:
    """`pmx --home X demo` means `pmx demo --home X`: options of all commands may come first."""
    ahead = 0
    while ahead < len(given) and (given[ahead] in _ALONE or given[ahead].split("=")[0] == "--home"):
        ahead += 2 if given[ahead] == "--home" else 1
    if not 0 < ahead < len(given):
        return given
    rest = given[ahead:]
    # What stands after -- is no option.
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *given[:ahead], *rest[end:]]


def _report_early(error: Exception, given: Sequence[str]) -> int:
    output = Output(sys.stdout, as_json="--json" in given)
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "pmx"
        message = error.format_message().rstrip(".")
        error = UsageError(message[:1].lower() + message[1:], remedy=f"see {path} --help")
    failure = explain(error, Cli(console=Console(), emit=output.emit), safety="")
    shown = error if "--debug" in given else None
    report(failure, output, error=shown, secrets=Redactor(()))
    return failure.exit_code


def _open_closed_streams() -> None:
    """Give a process that was started with closed streams (>&-) the null device in their place.

    Otherwise Python has None for the stream, and the next file that is opened becomes the stream.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _print_version() -> int:
    import platform
    from importlib.metadata import version

    sys.stdout.write(f"pmx {version('portfolio-maximizer')}, Python {platform.python_version()}\n")
    return exit_codes.OK


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError


if __name__ == "__main__":
    sys.exit(main())
