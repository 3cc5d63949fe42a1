"""One decision between nights: equal to a night of one, and within every cap beside others."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.decisions import newcomer, synthetic
from quant.portfolio.night import NightPolicies, Surroundings, decide_night
from quant.portfolio.single import Beside, Newcomer, OneDecision, decide_one
from quant.portfolio.sizing import BOUNDS
from quant.signals.batch import GATES, OutlookBatch
from quant.signals.costs import CostPrior
from quant.signals.generate import Outlook

POLICIES = NightPolicies()
NOBODY = Beside.of(
    returns=np.zeros((0, 126)), weight=np.zeros(0), sector=np.zeros(0, dtype=np.int64)
)


def a_newcomer(*, seed: int = 1, like: np.ndarray | None = None, sector: int = 0) -> Newcomer:
    """A promising name of 30 % a year that moves by itself, or like another."""
    own = np.random.default_rng(seed).normal(0, 0.019, 126)
    return Newcomer(
        outlook=Outlook(symbol="NEW", mean=0.03, std=0.085, price=50.0),
        costs=CostPrior(spread_bps=2, slippage_bps=1, fee_bps=1.5, impact_bps=0.5),
        returns=own if like is None else like,
        sector=sector,
    )


def beside_of(weights: list[float], sectors: list[int], *, seed: int = 2) -> Beside:
    """Unrelated positions."""
    returns = np.random.default_rng(seed).normal(0, 0.02, (len(weights), 126))
    return Beside.of(returns=returns, weight=np.array(weights), sector=np.array(sectors))


def decided(new: Newcomer, beside: Beside) -> OneDecision:
    """In a market that rises."""
    return decide_one(new, beside, POLICIES, trend=1.0)


def test_alone_it_decides_as_a_night_of_one_symbol_does():
    """Gates, weights and what bound them, row by row."""
    outlooks, around = synthetic(300)
    for row in range(300):
        parts = {
            one.name: getattr(outlooks, one.name)[row : row + 1]
            for one in dataclasses.fields(outlooks)
        }
        alone = Surroundings(
            returns=around.returns[row : row + 1],
            trend=around.trend,
            sector=around.sector[row : row + 1],
            multiplier=around.multiplier,
        )
        night = decide_night(OutlookBatch(**parts), alone, POLICIES)
        single = decide_one(
            newcomer(outlooks, around, row),
            NOBODY,
            POLICIES,
            trend=around.trend,
            multiplier=around.multiplier,
        )
        gate = GATES[night.signals.gate[0]]
        assert (gate == "validator") == (single.validation is not None and single.gate != "")
        assert gate in ("validator", single.gate)
        assert math.isclose(single.weight, night.weight[0], rel_tol=1e-12, abs_tol=0.0)
        if single.weight > 0:
            assert single.bound_by == BOUNDS[night.limited.bound_by[0]]


def test_a_sector_leaves_what_others_have_not_taken():
    """17 % of its sector are held, so 3 % are left."""
    new = a_newcomer(sector=4)
    assert decided(new, NOBODY).weight > 0.03
    one = decided(new, beside_of([0.09, 0.08, 0.05], [4, 4, 1]))
    assert (round(one.weight, 12), one.bound_by) == (0.03, "sector_max")


def test_a_twin_shares_the_room_of_one_position():
    """It moves as a position of 7 % does: 3 % of the ten are left, and the layer let it by."""
    rng = np.random.default_rng(5)
    held = rng.normal(0, 0.02, (6, 126))
    twin = held[0] + rng.normal(0, 0.008, 126)
    weight = np.array([0.07, *[0.02] * 5])
    beside = Beside.of(returns=held, weight=weight, sector=np.arange(6))
    one = decided(a_newcomer(like=twin, sector=9), beside)
    assert (round(one.weight, 12), one.bound_by) == (0.03, "pair_correlation_max")


def test_a_full_book_has_no_room():
    """95 % are held; the purchase passes its gates and gets nothing."""
    one = decided(a_newcomer(sector=77), beside_of([0.095] * 10, list(range(10))))
    assert (one.gate, one.weight, one.bound_by) == ("", 0.0, "gross_max")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_history_that_is_not_known_refuses(bad):
    """An unknown correlation is not a harmless one; nor is a history too short to have one."""
    new = a_newcomer()
    returns = new.returns.copy()
    returns[3] = bad
    beside = beside_of([0.05], [0])
    with np.errstate(invalid="ignore"):
        one = decided(dataclasses.replace(new, returns=returns), beside)
    assert (one.gate, one.weight) == ("correlation", 0.0)
    short = dataclasses.replace(new, returns=new.returns[:30])
    assert decided(short, NOBODY).gate == "correlation"


@given(
    weights=st.lists(st.floats(0.0, 0.1), min_size=0, max_size=12),
    seed=st.integers(0, 1_000),
    common=st.floats(0.0, 0.05),
)
def test_no_newcomer_breaks_a_cap(weights, seed, common):
    """Whatever is held, even a book that is over its limits: the newcomer adds nothing to that."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0, 1, 126) * common
    returns = market + rng.normal(0, 0.015, (len(weights), 126))
    sector = rng.integers(0, 3, len(weights))
    beside = Beside.of(returns=returns, weight=np.array(weights, dtype=float), sector=sector)
    own = market + rng.normal(0, 0.015, 126)
    one = decided(a_newcomer(like=own, sector=1), beside)
    assert 0.0 <= one.weight <= POLICIES.sizing.single_position_max
    if one.weight > 0:
        assert sum(weights) + one.weight <= 0.95 + 1e-9
        in_sector = sum(w for w, code in zip(weights, sector, strict=True) if code == 1)
        assert in_sector + one.weight <= POLICIES.limits.sector_max + 1e-9
        for row, weight in zip(returns, weights, strict=True):
            if np.corrcoef(row, own)[0, 1] > POLICIES.limits.pair_correlation_max + 1e-9:
                assert weight + one.weight <= POLICIES.sizing.single_position_max + 1e-9
