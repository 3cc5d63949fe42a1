"""Train/serve skew: do the features that were stored equal those computed again?

Belongs here: the comparison of two frames. Does not belong here: reading or computing either.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.features.bars import BoolArray, differing
from quant.market.panel import FloatArray

KEYS = ("symbol", "session")

# Stands in `feature` when a whole row exists on one side only.
WHOLE_ROW = "(row)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewDifference:
    """One value that differs; None stands for a row that is not there."""

    symbol: str
    session: pd.Timestamp
    feature: str
    stored: float | None
    recomputed: float | None


def skew(
    stored: pd.DataFrame, recomputed: pd.DataFrame, *, relative_tolerance: float = 0.0
) -> list[SkewDifference]:
    """Every value in which the two differ, by symbol, session and feature.

    Both have `symbol`, `session` and one column a feature, the same ones. Exact to the bit unless a
    tolerance is given; NaN equals NaN. A row on one side only is one difference.

    Recursive features (EMA, RSI, ATR, running totals; see `Feature.is_anchored`) depend on where
    their history starts. They agree only if both sides begin at the same first session, so the
    caller anchors history there; a difference in them alone points to the anchor, not to the code.
    """
    left, right = _keyed(stored, "stored"), _keyed(recomputed, "recomputed")
    if set(left.columns) != set(right.columns):
        only = ", ".join(sorted(set(left.columns) ^ set(right.columns)))
        raise DataError(
            f"stored and recomputed rows have different features: {only}",
            remedy="compare rows of one feature-set version, or recompute the stored ones",
        )
    both = left.index.intersection(right.index).sort_values()
    names = list(left.columns)
    before = left.loc[both, names].to_numpy(dtype=np.float64)
    after = right.loc[both, names].to_numpy(dtype=np.float64)
    rows, columns = np.nonzero(_different(before, after, relative_tolerance))
    values = [
        SkewDifference(
            symbol=both[int(row)][0],
            session=both[int(row)][1],
            feature=names[column],
            stored=float(before[row, column]),
            recomputed=float(after[row, column]),
        )
        for row, column in zip(rows, columns, strict=True)
    ]
    return values + _one_sided(left, right)


def _keyed(frame: pd.DataFrame, which: str) -> pd.DataFrame:
    missing = [key for key in KEYS if key not in frame.columns]
    if missing:
        raise DataError(f"the {which} features lack the columns {', '.join(missing)}")
    normal = frame.assign(
        symbol=frame["symbol"].astype("str"),
        session=pd.to_datetime(frame["session"]).astype("datetime64[us]"),
    ).set_index(list(KEYS))
    if normal.index.has_duplicates:
        symbol, session = normal.index[normal.index.duplicated()][0]
        raise DataError(
            f"the {which} features have {symbol} on {session.date()} twice",
            remedy="select one version of each row before comparing",
        )
    return normal


def _different(left: FloatArray, right: FloatArray, relative_tolerance: float) -> BoolArray:
    if relative_tolerance > 0:
        return ~np.isclose(left, right, rtol=relative_tolerance, atol=0.0, equal_nan=True)
    return differing(left, right)


def _one_sided(left: pd.DataFrame, right: pd.DataFrame) -> list[SkewDifference]:
    """Rows that only one side has: 1.0 says present, None says absent."""
    result = []
    for index, is_stored in (
        (left.index.difference(right.index), True),
        (right.index.difference(left.index), False),
    ):
        for symbol, session in index:
            result.append(
                SkewDifference(
                    symbol=symbol,
                    session=session,
                    feature=WHOLE_ROW,
                    stored=1.0 if is_stored else None,
                    recomputed=None if is_stored else 1.0,
                )
            )
    return result
