"""Which observations train and which test: index generators for series, earliest first.

Belongs here: walk-forward, k-fold and combinatorial splits, purging and embargo. Does not belong
here: fitting, returns, reports (`validation`).

Purging removes, on both sides of a test block, the training observations whose labels overlap the
block: with labels that look `purge` observations ahead, as many. The embargo removes further ones
after a block, for features that remember it. Observations are counted, not dated: a holiday is no
observation, and a symbol that lists late needs a split of its own.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant.core.errors import UsageError

IntArray = NDArray[np.int64]

# A split is a fit; beyond this somebody mistook the number of folds.
_SPLITS_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Training positions, and the test blocks with the number of the fold that each one is."""

    train: IntArray
    blocks: tuple[IntArray, ...]
    folds: tuple[int, ...]

    @property
    def test(self) -> IntArray:
        """All test positions, ascending."""
        return np.concatenate(self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """Train on what came before, test on what follows, move on by one test block.

    The last block is shorter when the observations end. `expanding` keeps everything since the
    first observation; otherwise the last `train_size` ones.
    """

    train_size: int
    test_size: int
    expanding: bool = False
    purge: int = 0

    def __post_init__(self) -> None:
        _require(self.train_size > 0 and self.test_size > 0, "sizes must be above zero")
        _require(0 <= self.purge < self.train_size, "purge must be below train_size")

    @property
    def name(self) -> str:
        """What a report calls it."""
        return "walk_forward"

    def splits(self, observations: int) -> Iterator[Split]:
        """Every split, in time."""
        _require(observations > self.train_size, f"{observations} observations leave no test")
        for fold, begin in enumerate(range(self.train_size, observations, self.test_size)):
            first = 0 if self.expanding else begin - self.train_size
            yield Split(
                train=np.arange(first, begin - self.purge),
                blocks=(np.arange(begin, min(begin + self.test_size, observations)),),
                folds=(fold,),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSeriesFolds:
    """K-fold for series: each of the last `folds` equal blocks, trained on all before it."""

    folds: int
    purge: int = 0

    def __post_init__(self) -> None:
        _require(self.folds >= 2 and self.purge >= 0, "needs two folds and no negative purge")

    @property
    def name(self) -> str:
        """What a report calls it."""
        return "time_series_folds"

    def splits(self, observations: int) -> Iterator[Split]:
        """Every split, in time; the first block takes the remainder and only trains."""
        size = observations // (self.folds + 1)
        _require(size > self.purge, f"{observations} observations are too few for {self.folds}")
        for fold in range(self.folds):
            begin = observations - (self.folds - fold) * size
            yield Split(
                train=np.arange(begin - self.purge),
                blocks=(np.arange(begin, begin + size),),
                folds=(fold,),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinatorialPurged:
    """Every choice of `test_folds` out of `folds` blocks (Lopez de Prado 2018, chapter 12).

    One test fold is the purged k-fold. The test blocks of all splits put together make
    `path_count` series, each of which covers every observation once. The last fold takes the
    remainder. Trains after its tests, so it asks whether a rule is robust, not what it had earned.
    """

    folds: int = 10
    test_folds: int = 2
    purge: int = 0
    embargo: int = 0

    def __post_init__(self) -> None:
        _require(0 < self.test_folds < self.folds, "needs more folds than test folds")
        _require(self.purge >= 0 and self.embargo >= 0, "purge and embargo are not negative")
        _require(self.split_count <= _SPLITS_MAX, f"{self.split_count} splits are too many")

    @property
    def name(self) -> str:
        """What a report calls it."""
        return "purged_folds" if self.test_folds == 1 else "combinatorial_purged"

    @property
    def split_count(self) -> int:
        """How many fits it takes."""
        return math.comb(self.folds, self.test_folds)

    @property
    def path_count(self) -> int:
        """How many whole series its test blocks make."""
        return math.comb(self.folds - 1, self.test_folds - 1)

    def splits(self, observations: int) -> Iterator[Split]:
        """Every split, in lexical order of its test folds."""
        size = observations // self.folds
        _require(
            self.purge + self.embargo < size - 1,
            f"purge and embargo of {self.purge + self.embargo} leave nothing of a fold of {size}",
        )
        edges = [*(fold * size for fold in range(self.folds)), observations]
        for chosen in itertools.combinations(range(self.folds), self.test_folds):
            yield Split(
                train=self._train(chosen, edges),
                blocks=tuple(np.arange(edges[fold], edges[fold + 1]) for fold in chosen),
                folds=chosen,
            )

    def _train(self, chosen: Sequence[int], edges: Sequence[int]) -> IntArray:
        keep = np.ones(edges[-1], dtype=bool)
        for fold in chosen:
            # Neighbouring test folds need no gap between them, and cutting one harms nothing:
            # their observations are no training data either way.
            before = max(0, edges[fold] - self.purge)
            keep[before : edges[fold + 1] + self.purge + self.embargo] = False
        return np.flatnonzero(keep)


Scheme = WalkForward | TimeSeriesFolds | CombinatorialPurged


def paths_of(splits: Sequence[Split], outcomes: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Outcomes of the test blocks, put together to whole series: path k has each fold's k-th test.

    `outcomes[i][j]` belongs to block j of split i. A scheme that tests each fold once gives one
    path. The pieces of a path are in the order of their folds.
    """
    by_fold: dict[int, list[Any]] = {}
    for split, pieces in zip(splits, outcomes, strict=True):
        for fold, piece in zip(split.folds, pieces, strict=True):
            by_fold.setdefault(fold, []).append(piece)
    ordered = [by_fold[fold] for fold in sorted(by_fold)]
    return [list(path) for path in zip(*ordered, strict=True)]


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise UsageError(words, remedy="change the folds, the sizes, or load more history")
