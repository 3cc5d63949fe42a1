"""Which source speaks for a symbol: the time series first, then whoever is next and trusted most.

Belongs here: the choice among signals of several sources in one form, and counts of the choices.
Does not belong here: making signals, or asking a language model.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where a signal comes from, in the order in which sources are asked."""

    TIME_SERIES = "time_series"
    LANGUAGE_MODEL = "language_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSignal:
    """One source's word on one symbol; every source speaks in this form.

    `unavailable` says why the source has nothing that could be used: a flag, no server, no
    forecast. Such a signal is kept as provenance and never chosen.
    """

    source: Source
    model: str
    symbol: str
    expected_return: float
    volatility: float
    priority: float
    unavailable: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The choice for one symbol: who speaks, who would have been next, and who was passed over."""

    primary: SourceSignal | None
    fallback: SourceSignal | None
    passed_over: tuple[SourceSignal, ...]

    @property
    def reason(self) -> str:
        """Why others were passed over, or why nobody speaks; empty in the usual case."""
        said = "; ".join(f"{one.model}: {one.unavailable}" for one in self.passed_over)
        if self.primary is None:
            return said or "no source speaks of it"
        return said


def route(signals: Iterable[SourceSignal]) -> Routed:
    """Choose among the signals on one symbol.

    The time series comes before the language model, whatever the confidence of the latter: a
    fallback is asked when the first cannot speak, and does not outbid it. Within a source the
    highest priority wins (0.6 confidence + 0.4 (1 - risk)), then the name, so that the order of
    arrival decides nothing.
    """
    given = list(signals)
    usable = sorted((one for one in given if not one.unavailable), key=_place)
    return Routed(
        primary=usable[0] if usable else None,
        fallback=usable[1] if len(usable) > 1 else None,
        passed_over=tuple(sorted((one for one in given if one.unavailable), key=_place)),
    )


_ORDER = {source: place for place, source in enumerate(Source)}


def _place(signal: SourceSignal) -> tuple[int, bool, float, str]:
    is_unknown = signal.priority != signal.priority  # NaN goes last
    return _ORDER[signal.source], is_unknown, 0.0 if is_unknown else -signal.priority, signal.model


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingStatistics:
    """How often each model spoke, each fell back, and each was passed over, with reasons."""

    symbols: int
    unrouted: int
    by_primary: Mapping[str, int]
    by_fallback: Mapping[str, int]
    passed_over: Mapping[str, int]


def routing_statistics(routed: Sequence[Routed]) -> RoutingStatistics:
    """Counts over the symbols of a night, or of many."""
    reasons = (f"{one.model}: {one.unavailable}" for item in routed for one in item.passed_over)
    return RoutingStatistics(
        symbols=len(routed),
        unrouted=sum(item.primary is None for item in routed),
        by_primary=dict(Counter(item.primary.model for item in routed if item.primary)),
        by_fallback=dict(Counter(item.fallback.model for item in routed if item.fallback)),
        passed_over=dict(Counter(reasons)),
    )
