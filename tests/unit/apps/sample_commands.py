"""Commands that behave well or badly, for tests of what happens around them."""

import os
import subprocess
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.commands import Entry
from apps.cli.guard import TerminatedError
from apps.cli.result import Cli, CommandResult
from quant.core.errors import DataError, LimitBreachError, OrderUnknownError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(CommandResult):
    total: int

    @property
    def exit_code(self) -> int:
        return 0 if self.total < 100 else 1

    def render(self, console: Any) -> None:
        console.print(f"the total is {self.total} [not markup]")


def add(
    cli: Cli,
    numbers: Annotated[list[int], typer.Argument(help="What to add.")],
    times: Annotated[int, typer.Option(help="How often.")] = 1,
) -> Sum:
    total = 0
    for number in cli.console.track(numbers, "adding"):
        total += number * times
    return Sum(total=total)


def noisy(_cli: Cli) -> Sum:
    """Libraries print where they like: through Python, through C, in children."""
    print("from python")  # noqa: T201
    os.write(1, b"from c\n")
    subprocess.run(["echo", "from a child"], check=True)
    return Sum(total=1)


def fail(cli: Cli, kind: Annotated[str, typer.Argument()]) -> Sum:
    secret = cli.settings.secret("PMX_TEST_KEY") or ""
    errors: dict[str, BaseException] = {
        "data": DataError("line 3 of bars.csv: no close", remedy="add the column"),
        "limit": LimitBreachError(limit="gross", value=1.2, maximum=1.0),
        "unknown": OrderUnknownError("order pmx-1 may be live", remedy="reconcile"),
        "bug": ZeroDivisionError("division by zero"),
        "secret": RuntimeError(f"GET /x?apikey=abcdef123 with {secret} failed"),
        "interrupt": KeyboardInterrupt(),
        "terminate": TerminatedError(),
        "full": OSError(28, "No space left on device", "/data/x"),
        "readonly": RuntimeError("TransactionContext Error: Read-only file system"),
    }
    raise errors[kind]


def _entry(name: str) -> Entry:
    return Entry(
        name=name,
        target=f"{__name__}:{name.rsplit(maxsplit=1)[-1]}",
        heading="Data",
        summary=f"Try {name}.",
        examples=(f"pmx {name}",),
    )


ENTRIES = (_entry("add"), _entry("noisy"), _entry("fail"))
