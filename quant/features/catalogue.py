"""The catalogue: every feature there is, its version, and the hash of the code behind it.

Belongs here: the list and its identity. Does not belong here: formulas, or running them.
"""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
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
from quant.features.feature import Family, Feature

# Raised by hand when features change meaning in a way no single feature's version tells.
_GENERATION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """Families of features with unique names."""

    families: tuple[Family, ...]

    def __post_init__(self) -> None:
        names = self.names()
        twice = sorted({name for name in names if names.count(name) > 1})
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
        known = self.names()
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
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


def feature_set_version(catalogue: Catalogue = CATALOGUE) -> str:
    """Changes whenever a feature is added, removed, renamed or declared anew."""
    content = [[feature.name, feature.version] for feature in catalogue.features()]
    return f"{_GENERATION}-{content_hash(content)[:12]}"


@functools.cache
def feature_code_hash(catalogue: Catalogue = CATALOGUE) -> str:
    """Hash of what produces the values: declarations, parameters, source text, TA-Lib's version.

    The text is that of each family's function and of every function of this product it reaches, so
    editing a shared helper changes the hash too. The same in every process and on every machine.
    """
    packing = inspect.getsource(Bars)
    content = [[_identity(family) for family in catalogue.families], packing]
    return content_hash([content, talib.__version__])


def _identity(family: Family) -> list[object]:
    declared = [[f.name, f.version, f.warm_up_bars] for f in family.features]
    return [declared, dict(family.parameters), sorted(_sources(family.function))]


def _sources(function: Callable[..., object]) -> set[str]:
    """Source texts of `function` and of all it calls, and the plain constants it reads."""
    found: dict[object, str] = {}
    waiting: list[object] = [function]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, FunctionType) and thing not in found:
            found[thing] = inspect.getsource(thing)
            for name in _global_names(thing.__code__):
                value = thing.__globals__.get(name)
                if isinstance(value, (int, float, str, tuple)):
                    found[name] = f"{name} = {value!r}"
                elif _is_ours(value, function):
                    waiting.append(value)
        elif isinstance(thing, type):
            found[thing] = inspect.getsource(thing)
    return set(found.values())


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _is_ours(value: object, function: Callable[..., object]) -> bool:
    package = function.__module__.split(".", maxsplit=1)[0]
    owner = getattr(value, "__module__", None) or ""
    return isinstance(value, (FunctionType, type)) and owner.split(".")[0] == package
