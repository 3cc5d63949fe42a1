"""What no argument of any command may be, looked at before the command runs.

Belongs here: characters that a screen or a file name would obey, sizes, numbers that are none, and
symbols. Does not belong here: what one command makes of its arguments.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from quant.core.errors import UsageError
from quant.market.symbols import SYMBOL_REMEDY, shown, symbol_fault

# Longer than any path that a file system takes.
LENGTH_MAX: Final = 4_096


def check_arguments(arguments: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """`UsageError` names the first argument that cannot be meant; `hints` are typer's."""
    for name, value in arguments.items():
        label = _label(name, hints.get(name))
        for one in value if isinstance(value, list | tuple) else (value,):
            _check(label, one, is_symbol=name == "symbol")


def check_new_file(path: Path, *, option: str) -> Path:
    """A path that can be written, asked before the work whose result it is for."""
    if path.is_dir() or not path.parent.is_dir():
        fault = "is a folder" if path.is_dir() else "lies in a folder that is not there"
        raise UsageError(
            f"{option} holds {shown(path, length_max=200)}, which {fault}",
            remedy="name a file in a folder that exists",
        )
    return path


def _check(label: str, value: Any, *, is_symbol: bool) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(
            f"{label} holds {value}, which is not finite", remedy=f"give {label} a finite number"
        )
    if not isinstance(value, str | Path):
        return
    text = str(value)
    if len(text) > LENGTH_MAX:
        raise UsageError(
            f"{label} holds {len(text)} characters", remedy=f"give at most {LENGTH_MAX}"
        )
    if not text.isprintable():
        raise UsageError(
            f"{label} holds {shown(text)}, which has an invisible character",
            remedy="type it again without that character",
        )
    if is_symbol and (fault := symbol_fault(text)):
        raise UsageError(f"{label} holds {shown(text)}: {fault}", remedy=SYMBOL_REMEDY)


def _label(name: str, hint: Any) -> str:
    """What a person typed before the value."""
    for told in getattr(hint, "__metadata__", ()):
        if isinstance(told, typer.models.ArgumentInfo):
            return str(told.metavar or name.upper())
        if isinstance(told, typer.models.OptionInfo):
            names = (told.default, *(told.param_decls or ()))
            given = (word for word in names if isinstance(word, str) and word.startswith("--"))
            return next(given, f"--{name.replace('_', '-')}")
    return f"--{name.replace('_', '-')}"
