"""What a refusal gave up or spared, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.signals.counterfactual import counterfactual
from quant.signals.generate import Action


def result(action=Action.BUY, gate="edge", price=110.0, reference=100.0, cost=0.001):
    return counterfactual(
        action=action, gate=gate, reference_price=reference, price=price, round_trip_cost=cost
    )


def test_a_refused_purchase_that_rose_was_refused_wrongly():
    """Ten percent up, a tenth of a percent for in and out."""
    found = result()
    assert found.forgone_return == pytest.approx(0.099)
    assert found.gate_was_right is False


def test_a_refused_purchase_that_rose_by_less_than_its_cost_was_refused_rightly():
    assert result(price=100.05).gate_was_right is True


def test_a_refused_sale_forgoes_the_fall_that_it_would_have_avoided():
    """Ten percent down; getting out costs half of in and out."""
    found = result(action=Action.SELL, gate="verdict", price=90.0)
    assert found.forgone_return == pytest.approx(0.1 - 0.0005)
    assert found.gate_was_right is False


def test_a_signal_without_a_side_forgoes_nothing_that_is_known():
    found = result(action=Action.NONE, gate="forecast")
    assert math.isnan(found.forgone_return)
    assert found.gate_was_right is None


@pytest.mark.parametrize("gate", ["no_change", "nothing_held", "symbol_taken", "quantity_step"])
def test_gates_that_refuse_no_change_of_the_book_are_not_judged(gate):
    assert result(gate=gate).gate_was_right is None


@given(st.sampled_from([math.nan, math.inf, 0.0, -1.0]), st.booleans())
def test_a_missing_price_is_no_result(value, is_reference):
    found = result(**{"reference" if is_reference else "price": value})
    assert math.isnan(found.forgone_return)
    assert found.gate_was_right is None
