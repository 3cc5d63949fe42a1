"""Intervals by block bootstrap: how far a Sharpe ratio may lie from what was seen.

Belongs here: resampling blocks of returns and the statistics of those samples. Does not belong
here: tests with a closed form (`hypothesis_tests`).

Blocks are circular (Politis and Romano 1992): as many of equal length as cover the series, the last
one cut. A sample's mean and deviation need sums over its blocks only, and sums over blocks come
from running sums, so a sample costs one look-up a block instead of one a day.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant.core.errors import DataError
from quant.governance.overfitting import known
from quant.portfolio.measures import SESSIONS_PER_YEAR

FloatArray = NDArray[np.float64]

# Samples at once: their block sums then stay in the processor's cache.
_BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its two-sided percentile interval."""

    estimate: float
    low: float
    high: float
    confidence: float
    resamples: int
    block_length: int


def sharpe_interval(
    returns: ArrayLike,
    *,
    rng: np.random.Generator,
    block_length: int | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> Interval:
    """The annualised Sharpe ratio of daily returns; blocks of n ** (1 / 3) days unless told."""
    values = known(returns)
    length = block_length or default_block_length(len(values))
    samples = sharpe_samples(values, rng=rng, block_length=length, resamples=resamples)
    deviation = float(values.std(ddof=1))
    if deviation == 0:
        raise DataError("returns that never change have no Sharpe ratio")
    return _interval(
        float(values.mean()) / deviation * math.sqrt(SESSIONS_PER_YEAR),
        samples,
        confidence=confidence,
        block_length=length,
    )


def mean_interval(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    block_length: int | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> Interval:
    """The mean of a series, such as the difference of two paired losses."""
    array = known(values)
    length = block_length or default_block_length(len(array))
    sums = np.concatenate(
        [part[0] for part in _block_sums(array[:, None], rng, length, resamples)], axis=0
    )
    means = sums[:, 0] / len(array) + float(array.mean())
    return _interval(float(array.mean()), means, confidence=confidence, block_length=length)


def sharpe_samples(
    returns: ArrayLike, *, rng: np.random.Generator, block_length: int, resamples: int
) -> FloatArray:
    """Annualised Sharpe ratios of the resampled series; a constant sample has none and gives 0."""
    values = known(returns)
    centre = float(values.mean())
    count = len(values)
    columns = np.stack([values - centre, (values - centre) ** 2], axis=1)
    found = np.empty(resamples)
    done = 0
    for sums, size in _block_sums(columns, rng, block_length, resamples, centred=False):
        mean = sums[:, 0] / count
        variance = np.maximum(sums[:, 1] / count - mean**2, 0.0) * count / (count - 1)
        deviation = np.sqrt(variance)
        ratio = np.divide(mean + centre, deviation, out=np.zeros(size), where=deviation > 0)
        found[done : done + size] = ratio
        done += size
    found *= math.sqrt(SESSIONS_PER_YEAR)
    return found


def default_block_length(count: int) -> int:
    """The rate at which blocks should grow for a variance (Hall, Horowitz and Jing 1995)."""
    return max(1, round(math.cbrt(count)))


def _block_sums(
    columns: FloatArray,
    rng: np.random.Generator,
    length: int,
    resamples: int,
    *,
    centred: bool = True,
) -> Iterator[tuple[FloatArray, int]]:
    """Column sums of each resampled series, in batches of samples."""
    count = len(columns)
    if not 1 <= length <= count or resamples < 1:
        raise DataError(f"blocks of {length} cannot be drawn from {count} observations")
    around = columns - columns.mean(axis=0) if centred else columns
    running = np.zeros((count + length + 1, columns.shape[1]))
    np.cumsum(np.concatenate([around, around[:length]]), axis=0, out=running[1:])
    # Sums of the block that begins at each day; a column of its own is a faster look-up.
    whole = [
        np.ascontiguousarray((running[length:] - running[:-length])[:count, c])
        for c in range(columns.shape[1])
    ]
    blocks, rest = divmod(count, length)
    cut = [
        np.ascontiguousarray((running[rest : rest + count] - running[:count])[:, c])
        for c in range(columns.shape[1])
    ]
    done = 0
    while done < resamples:
        size = min(_BATCH, resamples - done)
        starts = rng.integers(0, count, size=(size, blocks), dtype=np.int32)
        sums = np.stack([column[starts].sum(axis=1) for column in whole], axis=1)
        if rest:
            last = rng.integers(0, count, size=size, dtype=np.int32)
            sums += np.stack([column[last] for column in cut], axis=1)
        yield sums, size
        done += size


def _interval(
    estimate: float, samples: FloatArray, *, confidence: float, block_length: int
) -> Interval:
    if not 0 < confidence < 1:
        raise DataError(f"confidence must be between 0 and 1, was {confidence}")
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(samples, [tail, 1.0 - tail])
    return Interval(
        estimate=estimate,
        low=float(low),
        high=float(high),
        confidence=confidence,
        resamples=len(samples),
        block_length=block_length,
    )
