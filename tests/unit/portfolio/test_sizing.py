"""Target weights: Kelly by hand, at each cap, for any input, and many at once as one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.portfolio.capital import CapitalPolicy, size_multiplier
from quant.portfolio.sizing import (
    BOUNDS,
    Candidate,
    SizingPolicy,
    needs_trade,
    propose,
    propose_many,
)

POLICY = SizingPolicy()
CAPITAL = CapitalPolicy()
TWENTY = math.sqrt(252 / 20)


def candidate(**changed: float) -> Candidate:
    usual = {
        "expected_return": 0.0058,
        "volatility": 0.08,
        "confidence": 0.5,
        "cost": 0.0008,
        "price": 100.0,
        "stop_price": 90.0,
    }
    return Candidate(symbol="A", horizon_days=20, **usual | changed)


def test_a_quarter_of_kelly_times_confidence_times_calm_by_hand():
    """Net 0.5 % over a variance of 0.64 % is Kelly 0.78; a quarter is 0.195. Half sure, and 28.4 %
    a year against a target of 15 %: 0.195 x 0.5 x 0.528 = 5.16 % of equity.
    """
    target = propose(candidate(), POLICY)
    by_hand = 0.25 * 0.005 / 0.0064 * 0.5 * (0.15 / (0.08 * TWENTY))
    assert target.weight == pytest.approx(by_hand)
    assert target.weight == pytest.approx(0.0516, abs=1e-4)
    assert target.bound_by == "kelly"


def test_kelly_never_asks_for_more_than_a_quarter():
    """An edge of 50 % would be Kelly 78; sure and calm, it is a quarter times one cap."""
    wide = SizingPolicy(single_position_max=1.0, volatility_target_annual=1.0)
    sure = candidate(expected_return=0.5, confidence=1.0, stop_price=99.0)
    assert propose(sure, wide).weight == pytest.approx(0.25)


def test_a_distant_stop_caps_the_weight_at_two_percent_of_equity():
    """Losing half the price at the stop: at most 4 % may be held."""
    target = propose(candidate(stop_price=50.0), POLICY)
    assert (target.weight, target.bound_by) == (pytest.approx(0.04), "risk_at_stop_max")


def test_a_calm_and_certain_name_meets_the_single_position_cap():
    target = propose(candidate(volatility=0.01, stop_price=99.0, confidence=1.0), POLICY)
    assert (target.weight, target.bound_by) == (pytest.approx(0.10), "single_position_max")


@pytest.mark.parametrize(
    "changed",
    [
        {"volatility": 0.0},
        {"volatility": math.nan},
        {"volatility": math.inf},
        {"expected_return": math.nan},
        {"expected_return": math.inf},
        {"expected_return": 0.0008},
        {"confidence": math.nan},
        {"price": 0.0},
        {"stop_price": 101.0},
    ],
)
def test_what_cannot_be_sized_gets_no_weight(changed):
    """Unknown risk is no reason for a position, and neither is an edge that only pays its cost."""
    target = propose(candidate(**changed), POLICY)
    assert (target.weight, target.bound_by) == (0.0, "not_sizeable")


anything = st.floats() | st.floats(0, 1)
rows = st.tuples(anything, anything, anything, anything, st.floats(), st.floats())


@given(st.lists(rows, min_size=1, max_size=20), st.sampled_from([0.5, 1.0, 2.0, math.nan]))
def test_no_input_breaks_a_cap_and_many_are_sized_as_one_by_one(rows, multiplier):
    """Any numbers at all; the batch agrees to the last bit."""
    names = ("expected_return", "volatility", "confidence", "cost", "price", "stop_price")
    columns = dict(zip(names, np.array(rows, dtype=float).T, strict=True))
    together = propose_many(**columns, horizon_days=20, policy=POLICY, multiplier=multiplier)
    for place, values in enumerate(rows):
        one = candidate(**dict(zip(names, values, strict=True)))
        alone = propose(one, POLICY, multiplier=multiplier)
        assert 0 <= alone.weight <= POLICY.single_position_max
        assert alone.weight == together.weight[place]
        assert alone.bound_by == BOUNDS[together.bound_by[place]]
        if alone.weight > 0:
            lost = alone.weight * (1 - one.stop_price / one.price)
            assert lost <= POLICY.risk_at_stop_max * (1 + 1e-12)


@given(st.floats(0, 0.05), st.floats(0, 0.05))
def test_a_dearer_trade_is_never_larger(cheap, more):
    """All else equal, of course: confidence falls with the cost as well."""
    before = propose(candidate(cost=cheap), POLICY)
    after = propose(candidate(cost=cheap + more), POLICY)
    assert after.weight <= before.weight


@pytest.mark.parametrize(
    ("state", "profits", "expected"),
    [
        ("exploration", [], 0.50),
        ("red", [], 0.60),
        ("green", [], 1.20),
        ("never heard of", [], 0.50),
        ("green", [1, -1, -1, -1], 0.60),
        ("green", [1, -1, -1, 0], 1.20),
        ("green", [-1, 1, 1, 1, 1, 1], 1.80),
        ("green", [1, 1, 1, 1], 1.20),
        ("exploration", [-1, -1, -1], 0.50),
    ],
)
def test_a_multiplier_follows_state_and_streak_within_its_bounds(state, profits, expected):
    """Three losses halve, five wins add a half; exploration after losses stays at one half."""
    assert size_multiplier(state, profits, CAPITAL) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        (0.05, 0.05, False),
        (0.05, 0.055, False),
        (0.05, 0.07, True),
        (0, 0.01, True),
        (0.01, 0, True),
    ],
)
def test_small_changes_are_left_alone_and_exits_never_are(held, wanted, expected):
    """A fifth of the wanted weight is the band."""
    assert needs_trade(held=held, wanted=wanted, policy=POLICY) is expected
