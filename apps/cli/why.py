"""`pmx why ID`: the chain from a fill, order, refusal or decision back to the raw rows."""

import dataclasses
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from apps.lineage.explain import Step

WIDTH = 78
_SHORT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Why(CommandResult):
    """Where something came from, step by step."""

    id: str
    kind: str
    decision_id: str
    steps: "tuple[Step, ...]"

    def to_json(self) -> dict[str, Any]:
        """Hashes and values in full."""
        return {
            "id": self.id,
            "kind": self.kind,
            "decision_id": self.decision_id,
            "steps": [_flat(step) for step in self.steps],
        }

    def render(self, console: Any) -> None:
        """Newest first, ending at the raw rows; hashes are shortened to eight digits."""
        console.print(f"{self.kind} {self.id}")
        console.print(f"decision {self.decision_id}")
        for step in self.steps:
            count = f"  ({step.rows:,} rows)" if step.rows > 1 else ""
            key = step.key if len(step.key) <= WIDTH - len(step.table) - 18 else _short(step.key)
            console.print(f"\n{step.table}  {key}{count}", style="bold")
            for line in textwrap.wrap(step.says, WIDTH - 2):
                console.print(f"  {line}")
            console.print(f"  {_origin(step)}", style="dim")


def _flat(step: "Step") -> dict[str, Any]:
    return {item.name: getattr(step, item.name) for item in dataclasses.fields(step)}


def _origin(step: "Step") -> str:
    said: Mapping[str, Any] = {
        "row": step.row_hash[:_SHORT],
        "run": step.run_id if ":" in step.run_id else step.run_id[:_SHORT],
        "snapshot": step.snapshot_id,
        "code": step.code_version[:_SHORT],
    }
    return "  ".join(f"{name} {value}" for name, value in said.items())


def _short(key: str) -> str:
    start, dash, rest = key.partition("-")
    return f"{start}{dash}{rest[:_SHORT]}.."


def run(
    cli: Cli,
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A fill (f-...), order (pmx-...), decision (d-...) or refusal (r-...); "
            "its first 8 characters are enough where they are unique.",
        ),
    ],
) -> Why:
    """Look the chain up in the ledger and the warehouse; nothing is computed again."""
    from apps.lineage.explain import explain
    from apps.lineage.lakes import open_lakes
    from resources.desk import Desk

    with Desk(cli.settings) as desk, open_lakes(desk) as lakes:
        found = explain(lakes, identity)
    return Why(id=found.id, kind=found.kind, decision_id=found.decision_id, steps=found.steps)
