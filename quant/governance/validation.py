"""Validation of a rule: its returns out of sample over every split, and whether it looks ahead.

Belongs here: running a rule through the splits of a scheme, one report whatever the scheme, and the
leakage sentinel. Does not belong here: index generators (`splits`), thresholds of a certificate
(`certification`).

A split that cannot be evaluated is an error of the rule and is raised, never skipped: a report over
the splits that happened to work would be a selection.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.core.identity import content_hash, seed_of
from quant.governance.overfitting import known
from quant.governance.splits import IntArray, Scheme, Split, paths_of
from quant.portfolio.measures import SESSIONS_PER_YEAR, max_drawdown, sharpe

FloatArray = NDArray[np.float64]

# Trains on the first positions and gives one return for each of the second.
Evaluate = Callable[[IntArray, IntArray], FloatArray]
# From all returns to the position held over each: positions[t] may depend on returns[:t] alone.
Pipeline = Callable[[FloatArray], FloatArray]

# SPEC D1: on returns without any order in time, no rule may seem to earn more than this.
SHUFFLED_SHARPE_MAX = 0.1
_SHUFFLES_MAX = 2_000
_REWRITES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """What a scheme showed; Sharpe ratios are annualised, one a path and None without movement."""

    scheme: str
    parameters: str
    observations: int
    splits: int
    path_sharpes: tuple[float | None, ...]
    path_drawdowns: tuple[float | None, ...]
    returns_hash: str

    @property
    def known_sharpes(self) -> tuple[float, ...]:
        """Those that exist."""
        return tuple(value for value in self.path_sharpes if value is not None)

    @property
    def sharpe_mean(self) -> float | None:
        """Over all paths."""
        return float(np.mean(self.known_sharpes)) if self.known_sharpes else None

    @property
    def sharpe_min(self) -> float | None:
        """Of the worst path."""
        return min(self.known_sharpes, default=None)

    @property
    def loss_fraction(self) -> float:
        """The share of paths that did not earn anything, or never traded."""
        earned = sum(value > 0 for value in self.known_sharpes)
        return 1.0 - earned / len(self.path_sharpes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelReport:
    """Whether a pipeline earns where nothing can be earned, or moves when the future is rewritten.

    `sharpe` is the mean over the shuffles, with its standard error.
    """

    sharpe: float
    standard_error: float
    shuffles: int
    sharpe_max: float
    first_leak: int | None
    reason: str

    @property
    def passed(self) -> bool:
        """Both trials found nothing."""
        return self.first_leak is None and self.sharpe < self.sharpe_max


def validate(evaluate: Evaluate, scheme: Scheme, *, observations: int) -> ValidationReport:
    """Run a rule through every split of a scheme and put its test returns together to paths."""
    splits = list(scheme.splits(observations))
    paths = _paths(evaluate, splits)
    equities = [pd.Series(np.cumprod(1.0 + np.concatenate([[0.0], path]))) for path in paths]
    return ValidationReport(
        scheme=scheme.name,
        parameters=repr(scheme),
        observations=observations,
        splits=len(splits),
        path_sharpes=tuple(sharpe(pd.Series(path)) for path in paths),
        path_drawdowns=tuple(max_drawdown(equity) for equity in equities),
        returns_hash=content_hash([_digest(path) for path in paths]),
    )


def out_of_sample_paths(
    evaluate: Evaluate, scheme: Scheme, *, observations: int
) -> list[FloatArray]:
    """The whole series of test returns, one a path of the scheme."""
    return _paths(evaluate, list(scheme.splits(observations)))


def _paths(evaluate: Evaluate, splits: Sequence[Split]) -> list[FloatArray]:
    outcomes: list[list[FloatArray]] = []
    for split in splits:
        returns = np.asarray(evaluate(split.train, split.test), dtype=float)
        if returns.shape != split.test.shape:
            raise DataError(
                f"the rule gave {returns.shape} returns for {len(split.test)} test observations"
            )
        ends = np.cumsum([len(block) for block in split.blocks])[:-1]
        outcomes.append(np.split(known(returns), ends))
    return [np.concatenate(path) for path in paths_of(splits, outcomes)]


def _digest(values: FloatArray) -> str:
    """Of the numbers' own bytes: written out as text, they would cost more than the fits."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


def leakage_sentinel(
    pipeline: Pipeline,
    returns: FloatArray,
    *,
    sharpe_max: float = SHUFFLED_SHARPE_MAX,
    seed_parts: Sequence[object] = (),
) -> SentinelReport:
    """Give a pipeline returns in random order, and rewrite the future behind its back.

    The returns are centred first, or holding would earn the market's drift in any order. They are
    drawn with replacement: in a mere reordering of returns that sum to zero, a gain today makes a
    loss later likelier, and a rule that follows the mean would seem to lose. So many
    draws are tried that `sharpe_max` is three standard errors. The seed comes from the returns and
    `seed_parts`, so the same question has the same answer.
    """
    values = known(returns)
    if values.ndim != 1 or len(values) < 2 * _REWRITES:
        raise DataError(f"{values.shape} returns are too few to look for a leak")
    rng = np.random.default_rng(seed_of("sentinel", len(values), values.tolist(), *seed_parts))
    shuffles = shuffles_needed(len(values), sharpe_max=sharpe_max)
    centred = values - values.mean()
    found = np.array(
        [_sharpe_of(pipeline, rng.choice(centred, size=len(centred))) for _ in range(shuffles)]
    )
    mean = float(found.mean())
    leak = first_leak(pipeline, values, rng=rng)
    return SentinelReport(
        sharpe=mean,
        standard_error=float(found.std(ddof=1) / math.sqrt(shuffles)),
        shuffles=shuffles,
        sharpe_max=sharpe_max,
        first_leak=leak,
        reason=sentinel_words(mean, leak, sharpe_max),
    )


def shuffles_needed(observations: int, *, sharpe_max: float) -> int:
    """How many orders make `sharpe_max` three standard errors of an annual Sharpe ratio's mean."""
    needed = math.ceil(SESSIONS_PER_YEAR / observations * (3.0 / sharpe_max) ** 2)
    if needed > _SHUFFLES_MAX:
        raise DataError(
            f"{observations} returns would need {needed} shuffles to tell a Sharpe ratio of "
            f"{sharpe_max} from zero",
            remedy="give a longer history",
        )
    return max(needed, 20)


def first_leak(pipeline: Pipeline, returns: FloatArray, *, rng: np.random.Generator) -> int | None:
    """The first position that moved when only returns after it, or its own, were rewritten."""
    truth = _positions(pipeline, returns)
    spread = float(returns.std()) or 1.0
    for cut in np.linspace(len(returns) // 2, len(returns) - 1, _REWRITES).astype(int):
        rewritten = returns.copy()
        rewritten[cut:] = rng.normal(scale=3.0 * spread, size=len(returns) - cut)
        moved = np.flatnonzero(_positions(pipeline, rewritten)[: cut + 1] != truth[: cut + 1])
        if len(moved):
            return int(moved[0])
    return None


def _positions(pipeline: Pipeline, returns: FloatArray) -> FloatArray:
    positions = np.asarray(pipeline(returns.copy()), dtype=float)
    if positions.shape != returns.shape:
        raise DataError(f"{positions.shape} positions for {returns.shape} returns")
    return known(positions)


def _sharpe_of(pipeline: Pipeline, returns: FloatArray) -> float:
    earned = _positions(pipeline, returns) * returns
    deviation = float(earned.std(ddof=1))
    # A pipeline that holds nothing earns nothing.
    return float(earned.mean()) / deviation * math.sqrt(SESSIONS_PER_YEAR) if deviation else 0.0


def sentinel_words(mean: float, leak: int | None, sharpe_max: float) -> str:
    """The result of both trials in plain words."""
    if leak is not None:
        return f"position {leak} moved when only its future was rewritten: the model looks ahead"
    if mean >= sharpe_max:
        return f"a Sharpe ratio of {mean:.2f} on shuffled returns; below {sharpe_max:g} is possible"
    return f"a Sharpe ratio of {mean:.3f} on shuffled returns, and no position knew its future"
