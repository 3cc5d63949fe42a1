"""Target weights: by hand, at each cap, and for any input."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.market.frontier import FrontierPolicy
from quant.portfolio.sizing import (
    Candidate,
    SizingPolicy,
    cap_frontier,
    needs_trade,
    size_targets,
)
from resources.policy import load_policy
from resources.settings import project_root

POLICY = SizingPolicy()
ATLAS = load_policy(project_root() / "config/frontier.yaml", FrontierPolicy)


def candidate(symbol: str = "A", volatility: float = 0.08, stop: float = 90.0) -> Candidate:
    return Candidate(
        symbol=symbol, volatility=volatility, horizon_days=20, price=100.0, stop_price=stop
    )


def test_a_position_is_sized_to_its_share_of_volatility():
    """8 % over 20 days is 28.4 % a year; 2 % of that is a weight of 7.04 %."""
    (target,) = size_targets([candidate()], POLICY)
    assert target.weight == pytest.approx(0.02 / (0.08 * math.sqrt(252 / 20)))
    assert target.bound_by == "volatility"


def test_a_distant_stop_caps_the_weight_at_two_percent_of_equity():
    """Losing half the price at the stop: at most 4 % may be held."""
    (target,) = size_targets([candidate(volatility=0.05, stop=50.0)], POLICY)
    assert (target.weight, target.bound_by) == (pytest.approx(0.04), "risk_at_stop_max")


def test_a_calm_name_meets_the_single_position_cap():
    """Hardly any volatility would ask for everything in one name."""
    (target,) = size_targets([candidate(volatility=0.001, stop=99.0)], POLICY)
    assert (target.weight, target.bound_by) == (pytest.approx(0.10), "single_position_max")


def test_together_they_are_scaled_to_the_gross_cap():
    """Fifteen names of 10 % each become 6.67 % each."""
    names = [candidate(symbol=f"S{i}", volatility=0.001, stop=99.0) for i in range(15)]
    targets = size_targets(names, POLICY)
    assert sum(target.weight for target in targets) == pytest.approx(1.0)
    assert {target.bound_by for target in targets} == {"gross_max"}


@pytest.mark.parametrize("volatility", [0.0, math.nan, math.inf])
def test_what_cannot_be_sized_gets_no_weight(volatility):
    """Unknown risk is no reason for a position."""
    (target,) = size_targets([candidate(volatility=volatility)], POLICY)
    assert (target.weight, target.bound_by) == (0.0, "not_sizeable")


@given(st.lists(st.tuples(st.floats(1e-6, 5), st.floats(0.01, 99.99)), min_size=1, max_size=40))
def test_no_input_breaks_a_cap(pairs):
    """Any volatility and any stop: every cap holds."""
    names = [candidate(f"S{i}", volatility, stop) for i, (volatility, stop) in enumerate(pairs)]
    targets = size_targets(names, POLICY)
    assert all(0 <= target.weight <= POLICY.single_position_max + 1e-12 for target in targets)
    assert sum(target.weight for target in targets) <= POLICY.gross_max + 1e-9


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


def test_two_positions_in_lagos_share_its_five_percent():
    """7.04 % each would be 14.08 %; the exchange may hold 5, so each gets 2.5. Apple stays."""
    names = ("MTNN.XNSA", "DANGCEM.XNSA", "AAPL")
    lagos, cement, apple = cap_frontier(size_targets([candidate(n) for n in names], POLICY), ATLAS)
    assert (lagos.weight, lagos.bound_by) == (pytest.approx(0.025), "frontier")
    assert cement.weight == lagos.weight
    assert (apple.weight, apple.bound_by) == (pytest.approx(0.0704, abs=1e-4), "volatility")
