"""Which models may be traded on: switches that a person moves, by model.

Belongs here: what a set of switches means for a strategy. Does not belong here: the file, its
re-reading and its history (resources.flags).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field

from quant.core.policy import Policy
from quant.signals.strategies import Name


class FlagsPolicy(Policy):
    """A model without a switch is off: nobody has decided to trade on it."""

    models: dict[Name, bool] = Field(default_factory=dict)
    # Running processes look at the file at most this often; a minute is the promise.
    recheck_seconds: Annotated[int, Field(ge=1, le=60)] = 5


def switched_off(models: Iterable[str], flags: Mapping[str, bool] | None) -> str:
    """Why a strategy on these models may not trade, or nothing; None is "no flags are known"."""
    if flags is None:
        return "no flags were recorded for this night"
    off = [model for model in models if not flags.get(model, False)]
    if not off:
        return ""
    return f"{', '.join(off)} {'is' if len(off) == 1 else 'are'} switched off"
