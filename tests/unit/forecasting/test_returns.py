"""From bars to returns, and the reasons to say nothing."""

import datetime as dt

import numpy as np
import pytest

from quant.core.errors import DataError
from quant.forecasting.returns import Regressors, ReturnPanel, why_unusable
from quant.market.panel import BarPanel

DAYS = np.arange("2022-01-03", "2022-01-08", dtype="datetime64[D]")


def _bars(*closes: list[float]) -> BarPanel:
    close = np.array(closes)
    empty = np.full(close.shape, np.nan)
    symbols = tuple("AB"[: len(closes)])
    return BarPanel(
        symbols=symbols, sessions=DAYS, open=empty, high=empty, low=empty, close=close, volume=empty
    )


def test_a_return_that_touches_a_missing_or_impossible_close_is_missing():
    """100, 110, nothing, 121, -5: one return is known, and no gap is bridged."""
    panel = ReturnPanel.from_bars(_bars([100.0, 110.0, np.nan, 121.0, -5.0]))
    np.testing.assert_allclose(panel.values[0], [np.log(1.1), np.nan, np.nan, np.nan])
    assert panel.sessions.tolist() == DAYS[1:].tolist()


def test_until_last_and_rows_cut_the_panel():
    """Each is a view of the same numbers."""
    panel = ReturnPanel.from_bars(_bars([1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]))
    assert panel.until(dt.date(2022, 1, 5)).sessions.tolist() == DAYS[1:3].tolist()
    assert panel.last(2).sessions.tolist() == DAYS[3:].tolist()
    assert panel.last(99).sessions.tolist() == panel.sessions.tolist()
    np.testing.assert_array_equal(panel.rows(("B",)).values[0], panel.values[1])
    with pytest.raises(DataError, match="has no C, D"):
        panel.rows(("A", "C", "D"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": np.zeros((1, 3))}, "shape"),
        ({"values": np.full((1, 2), np.inf)}, "infinite"),
        ({"sessions": DAYS[[1, 0]]}, "increase"),
        ({"symbols": ("A", "A"), "values": np.zeros((2, 2))}, "once each"),
    ],
)
def test_a_malformed_panel_cannot_exist(change, words):
    """Shape, order, names and numbers."""
    good = {"symbols": ("A",), "sessions": DAYS[:2], "values": np.zeros((1, 2))}
    with pytest.raises(ValueError, match=words):
        ReturnPanel(**{**good, **change})


def test_the_reasons_are_in_plain_words():
    """Short, constant, dead, and nothing to object."""
    rows = np.array(
        [
            [np.nan, np.nan, np.nan, 0.01, 0.02],
            [0.01, 0.01, 0.01, 0.01, 0.01],
            [0.01, 0.02, 0.0, 0.0, np.nan],
            [0.01, 0.02, 0.0, 0.0, 0.01],
        ]
    )
    assert why_unusable(rows, observations_min=3, stale_sessions_max=3) == [
        "has 2 returns in its window, needs 3",
        "its 5 returns do not vary",
        "its price has not moved in the last 3 sessions",
        None,
    ]


def test_regressors_are_cut_and_picked_with_the_returns():
    """A value stays beside its symbol and its session through every way of cutting."""
    days = np.datetime64("2022-01-03") + np.arange(4)
    values = np.arange(24.0).reshape(2, 3, 4)
    panel = ReturnPanel(
        symbols=("A", "B", "C"),
        sessions=days,
        values=np.zeros((3, 4)),
        regressors=Regressors(names=("x", "y"), values=values),
    )
    until = panel.until(days[2].item()).last(2).rows(("C", "A")).regressors
    assert until is not None
    np.testing.assert_array_equal(until.values, values[:, [2, 0]][:, :, 1:3])
    picked = panel.at_rows([1]).regressors.pick(("y",))
    np.testing.assert_array_equal(picked.values, values[1:, [1]])
    with pytest.raises(DataError, match="there is no regressor z"):
        picked.pick(("z",))


def test_regressors_of_another_shape_or_infinite_are_refused():
    """They would stand beside the wrong return."""
    days = np.datetime64("2022-01-03") + np.arange(4)
    wrong = Regressors(names=("x",), values=np.zeros((1, 2, 4)))
    with pytest.raises(ValueError, match="regressors must be of shape"):
        ReturnPanel(symbols=("A",), sessions=days, values=np.zeros((1, 4)), regressors=wrong)
    with pytest.raises(ValueError, match="finite or missing"):
        Regressors(names=("x",), values=np.full((1, 1, 1), np.inf))
    with pytest.raises(ValueError, match="named once each"):
        Regressors(names=("x", "x"), values=np.zeros((2, 1, 1)))
