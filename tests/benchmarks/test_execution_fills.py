"""The benchmark of backtest fills measures what it says."""

import importlib.util

import numpy as np
import pytest

from benchmarks._execution_fills import fills_row, require_same
from quant.execution.backtest import SignalFills
from quant.execution.fill_kernels import FILL_FIELDS


def test_without_its_rival_the_benchmark_says_so_and_sets_no_limit() -> None:
    """A missing rival is visible, and nothing is claimed against it."""
    [row] = fills_row(symbols=5, bars=200, rounds=1)
    has_rival = importlib.util.find_spec("vectorbt") is not None
    assert ("skipped" in row) != has_rival
    assert (row["limit"] is None) != has_rival
    assert row["bars"] == 1_000


def test_unequal_fills_stop_the_benchmark() -> None:
    """A fast wrong answer has no time."""
    ours = SignalFills(
        fills=np.array([(0, 1, 10.0, 100.0, 100.0, 1.0)], dtype=FILL_FIELDS),
        cash=np.array([8_999.0]),
        held=np.array([10.0]),
    )
    kinds = [("col", int), ("idx", int), ("size", float), ("price", float), ("fees", float)]
    theirs = np.array([(0, 1, 10.0, 100.0, 1.0, 0)], dtype=[*kinds, ("side", int)])
    require_same(ours, theirs, np.array([8_999.001]))
    with pytest.raises(AssertionError, match="differ"):
        require_same(ours, theirs, np.array([8_999.01]))
    theirs["size"] = 11.0
    with pytest.raises(AssertionError, match="differ"):
        require_same(ours, theirs, np.array([8_999.0]))
