"""The proof that no feature looks ahead: rewrite the future, and the past must not move a bit.

Belongs here: the rewritings and the comparison. Does not belong here: when to run it.

A feature that peeks betrays itself at the cut: its value just before depends on what comes just
after. Three futures are tried at every cut, since each catches what another may miss: none at all
(which also shortens the list of sessions), the same bars backwards, and random ones on other days
with other gaps and scales. Equality is to the bit, so even a sample mean leaking into the
fifteenth digit is found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.features.bars import differing
from quant.features.catalogue import CATALOGUE, Catalogue
from quant.features.closures import US_EQUITIES, ScheduledCalendar
from quant.features.compute import FeaturePanel, compute_features
from quant.market.panel import FIELDS, BarPanel, DayArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The first value that moved although it lay before the cut."""

    rewriting: str
    cut: np.datetime64
    symbol: str
    session: np.datetime64
    before: float
    after: float

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"{self.symbol} on {self.session}: {self.before!r} became {self.after!r} "
            f"when the bars after {self.cut} were {self.rewriting}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """What the proof found for one feature: `values_compared` in all, and the first leak."""

    feature: str
    values_compared: int
    leak: Leak | None

    @property
    def holds(self) -> bool:
        """No leak was found, and there was something to find one in."""
        return self.leak is None and self.values_compared > 0


def prove(
    features: Catalogue | Sequence[str],
    panel: BarPanel,
    cuts: Sequence[np.datetime64] | None = None,
    seed: int = 0,
    *,
    calendar: ScheduledCalendar = US_EQUITIES,
    workers: int = 1,
) -> list[ProofResult]:
    """One result a feature. `features` is a catalogue, or names from the product's own.

    `cuts` are sessions, the last of the unchanged past each (default: at a third, a half and
    five sixths of the panel). A feature without a single value before the cuts does not hold: pass
    a panel long enough for its warm-up.
    """
    catalogue = features if isinstance(features, Catalogue) else CATALOGUE
    names = catalogue.names() if isinstance(features, Catalogue) else catalogue.require(features)
    trials = [
        _Trial(cut=cut, rewriting=rewriting, panel=rewritten)
        for cut in _positions(panel, cuts)
        for rewriting, rewritten in futures(panel, cut, seed=seed)
    ]
    results: dict[str, ProofResult] = {}
    for batch in _batches(catalogue, set(names)):

        def compute(bars: BarPanel, batch: Sequence[str] = batch) -> FeaturePanel:
            return compute_features(
                bars, names=batch, workers=workers, calendar=calendar, catalogue=catalogue
            )

        results |= _prove_batch(compute, panel, trials)
    return [results[name] for name in names]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """One rewritten panel, unchanged up to column `cut`."""

    cut: int
    rewriting: str
    panel: BarPanel


def _batches(catalogue: Catalogue, names: set[str]) -> Iterator[list[str]]:
    """Names by some thirty, families undivided: all values of a long history are large."""
    batch: list[str] = []
    for family in catalogue.families:
        batch += [feature.name for feature in family.features if feature.name in names]
        if len(batch) >= 30:
            yield batch
            batch = []
    if batch:
        yield batch


def _prove_batch(
    compute: Callable[[BarPanel], FeaturePanel], panel: BarPanel, trials: Sequence[_Trial]
) -> dict[str, ProofResult]:
    truth = compute(panel)
    leaks: dict[str, Leak] = {}
    compared = np.zeros(len(truth.names), dtype=int)
    for trial in trials:
        compared += _count(truth, trial.cut)
        for name, leak in _leaks(truth, compute(trial.panel), trial):
            leaks.setdefault(name, leak)
    return {
        name: ProofResult(feature=name, values_compared=int(count), leak=leaks.get(name))
        for name, count in zip(truth.names, compared, strict=True)
    }


def futures(panel: BarPanel, cut: int, *, seed: int) -> list[tuple[str, BarPanel]]:
    """The panel with other futures after column `cut`, each with the word for what was done."""
    return [
        ("cut off", panel.columns(slice(0, cut + 1))),
        ("reversed", _reversed(panel, cut)),
        ("replaced at random", _random(panel, cut, np.random.default_rng([seed, cut]))),
    ]


def _positions(panel: BarPanel, cuts: Sequence[np.datetime64] | None) -> list[int]:
    count = len(panel.sessions)
    if cuts is None:
        positions = sorted({count // 3, count // 2, count * 5 // 6})
    else:
        positions = [int(np.searchsorted(panel.sessions, cut, side="right")) - 1 for cut in cuts]
    if not positions or min(positions) < 0 or max(positions) >= count - 1:
        raise DataError(
            "a cut needs at least one session up to it and one after it",
            remedy="choose cuts inside the panel, or pass a longer panel",
        )
    return positions


def _reversed(panel: BarPanel, cut: int) -> BarPanel:
    arrays: dict[str, FloatArray] = {}
    for field in FIELDS:
        array = getattr(panel, field)
        arrays[field] = np.concatenate([array[:, : cut + 1], array[:, :cut:-1]], axis=1)
    return BarPanel(symbols=panel.symbols, sessions=panel.sessions, **arrays)


def _random(panel: BarPanel, cut: int, rng: np.random.Generator) -> BarPanel:
    """A future of coherent random bars, a tenth of them missing, on other sessions."""
    count = len(panel.sessions) - cut - 1
    shape = (len(panel.symbols), count)
    scale = np.exp(rng.uniform(-5, 5, (shape[0], 1)))
    close = 100 * scale * np.exp(np.cumsum(rng.normal(0, 0.05, shape), axis=1))
    open_ = close * np.exp(rng.normal(0, 0.02, shape))
    future = {
        "open": open_,
        "high": np.maximum(open_, close) * np.exp(rng.exponential(0.01, shape)),
        "low": np.minimum(open_, close) * np.exp(-rng.exponential(0.01, shape)),
        "close": close,
        "volume": rng.integers(0, 10**7, shape).astype(float),
    }
    missing = rng.random(shape) < 0.1
    arrays = {
        field: np.concatenate(
            [getattr(panel, field)[:, : cut + 1], np.where(missing, np.nan, future[field])], axis=1
        )
        for field in FIELDS
    }
    return BarPanel(symbols=panel.symbols, sessions=_other_days(panel, cut, rng), **arrays)


def _other_days(panel: BarPanel, cut: int, rng: np.random.Generator) -> DayArray:
    """Sessions after the cut at random gaps of one to five days."""
    gaps = rng.integers(1, 6, len(panel.sessions) - cut - 1)
    later = panel.sessions[cut] + np.cumsum(gaps).astype("timedelta64[D]")
    return np.concatenate([panel.sessions[: cut + 1], later])


def _count(truth: FeaturePanel, cut: int) -> NDArray[np.int_]:
    present = ~np.isnan(truth.values[:, :, : cut + 1])
    count: NDArray[np.int_] = np.count_nonzero(present, axis=(1, 2))
    return count


def _leaks(truth: FeaturePanel, again: FeaturePanel, trial: _Trial) -> list[tuple[str, Leak]]:
    """The first difference of each feature up to the cut, earliest session first."""
    cut = trial.cut
    before, after = truth.values[:, :, : cut + 1], again.values[:, :, : cut + 1]
    found = []
    for index, name in enumerate(truth.names):
        different = differing(before[index], after[index])
        if different.any():
            column = int(different.any(axis=0).argmax())
            row = int(different[:, column].argmax())
            leak = Leak(
                rewriting=trial.rewriting,
                cut=truth.sessions[cut],
                symbol=truth.symbols[row],
                session=truth.sessions[column],
                before=float(before[index, row, column]),
                after=float(after[index, row, column]),
            )
            found.append((name, leak))
    return found
