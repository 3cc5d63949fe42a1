"""Spreads from bars, by hand and from a market whose spread is known; costs moved by own fills."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.signals.costs import CalibrationPolicy, CostPrior
from quant.signals.recalibrate import (
    BarSpread,
    OwnFill,
    posterior_of_bars,
    posterior_of_fills,
    recalibrate,
    statistics_of,
)
from quant.signals.spreads import abdi_ranaldo, corwin_schultz

PRIOR = CostPrior(spread_bps=2.0, slippage_bps=1.0, fee_bps=1.5, impact_bps=0.5)
POLICY = CalibrationPolicy()


def fill(adverse: float = 2.5, fee: float = 1.5, symbol: str = "A") -> OwnFill:
    return OwnFill(symbol=symbol, adverse_bps=adverse, fee_bps=fee)


def moved(fills: list[OwnFill], policy: CalibrationPolicy = POLICY) -> CostPrior:
    return posterior_of_fills(PRIOR, statistics_of(fills, policy), policy)


def simulated(spread: float, *, days: int = 2_000, seed: int = 7):
    """Days of 390 trades that bounce between bid and ask around a random walk."""
    rng = np.random.default_rng(seed)
    middle = np.cumsum(rng.normal(0, 0.01 / np.sqrt(390), (days, 390)).ravel()).reshape(days, 390)
    side = rng.choice((-0.5, 0.5), (days, 390))
    trades = np.exp(middle) * 100 * (1 + spread * side)
    return trades.max(axis=1), trades.min(axis=1), trades[:, -1]


def test_corwin_schultz_of_two_days_by_hand():
    """Ranges 102/100 on both days, 102/100 over both: beta = 2 x ln(1.02)^2, gamma = ln(1.02)^2."""
    high, low, close = (np.array([x, x]) for x in (102.0, 100.0, 101.0))
    one = math.log(1.02)
    k = 3 - 2 * math.sqrt(2)
    alpha = (2 * one - math.sqrt(2) * one) / k - one / math.sqrt(k)
    expected = 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))
    assert corwin_schultz(high, low, close, pairs_min=1) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.0198, abs=1e-4)


def test_a_gap_overnight_is_no_spread():
    """The second day lies 10 above the first close; moved back it is the same day twice."""
    level = corwin_schultz(
        np.array([102.0, 102.0]), np.array([100.0, 100.0]), np.array([100.0, 101.0]), pairs_min=1
    )
    gapped = corwin_schultz(
        np.array([102.0, 112.0]), np.array([100.0, 110.0]), np.array([100.0, 111.0]), pairs_min=1
    )
    assert gapped == pytest.approx(level, rel=1e-12)


def test_abdi_ranaldo_of_two_days_by_hand():
    """The close stands 1 % above both middles: the spread is 2 %."""
    high, low = (np.exp([0.02, 0.02]), np.exp([-0.02, -0.02]))
    close = np.exp([0.01, 0.0])
    assert abdi_ranaldo(high, low, close, pairs_min=1) == pytest.approx(0.02, rel=1e-12)


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_a_known_spread_is_found_again(spread):
    """Both estimators, within a quarter of the truth where it is large beside the day's noise."""
    bars = simulated(spread)
    assert corwin_schultz(*bars) == pytest.approx(spread, rel=0.25)
    assert abdi_ranaldo(*bars) == pytest.approx(spread, rel=0.25)


def test_a_small_spread_drowns_in_the_noise_of_the_day():
    """Why large US names do not listen to bars: 2 bps of spread are read as more than 20."""
    assert corwin_schultz(*simulated(0.0002)) > 0.002


def test_a_panel_gives_what_its_rows_give():
    """Vectorised over symbols; the rows do not meet."""
    rows = [simulated(s, days=200, seed=i) for i, s in enumerate((0.002, 0.01))]
    panel = [np.vstack(field) for field in zip(*rows, strict=True)]
    for estimator in (corwin_schultz, abdi_ranaldo):
        assert estimator(*panel).tolist() == [float(estimator(*row)) for row in rows]


def test_bars_without_a_range_say_nothing():
    """Closes alone, impossible bars and too short a history are NaN, never zero."""
    close = np.full(50, 100.0)
    unknown = np.full(50, math.nan)
    for estimator in (corwin_schultz, abdi_ranaldo):
        assert math.isnan(estimator(unknown, unknown, close))
        assert math.isnan(estimator(close - 1, close + 1, close))
        assert math.isnan(estimator(close[:10] + 1, close[:10] - 1, close[:10]))


def test_fifty_fills_weigh_as_much_as_the_prior():
    """Prior 2.5 bps adverse, fills 7.5: the posterior is 5, so every part doubles; fee 1.5 to 2."""
    after = moved([fill(7.5, 2.5)] * 50)
    assert after.adverse_bps == pytest.approx(5.0)
    assert (after.spread_bps, after.slippage_bps, after.impact_bps) == pytest.approx((4, 2, 1))
    assert after.fee_bps == pytest.approx(2.0)


def test_fills_made_from_the_prior_leave_it_where_it_is():
    """As on paper."""
    after = moved([fill()] * 500)
    assert after.model_dump() == pytest.approx(PRIOR.model_dump())


def test_price_improvement_never_takes_impact_below_its_floor():
    """A thousand fills that all gained 5 bps: nothing but the floor and the fee is left."""
    after = moved([fill(-5.0)] * 1_000)
    assert (after.spread_bps, after.slippage_bps, after.impact_bps) == (0.0, 0.0, 0.5)


def test_one_fill_in_a_panic_counts_at_most_its_limit():
    """10,000 bps counts as 250: (50 x 2.5 + 250) / 51."""
    after = moved([fill(10_000.0)])
    assert after.adverse_bps == pytest.approx(375 / 51)


def test_a_fill_that_is_no_number_says_nothing():
    assert moved([fill(math.nan), fill(math.inf)]) is PRIOR


def test_own_fill_from_a_venues_report():
    """Bought at 100.05 where the market stood at 100, 1.5 cents on a hundred as fee."""
    bought = OwnFill.of("A", sign=1, price=100.05, reference=100.0, fee=0.015, notional=100.0)
    sold = OwnFill.of("A", sign=-1, price=99.95, reference=100.0, fee=0.015, notional=100.0)
    assert (bought.adverse_bps, bought.fee_bps) == pytest.approx((5.0, 1.5))
    assert sold.adverse_bps == pytest.approx(5.0)


def test_a_symbol_learns_from_its_class_and_more_from_itself():
    """A paid 7.5 bps, B nothing known: both move, A further, and the counts are told."""
    found = recalibrate({"A": PRIOR, "B": PRIOR}, [fill(7.5)] * 20, POLICY)
    assert PRIOR.adverse_bps < found["B"].costs.adverse_bps < found["A"].costs.adverse_bps < 7.5
    assert found["A"].evidence.own.count == found["B"].evidence.of_class.count == 20
    assert found["B"].evidence.own.count == 0
    assert found["A"].source == "prior+fills"


def test_bars_move_the_spread_only_where_the_class_listens():
    """63 bars against a prior that counts as 63: half way from 150 to 250."""
    wide = PRIOR.model_copy(update={"spread_bps": 150.0})
    seen = BarSpread(corwin_schultz_bps=240.0, abdi_ranaldo_bps=260.0, bars=63)
    assert posterior_of_bars(wide, seen, POLICY).spread_bps == pytest.approx(200.0)
    deaf = recalibrate({"A": wide}, [], POLICY, bars={"A": seen})["A"]
    heard = recalibrate({"A": wide}, [], POLICY, bars={"A": seen}, listens_to_bars=True)["A"]
    assert (deaf.costs.spread_bps, deaf.source) == (150.0, "prior")
    assert (heard.costs.spread_bps, heard.source) == (pytest.approx(200.0), "prior+bars")


@given(
    st.lists(st.tuples(st.floats(-500, 500), st.floats(0, 100)), max_size=60),
    st.floats(0.01, 5_000),
)
def test_a_posterior_lies_between_its_prior_and_its_evidence(pairs, weight):
    """Whatever the fills; and the impact floor holds."""
    policy = CalibrationPolicy(prior_weight_fills=weight)
    after = moved([fill(a, f) for a, f in pairs], policy)
    fees = [f for _, f in pairs] + [PRIOR.fee_bps]
    assert min(fees) - 1e-9 <= after.fee_bps <= max(fees) + 1e-9
    assert after.impact_bps >= 0.5
    highest = max([min(a, 250.0) for a, _ in pairs] + [PRIOR.adverse_bps])
    assert after.adverse_bps <= highest + 0.5 + 1e-9
