"""The values of the broker port refuse what cannot be; the venue's rules name what failed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution.broker import (
    Listing,
    OrderKind,
    OrderRejectedError,
    OrderTicket,
    UnreadableRow,
)
from quant.execution.orders import Side
from quant.execution.venue_rules import VenueRules, require_allowed

RULES = VenueRules(
    symbol="BTC/USDT",
    price_step=Decimal("0.01"),
    price_min=Decimal("0.01"),
    price_max=Decimal(1_000_000),
    quantity_step=Decimal("0.001"),
    quantity_min=Decimal("0.001"),
    quantity_max=Decimal(9000),
    notional_min=Decimal(5),
    percent_band=Decimal("0.2"),
)


def ticket(quantity: str, limit: str | None = None, **more: object) -> OrderTicket:
    return OrderTicket(
        client_order_id="pmx-1",
        symbol="BTC/USDT",
        side=Side.BUY,
        quantity=Decimal(quantity),
        kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        **more,
    )


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-1", "0", "-Infinity"])
def test_a_ticket_with_a_quantity_that_is_no_quantity_cannot_exist(quantity: str) -> None:
    """Public bots have sent market orders at NaN, since NaN passes every comparison."""
    with pytest.raises(DataError, match="quantity"):
        ticket(quantity)


@pytest.mark.parametrize("name", ["", "x" * 37])
def test_a_ticket_needs_an_id_that_every_venue_takes(name: str) -> None:
    with pytest.raises(DataError, match="client_order_id"):
        OrderTicket(client_order_id=name, symbol="A", side=Side.BUY, quantity=Decimal(1))


def test_a_market_order_takes_no_limit_and_a_limit_order_needs_one() -> None:
    with pytest.raises(DataError, match="takes no limit_price"):
        OrderTicket(
            client_order_id="a",
            symbol="A",
            side=Side.BUY,
            quantity=Decimal(1),
            limit_price=Decimal(1),
        )
    with pytest.raises(DataError, match="needs a limit_price"):
        OrderTicket(
            client_order_id="a",
            symbol="A",
            side=Side.BUY,
            quantity=Decimal(1),
            kind=OrderKind.LIMIT,
        )


@pytest.mark.parametrize(
    ("quantity", "limit", "rule"),
    [
        ("0.0015", "100", "quantity_step"),
        ("0.1", "100.005", "price_step"),
        ("10000", "100", "quantity_max"),
        ("0.001", "100", "notional_min"),
        ("1", "79.99", "percent_band"),
        ("1", "120.01", "percent_band"),
        ("0.001", None, "notional_min"),
    ],
)
def test_the_first_broken_filter_is_named_with_its_numbers(
    quantity: str, limit: str | None, rule: str
) -> None:
    with pytest.raises(OrderRejectedError, match=rule) as caught:
        require_allowed(ticket(quantity, limit), RULES, reference_price=Decimal(100))
    assert caught.value.rule == rule
    assert caught.value.remedy


def test_an_order_on_the_grid_passes() -> None:
    require_allowed(ticket("0.05", "120.00"), RULES, reference_price=Decimal(100))


@given(st.decimals("0.001", "8999", places=7))
def test_a_quantized_quantity_is_never_larger_and_lies_on_the_grid(value: Decimal) -> None:
    rounded = RULES.quantize_quantity(value)
    assert 0 <= value - rounded < Decimal("0.001")
    assert rounded % Decimal("0.001") == 0


def test_a_listing_with_an_unreadable_row_proves_no_absence() -> None:
    assert Listing[int](rows=()).is_whole
    assert not Listing[int](rows=(), unreadable=(UnreadableRow(what="order", reason="x"),)).is_whole
