"""Positions judged since their entry: what was once due stays due, in whatever unit."""

import datetime as dt
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution.exit_history import Fired, first_fired, held_history, split_factors
from quant.execution.exits import ExitPolicy, ExitReason

NAN = math.nan
MONDAY = np.datetime64("2022-11-28", "D")


def fired(
    closes: list[float],
    *,
    entry: int = 0,
    stop: float = 90.0,
    target: float = 120.0,
    spread: float | None = 1.0,
    policy: ExitPolicy | None = None,
    side: int = 1,
    scale: float = 1.0,
) -> Fired:
    """One position on bars around these closes; without a spread they are closes only."""
    close = scale * np.array([closes])
    bars = {"close": close, "open": np.where(spread is None, NAN, close)}
    bars["high"], bars["low"] = (
        np.full_like(close, NAN) if spread is None else close + sign * scale * spread
        for sign in (1, -1)
    )
    policy = policy or ExitPolicy()
    history = held_history(
        days=MONDAY + np.arange(len(closes)),
        bars=bars,
        side=np.array([side]),
        entry=np.array([entry]),
        stop_price=np.array([scale * stop]),
        target_price=np.array([scale * target]),
        policy=policy,
    )
    [found] = first_fired(history, policy)
    return found


def test_an_exit_that_was_once_due_stays_due() -> None:
    """The stop was passed on the second day; the third day's recovery does not forgive it."""
    found = fired([100, 89, 100])
    assert found.reason is ExitReason.STOP_LOSS
    assert found.session == dt.date(2022, 11, 29)


def test_what_happened_before_the_entry_is_not_the_positions_business() -> None:
    """80 on the day before the purchase is no stop-out."""
    assert fired([80, 100, 101], entry=1).reason is None


def test_a_trailing_stop_guards_the_next_session_and_not_its_own() -> None:
    """Up to 119 and down to 111 in one day is not measured against that same day's high."""
    policy = ExitPolicy(atr_sessions=2)
    calm = [100.0, 100.0, 100.0, 110.0]
    assert fired([*calm, 109.0], policy=policy).reason is None
    # Ranges of 2, 2 and 11 average 6.5 with n = 2; the level is 111 - 13 = 98 at first.
    found = fired([*calm, 97.0], policy=policy)
    assert found.reason is ExitReason.TRAILING_STOP


def test_closes_alone_have_no_trailing_stop_and_say_so() -> None:
    """No range, no average true range; the stop at the close still holds."""
    found = fired([100, 105, 95], spread=None)
    assert found.reason is None
    assert any("no trailing stop" in doubt for doubt in found.doubts)
    assert fired([100, 105, 89], spread=None).reason is ExitReason.STOP_LOSS


def test_a_position_from_after_the_last_session_is_refused() -> None:
    """It would be judged on bars that it never met."""
    with pytest.raises(DataError, match="after the last session"):
        fired([100, 100], entry=2)


def test_prices_from_before_a_split_are_brought_to_tonights_unit() -> None:
    """Two for one on the third day: the first two days count half, the others as they are."""
    days = MONDAY + np.arange(4)
    factors = split_factors([(dt.date(2022, 11, 30), Fraction(1, 2))], days)
    assert factors.tolist() == [0.5, 0.5, 1.0, 1.0]
    twice = split_factors(
        [(dt.date(2022, 11, 30), Fraction(1, 2)), (dt.date(2022, 12, 1), Fraction(3))], days
    )
    assert twice.tolist() == [1.5, 1.5, 3.0, 1.0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(160, 260).map(lambda n: n / 2), min_size=1, max_size=40),
    st.sampled_from([0.25, 0.5, 2.0, 8.0]),
    st.sampled_from([1, -1]),
)
def test_the_unit_of_prices_changes_no_judgement(
    closes: list[Any], scale: float, side: int
) -> None:
    """A split rescales prices and levels alike; what is due, and when, stays the same."""
    levels: dict[str, Any] = {"stop": 90.0, "target": 120.0}
    if side < 0:
        levels = {"stop": 120.0, "target": 90.0}
    plain = fired(closes, side=side, **levels)
    scaled = fired(closes, side=side, scale=scale, **levels)
    assert (plain.reason, plain.session, plain.doubts) == (
        scaled.reason,
        scaled.session,
        scaled.doubts,
    )
    assert scaled.price == pytest.approx(scale * plain.price, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(160, 260).map(lambda n: n / 2), min_size=2, max_size=40))
def test_a_later_night_never_takes_an_exit_back(closes: list[Any]) -> None:
    """Judged after each session in turn: once fired, the same rule and session for ever."""
    nights = [fired(closes[: end + 1]) for end in range(len(closes))]
    for before, after in itertools.pairwise(nights):
        if before.reason is not None:
            assert (after.reason, after.session) == (before.reason, before.session)
