"""How many hypotheses a family has had, and how many of them were really different.

Belongs here: identity of a trial, effective numbers, the deflated Sharpe ratio that uses them.
Does not belong here: the formula (`overfitting`), the journal (`resources.governance_journal`).

An abandoned trial counts: whoever stops looking has looked. Trials over other sessions, and those
whose returns are lost, count as independent, which can only make the bar higher.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.identity import content_hash
from quant.governance.overfitting import (
    Deflated,
    Overfitting,
    average_correlation,
    backtest_overfitting,
    deflated_sharpe,
    moments,
)
from quant.governance.records import GovernanceRecord, TrialClosed, TrialOpened

FloatArray = NDArray[np.float64]

# Fewer results say little of how ratios scatter, and one with skill among them would pass for luck;
# ratios without skill scatter by 1 / sqrt(n - 1), whatever the rules.
_RESULTS_FOR_DEVIATION = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyStanding:
    """A hypothesis family's count.

    `effective` is the number of independent trials that tell as much as these; `deviation` is that
    of their Sharpe ratios, per observation, and None before the first result.
    """

    family: str
    opened: int
    closed: int
    effective: float
    deviation: float | None
    best_sharpe: float | None

    @property
    def abandoned(self) -> int:
        """Trials that never told their result."""
        return self.opened - self.closed


def trial_id(*, family: str, purpose: str, parameters_hash: str, inputs_hash: str) -> str:
    """The same question to the same data is the same trial."""
    return "t-" + content_hash([family, purpose, parameters_hash, inputs_hash])


def standing_of(
    family: str,
    records: Iterable[GovernanceRecord],
    returns: Mapping[str, pd.Series],
) -> FamilyStanding:
    """A family's count from the journal; `returns` holds what is known, by trial."""
    opened, closed = _of_family(family, records)
    sharpes = [closed[name].sharpe for name in opened if name in closed]
    return FamilyStanding(
        family=family,
        opened=len(opened),
        closed=len(sharpes),
        effective=effective_trials([returns.get(name) for name in opened]),
        deviation=_deviation(sharpes),
        best_sharpe=max(sharpes, default=None),
    )


def effective_trials(returns: Iterable[pd.Series | None]) -> float:
    """Independent trials among these: r + (1 - r) m with the average correlation r of m series.

    The implied number of Bailey and Lopez de Prado (2014, appendix 3). Series are compared where
    they cover the same sessions; every other one, and every missing one (None), counts as one.
    """
    alone, groups = 0.0, dict[int, list[FloatArray]]()
    for series in returns:
        if series is None or len(series) < 2:
            alone += 1.0
            continue
        index = hash(tuple(series.index))
        groups.setdefault(index, []).append(series.to_numpy(dtype=float))
    for members in groups.values():
        count = len(members)
        shared = average_correlation(np.column_stack(members)) if count > 1 else 0.0
        alone += shared + (1.0 - shared) * count
    return alone


def deflate(returns: pd.Series, standing: FamilyStanding) -> Deflated:
    """The deflated Sharpe ratio of a series, with the count that its family keeps of itself."""
    series = moments(returns)
    deviation = standing.deviation
    if deviation is None or standing.closed < _RESULTS_FOR_DEVIATION:
        deviation = float(1.0 / np.sqrt(series.observations - 1))
    return deflated_sharpe(series, trials=max(1.0, standing.effective), deviation=deviation)


def family_overfitting(returns: Mapping[str, pd.Series], *, blocks: int = 16) -> Overfitting | None:
    """PBO over the trials of a family that cover the same sessions; None below two of them."""
    groups: dict[int, list[pd.Series]] = {}
    for series in returns.values():
        groups.setdefault(hash(tuple(series.index)), []).append(series)
    members = max(groups.values(), key=len, default=[])
    if len(members) < 2 or len(members[0]) < 2 * blocks:
        return None
    return backtest_overfitting(np.column_stack(members), blocks=blocks)


def families(records: Iterable[GovernanceRecord]) -> list[str]:
    """Every family that has had a trial."""
    return sorted({one.family for one in records if isinstance(one, TrialOpened)})


def _of_family(
    family: str, records: Iterable[GovernanceRecord]
) -> tuple[dict[str, TrialOpened], dict[str, TrialClosed]]:
    opened: dict[str, TrialOpened] = {}
    closed: dict[str, TrialClosed] = {}
    for record in records:
        if isinstance(record, TrialOpened) and record.family == family:
            opened[record.trial_id] = record
        elif isinstance(record, TrialClosed):
            closed[record.trial_id] = record
    return opened, closed


def _deviation(sharpes: list[float]) -> float | None:
    return float(np.std(sharpes, ddof=1)) if len(sharpes) > 1 else None
