"""What was known when: one frame of bars for each stretch of sessions that saw the same history.

A restated or late bar changes what later sessions see of earlier days, and must not change what
earlier sessions saw. Between two such moments every session sees a prefix of one frame, so a long
range is computed with as many frames as there were revisions, not with one a session.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

BAR_IDENTITY = ("symbol", "basis", "session")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vintage:
    """Sessions that share a history; the session `s` may use the rows with `session <= s`."""

    sessions: tuple[dt.date, ...]
    bars: pd.DataFrame


def vintages(
    versions: pd.DataFrame,
    sessions: Sequence[dt.date],
    *,
    as_of: Callable[[dt.date], dt.datetime],
    delay: dt.timedelta,
) -> list[Vintage]:
    """Split `sessions` by the history they saw.

    `versions` holds every version of every bar. A version that was known within `delay` of its
    event was there for its own session's decision; any other one begins a new vintage.
    """
    if versions.empty:
        return [Vintage(sessions=tuple(sorted(sessions)), bars=versions)]
    was_late = versions["known_at"] > versions["event_time"] + delay
    revisions = versions.loc[was_late, "known_at"].drop_duplicates()
    groups: dict[int, list[dt.date]] = {}
    for session in sorted(sessions):
        moment = pd.Timestamp(as_of(session))
        groups.setdefault(int((revisions <= moment).sum()), []).append(session)
    return [
        Vintage(sessions=tuple(group), bars=known_bars(versions, as_of=as_of(group[-1])))
        for group in groups.values()
    ]


def known_bars(versions: pd.DataFrame, *, as_of: dt.datetime) -> pd.DataFrame:
    """The newest version of each bar that was known at `as_of`, by symbol and session."""
    known = versions[versions["known_at"] <= pd.Timestamp(as_of)]
    ordered = known.sort_values([*BAR_IDENTITY, "known_at"], kind="stable")
    return ordered.drop_duplicates(list(BAR_IDENTITY), keep="last").reset_index(drop=True)
