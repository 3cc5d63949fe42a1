"""The table of planted defects, read from `defects.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Defect:
    """In `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str


def read_defects(path: Path) -> tuple[Defect, ...]:
    """Every defect of the file, in its order."""
    return tuple(Defect(**row) for row in tomllib.loads(path.read_text("utf-8"))["defect"])


DEFECTS: Final = read_defects(Path(__file__).with_name("defects.toml"))
