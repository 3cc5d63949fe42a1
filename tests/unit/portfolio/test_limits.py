"""What positions may be together: by hand at each cap, and for any input; the barbell; impact."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.market.frontier import FrontierPolicy
from quant.portfolio.barbell import BarbellPolicy, Bucket, apply_barbell
from quant.portfolio.impact import ImpactVerdict, analyse_impacts, optimal_weight
from quant.portfolio.limits import (
    ImpactPolicy,
    Limited,
    LimitsPolicy,
    alike_pairs,
    apply_limits,
    cap_frontier,
    correlations,
    sector_codes,
    sector_matrix,
)
from quant.portfolio.sizing import BOUNDS, SizingPolicy
from resources.policy import load_policy
from resources.settings import project_root

LIMITS = LimitsPolicy()
SIZING = SizingPolicy(gross_max=0.95)
IMPACT = ImpactPolicy()


def noise(count: int, *, seed: int = 3, days: int = 126) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (count, days))


def limited(weights, *, sector=None, returns=None, queue=None, policy=LIMITS) -> Limited:
    count = len(weights)
    return apply_limits(
        np.array(weights, dtype=float),
        bound_by=np.zeros(count, dtype=np.int8),
        priority=np.arange(count, 0.0, -1.0) if queue is None else np.array(queue),
        sector=np.arange(count) if sector is None else np.array(sector),
        returns=noise(count) if returns is None else returns,
        policy=policy,
        sizing=SIZING,
    )


def bounds(found: Limited) -> list[str]:
    return [BOUNDS[code] for code in found.bound_by]


def test_a_sector_shares_its_twenty_percent():
    """Three names of 10 % in one sector become 6.67 % each; the fourth is alone."""
    found = limited([0.1] * 4, sector=[0, 0, 0, 1])
    assert found.weight.tolist() == pytest.approx([0.2 / 3] * 3 + [0.1])
    assert bounds(found) == ["sector_max"] * 3 + ["kelly"]


def test_two_names_that_move_together_share_the_room_of_one():
    """Correlated by 0.98: 8 % and 8 % become 5 % and 5 %; the third stays."""
    returns = noise(3)
    returns[1] = returns[0] + 0.2 * noise(1, seed=9)[0]
    found = limited([0.08, 0.08, 0.08], returns=returns)
    assert found.weight.tolist() == pytest.approx([0.05, 0.05, 0.08])
    assert bounds(found) == ["pair_correlation_max"] * 2 + ["kelly"]
    (pair,) = alike_pairs(("A", "B", "C"), returns, LIMITS)
    assert pair[:2] == ("A", "B")


def test_together_they_leave_the_cash_that_policy_wants():
    """Twelve names of 10 % become 7.92 %: 5 % of equity stays in cash."""
    found = limited([0.1] * 12)
    assert math.fsum(found.weight) == pytest.approx(0.95)
    assert set(bounds(found)) == {"gross_max"}


def test_beyond_the_number_of_positions_the_last_in_the_queue_go():
    """A tie keeps the order of the universe."""
    found = limited([0.01] * 4, queue=[1, 3, 2, 2], policy=LimitsPolicy(positions_max=2))
    assert found.weight.tolist() == [0, 0.01, 0.01, 0]
    assert bounds(found)[0] == bounds(found)[3] == "positions_max"


def test_a_history_too_short_to_compare_counts_as_alike():
    """Ten common sessions say nothing about the pair, so it shares the room of one."""
    returns = noise(2)
    returns[1, :-10] = math.nan
    assert limited([0.08, 0.08], returns=returns).weight.tolist() == pytest.approx([0.05, 0.05])


def test_correlations_are_numpys_where_histories_are_complete_and_pairwise_where_not():
    returns = noise(4)
    matrix = correlations(returns, observations_min=40)
    np.testing.assert_allclose(matrix, np.corrcoef(returns), atol=1e-12)
    returns[2, :60] = math.nan
    matrix = correlations(returns, observations_min=40)
    expected = np.corrcoef(returns[0, 60:], returns[2, 60:])[0, 1]
    assert matrix[0, 2] == matrix[2, 0] == pytest.approx(expected)
    np.testing.assert_allclose(matrix[:2, :2], np.corrcoef(returns[:2]), atol=1e-12)


weights = st.lists(st.floats(0, 0.1), min_size=1, max_size=30)


@given(weights, st.integers(1, 5), st.integers(0, 50), st.floats(0, 3))
def test_no_input_breaks_a_limit(given_weights, sectors, seed, common):
    """Any weights, any sectors, any common factor: every cap holds, and no weight grows."""
    count = len(given_weights)
    returns = noise(count, seed=seed) + common * noise(1, seed=seed + 99)
    sector = np.arange(count) % sectors
    found = limited(given_weights, sector=sector, returns=returns)
    assert (found.weight <= np.array(given_weights)).all()
    assert math.fsum(found.weight) <= 0.95 + 1e-12
    for code in range(sectors):
        assert math.fsum(found.weight[sector == code]) <= LIMITS.sector_max + 1e-12
    matrix = correlations(returns, observations_min=40)
    for i in range(count):
        for j in range(i):
            if not matrix[i, j] <= LIMITS.pair_correlation_max:
                assert found.weight[i] + found.weight[j] <= SIZING.single_position_max + 1e-12


@given(weights, st.integers(0, 20), st.data())
def test_a_purchase_less_never_lets_another_one_in(given_weights, seed, data):
    """Cuts never reach zero, so what was out for its own reasons stays out."""
    gone = data.draw(st.integers(0, len(given_weights) - 1))
    without = [0.0 if i == gone else w for i, w in enumerate(given_weights)]
    returns = noise(len(given_weights), seed=seed)
    before = limited(given_weights, returns=returns).weight > 0
    after = limited(without, returns=returns).weight > 0
    assert not (after & ~before).any()


def test_sectors_are_shown_with_their_limit_and_unknown_ones_share_one():
    policy = LimitsPolicy(sectors={"A": "energy", "B": "energy"})
    shown = sector_matrix(("A", "B", "X", "Y"), (0.05, 0.05, 0.02, 0.02), policy)
    assert shown["energy"] == pytest.approx({"weight": 0.1, "limit": 0.2, "used": 0.5})
    assert shown["unknown"]["weight"] == pytest.approx(0.04)
    assert sector_codes(("A", "X", "B", "Y"), policy.sectors).tolist() == [0, 1, 0, 1]


def test_two_positions_in_lagos_share_its_five_percent():
    """7 % each would be 14 %; the exchange may hold 5, so each gets 2.5. Apple stays."""
    atlas = load_policy(project_root() / "config/frontier.yaml", FrontierPolicy)
    start = Limited(weight=np.array([0.07] * 3), bound_by=np.zeros(3, dtype=np.int8))
    found = cap_frontier(("MTNN.XNSA", "DANGCEM.XNSA", "AAPL"), start, atlas)
    assert found.weight.tolist() == pytest.approx([0.025, 0.025, 0.07])
    assert bounds(found) == ["frontier", "frontier", "kelly"]


# The barbell

ON = BarbellPolicy(is_enabled=True)


def test_the_barbell_is_off_and_still_says_where_each_position_belongs():
    found = apply_barbell(("SHY", "KO", "AMD"), (0.1, 0.1, 0.1), (0.02, 0.2, 0.5), BarbellPolicy())
    assert [one.bucket for one in found] == [Bucket.SAFE, Bucket.CORE, Bucket.SPECULATIVE]
    assert [(one.weight, one.multiplier) for one in found] == [(0.1, 1.0)] * 3


def test_the_barbell_by_hand():
    """Core 40 % to 20 and speculation 20 % to 10 would be 30; a quarter is the most that bills
    leave, so both shrink by 5/6: 16.7 and 8.3. SHY takes the other 75 %.
    """
    found = apply_barbell(("SHY", "KO", "AMD"), (0.1, 0.4, 0.2), (0.02, 0.2, 0.5), ON)
    assert [one.weight for one in found] == pytest.approx([0.75, 0.5 / 3, 0.25 / 3])
    assert [one.multiplier for one in found] == pytest.approx([7.5, 5 / 12, 5 / 12])


def test_an_unknown_volatility_is_speculative():
    assert apply_barbell(("X",), (0.1,), (math.nan,), ON)[0].bucket is Bucket.SPECULATIVE


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=20))
def test_no_book_leaves_the_barbells_shares(rows):
    symbols = ["BIL" if safe else f"S{i}" for i, (_, _, safe) in enumerate(rows)]
    found = apply_barbell(symbols, [w for w, _, _ in rows], [v for _, v, _ in rows], ON)
    sums = {b: math.fsum(one.weight for one in found if one.bucket is b) for b in Bucket}
    assert sums[Bucket.CORE] <= 0.20 + 1e-12
    assert sums[Bucket.SPECULATIVE] <= 0.10 + 1e-12
    assert sums[Bucket.CORE] + sums[Bucket.SPECULATIVE] <= 0.25 + 1e-12
    assert sums[Bucket.SAFE] <= 0.95 + 1e-12


# Impact


def test_a_first_position_has_only_itself_to_answer_for():
    """Nothing before it: ratio 0, no drawdown; it expects a gain, so it is executed."""
    (found,) = analyse_impacts(
        np.array([0.05]), np.array([0.02]), noise(1), horizon_days=20, policy=IMPACT
    )
    assert found.verdict is ImpactVerdict.EXECUTE
    assert (found.sharpe_before, found.drawdown_before, found.correlation) == (0, 0, 0)
    assert found.sharpe_after > 0


def test_the_impact_of_a_second_position_by_hand():
    """Equal variances, uncorrelated, equal means and weights: the ratio grows by root two."""
    wave = 0.01 * np.tile([1.0, -1.0, 1.0, -1.0], 30)
    other = 0.01 * np.tile([1.0, 1.0, -1.0, -1.0], 30)
    found = analyse_impacts(
        np.array([0.1, 0.1]),
        np.array([0.02, 0.02]),
        np.log1p(np.vstack([wave, other])),
        horizon_days=20,
        policy=IMPACT,
    )[1]
    assert found.correlation == pytest.approx(0.0, abs=1e-12)
    assert found.sharpe_after == pytest.approx(math.sqrt(2) * found.sharpe_before)
    variance = 20 * wave.var(ddof=1)
    assert found.optimal_weight == pytest.approx(0.02 / 4 / variance)
    assert found.verdict is ImpactVerdict.EXECUTE


def test_a_risky_name_without_a_gain_is_skipped_and_why():
    """It adds ten times the swings and expects nothing."""
    returns = noise(2)
    returns[1] *= 10
    found = analyse_impacts(
        np.array([0.05, 0.10]), np.array([0.02, 0.0]), returns, horizon_days=20, policy=IMPACT
    )[1]
    assert found.verdict is ImpactVerdict.SKIP
    assert any("the Sharpe ratio falls" in reason for reason in found.reasons)


def test_the_best_weight_is_where_gain_and_risk_balance():
    """2 % over aversion 4 is 0.5 %; less a covariance of 0.1 %, over a variance of 0.4 %: 1."""
    assert optimal_weight(0.02, 0.001, 0.004, IMPACT) == pytest.approx(1.0)
    assert math.isnan(optimal_weight(0.02, 0.0, 0.0, IMPACT))


def test_without_a_common_history_nothing_is_known_and_the_trade_is_skipped():
    (found,) = analyse_impacts(
        np.array([0.1]), np.array([0.02]), np.full((1, 9), math.nan), horizon_days=20, policy=IMPACT
    )
    assert found.verdict is ImpactVerdict.SKIP
    assert "too little common history" in found.reasons[0]
