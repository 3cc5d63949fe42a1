"""A command group that knows its commands by name and imports one only when it runs.

Belongs here: help pages from the table, import on use, the options every command shares.
Does not belong here: errors and output (`guard`), or the table itself (`commands`).
"""

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from apps.cli.commands import GROUPS, HEADINGS, Entry
from apps.cli.guard import run_guarded
from apps.cli.texts import check_arguments
from quant.core.errors import UsageError

EPILOG: Final = """\
Every command takes --help, --json (one object on standard output), --debug and --home FOLDER.
State lies in PMX_HOME (default ./var); policy lies in config/. Exit codes: pmx exit-codes."""

_SHARED: Final[dict[str, Any]] = {
    "as_json": Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output.")
    ],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
    "home": Annotated[
        Path | None, typer.Option("--home", help="Folder of all state, instead of PMX_HOME.")
    ],
}


class LazyGroup(TyperGroup):
    """Commands from `entries`; `path` is what was typed before them."""

    def __init__(self, *, path: str, entries: Sequence[Entry], intro: str, **extra: Any) -> None:
        super().__init__(name=path, invoke_without_command=True, rich_markup_mode=None, **extra)
        self.path = path
        self.entries = tuple(entries)
        self.intro = intro

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """First words, in the table's order."""
        shown = (entry for entry in self.entries if not entry.is_hidden)
        return list(dict.fromkeys(entry.name.split()[0] for entry in shown))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import the command, or make its group; `UsageError` when nobody has that name."""
        for entry in self.entries:
            if entry.name == cmd_name:
                return _command(entry, path=self.path)
        inner = [e for e in self.entries if e.name.startswith(f"{cmd_name} ")]
        if not inner:
            raise _unknown(cmd_name, self)
        shorter = [replace(e, name=e.name.removeprefix(f"{cmd_name} ")) for e in inner]
        return LazyGroup(
            path=f"{self.path} {cmd_name}", entries=shorter, intro=GROUPS.get(cmd_name, "")
        )

    def invoke(self, ctx: Any) -> Any:
        """Without a command, print the help."""
        if not (ctx.args or getattr(ctx, "_protected_args", None)):
            typer.echo(self.get_help(ctx))
            return 0
        return super().invoke(ctx)

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002
        """The whole page, from the table alone."""
        return help_page(self.path, self.intro, self.entries)


def _unknown(name: str, group: LazyGroup) -> UsageError:
    near = difflib.get_close_matches(name, group.list_commands(None), n=1, cutoff=0.5)
    hint = f"did you mean `{group.path} {near[0]}`? " if near else ""
    return UsageError(
        f"{group.path} has no command {name!r}", remedy=f"{hint}see {group.path} --help"
    )


# More examples than this would push the commands off a screen.
_EXAMPLES_MAX = 12


def help_page(path: str, intro: str, entries: Sequence[Entry]) -> str:
    """Usage, then the commands under their headings, then examples."""
    lines = [intro, "", f"Usage: {path} COMMAND [OPTIONS]"]
    rows = {heading: _rows(entries, heading) for heading in HEADINGS}
    width = max(len(name) for row in rows.values() for name in row)
    for heading, row in rows.items():
        if row:
            lines += ["", f"{heading}:"]
            lines += [f"  {name:<{width}}  {summary}" for name, summary in row.items()]
    examples = (f"  {example}" for example in _examples(entries))
    return "\n".join([*lines, "", "Examples:", *examples, "", EPILOG])


def _examples(entries: Sequence[Entry]) -> list[str]:
    """One a command; on a long page only of the first commands under each heading."""
    shown = [entry for entry in entries if entry.examples and not entry.is_hidden]
    if len(shown) > _EXAMPLES_MAX:
        under = [[entry for entry in shown if entry.heading == heading] for heading in HEADINGS]
        shown = [entry for group in under for entry in group[:2]]
    return [entry.examples[0] for entry in shown]


def _rows(entries: Sequence[Entry], heading: str) -> dict[str, str]:
    rows = {}
    for entry in entries:
        if entry.heading == heading and not entry.is_hidden:
            first = entry.name.split()[0]
            rows[first] = entry.summary if first == entry.name else GROUPS[first]
    return rows


def _command(entry: Entry, *, path: str) -> Any:
    module, _, name = entry.target.partition(":")
    function = getattr(importlib.import_module(module), name)
    examples = "".join(f"\n\n  {example}" for example in entry.examples)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(
        entry.name,
        help=entry.summary,
        epilog=f"Examples:{examples}" if examples else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )(_with_shared_options(function, entry))
    command = get_command(app)
    command.name = f"{path} {entry.name}"
    return command


def _with_shared_options(function: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
    """`function` without its first parameter and with the options that every command shares."""

    def guarded(**arguments: Any) -> int:
        shared = {name: arguments.pop(name) for name in _SHARED}
        return run_guarded(checked, arguments, safety=entry.safety, **shared)

    def checked(cli: Any, **arguments: Any) -> Any:
        check_arguments(arguments, hints)
        return function(cli, **arguments)

    hints = typing.get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    defaults = {"as_json": False, "debug": False, "home": None}
    parameters = [p.replace(annotation=hints[p.name], kind=keyword) for p in own]
    parameters += [
        inspect.Parameter(name, keyword, default=defaults[name], annotation=annotation)
        for name, annotation in _SHARED.items()
    ]
    guarded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    guarded.__annotations__ = {p.name: p.annotation for p in parameters}
    return guarded
