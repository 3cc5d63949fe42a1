"""Closed trades and what they earned, in exact money.

Belongs here: matching fills into closed trades, and their statistics. Measures of an equity curve
are in `measures`; the ledger, and not this module, is the authority on cash and positions.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from quant.core.errors import DataError
from quant.core.money import cash

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFill:
    """One fill: `quantity` is positive for a purchase and negative for a sale."""

    symbol: str
    session: dt.date
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO

    def __post_init__(self) -> None:
        for name in ("quantity", "price", "fee"):
            if not getattr(self, name).is_finite():
                raise DataError(f"the {name} of a fill in {self.symbol} is not a finite number")
        if self.quantity == 0 or self.price <= 0:
            raise DataError(
                f"a fill needs a quantity and a positive price, {self.symbol} on "
                f"{self.session} had {self.quantity} at {self.price}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A position, or a part of one, that was opened and closed again.

    `gross_profit` is before fees and rounded to the cent; `fees` holds both sides and adds up
    exactly to the fees of the fills.
    """

    symbol: str
    opened: dt.date
    closed: dt.date
    quantity: Decimal
    gross_profit: Decimal
    fees: Decimal

    @property
    def profit(self) -> Decimal:
        """What is left after fees."""
        return self.gross_profit - self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStatistics:
    """Counts, money and ratios of closed trades; wins and losses are judged after fees.

    `win_rate` counts flat trades in its denominator. `profit_factor` is money won over money lost,
    both after fees. Both are `None` where the denominator is zero: no trade, or no losing trade.
    """

    count: int
    wins: int
    losses: int
    won: Decimal
    lost: Decimal
    fees: Decimal
    net_profit: Decimal
    win_rate: float | None
    profit_factor: float | None
    average_win: Decimal | None
    average_loss: Decimal | None


def trade_statistics(trades: Iterable[ClosedTrade]) -> TradeStatistics:
    """Add up closed trades exactly; only the two ratios are floats."""
    closed = list(trades)
    profits = [trade.profit for trade in closed]
    wins = [profit for profit in profits if profit > 0]
    losses = [-profit for profit in profits if profit < 0]
    won, lost = sum(wins, ZERO), sum(losses, ZERO)
    return TradeStatistics(
        count=len(closed),
        wins=len(wins),
        losses=len(losses),
        won=won,
        lost=lost,
        fees=sum((trade.fees for trade in closed), ZERO),
        net_profit=won - lost,
        win_rate=len(wins) / len(closed) if closed else None,
        profit_factor=float(won / lost) if lost else None,
        average_win=cash(won / len(wins)) if wins else None,
        average_loss=cash(lost / len(losses)) if losses else None,
    )


@dataclass(slots=True)
class _Open:
    """What is held of one symbol while its fills are walked through."""

    opened: dt.date
    quantity: Decimal
    cost: Decimal  # signed like quantity, unrounded
    fees: Decimal


def closed_trades(fills: Iterable[TradeFill]) -> list[ClosedTrade]:
    """Match fills, in the order given, against the average cost of what is held.

    Long and short alike. A fill that crosses zero closes what is held and opens the rest. The fees
    of the opening side are shared out by quantity, to the cent, and the last part takes what is
    left, so that no cent of a fee is lost or counted twice.
    """
    held: dict[str, _Open] = {}
    out: list[ClosedTrade] = []
    for fill in fills:
        position = held.get(fill.symbol)
        if position is None:
            held[fill.symbol] = _opened_by(fill, fill.quantity, fill.fee)
        elif (position.quantity > 0) == (fill.quantity > 0):
            position.cost += fill.quantity * fill.price
            position.quantity += fill.quantity
            position.fees += fill.fee
        else:
            out.append(_close(held, position, fill))
    return out


def _opened_by(fill: TradeFill, quantity: Decimal, fee: Decimal) -> _Open:
    return _Open(opened=fill.session, quantity=quantity, cost=quantity * fill.price, fees=fee)


def _close(held: dict[str, _Open], position: _Open, fill: TradeFill) -> ClosedTrade:
    """Take out of `position` what `fill` closes; anything beyond opens the other way."""
    is_whole = abs(fill.quantity) >= abs(position.quantity)
    closing = position.quantity if is_whole else -fill.quantity
    share = closing / position.quantity
    cost = position.cost if is_whole else position.cost * share
    entry_fee = position.fees if is_whole else cash(position.fees * share)
    exit_fee = fill.fee if -closing == fill.quantity else cash(fill.fee * -closing / fill.quantity)
    position.quantity -= closing
    position.cost -= cost
    position.fees -= entry_fee
    rest = fill.quantity + closing
    if is_whole:
        del held[fill.symbol]
    if rest:  # only a whole close leaves a rest
        held[fill.symbol] = _opened_by(fill, rest, fill.fee - exit_fee)
    return ClosedTrade(
        symbol=fill.symbol,
        opened=position.opened,
        closed=fill.session,
        quantity=closing,
        gross_profit=cash(closing * fill.price - cost),
        fees=entry_fee + exit_fee,
    )
