"""Drives an order manager against a broker: records first, then asks, then tells the answer.

A decision is made and recorded in one turn of the ledger, in which the manager has heard of all
that others recorded before: no order leaves on a mode that a person has changed. Calls to the venue
are made between turns, so that nobody waits for a venue.

Belongs here: carrying commands out, in order, and nothing that a restart would miss, since all that
matters is in the ledger. Does not belong here: any decision about an order (`quant.execution`), or
how a vendor is spoken to (`resources.brokers`).
"""

import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
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
    Surroundings,
    TakeSnapshot,
)
from quant.execution.event_base import Event
from quant.execution.manager import Answer, OrderManager
from quant.execution.manager_state import ManagerState
from quant.execution.reconcile import VenueView


class EventStore(Protocol):
    """What the desk needs of a ledger."""

    def turn(self) -> AbstractContextManager[Sequence[Event]]:
        """Nobody else writes inside; gives what others have recorded since the last turn."""
        ...

    def append_all(self, events: Sequence[Event]) -> object:
        """On disk when this returns, or not recorded at all."""
        ...


class OrderDesk:
    """One book, one venue, one ledger."""

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

    def offer(self, session: dt.date, around: Surroundings) -> int:
        """Judge what is pending for `session` and send what passes."""
        return self.run(lambda: self.manager.offer(session, around, now=self.now))

    def tick(self) -> int:
        """Let what is due happen."""
        return self.run(lambda: self.manager.on_time(now=self.now))

    def end_session(self) -> int:
        """Ask for the end of every order; nothing leaves any more."""
        return self.run(lambda: self.manager.end_session(now=self.now))

    def hear_order(self, report: VenueOrder) -> None:
        """A stream told of an order."""
        self.run(lambda: self.manager.on_report(report, now=self.now))

    def hear_fill(self, fill: VenueFill) -> None:
        """A stream told of an execution."""
        self.run(lambda: self.manager.on_fill(fill, now=self.now))

    def run(self, call: Callable[[], None] = lambda: None) -> int:
        """`call` the manager, then record and carry out all that it wants; how many calls it took.

        Each answer is recorded before the next call is made.
        """
        waiting = deque(self._recorded(call))
        calls = 0
        while waiting:
            command = waiting.popleft()
            answer = self._carry_out(command)
            waiting.extend(self._recorded(partial(self._settle, command, answer)))
            calls += 1
        return calls

    def _settle(self, command: Command, answer: Answer) -> None:
        self.manager.settle(command, answer, now=self.now)

    def _recorded(self, call: Callable[[], None]) -> Sequence[Command]:
        """What is to be done now that all of what `call` decided is on disk."""
        with self._ledger.turn() as told:
            for event in told:
                self.manager.observe(event)
            call()
            step = self.manager.take()
            if step.events:
                self._ledger.append_all(step.events)
        return step.commands

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
