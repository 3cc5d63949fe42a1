"""What one proof found out: its claim, the figures it counted and whether the claim holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Form(StrEnum):
    """How much of a proof is run: seconds in CI, or as much as the claim speaks of."""

    SHORT = "short"
    LONG = "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One proof's answer; `figures` are the rows of the report, in order."""

    goal: int
    title: str
    claim: str
    form: Form
    holds: bool
    figures: Mapping[str, str | int | float]
    # Anything a reader must know to believe the figures: what was left out, and why.
    notes: tuple[str, ...] = field(default=())
