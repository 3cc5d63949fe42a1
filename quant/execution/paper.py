"""The paper engine: one order, one price, one fill, or a part of one, that is never flattering.

Belongs here: the arithmetic of spread, slippage, impact and fee, in `Decimal` and in the direction
that hurts. Does not belong here: whether an order may be sent (`gates`), or what the fill does to a
book (`book`). Pure: the same order and price give the same fill, so a restart repeats nothing.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal

from pydantic import NonNegativeInt

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.core.money import CENT
from quant.core.policy import Policy
from quant.execution.orders import Fill, Order, Side, fill_id, trace_of

_BPS = Decimal(10_000)


class PaperCostPolicy(Policy):
    """What trading costs on paper, in basis points of the reference price or of the notional."""

    fee_bps: Decimal = Decimal("1.5")
    half_spread_bps: Decimal = Decimal("1.0")
    slippage_bps: Decimal = Decimal("1.0")
    # Impact grows with the square root of the order's share of the day's volume and never falls
    # below its floor; a bar without volume pays the floor.
    impact_bps_min: Decimal = Decimal("0.5")
    impact_bps_at_full_volume: Decimal = Decimal(100)
    price_decimals: NonNegativeInt = 6
    # A day's order gets no more than this share of the day's volume; a bar without volume, all.
    volume_share_max: Decimal = Decimal("0.1")

    def model_post_init(self, _context: object) -> None:
        """A negative cost would make fills better than the market."""
        for name in type(self).model_fields:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, was {getattr(self, name)}")
        if not 0 < self.volume_share_max <= 1:
            raise ValueError(f"volume_share_max must be in (0, 1], was {self.volume_share_max}")

    def policy_hash(self) -> str:
        """The identity of these numbers, for the fill that they priced."""
        return content_hash(self.model_dump())


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReference:
    """A price that an order can meet, and the hash of the raw row that it stands in."""

    price: Decimal
    row_hash: str
    event_time: dt.datetime
    volume: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.price.is_finite() or self.price <= 0:
            raise DataError(f"a reference price must be positive and finite, was {self.price}")
        if self.event_time.tzinfo is None:
            raise DataError(f"the event time of a price must be aware, was {self.event_time}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFill:
    """The order stays as it is, and why."""

    reason: str


def match(
    order: Order,
    reference: PriceReference | None,
    *,
    costs: PaperCostPolicy,
    sequence: int = 1,
) -> Fill | NoFill:
    """The fill that `order` gets at `reference`, or the reason why it stays working.

    A price meets an order only if it is from after the decision: that is the engine's latency. An
    order larger than its share of the day's volume is filled in part, and the rest is the caller's
    to keep or to let expire.
    """
    if reference is None:
        return NoFill(reason=f"no price for {order.symbol} in session {order.valid_session}")
    if reference.event_time <= order.as_of:
        return NoFill(
            reason=f"the price of {order.symbol} is of {reference.event_time.isoformat()}, "
            f"not after the decision's {order.as_of.isoformat()}"
        )
    quantity = _fillable(order.quantity, reference.volume, costs)
    if quantity == 0:
        return NoFill(
            reason=f"{costs.volume_share_max:.0%} of the {reference.volume} {order.symbol} that "
            "were traded is less than the smallest part of the order"
        )
    impact_bps = _impact_bps(quantity, reference.volume, costs)
    parts_bps = (costs.half_spread_bps, costs.slippage_bps, impact_bps)
    price = _against(order.side, reference.price, sum(parts_bps, Decimal(0)), costs)
    notional = _round(order.side, quantity * price, CENT)
    spread, slippage, impact = _attribute(abs(price - reference.price) * quantity, parts_bps)
    return Fill(
        **trace_of(order),
        fill_id=fill_id(order=order.client_order_id, sequence=sequence),
        client_order_id=order.client_order_id,
        sequence=sequence,
        side=order.side,
        quantity=quantity,
        price=price,
        notional=notional,
        reference_price=reference.price,
        price_row_hash=reference.row_hash,
        event_time=reference.event_time,
        spread_amount=spread,
        slippage_amount=slippage,
        impact_amount=impact,
        # Venues round a fraction of a cent of fee up.
        fee_amount=(notional * costs.fee_bps / _BPS).quantize(CENT, rounding=ROUND_UP),
        costs_hash=costs.policy_hash(),
    )


def worst_cash(quantity: Decimal, price: Decimal, *, costs: PaperCostPolicy) -> Decimal:
    """Cash that a buy may take at most, fees included, when its whole impact is paid."""
    impact = max(costs.impact_bps_min, costs.impact_bps_at_full_volume)
    adverse = (costs.half_spread_bps + costs.slippage_bps + impact) / _BPS
    fee = costs.fee_bps / _BPS
    return (quantity * price * (1 + adverse) * (1 + fee)).quantize(CENT, rounding=ROUND_UP) + CENT


def _fillable(wanted: Decimal, volume: Decimal | None, costs: PaperCostPolicy) -> Decimal:
    """What of an order the day's volume can take, in steps no finer than the order's own."""
    if volume is None or not volume.is_finite() or volume <= 0:
        return wanted
    most = costs.volume_share_max * volume
    return wanted if wanted <= most else most.quantize(wanted, rounding=ROUND_DOWN)


def _impact_bps(quantity: Decimal, volume: Decimal | None, costs: PaperCostPolicy) -> Decimal:
    if volume is None or not volume.is_finite() or volume <= 0:
        return costs.impact_bps_min
    share = min(quantity / volume, Decimal(1))
    return max(costs.impact_bps_min, costs.impact_bps_at_full_volume * share.sqrt())


def _against(side: Side, price: Decimal, adverse_bps: Decimal, costs: PaperCostPolicy) -> Decimal:
    """The reference moved against the order, and rounded against it too."""
    moved = price * (1 + side.sign * adverse_bps / _BPS)
    rounded = _round(side, moved, Decimal(1).scaleb(-costs.price_decimals))
    # A sale of something that costs less than the price step would otherwise be given away.
    return rounded if rounded > 0 else moved


def _round(side: Side, value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, rounding=ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)


def _attribute(
    total: Decimal, parts_bps: tuple[Decimal, Decimal, Decimal]
) -> tuple[Decimal, Decimal, Decimal]:
    """Split the price's cost over its causes; the last takes the remainder, so they add up."""
    whole = sum(parts_bps, Decimal(0))
    if whole == 0:
        return (Decimal(0), total, Decimal(0))
    spread = (total * parts_bps[0] / whole).quantize(CENT / 100)
    slippage = (total * parts_bps[1] / whole).quantize(CENT / 100)
    return spread, slippage, total - spread - slippage
