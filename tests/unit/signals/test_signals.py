"""Cost arithmetic, the edge gate, and the order of the gates, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import PolicyError
from quant.market.bars import AssetClass
from quant.market.frontier import FrontierPolicy
from quant.signals.costs import CostPolicy, CostPrior
from quant.signals.edge import EdgePolicy, required_return
from quant.signals.generate import Action, Outlook, decide_signal
from resources.policy import load_policy
from resources.settings import project_root

PRIOR = CostPrior(spread_bps=2.0, slippage_bps=1.0, fee_bps=1.5, impact_bps=0.5)
POLICY = EdgePolicy()


def outlook(mean: float = 0.02, std: float = 0.05, price: float = 100.0) -> Outlook:
    return Outlook(symbol="AAPL", mean=mean, std=std, price=price)


def test_a_round_trip_is_the_spread_once_and_everything_else_twice():
    """2 + 2 x (1 + 1.5 + 0.5) = 8 basis points."""
    assert pytest.approx(8e-4, rel=1e-12) == PRIOR.round_trip


def test_the_floor_binds_for_cheap_trades_and_the_multiple_for_dear_ones():
    """30 bps against 1.25 x 8 = 10; 30 bps against 1.25 x 40 = 50."""
    assert required_return(8e-4, POLICY) == pytest.approx(30e-4)
    assert required_return(40e-4, POLICY) == pytest.approx(50e-4)


def test_impact_is_never_believed_to_be_nothing():
    """Half a basis point a side is the least that policy accepts."""
    with pytest.raises(ValueError, match="impact_bps"):
        CostPrior(spread_bps=1, slippage_bps=1, fee_bps=1, impact_bps=0.1)


def test_a_frontier_symbol_pays_the_spread_and_fees_of_its_own_exchange():
    """Lagos: a spread of 120 and fees of 175; slippage and impact are the class's."""
    frontier = load_policy(project_root() / "config/frontier.yaml", FrontierPolicy)
    costs = load_policy(project_root() / "config/costs.yaml", CostPolicy)
    lagos = costs.prior_of_symbol("MTNN.XNSA", AssetClass.US_EQUITY, frontier)
    assert (lagos.spread_bps, lagos.fee_bps) == (120, 175)
    assert lagos.slippage_bps == costs.prior_of(AssetClass.FRONTIER).slippage_bps
    assert costs.prior_of_symbol("AAPL", AssetClass.US_EQUITY, frontier) == costs.prior_of(
        AssetClass.US_EQUITY
    )


def test_an_asset_class_without_a_prior_cannot_be_traded():
    """Nobody decided what it costs, so nothing is assumed."""
    with pytest.raises(PolicyError, match="crypto"):
        CostPolicy(priors={AssetClass.US_EQUITY: PRIOR}).prior_of(AssetClass.CRYPTO)


@pytest.mark.parametrize(
    ("mean", "action", "gate"),
    [
        (0.02, Action.BUY, ""),
        (0.002, Action.BUY, "edge"),
        (0.0, Action.SELL, ""),
        (-0.01, Action.SELL, ""),
        (math.nan, Action.NONE, "forecast"),
        (math.inf, Action.NONE, "forecast"),
    ],
)
def test_the_expected_return_decides_side_and_gate(mean, action, gate):
    """20 bps of log return is 20.02 bps, below the 30 required."""
    signal = decide_signal(outlook(mean=mean), policy=POLICY, prior=PRIOR)
    assert (signal.action, signal.gate) == (action, gate)


def test_a_model_without_a_verdict_is_refused_before_anything_else():
    """Its reason is the verdict's own sentence."""
    signal = decide_signal(
        outlook(mean=0.001), policy=POLICY, prior=PRIOR, refused_model="m refused: too bad"
    )
    assert (signal.gate, signal.reason) == ("verdict", "m refused: too bad")


def test_a_quarantined_symbol_may_be_sold_and_not_bought():
    """Reduce-only: its data is in doubt, so the position may only shrink."""
    buy = decide_signal(outlook(), policy=POLICY, prior=PRIOR, reduce_only={"AAPL"})
    sell = decide_signal(outlook(-0.02), policy=POLICY, prior=PRIOR, reduce_only={"AAPL"})
    assert (buy.gate, sell.gate) == ("data_quality", "")


def test_stop_and_target_stand_two_and_four_deviations_away():
    """A deviation of 5 %: e^-0.1 and e^0.2 of the price."""
    signal = decide_signal(outlook(), policy=POLICY, prior=PRIOR)
    assert signal.stop_price == pytest.approx(100 * math.exp(-0.1))
    assert signal.target_price == pytest.approx(100 * math.exp(0.2))


def test_the_chance_to_earn_the_cost_back_is_one_half_where_they_are_equal():
    """Mean equal to the hurdle: one half; no edge is left, so confidence is 0.6 of that."""
    mean = math.log1p(PRIOR.round_trip)
    signal = decide_signal(outlook(mean=mean), policy=POLICY, prior=PRIOR)
    assert signal.probability == pytest.approx(0.5)
    assert signal.confidence == pytest.approx(0.3)


def test_confidence_is_four_tenths_edge_and_six_tenths_chance():
    """Expected 0.68 %, cost 0.08 %: net 0.6 % beside 0.3 % required is an edge of two thirds."""
    signal = decide_signal(outlook(mean=math.log1p(0.0068)), policy=POLICY, prior=PRIOR)
    assert signal.confidence == pytest.approx(0.4 * 2 / 3 + 0.6 * signal.probability)


def test_priority_is_six_tenths_confidence_and_four_tenths_calm():
    """5 % over 20 days is 17.7 % a year; the scale ends at 100 %."""
    signal = decide_signal(outlook(), policy=POLICY, prior=PRIOR)
    assert signal.risk == pytest.approx(0.05 * math.sqrt(12.6))
    assert signal.priority == pytest.approx(0.6 * signal.confidence + 0.4 * (1 - signal.risk))


def test_the_parts_of_the_cost_stand_on_the_signal():
    """A reader adds them up: 2 + 2 x (1 + 1.5 + 0.5)."""
    s = decide_signal(outlook(), policy=POLICY, prior=PRIOR)
    total = s.spread_bps + 2 * (s.slippage_bps + s.fee_bps + s.impact_bps)
    assert total * 1e-4 == pytest.approx(s.round_trip_cost)


def test_a_flag_stands_before_the_verdict():
    """Somebody switched it off: that is the reason, whatever the audits say."""
    signal = decide_signal(
        outlook(), policy=POLICY, prior=PRIOR, refused_model="bad", switched_off="sarimax is off"
    )
    assert (signal.gate, signal.reason) == ("flag", "sarimax is off")


@given(
    mean=st.floats(-0.5, 0.5),
    spread=st.floats(0, 400),
)
def test_doubling_the_spread_never_adds_a_trade(mean, spread):
    """Monotone in cost: what is refused when cheap is refused when dear."""
    cheap = CostPrior(spread_bps=spread, slippage_bps=1, fee_bps=1)
    dear = CostPrior(spread_bps=2 * spread, slippage_bps=1, fee_bps=1)
    before = decide_signal(outlook(mean=mean), policy=POLICY, prior=cheap)
    after = decide_signal(outlook(mean=mean), policy=POLICY, prior=dear)
    assert not (before.gate and not after.gate)
