"""The catalogue: every feature there is, its version, and the hash of the code behind it.

Belongs here: the list and its identity. Does not belong here: formulas, or running them.
"""

import difflib
import functools
import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType

import talib

from quant.core.errors import UsageError
from quant.core.identity import content_hash
from quant.features import (
    calendar,
    candles,
    lags,
    momentum,
    ranges,
    rolling,
    seasonal,
    trend,
    volatility,
    volume,
)
from quant.features.bars import Bars
from quant.features.closures import ScheduledCalendar, us_equity_closures
from quant.features.feature import Family, Feature

# Raised by hand when features change meaning in a way no single feature's version tells.
_GENERATION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """Families of features with unique names."""

    families: tuple[Family, ...]

    def __post_init__(self) -> None:
        names = self.names()
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(f"feature names must be unique, {', '.join(twice)} came twice")

    def features(self) -> tuple[Feature, ...]:
        """All features, in order."""
        return tuple(feature for family in self.families for feature in family.features)

    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(feature.name for feature in self.features())

    def feature(self, name: str) -> Feature:
        """One feature; `UsageError` suggests the nearest names."""
        self.require([name])
        return next(feature for feature in self.features() if feature.name == name)

    def require(self, names: Sequence[str]) -> tuple[str, ...]:
        """`names` as asked for, once all of them are known and none is repeated."""
        known = set(self.names())
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=3)
                remedy = f"did you mean {', '.join(near)}?" if near else "see the catalogue"
                raise UsageError(f"there is no feature {name!r}", remedy=remedy)
        if len(set(names)) < len(names):
            raise UsageError("a feature was asked for twice", remedy="name each feature once")
        return tuple(names)


CATALOGUE = Catalogue(
    families=(
        *lags.FAMILIES,
        *rolling.FAMILIES,
        *calendar.FAMILIES,
        *seasonal.FAMILIES,
        *volatility.FAMILIES,
        *trend.FAMILIES,
        *momentum.FAMILIES,
        *ranges.FAMILIES,
        *volume.FAMILIES,
        *candles.FAMILIES,
    )
)


# What every feature goes through besides its own function.
_AROUND = (Bars, calendar.SessionList, ScheduledCalendar, us_equity_closures)


def feature_set_version(catalogue: Catalogue = CATALOGUE) -> str:
    """Changes whenever a feature is added, removed, renamed or declared anew."""
    content = [[feature.name, feature.version] for feature in catalogue.features()]
    return f"{_GENERATION}-{content_hash(content)[:12]}"


@functools.cache
def feature_code_hash(catalogue: Catalogue = CATALOGUE) -> str:
    """Hash of what produces the values: declarations, parameters, source text, TA-Lib's version.

    The text is that of each family's function, of all code of this product it reaches, and of the
    packing and the planned closures around it: editing a shared helper changes the hash too. The
    same in every process and on every machine.
    """
    around = set[str]().union(*(_sources(thing) for thing in _AROUND))
    content = [[_identity(family) for family in catalogue.families], sorted(around)]
    return content_hash([content, talib.__version__])


def _identity(family: Family) -> list[object]:
    declared = [[f.name, f.version, f.warm_up_bars] for f in family.features]
    return [declared, dict(family.parameters), sorted(_sources(family.function))]


def _sources(root: object) -> set[str]:
    """Source texts of `root` and of all it names, with the plain constants they read."""
    texts: set[str] = set()
    seen: set[object] = set()
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if thing in seen:
            continue
        seen.add(thing)
        texts.add(inspect.getsource(thing))  # type: ignore[arg-type]  # a function or a class
        for name, value in _globals_of(thing):
            if isinstance(value, (int, float, str, tuple)):
                texts.add(f"{name} = {value!r}")
            elif isinstance(value, (FunctionType, type)) and _package(value) == _package(root):
                waiting.append(value)
    return texts


def _globals_of(thing: object) -> Iterator[tuple[str, object]]:
    """Names that a function, or any method of a class, looks up in its module."""
    for function in [thing] if isinstance(thing, FunctionType) else _methods(thing):
        for name in _names(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _methods(owner: object) -> Iterator[FunctionType]:
    for member in vars(owner).values():
        # Properties, cached properties and class methods hold the function one level down.
        held = [member, *(getattr(member, name, None) for name in ("fget", "func", "__func__"))]
        for function in held:
            if isinstance(function, FunctionType) and function.__module__ == owner.__module__:
                yield function


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _package(thing: object) -> str:
    return (getattr(thing, "__module__", None) or "").split(".", maxsplit=1)[0]
