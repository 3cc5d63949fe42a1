"""What a command is given and what it gives back.

The pattern for a new command, in `apps/cli/NAME.py`:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Impact(CommandResult):
        rows: int

        def render(self, console) -> None:            # console is a rich Console on standard output
            console.print(f"{self.rows} rows")

    def run(
        cli: Cli,
        table: Annotated[str, typer.Argument(help="Such as clean.daily_bars.")],
        depth: Annotated[int, typer.Option(help="How many stages to follow.")] = 9,
    ) -> Impact:
        with cli.console.progress("reading", total=20) as progress:
            ...
            progress.advance()
        return Impact(rows=3)

and one `Entry` in `apps/cli/commands.py`. The options --json, --debug and --home, errors, exit
codes and Ctrl-C are added by the caller. Import heavy packages inside `run`, never at the top.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from apps.cli.console import Console
from resources.settings import Settings


class CommandResult:
    """What a command found; a dataclass that can be printed for a person or for a program."""

    __slots__ = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 when the command's answer is no."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """The one object that --json prints; the fields by default."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    def render(self, console: Any) -> None:
        """Print for a person on `console`, a rich Console."""
        raise NotImplementedError


class Cli:
    """What every command gets first: settings, progress, and a way to speak before the end."""

    def __init__(
        self,
        *,
        console: Console,
        emit: Callable[[CommandResult], None],
        home: Path | None = None,
        as_json: bool = False,
        debug: bool = False,
    ) -> None:
        self.console = console
        self.as_json = as_json
        self.debug = debug
        self._emit = emit
        self._home = home

    @cached_property
    def settings(self) -> Settings:
        """The environment's settings, read on first use; oddities are warned about once."""
        settings = Settings.from_env(home=self._home)
        for warning in settings.warnings:
            self.console.warn(warning)
        return settings

    def announce(self, result: CommandResult) -> None:
        """Print a result now; for a command that keeps running, which then returns None."""
        self._emit(result)


def json_value(value: object) -> Any:
    """What `json.dumps` calls for values it does not know."""
    match value:
        case dt.datetime() | dt.date():
            return value.isoformat()
        case Decimal() | Path():
            return str(value)
        case Enum():
            return value.value
        case set() | frozenset():
            return sorted(value, key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
