"""A whole night at once decides what a plain loop decides; cost only ever takes trades away."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.decisions import plain_night, require_same, synthetic
from quant.portfolio.limits import LimitsPolicy
from quant.portfolio.night import (
    NightPolicies,
    basket_correlations,
    decide_night,
    trend_of,
)
from quant.signals.batch import GATES

POLICIES = NightPolicies()


@pytest.mark.parametrize(("symbols", "seed"), [(1, 1), (2, 2), (40, 3), (300, 4)])
def test_a_night_at_once_is_the_plain_loop(symbols, seed):
    """Gates equal, weights to nine digits: the sums of correlations are taken in another order."""
    outlooks, around = synthetic(symbols, seed=seed)
    require_same(decide_night(outlooks, around, POLICIES), plain_night(outlooks, around, POLICIES))


def test_the_numbers_of_the_signals_are_those_of_single_ones_to_the_last_bit():
    from benchmarks.decisions import plain_signal

    outlooks, around = synthetic(200, seed=5)
    together = decide_night(outlooks, around, POLICIES).signals
    for row in range(200):
        alone = plain_signal(outlooks, row, POLICIES)
        for name in (
            "expected_return",
            "probability",
            "confidence",
            "risk",
            "priority",
            "round_trip_cost",
            "required_return",
            "stop_price",
            "target_price",
        ):
            np.testing.assert_array_equal(getattr(together, name)[row], getattr(alone, name))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(1, 50), st.booleans())
def test_doubling_every_spread_never_adds_a_trade(seed, scale, with_limits):
    """Through signals, cost gate, layers, sizes and limits: nobody gets in by it."""
    outlooks, around = synthetic(30, seed=seed)
    cheap = dataclasses.replace(outlooks, spread_bps=outlooks.spread_bps * scale)
    dear = dataclasses.replace(outlooks, spread_bps=2 * cheap.spread_bps)
    policies = NightPolicies(limits=LimitsPolicy(sector_max=0.2 if with_limits else 1.0))
    before = decide_night(cheap, around, policies).weight > 0
    after = decide_night(dear, around, policies).weight > 0
    assert not (after & ~before).any()


poison = st.sampled_from([math.nan, math.inf, -math.inf])
FIELDS = ("mean", "std", "price", "spread_bps", "slippage_bps", "fee_bps", "impact_bps")


@given(st.sampled_from(FIELDS), poison, st.integers(0, 500))
def test_what_is_not_a_number_is_never_held(field, value, seed):
    """Any one input of one symbol; the others are decided as before, up to shared limits."""
    outlooks, around = synthetic(12, seed=seed)
    poisoned = getattr(outlooks, field).copy()
    poisoned[3] = value
    decided = decide_night(dataclasses.replace(outlooks, **{field: poisoned}), around, POLICIES)
    assert decided.weight[3] == 0
    assert np.isfinite(decided.weight).all()


@given(st.integers(0, 10_000), st.floats(0.1, 5))
def test_no_night_breaks_a_cap(seed, wildness):
    outlooks, around = synthetic(60, seed=seed)
    wild = dataclasses.replace(outlooks, mean=outlooks.mean * wildness)
    weight = decide_night(wild, around, POLICIES).weight
    assert (weight >= 0).all()
    assert weight.max() <= POLICIES.sizing.single_position_max
    assert math.fsum(weight) <= 0.95 + 1e-12


def test_a_market_that_falls_by_more_than_a_deviation_lets_nobody_in():
    """The regime layer refuses every purchase; what asks to hold nothing still passes."""
    outlooks, around = synthetic(50)
    decided = decide_night(outlooks, dataclasses.replace(around, trend=-1.5), POLICIES)
    gates = {GATES[code] for code in decided.signals.gate[decided.signals.is_buy]}
    assert "" not in gates
    assert (decided.signals.gate[~decided.signals.is_buy] == 0).any()
    assert decided.validation.refused_by()["regime"] > 0


def test_a_basket_leaves_the_symbol_itself_out():
    returns = np.random.default_rng(1).normal(size=(4, 60))
    found = basket_correlations(returns, np.array([True, True, True, False]), observations_min=40)
    expected = np.corrcoef(returns[0], returns[1] + returns[2])[0, 1]
    outside = np.corrcoef(returns[3], returns[:3].sum(axis=0))[0, 1]
    assert found[[0, 3]] == pytest.approx([expected, outside])


def test_alone_is_like_nothing_and_a_short_history_is_not_known():
    returns = np.random.default_rng(1).normal(size=(2, 60))
    assert basket_correlations(returns, np.array([True, False]), observations_min=40)[0] == 0
    returns[1, :30] = math.nan
    found = basket_correlations(returns, np.array([True, True]), observations_min=40)
    assert math.isnan(found[1])


def test_a_trend_counts_the_market_in_its_own_deviations():
    """Means of 1 and 3, deviation root two, over two days: 4 / 2."""
    assert trend_of(np.array([[1.0, 3.0]]), window_sessions=2) == pytest.approx(2.0)
    assert math.isnan(trend_of(np.full((2, 60), math.nan), window_sessions=60))
