"""What a venue demands of an order's numbers, checked before anything is sent.

Belongs here: price, lot, notional and percent filters as values, and the check that names the rule
and its numbers. Does not belong here: where a venue publishes them (the adapters).
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal

from quant.core.errors import DataError
from quant.execution.broker import OrderRejectedError, OrderTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """One symbol's filters; None means that the venue has no such rule."""

    symbol: str
    price_step: Decimal | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    notional_min: Decimal | None = None
    # A limit may lie this far from the last price, as a fraction: 0.2 allows 80 % to 120 %.
    percent_band: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("price_step", "quantity_step"):
            step = getattr(self, name)
            if step is not None and not (step.is_finite() and step > 0):
                raise DataError(f"{name} of {self.symbol} must be positive, was {step}")

    def quantize_quantity(self, quantity: Decimal) -> Decimal:
        """Towards zero, so that no order is larger than was decided."""
        if self.quantity_step is None:
            return quantity
        return (quantity / self.quantity_step).to_integral_value(ROUND_DOWN) * self.quantity_step

    def quantize_price(self, price: Decimal) -> Decimal:
        """Down to the venue's grid."""
        if self.price_step is None:
            return price
        return (price / self.price_step).to_integral_value(ROUND_FLOOR) * self.price_step


def require_allowed(
    ticket: OrderTicket, rules: VenueRules, *, reference_price: Decimal | None = None
) -> None:
    """Raise `OrderRejectedError` for the first filter that `ticket` fails.

    `reference_price` is the last trade; without it a market order's notional and a limit's distance
    cannot be judged, and the venue will.
    """
    for rule, is_broken, numbers in _verdicts(ticket, rules, reference_price):
        if is_broken:
            raise OrderRejectedError(
                f"{ticket.symbol} order {ticket.client_order_id} breaks {rule}: {numbers}",
                rule=rule,
                remedy="round or resize the order to the venue's grid before sending",
            )


def _verdicts(
    ticket: OrderTicket, rules: VenueRules, reference: Decimal | None
) -> list[tuple[str, bool, str]]:
    quantity, price = ticket.quantity, ticket.limit_price
    found = [
        _grid("quantity_step", quantity, rules.quantity_step),
        _least("quantity_min", quantity, rules.quantity_min),
        _most("quantity_max", quantity, rules.quantity_max),
    ]
    for number in (price, ticket.stop_price):
        if number is not None:
            found.append(_grid("price_step", number, rules.price_step))
            found.append(_least("price_min", number, rules.price_min))
            found.append(_most("price_max", number, rules.price_max))
    at = price or ticket.stop_price or reference
    if at is not None:
        found.append(_least("notional_min", quantity * at, rules.notional_min))
    if price is not None and reference is not None and rules.percent_band is not None:
        low, high = reference * (1 - rules.percent_band), reference * (1 + rules.percent_band)
        outside = not low <= price <= high
        found.append(("percent_band", outside, f"{price} is outside {low} to {high}"))
    return found


def _grid(rule: str, value: Decimal, step: Decimal | None) -> tuple[str, bool, str]:
    if step is None:
        return rule, False, ""
    return rule, value % step != 0, f"{value} is not a multiple of {step}"


def _least(rule: str, value: Decimal, least: Decimal | None) -> tuple[str, bool, str]:
    return rule, least is not None and not value >= least, f"{value} is below {least}"


def _most(rule: str, value: Decimal, most: Decimal | None) -> tuple[str, bool, str]:
    return rule, most is not None and not value <= most, f"{value} is above {most}"
