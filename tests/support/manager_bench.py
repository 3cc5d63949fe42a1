"""An order manager on a bench: told what a venue says, asked what it wants."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

from quant.execution import BookPolicy, Event, IntentRecorded, OrderState, PaperCostPolicy, Side
from quant.execution.broker import (
    Listing,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.commands import (
    Cancel,
    Command,
    Find,
    ManagerPolicy,
    Send,
    Surroundings,
    TakeSnapshot,
)
from quant.execution.manager import OrderManager
from quant.execution.manager_state import state_from
from quant.execution.orders import Intent
from quant.execution.reconcile import VenueView
from tests.execution_values import BOOK, POLICY, TUESDAY, at_close, opened, verdict

CommandT = TypeVar("CommandT")


def around(policy: BookPolicy = POLICY, **changes: Any) -> Surroundings:
    return Surroundings(book_policy=policy, costs_of=lambda _symbol: PaperCostPolicy(), **changes)


def account(cash: str = "100000", *, can_trade: bool = True) -> VenueAccount:
    return VenueAccount(
        account_id="a",
        currency="USD",
        cash=Decimal(cash),
        equity=None,
        buying_power=None,
        can_trade=can_trade,
    )


def view(
    *,
    orders: Sequence[VenueOrder] = (),
    positions: dict[str, str] | None = None,
    fills: Sequence[VenueFill] = (),
    **changes: Any,
) -> VenueView:
    held = tuple(
        VenuePosition(symbol=symbol, quantity=Decimal(quantity))
        for symbol, quantity in (positions or {}).items()
    )
    plain: dict[str, Any] = {
        "orders": Listing(rows=tuple(orders)),
        "positions": Listing(rows=held),
        "account": account(),
        "fills": Listing(rows=tuple(fills)),
    }
    return VenueView(**(plain | changes))


class Bench:
    """Keeps every event in order, as a ledger would, and hands commands out by kind."""

    def __init__(self, *wishes: Intent, policy: ManagerPolicy | None = None) -> None:
        self.now = 0.0
        self.policy = policy or ManagerPolicy()
        self.events: list[Event] = [opened(), verdict()]
        self.events += [IntentRecorded(intent=wish) for wish in wishes]
        self.asked: list[Command] = []
        self.manager = self._manager()
        # The first reading of the account agrees with the ledger.
        [first] = self.take(TakeSnapshot)
        self.settle(first, view())

    def _manager(self) -> OrderManager:
        return OrderManager(state_from(self.events, BOOK), self.policy, now=self.now)

    def restart(self) -> None:
        """The process died: a new manager knows what the ledger knows."""
        self.asked = []
        self.manager = self._manager()

    def take(self, kind: type[CommandT]) -> list[CommandT]:
        """Commands of one kind that nobody took yet; events are recorded on the way."""
        step = self.manager.take()
        self.events += step.events
        self.asked += step.commands
        found = [one for one in self.asked if isinstance(one, kind)]
        self.asked = [one for one in self.asked if not isinstance(one, kind)]
        return found

    def record(self, event: Event) -> None:
        self.events.append(event)
        self.manager.observe(event)

    def offer(self, session: dt.date = TUESDAY, **changes: Any) -> list[Send]:
        self.manager.offer(session, around(**changes), now=self.now)
        return self.take(Send)

    def settle(self, command: Any, answer: Any) -> None:
        self.manager.settle(command, answer, now=self.now)
        self.take(type(None))

    def wait(self, seconds: float, *, step: float = 1.0) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.manager.on_time(now=self.now)
            self.take(type(None))

    def of_kind(self, kind: type[CommandT]) -> list[CommandT]:
        self.take(type(None))
        return [event for event in self.events if isinstance(event, kind)]

    def state_of(self, send: Send) -> OrderState:
        return self.manager.state.lives[send.order.client_order_id].state

    def finds(self) -> list[Find]:
        return self.take(Find)

    def cancels(self) -> list[Cancel]:
        return self.take(Cancel)


def told(
    send: Send,
    state: OrderState = OrderState.WORKING,
    *,
    filled: str = "0",
    price: str | None = None,
    **changes: Any,
) -> VenueOrder:
    order = send.order
    plain: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "venue_order_id": "v-" + order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "filled_quantity": Decimal(filled),
        "state": state,
        "average_price": None if price is None else Decimal(price),
    }
    return VenueOrder(**(plain | changes))


def execution(
    send: Send,
    quantity: str,
    *,
    price: str = "100",
    name: str = "e1",
    fee: str | None = "0.10",
    **changes: Any,
) -> VenueFill:
    order = send.order
    plain: dict[str, Any] = {
        "execution_id": name,
        "client_order_id": order.client_order_id,
        "venue_order_id": "v-" + order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": Decimal(quantity),
        "price": Decimal(price),
        "fee_amount": None if fee is None else Decimal(fee),
        "fee_currency": "USD",
        "event_time": at_close(TUESDAY),
    }
    return VenueFill(**(plain | changes))


def opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
