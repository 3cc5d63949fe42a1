"""The trailing stop follows, and never steps back."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution.trailing import average_true_range, trailing_stops

NAN = math.nan


def levels(best: list[float], atr: list[float], *, side: int = 1, entry: int = 0) -> list[float]:
    """The trailing levels of one position."""
    found = trailing_stops(
        np.array([best]),
        np.array([atr]),
        side=np.array([side]),
        entry=np.array([entry]),
        multiple=2.0,
    )
    return [float(value) for value in found[0]]


def test_two_ranges_below_the_highest_high() -> None:
    """Highs 100, 104, 103, 110 with a range of 2: 96, 100, still 100, 106."""
    assert levels([100, 104, 103, 110], [2, 2, 2, 2]) == [96, 100, 100, 106]


def test_wider_ranges_do_not_loosen_it() -> None:
    """The range doubles at an unchanged high: 100 - 8 would be 92, and 96 stays."""
    assert levels([100, 100, 100], [2, 4, 1]) == [96, 96, 98]


def test_a_short_position_is_trailed_from_above() -> None:
    """Lows 100, 96, 99: two ranges above the lowest low."""
    assert levels([100, 96, 99], [2, 2, 2], side=-1) == [104, 100, 100]


def test_nothing_before_the_entry_counts() -> None:
    """A high of 200 on the day before the entry is not ours."""
    assert levels([200, 100, 101], [2, 2, 2], entry=1)[1:] == [96, 97]
    assert math.isnan(levels([200, 100], [2, 2], entry=1)[0])


def test_without_a_range_there_is_no_level_and_a_known_one_stays() -> None:
    """Unknown until the first average, and no step while one is missing."""
    found = levels([100, 101, 110, 111], [NAN, 2, NAN, 2])
    assert math.isnan(found[0])
    assert found[1:] == [97, 97, 107]
    assert all(math.isnan(value) for value in levels([100, 101], [NAN, NAN]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    """Broadcasting one symbol's ranges over all would be a silent mistake."""
    with pytest.raises(DataError, match="shape"):
        trailing_stops(
            np.ones((2, 3)),
            np.ones((1, 3)),
            side=np.array([1, 1]),
            entry=np.array([0, 0]),
            multiple=2.0,
        )


unknown_or = st.one_of(st.just(NAN), st.floats(1.0, 200.0))
paths = st.lists(st.tuples(unknown_or, unknown_or), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(paths, st.sampled_from([1, -1]), st.integers(0, 5))
def test_a_trailing_stop_never_loosens(path: list[Any], side: int, entry: int) -> None:
    """Once known it stays known, and each level guards at least as much as the one before."""
    found = levels([p[0] for p in path], [p[1] for p in path], side=side, entry=entry)
    for before, after in itertools.pairwise(found):
        if not math.isnan(before):
            assert side * after >= side * before


@settings(max_examples=100, deadline=None)
@given(paths, st.sampled_from([1, -1]), st.integers(0, 5), st.integers(1, 19))
def test_the_future_cannot_change_a_level(path: list[Any], side: int, entry: int, cut: int) -> None:
    """Levels of the first sessions are the same whatever comes later."""
    whole = levels([p[0] for p in path], [p[1] for p in path], side=side, entry=entry)
    part = levels([p[0] for p in path[:cut]], [p[1] for p in path[:cut]], side=side, entry=entry)
    assert np.array_equal(whole[:cut], part, equal_nan=True)


def test_the_average_true_range_is_that_of_talib() -> None:
    """Wilder's recursion, against the library everybody uses, to the twelfth digit."""
    talib = pytest.importorskip("talib")
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (3, 120)), axis=1))
    high = close * (1 + rng.uniform(0, 0.02, close.shape))
    low = close * (1 - rng.uniform(0, 0.02, close.shape))
    ours = average_true_range(high, low, close, sessions=14)
    for row in range(3):
        theirs = talib.ATR(high[row], low[row], close[row], timeperiod=14)
        np.testing.assert_allclose(ours[row], theirs, rtol=1e-12)


def test_a_close_only_series_has_no_average_true_range() -> None:
    """A range that nobody reported is not a range of zero."""
    close = np.linspace(100, 120, 40)[None, :]
    empty = np.full_like(close, NAN)
    assert np.isnan(average_true_range(empty, empty, close, sessions=14)).all()


def test_a_hole_in_the_range_leaves_the_average_unknown_for_that_session() -> None:
    """Ranges 2, 4, missing, 6 with n = 2: 3, then unknown, then 3 + (6 - 3) / 2."""
    high = np.array([[11.0, 12.0, 14.0, NAN, 16.0]])
    low = np.array([[9.0, 10.0, 10.0, NAN, 10.0]])
    close = np.array([[10.0, 11.0, 12.0, 12.0, 13.0]])
    found = average_true_range(high, low, close, sessions=2)
    assert np.isnan(found[0, :2]).all()  # the first session has no close before it
    assert found[0, 2] == 3.0
    assert math.isnan(found[0, 3])
    assert found[0, 4] == 4.5
