"""When a position must be left: stop, target, trailing stop and time, judged on one bar at a time.

Belongs here: the rules as pure functions over arrays, one place a position. Does not belong here:
how a trailing level comes about (`trailing`), who sends the order, or what a signal wants.

Within a bar the order of events is known only in part, so the priority is fixed and never kind:
1. the open comes first in time: a level that the open has already passed is filled at the open;
2. inside the bar a stop is assumed to be met before a target, and of two stops the nearer one;
3. time runs out at the close, after everything else.
A bar without its range says nothing of touches in between, so it is judged at its close and filled
there. A level that is not known (NaN) never fires, and the answer says that it was not known.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quant.core.errors import DataError
from quant.core.policy import Policy
from quant.market.panel import FloatArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
CodeArray = NDArray[np.int8]


class ExitReason(StrEnum):
    """Why a position is left."""

    STOP_LOSS = "STOP_LOSS"
    TRAILING_STOP = "TRAILING_STOP"
    TAKE_PROFIT = "TAKE_PROFIT"
    TIME_EXIT = "TIME_EXIT"


class JudgedAt(StrEnum):
    """What of the bar the judgement rests on."""

    OPEN = "open"  # the level was passed before the session began
    TOUCH = "touch"  # the range of the bar reached the level
    CLOSE = "close"  # nothing but the close, or the calendar, spoke


# A code is a place in these lists; nothing holds at code 0.
STAY: Final = 0
REASONS: Final[tuple[ExitReason | None, ...]] = (None, *ExitReason)
PLACES: Final[tuple[JudgedAt | None, ...]] = (None, *JudgedAt)
_CODE: Final = {reason: code for code, reason in enumerate(REASONS) if reason is not None}
_PLACE: Final = {place: code for code, place in enumerate(PLACES) if place is not None}


class ExitPolicy(Policy):
    """How far a position may fall back, and how long it may last.

    Stop and target are those of the signal that opened the position. In proof mode, which wants
    many closed trades soon, positions last a shorter time, but never less than a few days.
    """

    # A trailing stop stands this many average true ranges below the highest high since the entry.
    trailing_atr_multiple: Annotated[float, Field(gt=0, le=20)] = 2.0
    atr_sessions: Annotated[int, Field(ge=2, le=250)] = 14
    holding_sessions_max: Annotated[int, Field(ge=1, le=1_000)] = 30
    is_proof_mode: bool = False
    proof_holding_sessions_max: Annotated[int, Field(ge=1, le=1_000)] = 5
    proof_calendar_days_min: Annotated[int, Field(ge=0, le=30)] = 3

    @property
    def sessions_max(self) -> int:
        """Sessions after its entry at whose close a position has had its time."""
        return self.proof_holding_sessions_max if self.is_proof_mode else self.holding_sessions_max

    @property
    def calendar_days_min(self) -> int:
        """Calendar days before which time is no reason to leave."""
        return self.proof_calendar_days_min if self.is_proof_mode else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldBatch:
    """Open positions, one place each; a level that is not known is NaN.

    Prices and levels are in the units of the bar they meet: after a split the caller has rescaled
    them. `trailing_price` is the level that the sessions before the bar left behind.
    """

    side: IntArray  # 1 for a long position, -1 for a short one
    stop_price: FloatArray
    target_price: FloatArray
    trailing_price: FloatArray
    sessions_held: IntArray  # trading days after the session of the entry
    calendar_days_held: IntArray

    def __post_init__(self) -> None:
        if not np.isin(self.side, (1, -1)).all():
            raise DataError("the side of a position must be 1 or -1")
        for name in ("stop_price", "target_price", "trailing_price"):
            if (getattr(self, name) <= 0).any():
                raise DataError(f"{name} must be positive, or NaN where there is none")
        if (self.sessions_held < 0).any() or (self.calendar_days_held < 0).any():
            raise DataError("a position cannot have been held for less than nothing")

    def __len__(self) -> int:
        return len(self.side)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarBatch:
    """The bar that each position meets; NaN where a price is not known."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExitBatch:
    """One judgement a position, and what was not known when it was made."""

    code: CodeArray  # a place in REASONS
    place: CodeArray  # a place in PLACES
    # Where an order resting at the level would have been filled, before costs; NaN where nothing
    # holds, and where a position has had its time and there is no price.
    price: FloatArray
    is_bar_unknown: BoolArray
    is_close_only: BoolArray
    is_stop_unknown: BoolArray
    is_trailing_unknown: BoolArray

    @property
    def is_exit(self) -> BoolArray:
        """Which positions must be left."""
        return np.asarray(self.code != STAY)

    def reason(self, row: int) -> ExitReason | None:
        """Why the position at `row` must be left; None where it may stay."""
        return REASONS[int(self.code[row])]

    def judged_at(self, row: int) -> JudgedAt | None:
        """What of the bar spoke."""
        return PLACES[int(self.place[row])]

    def doubts(self, row: int) -> tuple[str, ...]:
        """What was not known, in words; a position that stays with doubts is not a safe one."""
        said = (
            (self.is_bar_unknown, "no bar: no level could be judged"),
            (self.is_close_only, "only a close: touches within the session are not known"),
            (self.is_stop_unknown, "no stop is known"),
            (self.is_trailing_unknown, "no average true range: no trailing stop"),
        )
        return tuple(words for flags, words in said if flags[row])


def judge_exits(held: HeldBatch, bars: BarBatch, policy: ExitPolicy) -> ExitBatch:
    """Which positions must be left on this bar, why, and at what price."""
    # Seen from the position: up is good. A short one sees prices, and the range, upside down.
    side = held.side.astype(np.float64)
    is_long = held.side > 0
    opened, close = side * bars.open, side * bars.close
    worst = side * np.where(is_long, bars.low, bars.high)
    best = side * np.where(is_long, bars.high, bars.low)
    stop, target = side * held.stop_price, side * held.target_price
    trailing = side * held.trailing_price
    nearer_stop = np.fmax(stop, trailing)
    has_range = np.isfinite(bars.high) & np.isfinite(bars.low)
    # Without an open nobody knows whether a level was jumped. It was met where the range holds it.
    within_stop = np.where(best >= nearer_stop, nearer_stop, close)
    within_target = np.where(worst <= target, target, close)
    out_of_time = (held.sessions_held >= policy.sessions_max) & (
        held.calendar_days_held >= policy.calendar_days_min
    )
    stop_code = np.where(
        (trailing > stop) | np.isnan(stop),
        _CODE[ExitReason.TRAILING_STOP],
        _CODE[ExitReason.STOP_LOSS],
    )
    gain, end = _CODE[ExitReason.TAKE_PROFIT], _CODE[ExitReason.TIME_EXIT]
    at_open, at_touch, at_close = (_PLACE[place] for place in JudgedAt)
    rules: tuple[tuple[BoolArray, CodeArray | int, int, FloatArray], ...] = (
        (opened <= nearer_stop, stop_code, at_open, opened),
        (opened >= target, gain, at_open, opened),
        (has_range & (worst <= nearer_stop), stop_code, at_touch, within_stop),
        (has_range & (best >= target), gain, at_touch, within_target),
        (~has_range & (close <= nearer_stop), stop_code, at_close, close),
        (~has_range & (close >= target), gain, at_close, close),
        (out_of_time, end, at_close, close),
    )
    holds = [rule[0] for rule in rules]
    return ExitBatch(
        code=np.select(holds, [rule[1] for rule in rules], STAY).astype(np.int8),
        place=np.select(holds, [rule[2] for rule in rules], STAY).astype(np.int8),
        price=side * np.select(holds, [rule[3] for rule in rules], np.nan),
        is_bar_unknown=np.isnan(bars.close) & ~has_range & np.isnan(bars.open),
        is_close_only=np.isfinite(bars.close) & ~has_range,
        is_stop_unknown=np.isnan(held.stop_price),
        is_trailing_unknown=np.isnan(held.trailing_price),
    )


def exit_quantity(held: Decimal) -> Decimal:
    """The signed trade that leaves a position: all of it, and never a share more."""
    if not held.is_finite() or held == 0:
        raise DataError(f"there is nothing to leave: the quantity held is {held}")
    # Not the minus sign: that rounds to the precision of the context, and a share may be left.
    return held.copy_negate()
