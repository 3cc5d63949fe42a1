"""Change points: the causal alarm by hand, the exact search against every division there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant.forecasting.changes import NEVER, cusum, cusum_notes, mean_changes


def test_the_sums_of_six_sessions_by_hand():
    """Slack a half, limit two: 1, 1, 2 sum to 0.5, 1, 2.5, which is an alarm; then from zero."""
    values = np.array([1.0, 1.0, 2.0, -1.0, np.nan, -3.0])[:, None]
    path = cusum(values, slack_std=0.5, limit_std=2.0)
    assert path.peak[:, 0].tolist() == [0.5, 1.0, 2.5, 0.5, 0.5, 3.0]
    assert path.up[:, 0].tolist() == [0.5, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert path.down[:, 0].tolist() == [0.0, 0.0, 0.0, 0.5, 0.5, 0.0]
    assert path.since_alarm[:, 0].tolist() == [NEVER, NEVER, 0, 1, 2, 0]
    assert path.is_alarm()[:, 0].tolist() == [False, False, True, False, False, True]
    assert cusum_notes(path, 0)["sessions_since_alarm"] == 0
    assert cusum_notes(cusum(values[:2], slack_std=0.5, limit_std=2.0), 0) == {
        "cusum_up": 1.0,
        "cusum_down": 0.0,
        "sessions_since_alarm": None,
    }


@settings(max_examples=25, deadline=None)
@given(
    values=arrays(float, (40, 2), elements=st.floats(-4, 4) | st.just(np.nan)),
    end=st.integers(1, 39),
)
def test_the_future_cannot_change_an_alarm(values, end):
    """The sums of the first sessions are the same whatever comes after."""
    whole = cusum(values, slack_std=0.5, limit_std=3.0)
    known = cusum(values[:end], slack_std=0.5, limit_std=3.0)
    for name in ("up", "down", "peak", "since_alarm"):
        np.testing.assert_array_equal(getattr(whole, name)[:end], getattr(known, name))


def test_false_alarms_come_as_rarely_as_the_textbook_says():
    """Half a deviation and five: one in 465 sessions on normal noise (Montgomery, table 9.3)."""
    noise = np.random.default_rng(4).standard_normal((2000, 200))
    alarms = cusum(noise, slack_std=0.5, limit_std=5.0).is_alarm()
    assert 1.0 / alarms.mean() == pytest.approx(465, rel=0.1)
    shifted = cusum(noise[:60] + 1.0, slack_std=0.5, limit_std=5.0).is_alarm()
    delay = np.argmax(shifted, axis=0) + 1
    assert delay.mean() == pytest.approx(10.4, rel=0.1)


def _best_split(values: np.ndarray, size_min: int) -> int:
    """The obvious twin for one change: try every place."""

    def cost(piece: np.ndarray) -> float:
        return float(np.sum((piece - piece.mean()) ** 2))

    places = range(size_min, len(values) - size_min + 1)
    return min(places, key=lambda place: cost(values[:place]) + cost(values[place:]))


@pytest.mark.parametrize("seed", range(5))
def test_one_shift_is_placed_where_trying_every_place_puts_it(seed):
    """A shift of three deviations, somewhere in the middle."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(120)
    values[50 + 5 * seed :] += 3.0
    assert mean_changes(values, size_min=10) == (_best_split(values, 10),)


def test_places_count_the_sessions_without_a_value_too():
    """Every third value is missing; the change is still named by its own session."""
    values = np.random.default_rng(1).standard_normal(300) * 0.1
    values[150:] += 1.0
    values[2::3] = np.nan
    (place,) = mean_changes(values, size_min=20)
    assert place == 150


def test_noise_has_no_changes_and_little_data_is_not_searched():
    """Of fifty series of noise hardly any is divided; constants and short ones never are."""
    noise = np.random.default_rng(0).standard_normal((50, 250))
    divided = sum(bool(mean_changes(row, size_min=21)) for row in noise)
    assert divided <= 5
    assert mean_changes(np.zeros(300), size_min=21) == ()
    assert mean_changes(noise[0, :41], size_min=21) == ()
