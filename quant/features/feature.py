"""What a feature is: its name, unit, inputs and warm-up, and the function it comes from.

Belongs here: the catalogue's vocabulary. Does not belong here: any formula, or the list itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from quant.market.panel import FloatArray


class Unit(StrEnum):
    """What a value counts. Every feature's name ends in it, except claims, which begin with is_."""

    PRICE = "price"
    LOG = "log"
    RATIO = "ratio"
    PERCENT = "percent"
    ANNUAL = "annual"
    SHARES = "shares"
    CASH = "cash"
    DAYS = "days"
    BARS = "bars"
    INDEX = "index"
    SCORE = "score"
    CLAIM = "is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the feature store.

    `warm_up_bars` counts the symbol's own bars that pass before the first value. An anchored
    feature (a recursive average, a running total) also depends on where history starts: two
    computations agree only when they begin at the same session.
    """

    name: str
    unit: Unit
    subject: str
    inputs: tuple[str, ...]
    warm_up_bars: int
    description: str
    is_anchored: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        claims = self.unit is Unit.CLAIM
        if not (self.name.startswith("is_") if claims else self.name.endswith(f"_{self.unit}")):
            raise ValueError(f"the name {self.name} must carry its unit, {self.unit}")
        if self.warm_up_bars < 0:
            raise ValueError(f"{self.name}: warm_up_bars must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """Features that one call computes together.

    `function` takes packed `Bars`, or the `SessionList` when `on_sessions`, and `parameters` as
    keywords; it returns one array for each of `features`, in order.
    """

    function: Callable[..., Sequence[FloatArray]]
    features: tuple[Feature, ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    on_sessions: bool = False

    @property
    def inputs(self) -> frozenset[str]:
        """Every field the call reads; the close is always one, for it decides what a bar is."""
        return frozenset({"close"}).union(*(feature.inputs for feature in self.features))
