"""The base of every policy value: frozen, complete, and strict about unknown keys.

Each component keeps its own policy class beside its code; `resources.policy` reads the files.
"""

from pydantic import BaseModel, ConfigDict


class Policy(BaseModel):
    """A set of numbers that a person decided; every field has its unit in its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
