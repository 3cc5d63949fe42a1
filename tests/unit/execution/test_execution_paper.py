"""The paper engine never flatters."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution import Fill, NoFill, PaperCostPolicy, PriceReference, Side, match
from tests.execution_values import MONDAY, at_close, intent, order_of, reference

D = Decimal
COSTS = PaperCostPolicy()


def test_a_buy_pays_spread_slippage_impact_and_fee() -> None:
    """100 shares at 50.00: 1 + 1 + 0.5 bps against us is 50.0125, 5,001.25 in all, fee 0.76."""
    filled = match(order_of(intent(100)), reference("50"), costs=COSTS)
    assert isinstance(filled, Fill)
    assert filled.price == D("50.0125")
    assert filled.notional == D("5001.25")
    assert filled.fee_amount == D("0.76")  # 0.7501875, a part of a cent rounds up
    assert (filled.spread_amount, filled.slippage_amount) == (D("0.5"), D("0.5"))
    assert filled.impact_amount == D("0.25")
    assert filled.price_row_hash == "row"


def test_a_sale_receives_less_by_the_same_amount() -> None:
    """The mirror of the buy."""
    filled = match(order_of(intent(-100)), reference("50"), costs=COSTS)
    assert isinstance(filled, Fill)
    assert (filled.price, filled.notional) == (D("49.9875"), D("4998.75"))


def test_impact_grows_with_the_square_root_of_the_share_of_volume() -> None:
    """A hundredth of the day's volume moves the price by a tenth of the full-volume impact."""
    filled = match(order_of(intent(100)), reference("50", volume="10000"), costs=COSTS)
    assert isinstance(filled, Fill)
    assert filled.price == D("50") * (1 + D("12") / 10_000)


def test_an_order_without_a_price_stays_working_and_says_why() -> None:
    """No price is not a price of zero, and not yesterday's."""
    outcome = match(order_of(intent(100)), None, costs=COSTS)
    assert outcome == NoFill(reason="no price for AAPL in session 2022-11-29")


def test_a_price_from_before_the_decision_fills_nothing() -> None:
    """Filling at the close that the decision was made from would be a look into the past."""
    stale = reference("50", session=MONDAY)
    outcome = match(order_of(intent(100)), stale, costs=COSTS)
    assert isinstance(outcome, NoFill)
    assert "not after the decision" in outcome.reason


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_price_that_is_no_price_cannot_be_made(price: str) -> None:
    """NaN passes every limit it is compared with, so it is refused where it would be born."""
    with pytest.raises(DataError, match="positive and finite"):
        PriceReference(price=D(price), row_hash="row", event_time=at_close(MONDAY))


def test_a_negative_cost_is_refused() -> None:
    """It would make fills better than the market."""
    with pytest.raises(ValueError, match="fee_bps must not be negative"):
        PaperCostPolicy(fee_bps=D(-1))


def test_the_same_order_and_price_give_the_same_fill() -> None:
    """A restart may match again: the fill is the same one, down to its id."""
    first = match(order_of(intent(7)), reference("33.37", volume="900"), costs=COSTS)
    assert first == match(order_of(intent(7)), reference("33.37", volume="900"), costs=COSTS)


@settings(max_examples=200, deadline=None)
@given(
    quantity=st.decimals(min_value="0.0001", max_value=100_000, places=4),
    price=st.decimals(min_value="0.000001", max_value=500_000, places=6),
    side=st.sampled_from(list(Side)),
    bps=st.tuples(*[st.decimals(min_value=0, max_value=300, places=2)] * 4),
    volume=st.one_of(st.none(), st.decimals(min_value=0, max_value=10**9, places=0)),
)
def test_no_fill_is_ever_better_than_its_reference(
    quantity: Decimal,
    price: Decimal,
    side: Side,
    bps: tuple[Decimal, Decimal, Decimal, Decimal],
    volume: Decimal | None,
) -> None:
    """For any size, price and cost: buys at or above, sales at or below, parts that add up."""
    costs = PaperCostPolicy(
        fee_bps=bps[0], half_spread_bps=bps[1], slippage_bps=bps[2], impact_bps_min=bps[3]
    )
    met = reference(str(price), volume=None if volume is None else str(volume))
    filled = match(order_of(intent(str(side.sign * quantity))), met, costs=costs)
    if isinstance(filled, NoFill):
        assert volume is not None
        assert costs.volume_share_max * volume < D("0.0001")
        return
    assert side.sign * (filled.price - price) >= 0
    assert side.sign * (filled.notional - filled.quantity * price) >= 0
    assert filled.fee_amount >= 0
    parts = filled.spread_amount + filled.slippage_amount + filled.impact_amount
    assert parts == abs(filled.price - price) * filled.quantity
    assert filled.quantity <= quantity
    if volume:
        assert filled.quantity == quantity or filled.quantity <= costs.volume_share_max * volume


def test_an_order_gets_its_share_of_the_days_volume_and_no_more() -> None:
    """A tenth of 555 traded shares is 55 whole ones of the hundred that were wanted."""
    filled = match(order_of(intent(100)), reference("50", volume="555"), costs=COSTS)
    assert isinstance(filled, Fill)
    assert filled.quantity == 55
    # 55 of 555 is almost the tenth that costs 31.5 bps of impact.
    assert D("50.16") < filled.price < D("50.17")
    whole = match(order_of(intent(55)), reference("50", volume="555"), costs=COSTS)
    assert isinstance(whole, Fill)
    assert (whole.price, whole.notional) == (filled.price, filled.notional)


def test_a_day_on_which_almost_nothing_traded_fills_nothing_and_says_so() -> None:
    """A tenth of nine shares is not one."""
    outcome = match(order_of(intent(100)), reference("50", volume="9"), costs=COSTS)
    assert isinstance(outcome, NoFill)
    assert "10% of the 9 AAPL" in outcome.reason


@pytest.mark.parametrize("share", ["0", "1.1", "NaN"])
def test_a_share_of_the_volume_that_is_none_is_refused(share: str) -> None:
    """More than all of it, or nothing at all."""
    with pytest.raises(ValueError, match="volume_share_max"):
        PaperCostPolicy(volume_share_max=D(share))
