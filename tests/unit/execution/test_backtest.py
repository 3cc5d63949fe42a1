"""A backtest of millions of bars trades what the paper engine would have traded."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution import Fill, PaperCostPolicy, match
from quant.execution.backtest import SignalFills, simulate_signals
from quant.execution.fill_kernels import FILL_FIELDS, plain_walk, walk_all
from tests.execution_values import intent, order_of, reference

D = Decimal
COSTS = PaperCostPolicy()
FREE = PaperCostPolicy(fee_bps=D(0), half_spread_bps=D(0), slippage_bps=D(0), impact_bps_min=D(0))


def simulated(
    price: list[float], entries: str, exits: str, costs: PaperCostPolicy = FREE, **more: Any
) -> SignalFills:
    """One symbol; signals are drawn as dots and crosses."""
    drawn = [np.array([[mark == "x" for mark in text]]) for text in (entries, exits)]
    options = {"quantity": 10.0, "initial_cash": 10_000.0} | more
    return simulate_signals(np.array([price]), drawn[0], drawn[1], costs=costs, **options)


def test_a_signal_is_filled_at_the_next_bar() -> None:
    """Decided at the first close, bought at 101 on the second bar; sold at 104."""
    found = simulated([100, 101, 103, 104], "x...", "..x.")
    assert found.fills["bar"].tolist() == [1, 3]
    assert found.fills["price"].tolist() == [101, 104]
    assert found.fills["quantity"].tolist() == [10, -10]
    assert found.cash[0] == 10_030
    assert found.held[0] == 0


def test_the_last_bars_signal_has_no_bar_to_meet() -> None:
    """A price that does not exist yet fills nothing."""
    assert len(simulated([100, 101], ".x", "..").fills) == 0


def test_an_exit_wins_over_an_entry_on_the_same_bar() -> None:
    """What leaves does not come back the same moment."""
    found = simulated([100, 100, 100, 100], "xx..", ".x..")
    assert found.fills["quantity"].tolist() == [10, -10]
    assert len(simulated([100, 100], "x.", "x.").fills) == 0


def test_a_bar_without_a_price_loses_the_order() -> None:
    """It was good for that bar only, as on paper."""
    assert len(simulated([100, float("nan"), 100], "x..", "...").fills) == 0


def test_an_entry_beyond_the_cash_buys_what_the_cash_allows() -> None:
    """1,000 at 100 and no costs is ten shares, whatever was asked for."""
    found = simulated([100, 100], "x.", "..", quantity=50.0, initial_cash=1_000.0)
    assert found.fills["quantity"].tolist() == [10]
    assert found.cash[0] == 0


def test_volume_limits_what_a_bar_can_take() -> None:
    """A tenth of 40 shares is 4; the rest of the order is gone, and so is that of the sale."""
    found = simulated(
        [100, 100, 100, 100], "x...", ".xx.", volume=np.array([[0.0, 40.0, 30.0, 30.0]])
    )
    assert found.fills["quantity"].tolist() == pytest.approx([4, -3, -1])


def test_shapes_and_numbers_that_make_no_sense_are_refused() -> None:
    """A silent broadcast would trade one symbol's signals in all of them."""
    prices, signals = np.ones((2, 3)), np.zeros((1, 3), dtype=bool)
    with pytest.raises(DataError, match="shape"):
        simulate_signals(prices, signals, signals, costs=FREE, quantity=1.0, initial_cash=1.0)
    with pytest.raises(DataError, match="before"):
        simulated([1.0], ".", ".", delay_bars=-1)
    with pytest.raises(DataError, match="positive"):
        simulated([1.0], ".", ".", quantity=0.0)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 900),
    st.integers(100, 50_000).map(lambda cents: D(cents) / 100),
    st.one_of(st.none(), st.integers(1, 200_000)),
    st.booleans(),
)
def test_a_fill_is_that_of_the_paper_engine(
    quantity: int, price: Decimal, volume: int | None, is_sale: bool
) -> None:
    """The same quantity, price and fee but for the engine's roundings against the trader."""
    text = None if volume is None else str(volume)
    met = reference(str(price), volume=text)
    bought = match(order_of(intent(quantity)), met, costs=COSTS)
    volumes = None if volume is None else np.full((1, 3), float(volume))
    found = simulated(
        [float(price)] * 3, "x..", ".x.", COSTS, quantity=float(quantity),
        initial_cash=1e9, volume=volumes,
    ).fills  # fmt: skip
    if not isinstance(bought, Fill):
        # The engine fills whole shares of a whole order; a part of one share is its NoFill.
        assert found["quantity"][0] < 1
        return
    fill = bought
    if is_sale:
        sold = match(order_of(intent(-quantity)), met, costs=COSTS)
        assert isinstance(sold, Fill)
        fill = sold
    ours = found[1] if is_sale else found[0]
    if volume is not None and quantity > volume / 10:
        assert 0 <= abs(ours["quantity"]) - float(fill.quantity) < 1
        return
    assert abs(ours["quantity"]) == float(fill.quantity)
    assert ours["price"] == pytest.approx(float(fill.price), abs=1.1e-6)
    amount = abs(ours["quantity"]) * ours["price"]
    assert abs(amount - float(fill.notional)) < 0.01 + 1.1e-6 * quantity
    assert abs(ours["fee"] - float(fill.fee_amount)) < 0.011


def test_the_compiled_walk_is_the_plain_one_bit_for_bit() -> None:
    """numba computes what Python computes, with gaps, volumes and a cash limit on the way."""
    rng = np.random.default_rng(3)
    shape = (7, 400)
    price = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=1))
    price[rng.random(shape) < 0.02] = np.nan
    volume = rng.integers(0, 3_000, shape).astype(float)
    entries, exits = rng.random(shape) < 0.2, rng.random(shape) < 0.2
    costs = (2e-4, 5e-5, 1e-2, 1.5e-4, 0.1)
    results = []
    for walk in (plain_walk, walk_all):
        out = np.zeros(1_000, dtype=FILL_FIELDS)
        cash, held = np.empty(7), np.empty(7)
        count = walk(price, entries, exits, volume, 150.0, 5_000.0, costs, 1, out, cash, held)
        results.append((count, out.tobytes(), cash.tobytes(), held.tobytes()))
    assert results[0] == results[1]
    assert results[0][0] > 300


def test_many_fills_are_all_kept() -> None:
    """A strategy that trades on every bar needs more room than was guessed, and gets it."""
    bars = 1_000
    found = simulated([100.0] * bars, "x." * (bars // 2), ".x" * (bars // 2), quantity=1.0)
    assert len(found.fills) == bars - 1
    assert found.fills["bar"].tolist() == list(range(1, bars))
