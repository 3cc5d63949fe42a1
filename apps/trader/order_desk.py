"""Drives an order manager against a broker: records first, then asks, then tells the answer.

Belongs here: carrying commands out, in order, and nothing that a restart would miss, since all that
matters is in the ledger. Does not belong here: any decision about an order (`quant.execution`), or
how a vendor is spoken to (`resources.brokers`).
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from quant.core.errors import OrderUnknownError
from quant.execution.broker import Broker, Listing, VenueError, VenueFill, VenueOrder
from quant.execution.commands import (
    Cancel,
    Command,
    Find,
    ManagerPolicy,
    ReadFills,
    Send,
    TakeSnapshot,
)
from quant.execution.event_base import Event
from quant.execution.manager import Answer, OrderManager
from quant.execution.manager_state import ManagerState
from quant.execution.reconcile import VenueView


class EventStore(Protocol):
    """What the desk needs of a ledger: one durable commit."""

    def append_all(self, events: Sequence[Event]) -> object:
        """On disk when this returns, or not recorded at all."""
        ...


class OrderDesk:
    """One book, one venue, one ledger that is open for writing."""

    def __init__(
        self,
        state: ManagerState,
        *,
        broker: Broker,
        ledger: EventStore,
        policy: ManagerPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._monotonic = monotonic
        self.manager = OrderManager(state, policy or ManagerPolicy(), now=monotonic())

    @property
    def now(self) -> float:
        """Seconds that only run forward; a stepped wall clock does not move them."""
        return self._monotonic()

    def run(self) -> int:
        """Record and carry out all that is wanted now, answers included; how many calls it took."""
        calls = 0
        while True:
            step = self.manager.take()
            if step.events:
                self._ledger.append_all(step.events)
            if not step.commands:
                return calls
            for command in step.commands:
                calls += 1
                answer = self._carry_out(command)
                self.manager.settle(command, answer, now=self.now)

    def tick(self) -> int:
        """Let what is due happen."""
        self.manager.on_time(now=self.now)
        return self.run()

    def hear_order(self, report: VenueOrder) -> None:
        """A stream told of an order."""
        self.manager.on_report(report, now=self.now)
        self.run()

    def hear_fill(self, fill: VenueFill) -> None:
        """A stream told of an execution."""
        self.manager.on_fill(fill, now=self.now)
        self.run()

    def _carry_out(self, command: Command) -> Answer:
        """The broker's answer, or its error as a value: the manager weighs both."""
        try:
            match command:
                case Send():
                    return self._broker.submit(command.ticket)
                case Cancel():
                    return self._broker.cancel(command.client_order_id, symbol=command.symbol)
                case Find():
                    return self._broker.find(command.client_order_id, symbol=command.symbol)
                case ReadFills():
                    return self._broker.fills_since(command.since)
                case TakeSnapshot():
                    return self._view(command)
        except VenueError as error:
            return error
        except Exception as error:
            # An adapter that breaks after the socket was written has told us nothing.
            return OrderUnknownError(f"the adapter broke: {error!r}", remedy="look the order up")

    def _view(self, command: TakeSnapshot) -> VenueView:
        fills: Listing[VenueFill] | None = None
        if command.fills_since is not None:
            fills = self._broker.fills_since(command.fills_since)
        return VenueView(
            orders=self._broker.open_orders(),
            positions=self._broker.positions(),
            account=self._broker.account(),
            fills=fills,
        )
