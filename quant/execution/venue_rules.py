"""A venue's filters, checked before sending: the failed rule is named, with its numbers.

Belongs here: price tick, lot, minimum and maximum quantity, notional and percent price, exact in
`Decimal`. A venue may round what we send, and some do so silently; we send nothing it could round.
"""

from decimal import ROUND_DOWN, Decimal

from quant.execution.broker import VenueRules

# A rule's name, the reason in words, and the numbers.
Breach = tuple[str, str, dict[str, str]]


def whole_lots(quantity: Decimal, rules: VenueRules) -> Decimal:
    """The quantity in the venue's lots, always towards zero."""
    if rules.quantity_step is None:
        return quantity
    lots = (quantity / rules.quantity_step).to_integral_value(rounding=ROUND_DOWN)
    return lots * rules.quantity_step


def broken_rule(
    rules: VenueRules,
    *,
    quantity: Decimal,
    reference_price: Decimal,
    limit_price: Decimal | None = None,
    closes: bool = False,
) -> Breach | None:
    """The first rule that an order breaks; `closes` says that it sells the rest of a position."""
    numbers = (quantity, reference_price, *(() if limit_price is None else (limit_price,)))
    if not all(one.is_finite() and one > 0 for one in numbers):
        shown = ", ".join(str(one) for one in numbers)
        return "not_a_number", f"quantity and prices must be positive and finite: {shown}", {}
    return (
        _lot(rules, quantity)
        or _price(rules, limit_price, reference_price)
        or _notional(rules, quantity, limit_price or reference_price, closes)
    )


def _lot(rules: VenueRules, quantity: Decimal) -> Breach | None:
    step, least, most = rules.quantity_step, rules.quantity_min, rules.quantity_max
    if step is not None and quantity % step != 0:
        reason = f"{quantity} is no multiple of the lot of {step}"
        return "lot", reason, {"quantity": str(quantity), "lot": str(step)}
    if least is not None and quantity < least:
        reason = f"{quantity} is below the least quantity of {least}"
        return "quantity_min", reason, {"quantity": str(quantity), "minimum": str(least)}
    if most is not None and quantity > most:
        reason = f"{quantity} is above the largest quantity of {most}"
        return "quantity_max", reason, {"quantity": str(quantity), "maximum": str(most)}
    return None


def _price(rules: VenueRules, limit: Decimal | None, reference: Decimal) -> Breach | None:
    if limit is None:
        return None
    tick, up, down = rules.price_tick, rules.percent_price_up, rules.percent_price_down
    if tick is not None and limit % tick != 0:
        reason = f"{limit} is no multiple of the price tick of {tick}"
        return "price_tick", reason, {"price": str(limit), "tick": str(tick)}
    too_high = up is not None and limit > reference * up
    too_low = down is not None and limit < reference * down
    if too_high or too_low:
        reason = f"{limit} is too far from {reference}"
        numbers = {"price": str(limit), "reference": str(reference), "up": str(up)}
        return "percent_price", reason, numbers | {"down": str(down)}
    return None


def _notional(rules: VenueRules, quantity: Decimal, price: Decimal, closes: bool) -> Breach | None:
    least = rules.min_notional
    if least is None or quantity * price >= least or (closes and rules.closing_is_exempt):
        return None
    worth = quantity * price
    reason = f"its value of {worth:.2f} is below the venue's minimum of {least}"
    return "venue_min_notional", reason, {"notional": f"{worth:.2f}", "minimum": str(least)}
