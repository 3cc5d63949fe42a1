"""The client's process: order manager and ledger, and the places at which it can die.

Belongs here: recording before sending, and coming back with what the journal's bytes say. Does not
belong here: when anything happens (`world`), or what the venue answers (`line`).
"""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from typing import Final

from apps.simulation.clock import VirtualClock
from apps.simulation.faults import Fault
from apps.simulation.invariants import Judge, ViolationError
from apps.simulation.line import Line
from apps.simulation.memory_journal import MemoryJournal
from apps.simulation.people import BOOK
from quant.execution.broker import RateLimitedError, VenueFill, VenueOrder
from quant.execution.commands import Command, ManagerPolicy, Surroundings
from quant.execution.event_base import Event
from quant.execution.manager import Answer, OrderManager
from quant.execution.manager_state import ManagerState, state_from

POLICY: Final = ManagerPolicy()
DOWN_S_MAX: Final = 60.0


class Process:
    """One manager after another, all of one journal; `manager` is None while it is down."""

    def __init__(
        self,
        clock: VirtualClock,
        line: Line,
        draw: random.Random,
        around: Callable[[], Surroundings],
        policy: ManagerPolicy = POLICY,
    ) -> None:
        self.journal = MemoryJournal()
        self.judge = Judge(mirror=ManagerState(name=BOOK))
        self.manager: OrderManager | None = None
        self.records = 0
        # The session that a starting process finds open.
        self.session: dt.date | None = None
        self._clock = clock
        self._line = line
        self._draw = draw
        self._around = around
        self._policy = policy
        self._epoch = 0

    def start(self) -> None:
        """All that it knows comes out of the journal's bytes."""
        self._epoch += 1
        state = state_from(self.journal.read(), BOOK)
        if state.state_hash() != self.judge.mirror.state_hash():
            raise ViolationError(11, "the journal folds to another state than its events did")
        self.judge.restarted()
        self.manager = OrderManager(state, self._policy, now=self._clock.now)
        self.offer()

    def offer(self) -> None:
        """Let the manager judge what is wanted, while a session is open."""
        if self.manager is None:
            return
        if self.session is not None:
            self.manager.offer(self.session, self._around(), now=self._clock.now)
        self.pump()

    def tick(self) -> None:
        """Let what is due happen; what waited for the venue's silence to end is offered again."""
        if self.manager is None:
            return
        self.manager.on_time(now=self._clock.now)
        if self.manager.state.pending:
            self.offer()
        else:
            self.pump()

    def pump(self) -> None:
        """Record, then send; each of the places between them can be the last."""
        if self.manager is None:
            return
        step = self.manager.take()
        if step.events:
            if self._line.strikes(Fault.CRASH_BEFORE_RECORD):
                self._crash()
                return
            self.record(step.events, is_own=True)
            if self._line.strikes(Fault.CRASH_AFTER_RECORD):
                self._crash()
                return
        for command in step.commands:
            self.judge.leaves(command, self._clock.now)
            self._line.carry(self._epoch, command)
            if self._line.strikes(Fault.CRASH_BETWEEN_CALLS):
                self._crash()
                return

    def record(self, events: Sequence[Event], *, is_own: bool = False) -> None:
        """One commit of the ledger; what others record the manager is told."""
        clock = self._clock
        for event in self.journal.append_all(events, clock.moment().isoformat()):
            self.records += 1
            if clock.trace is not None:
                clock.trace(f"    record {event.key}")
            self.judge.record(event)
            if not is_own and self.manager is not None:
                self.manager.observe(event)
        self.judge.commit_ended()

    def answered(self, epoch: int, command: Command, answer: Answer) -> None:
        """An answer reaches the process that asked, if it still lives."""
        if self.manager is None or epoch != self._epoch:
            return
        now = self._clock.now
        if isinstance(answer, RateLimitedError) and not answer.stops_reads_only:
            until = now + answer.retry_after_s
            self.judge.told_to_wait(until, is_banned=answer.is_banned, now=now)
        self.manager.settle(command, answer, now=now)
        self.pump()

    def heard(self, message: VenueOrder | VenueFill) -> None:
        """A message of the stream."""
        if self.manager is None:
            return
        if isinstance(message, VenueFill):
            self.manager.on_fill(message, now=self._clock.now)
        else:
            self.manager.on_report(message, now=self._clock.now)
        self.pump()

    def _crash(self) -> None:
        self.manager = None
        self._clock.later(self._draw.uniform(0.1, DOWN_S_MAX), "restart", self.start)
