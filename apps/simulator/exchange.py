"""The venue behind both protocols: accounts, rules, sessions, fills, and what it tells of them.

Belongs here: what a venue decides. Does not belong here: the book (`quant.execution.matching`),
prices in motion (`market`), any protocol, or any fault of transport (`faults`).
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from apps.simulator.instruments import Instrument
from apps.simulator.market import Market
from apps.simulator.records import (
    ZERO,
    RefusalKind,
    SimAccount,
    SimFill,
    SimOrder,
    SimRequest,
    SimStatus,
    VenueRefusal,
)
from quant.core.clock import Clock
from quant.core.errors import DataError
from quant.execution.broker import OrderRejectedError, OrderTicket, TimeInForce
from quant.execution.matching import BookOrder, Execution, Trade
from quant.execution.orders import Side
from quant.execution.venue_rules import require_allowed

# A market buy may cost this much more than the best ask says.
MARKET_BUY_RESERVE: Final = Decimal("1.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueEvent:
    """What happened to an order; `kind` is the new status, or new, or fill."""

    sequence: int
    kind: str
    time: dt.datetime
    order: SimOrder
    fill: SimFill | None = None


Listener = Callable[[VenueEvent], None]


class Exchange:
    """One matching core with any number of instruments and accounts."""

    def __init__(
        self,
        *,
        instruments: Sequence[Instrument],
        accounts: Sequence[SimAccount],
        seed: int,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.seed = seed
        start = clock.now()
        self.markets = {one.symbol: Market(one, seed=seed, start=start) for one in instruments}
        self.accounts = {one.name: one for one in accounts}
        self.is_halted = False
        self.listeners: list[Listener] = []
        self._orders: dict[int, SimOrder] = {}
        self._was_open = {one.symbol: one.is_open(start) for one in instruments}
        self._executions = 0
        self._events = 0

    def advance(self) -> None:
        """Let the time since the last call happen: prices, other people's trades, the bells."""
        now = self.clock.now()
        for symbol, market in self.markets.items():
            is_open = self._is_open(symbol, now)
            if is_open:
                for trade in market.advance(now):
                    self._settle_maker(trade, now)
                self._wake(symbol, now)
            elif self._was_open[symbol]:
                self._close(symbol, now)
            self._was_open[symbol] = is_open

    def submit(self, account: str, request: SimRequest) -> SimOrder:
        """Take an order in, or raise `VenueRefusal`."""
        self.advance()
        return self._take_in(self.accounts[account], request, replaces=None)

    def cancel(self, account: str, order_id: int) -> SimOrder:
        """End an order, or raise `VenueRefusal` when it cannot be ended."""
        self.advance()
        order = self.order(account, order_id)
        if not order.is_open:
            raise VenueRefusal(
                RefusalKind.NOT_CANCELABLE, f"order is already in state {order.status.value}"
            )
        self._finish(order, SimStatus.CANCELED)
        return order

    def replace(self, account: str, order_id: int, request: SimRequest) -> SimOrder:
        """End `order_id` and put a new order in its place that keeps what it has filled."""
        self.advance()
        old = self.order(account, order_id)
        if old.status not in {SimStatus.NEW, SimStatus.PARTIAL}:
            raise VenueRefusal(
                RefusalKind.NOT_CANCELABLE, f"order in state {old.status.value} has no replacement"
            )
        if request.quantity <= old.filled:
            raise VenueRefusal(RefusalKind.BAD_REQUEST, "qty must exceed what is filled")
        left = replace(request, quantity=request.quantity - old.filled)
        self._finish(old, SimStatus.REPLACED)
        new = self._take_in(self.accounts[account], left, replaces=old.order_id)
        old.replaced_by = new.order_id
        return new

    def order(self, account: str, order_id: int) -> SimOrder:
        """An order of that account, or `VenueRefusal`."""
        found = self.accounts[account].orders.get(order_id)
        if found is None:
            raise VenueRefusal(RefusalKind.NOT_FOUND, f"order not found: {order_id}")
        return found

    def force_fill(self, order: SimOrder) -> None:
        """Somebody takes all that is left: what a cancel can be too late for."""
        if order.is_open:
            self.markets[order.request.symbol].book.cancel(str(order.order_id))
            price = order.request.limit or self.markets[order.request.symbol].last_price
            self._fill(order, price, order.left, is_maker=True)

    def _take_in(
        self, account: SimAccount, request: SimRequest, *, replaces: int | None
    ) -> SimOrder:
        now = self.clock.now()
        self._require(account, request)
        order = SimOrder(
            order_id=len(self._orders) + 1,
            account=account.name,
            request=request,
            created_at=now,
            updated_at=now,
            is_triggered=not request.kind.has_stop,
            replaces=replaces,
        )
        order.reserved = self._reserve(account, order)
        self._orders[order.order_id] = account.orders[order.order_id] = order
        account.by_client_id.setdefault(request.client_id, []).append(order.order_id)
        account.open_ids[order.order_id] = None
        if not order.is_triggered or not self._is_open(request.symbol, now):
            order.status = SimStatus.HELD
        self._tell("new", order)
        if order.status is SimStatus.NEW:
            self._match(order)
        return order

    def _require(self, account: SimAccount, request: SimRequest) -> None:
        if account.is_suspended:
            raise VenueRefusal(RefusalKind.SUSPENDED, "trading is suspended for this account")
        market = self.markets.get(request.symbol)
        if market is None or market.instrument.venue != account.name:
            raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"unknown symbol {request.symbol}")
        known = account.find_by_client_id(request.client_id)
        if known is not None and account.id_rule.forbids(is_open=known.is_open):
            raise VenueRefusal(RefusalKind.DUPLICATE_ID, "client id is in use")
        try:
            ticket = OrderTicket(
                client_order_id=request.client_id,
                symbol=request.symbol,
                side=request.side,
                quantity=request.quantity,
                kind=request.kind,
                limit_price=request.limit,
                stop_price=request.stop,
            )
            require_allowed(ticket, market.instrument.rules, reference_price=market.last_price)
        except OrderRejectedError as error:
            raise VenueRefusal(RefusalKind.FILTER, str(error), rule=error.rule) from error
        except DataError as error:
            raise VenueRefusal(RefusalKind.BAD_REQUEST, str(error)) from error

    def _reserve(self, account: SimAccount, order: SimOrder) -> tuple[str, Decimal]:
        request = order.request
        market = self.markets[request.symbol]
        asset, amount = market.instrument.base, request.quantity
        if request.side is Side.BUY:
            best = market.book.best(Side.SELL) or market.last_price
            price = request.limit or (request.stop or best) * MARKET_BUY_RESERVE
            asset, amount = account.cash_asset, request.quantity * price
        elif account.can_short:
            return (asset, ZERO)
        if amount > account.free(asset):
            raise VenueRefusal(
                RefusalKind.NO_FUNDS, f"needs {amount} {asset}, {account.free(asset)} is free"
            )
        return (asset, amount)

    def _match(self, order: SimOrder) -> None:
        """Bring an order to the book, and settle what it meets there."""
        request = order.request
        market = self.markets[request.symbol]
        done = market.submit(
            BookOrder(
                order_id=str(order.order_id),
                owner=order.account,
                side=request.side,
                quantity=order.left,
                limit=request.limit if request.kind.has_limit else None,
                time_in_force=request.time_in_force,
            )
        )
        for trade in done.trades:
            self._fill(order, trade.price, trade.quantity, is_maker=False)
            self._settle_maker(trade, self.clock.now())
        self._after_match(order, done)

    def _after_match(self, order: SimOrder, done: Execution) -> None:
        if not order.is_open or not done.ended:
            return
        is_market = not order.request.kind.has_limit
        is_patient = order.request.time_in_force in {TimeInForce.DAY, TimeInForce.GTC}
        works_on = self.accounts[order.account].works_market_orders
        if is_market and is_patient and works_on and not done.is_self_trade_prevented:
            return  # the next step of the market brings new liquidity
        self._finish(order, SimStatus.EXPIRED)

    def _wake(self, symbol: str, now: dt.datetime) -> None:
        """Stops that the price has reached, orders that waited for the bell, market remainders."""
        for account in self.accounts.values():
            for order in account.open_orders():
                if order.request.symbol != symbol:
                    continue
                if not order.is_triggered and not self._is_reached(order):
                    continue
                if order.status is SimStatus.HELD:
                    order.is_triggered = True
                    order.status = SimStatus.NEW
                    order.updated_at = now
                    self._match(order)
                elif not order.request.kind.has_limit:
                    self._match(order)

    def _is_reached(self, order: SimOrder) -> bool:
        stop, last = order.request.stop, self.markets[order.request.symbol].last_price
        return stop is not None and (last - stop) * order.request.side.sign >= 0

    def _close(self, symbol: str, now: dt.datetime) -> None:
        for account in self.accounts.values():
            for order in account.open_orders():
                is_of_day = order.request.time_in_force is TimeInForce.DAY
                if order.request.symbol == symbol and is_of_day and order.created_at < now:
                    self._finish(order, SimStatus.EXPIRED)

    def _settle_maker(self, trade: Trade, now: dt.datetime) -> None:
        del now
        if trade.maker_id.isdigit():
            self._fill(self._orders[int(trade.maker_id)], trade.price, trade.quantity, True)

    def _fill(self, order: SimOrder, price: Decimal, quantity: Decimal, is_maker: bool) -> None:
        account, now = self.accounts[order.account], self.clock.now()
        instrument, side = self.markets[order.request.symbol].instrument, order.request.side
        notional, tier = price * quantity, account.fee_tier()
        rate = (tier.maker_bps if is_maker else tier.taker_bps) / 10_000
        in_base = instrument.is_crypto and side is Side.BUY
        fee = (quantity if in_base else notional) * rate
        fee_asset = instrument.base if in_base else account.cash_asset
        self._book(account, instrument.base, side.sign * quantity, price)
        account.balances[account.cash_asset] -= side.sign * notional
        account.balances[fee_asset] = account.balance(fee_asset) - fee
        account.volume += notional
        order.filled += quantity
        order.cost += notional
        order.updated_at = now
        order.status = SimStatus.PARTIAL if order.left else SimStatus.FILLED
        asset, amount = order.reserved
        order.reserved = (asset, amount * order.left / (order.left + quantity))
        self._executions += 1
        fill = SimFill(
            execution_id=self._executions,
            order_id=order.order_id,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=is_maker,
            time=now,
            position_after=account.balance(instrument.base),
            cumulative=order.filled,
        )
        order.fills.append(fill)
        account.fills.append(fill)
        if not order.is_open:
            account.open_ids.pop(order.order_id, None)
        self._tell("fill", order, fill)

    def _book(self, account: SimAccount, asset: str, change: Decimal, price: Decimal) -> None:
        """Holdings and their mean entry price."""
        before = account.balance(asset)
        after = before + change
        cost = account.entry_costs.get(asset, price)
        if before * change >= 0 and after != 0:
            cost = (abs(before) * cost + abs(change) * price) / abs(after)
        elif before * after < 0:
            cost = price
        account.balances[asset] = after
        account.entry_costs[asset] = cost

    def _finish(self, order: SimOrder, status: SimStatus) -> None:
        self.markets[order.request.symbol].book.cancel(str(order.order_id))
        order.status = status
        order.updated_at = self.clock.now()
        order.reserved = (order.reserved[0], ZERO)
        self.accounts[order.account].open_ids.pop(order.order_id, None)
        self._tell(status.value, order)

    def _is_open(self, symbol: str, now: dt.datetime) -> bool:
        return not self.is_halted and self.markets[symbol].instrument.is_open(now)

    def _tell(self, kind: str, order: SimOrder, fill: SimFill | None = None) -> None:
        self._events += 1
        event = VenueEvent(
            sequence=self._events, kind=kind, time=self.clock.now(), order=order, fill=fill
        )
        for listener in self.listeners:
            listener(event)
