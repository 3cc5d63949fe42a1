"""Held positions judged on every session since their entry: an exit once due stays due.

Belongs here: the walk over sessions, vectorised over positions, and the units of past prices.
Does not belong here: the rules of one bar (`exits`), or where bars and entries come from.

A night may be unable to send an exit (poor data, a paused book, no price the next day). Judging
only the newest bar would forget it; judged since the entry, it is wanted again the next night.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from quant.core.errors import DataError
from quant.execution.exits import (
    BarBatch,
    ExitBatch,
    ExitPolicy,
    ExitReason,
    HeldBatch,
    IntArray,
    JudgedAt,
    judge_exits,
)
from quant.execution.trailing import average_true_range, trailing_stops
from quant.market.panel import DayArray, FloatArray

PRICES: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldHistory:
    """Positions on one list of sessions, the last of them tonight; prices in tonight's units."""

    days: DayArray
    bars: Mapping[str, FloatArray]  # open, high, low, close: (positions, sessions)
    side: IntArray
    entry: IntArray  # the column of each position's first session
    stop_price: FloatArray
    target_price: FloatArray
    atr: FloatArray
    trailing_price: FloatArray  # what each session left behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """The first session since the entry at which a rule held, and what is not known tonight."""

    reason: ExitReason | None = None
    judged_at: JudgedAt | None = None
    session: dt.date | None = None
    price: float = float("nan")
    doubts: tuple[str, ...] = ()


def held_history(
    *,
    days: DayArray,
    bars: Mapping[str, FloatArray],
    side: IntArray,
    entry: IntArray,
    stop_price: FloatArray,
    target_price: FloatArray,
    policy: ExitPolicy,
) -> HeldHistory:
    """With average true ranges, and the trailing levels that they hold."""
    if (entry >= len(days)).any():
        raise DataError("a position cannot have been entered after the last session")
    outer = np.where(side[:, None] > 0, bars["high"], bars["low"])
    # Where no range is known the close is the best price that somebody saw.
    best = np.where(np.isnan(outer), bars["close"], outer)
    atr = average_true_range(bars["high"], bars["low"], bars["close"], sessions=policy.atr_sessions)
    trailing = trailing_stops(
        best, atr, side=side, entry=entry, multiple=policy.trailing_atr_multiple
    )
    return HeldHistory(
        days=days,
        bars=bars,
        side=side,
        entry=entry,
        stop_price=stop_price,
        target_price=target_price,
        atr=atr,
        trailing_price=trailing,
    )


def first_fired(history: HeldHistory, policy: ExitPolicy) -> list[Fired]:
    """For each position the first rule that held since its entry, or none, with its doubts."""
    fired: dict[int, Fired] = {}
    last = len(history.days) - 1
    for column in range(int(history.entry.min(initial=last + 1)), last + 1):
        rows = [
            row
            for row, first in enumerate(history.entry.tolist())
            if first <= column and row not in fired
        ]
        if not rows:
            continue
        found = _judge(history, np.array(rows), column, policy)
        for place in np.flatnonzero(found.is_exit).tolist():
            fired[rows[place]] = Fired(
                reason=found.reason(place),
                judged_at=found.judged_at(place),
                session=history.days[column].item(),
                price=float(found.price[place]),
            )
    everyone = np.arange(len(history.side))
    tonight = _judge(history, everyone, last, policy)
    return [
        replace(fired.get(row, Fired()), doubts=tonight.doubts(row)) for row in everyone.tolist()
    ]


def split_factors(splits: Sequence[tuple[dt.date, Fraction]], days: DayArray) -> FloatArray:
    """What turns each day's raw price into tonight's unit: the splits that came after it."""
    factors = np.ones(len(days))
    for ex_session, ratio in splits:
        factors[days < np.datetime64(ex_session, "D")] *= float(ratio)
    return factors


def _judge(history: HeldHistory, rows: IntArray, column: int, policy: ExitPolicy) -> ExitBatch:
    entered = history.entry[rows]
    nothing = np.full(len(rows), np.nan)
    elapsed = (history.days[column] - history.days[entered]).astype(np.int64)
    held = HeldBatch(
        side=history.side[rows],
        stop_price=history.stop_price[rows],
        target_price=history.target_price[rows],
        # A session's own high may come after its low, so it does not guard itself.
        trailing_price=history.trailing_price[rows, column - 1] if column else nothing,
        sessions_held=np.maximum(column - entered, 0),
        calendar_days_held=np.maximum(elapsed, 0),
    )
    bars = BarBatch(**{name: history.bars[name][rows, column] for name in PRICES})
    return judge_exits(held, bars, policy)
