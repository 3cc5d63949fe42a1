"""Faults planted into synthetic bars, each written down, so that a quality rule can be scored.

Belongs here: the faults that real vendors deliver. Does not belong here: finding them (`quality`).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant.market.synthetic import Defect, SymbolPath

_FIELDS: Final = ("open", "high", "low", "close", "volume")
_PRICES: Final = ("open", "high", "low", "close")
STALE_SESSIONS: Final = 6
# Faults are kept apart, so that one does not hide another.
_APART_SESSIONS: Final = 30
DEFECTS_PER_SYMBOL: Final = 3


def plant(path: SymbolPath, rng: np.random.Generator) -> list[Defect]:
    """Change `path` in a few places and tell which; a short life has fewer faults or none."""
    slots = _quiet_slots(path)
    count = min(DEFECTS_PER_SYMBOL, len(slots))
    kinds = rng.permutation(sorted(_PLANTERS))[:count]
    chosen = np.sort(rng.choice(slots, size=count, replace=False))
    # The middle of a slot is at least ten sessions away from the next slot's middle.
    places = chosen * _APART_SESSIONS + rng.integers(10, 20, size=count)
    # From the end backwards: a bar that is taken out must not move the places still to come.
    placed = sorted(zip(places.tolist(), kinds.tolist(), strict=True), reverse=True)
    return [_PLANTERS[kind](path, at) for at, kind in placed][::-1]


def _quiet_slots(path: SymbolPath) -> NDArray[np.int64]:
    """Stretches without a split, whose own break in the price would blur what is planted."""
    slots = np.arange(len(path.days) // _APART_SESSIONS)
    splits = [day for day, kind, _ in path.actions if kind == "split"]
    at = np.searchsorted(path.days, np.array(splits, dtype="datetime64[D]"))
    return slots[~np.isin(slots, at // _APART_SESSIONS)]


def _stale(path: SymbolPath, at: int) -> Defect:
    """The vendor repeats the last bar, volume and all."""
    span = slice(at, at + STALE_SESSIONS)
    for name in _FIELDS:
        values = getattr(path, name)
        values[span] = values[at - 1]
    return _defect(path, at, "stale", sessions=len(path.days[span]))


def _spike(path: SymbolPath, at: int) -> Defect:
    """A misplaced decimal in one close, which the high follows."""
    path.close[at] = np.round(path.close[at] * 10, 4)
    path.high[at] = max(path.high[at], path.close[at])
    return _defect(path, at, "spike")


def _missing(path: SymbolPath, at: int) -> Defect:
    defect = _defect(path, at, "missing_bar")
    path.days = np.delete(path.days, at)
    for name in _FIELDS:
        setattr(path, name, np.delete(getattr(path, name), at))
    return defect


def _zero_volume(path: SymbolPath, at: int) -> Defect:
    path.volume[at] = 0.0
    return _defect(path, at, "zero_volume")


def _unadjusted_split(path: SymbolPath, at: int) -> Defect:
    """Prices halve for good, and no corporate action says why."""
    for name in _PRICES:
        getattr(path, name)[at:] = np.round(getattr(path, name)[at:] / 2, 4)
    path.volume[at:] = path.volume[at:] * 2
    since = path.days[at].item()
    path.actions = [
        (day, kind, value / 2 if kind == "cash_dividend" and day > since else value)
        for day, kind, value in path.actions
    ]
    return _defect(path, at, "unadjusted_split")


def _close_above_high(path: SymbolPath, at: int) -> Defect:
    """The close comes from another feed than the range."""
    path.close[at] = np.round(path.high[at] * 1.01, 4)
    return _defect(path, at, "close_above_high")


def _defect(path: SymbolPath, at: int, kind: str, *, sessions: int = 1) -> Defect:
    return Defect(symbol=path.symbol, session=path.days[at].item(), kind=kind, sessions=sessions)


_PLANTERS: Final[dict[str, Callable[[SymbolPath, int], Defect]]] = {
    "stale": _stale,
    "spike": _spike,
    "missing_bar": _missing,
    "zero_volume": _zero_volume,
    "unadjusted_split": _unadjusted_split,
    "close_above_high": _close_above_high,
}
DEFECT_KINDS: Final = tuple(sorted(_PLANTERS))
