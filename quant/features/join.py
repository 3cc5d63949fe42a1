"""Point-in-time join: beside each row, the features that were known at its moment.

Belongs here: the join. Does not belong here: where the rows come from.
"""

from typing import Final

import numpy as np
import pandas as pd

from quant.core.errors import DataError

_PLACE: Final = "_place"


def as_of_join(
    left: pd.DataFrame,
    features: pd.DataFrame,
    *,
    by: str = "symbol",
    on: str = "as_of",
    known: str = "known_at",
    order: str = "session",
) -> pd.DataFrame:
    """`left`, in its own order, with the newest feature row known at `on` (inclusive).

    Newest is by `order`, not by arrival: a correction of Monday's row that arrives on Wednesday
    does not hide Tuesday's row, and of two versions of one session the one that arrived last before
    `on` counts. Where nothing was known yet the features are NaN. Feature columns that `left` has
    too come with the suffix `_feature`.
    """
    _require(left, (by, on), "left rows")
    _require(features, (by, known, order), "feature rows")
    right = _visible(features, by=by, known=known, order=order)
    renamed = {name: f"{name}_feature" for name in right.columns if name in left and name != by}
    right = right.rename(columns=renamed)
    # One text type on both sides: pandas does not match categories or objects with strings.
    right[by] = right[by].astype("str")
    moments = left.assign(**{by: left[by].astype("str"), on: _utc(left[on], on)}).assign(
        **{_PLACE: np.arange(len(left))}
    )
    joined = pd.merge_asof(
        moments.sort_values(on, kind="stable"),
        right,
        left_on=on,
        right_on=renamed.get(known, known),
        by=by,
        direction="backward",
        allow_exact_matches=True,
    )
    result = joined.sort_values(_PLACE).drop(columns=_PLACE)
    result.index = left.index
    result[by] = left[by]
    return result


def _visible(features: pd.DataFrame, *, by: str, known: str, order: str) -> pd.DataFrame:
    """Rows that are the newest of their symbol when they arrive, by arrival.

    A row that arrives after a later session's is never the newest afterwards either, so the
    nearest earlier arrival among the rest is always the right answer.
    """
    if features[order].isna().any():
        raise DataError(f"{order} is missing in some feature rows", remedy="quarantine them")
    rows = features.assign(**{known: _utc(features[known], known)})
    rows = rows.sort_values([known, order], kind="stable")
    rank = rows[order].rank(method="dense")
    return rows[rank >= rank.groupby(rows[by]).cummax()]


def _utc(times: pd.Series, name: str) -> pd.Series:
    """Times in UTC at one resolution; without a zone or missing they order nothing."""
    if times.empty:  # has no dtype worth checking
        return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
    stamps = pd.to_datetime(times)
    if stamps.dt.tz is None:
        raise DataError(f"{name} has no time zone", remedy="attach UTC before joining")
    if stamps.isna().any():
        raise DataError(
            f"{name} is missing in {int(stamps.isna().sum())} rows",
            remedy="a row whose time is unknown cannot be placed; quarantine it",
        )
    return stamps.dt.tz_convert("UTC").astype("datetime64[us, UTC]")


def _require(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(f"the {what} lack the columns {', '.join(missing)}")
