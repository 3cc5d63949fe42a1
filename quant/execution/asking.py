"""Asks the venue, and remembers when: the timers of the order manager, which are no facts.

Belongs here: look-ups, cancels and reads that are due, one at a time for each order, and never
while the venue wants silence. A restart may forget all of it, since that only makes us ask again.
Does not belong here: what an answer means (`hearing`, `sending`).
"""

from dataclasses import dataclass

from quant.execution.commands import Cancel, Find, ManagerPolicy, ReadFills
from quant.execution.order_life import OrderLife
from quant.execution.order_states import OrderState, is_legal
from quant.execution.pacing import Pacing
from quant.execution.recorder import Recorder


@dataclass(slots=True)
class Watch:
    """The timers of one order, in the seconds of the caller's clock."""

    sent_at: float
    asked_at: float
    is_asked: bool = False
    not_found: int = 0
    was_refused: str = ""
    resend_at: float | None = None
    # Since when the venue tells a sum that no execution explains.
    missing_since: float | None = None


class Asking:
    """Who was asked about, and when."""

    def __init__(self, recorder: Recorder, pacing: Pacing, policy: ManagerPolicy) -> None:
        self._recorder = recorder
        self._pacing = pacing
        self._policy = policy
        self._watches: dict[str, Watch] = {}
        self._fills_asked_at: float | None = None

    def start(self, life: OrderLife, now: float) -> Watch:
        """The order leaves now."""
        watch = self._watches[life.order.client_order_id] = Watch(sent_at=now, asked_at=now)
        return watch

    def watch(self, life: OrderLife, now: float) -> Watch:
        """The order's timers; those that were forgotten start now."""
        return self._watches.get(life.order.client_order_id) or self.start(life, now)

    def forget_ended(self) -> None:
        """Drop the timers of orders that have ended."""
        still_open = self._recorder.state.open
        for key in [key for key in self._watches if key not in still_open]:
            del self._watches[key]

    def look_up(self, life: OrderLife, now: float) -> None:
        """Ask what became of an order, unless that is under way or forbidden."""
        watch = self.watch(life, now)
        if not watch.is_asked and self._pacing.may_read(now):
            watch.is_asked, watch.asked_at = True, now
            self._recorder.ask(Find(life.order.client_order_id, life.order.symbol))

    def cancel(self, life: OrderLife, now: float) -> None:
        """Ask for an order's end."""
        self.watch(life, now).asked_at = now
        if self._pacing.may_cancel(now):
            self._recorder.ask(Cancel(life.order.client_order_id, life.order.symbol))

    def fills(self, now: float) -> None:
        """Ask for executions, since a sum was told that none explains."""
        asked_at, since = self._fills_asked_at, self._recorder.state.fills_since()
        is_under_way = asked_at is not None and now - asked_at < self._policy.answer_timeout_s
        if since is not None and not is_under_way and self._pacing.may_read(now):
            self._fills_asked_at = now
            self._recorder.ask(ReadFills(since))

    def fills_answered(self) -> None:
        """They may be asked for again."""
        self._fills_asked_at = None

    def doubt(self, life: OrderLife, reason: str, now: float) -> None:
        """Nobody knows what became of a request: the order counts at its worst case."""
        if life.state is not OrderState.UNKNOWN and is_legal(life.state, OrderState.UNKNOWN):
            self._recorder.move(life, OrderState.UNKNOWN, reason)
        self.look_up(life, now)

    def tend(self, life: OrderLife, now: float) -> None:
        """Ask about an open order when its time has come."""
        watch, policy = self.watch(life, now), self._policy
        waited = now - watch.asked_at
        if watch.is_asked:
            watch.is_asked = waited < policy.answer_timeout_s
        elif life.state is OrderState.SENT:
            if now - watch.sent_at >= policy.answer_timeout_s:
                self.doubt(life, "no answer came", now)
        elif life.cancels and waited >= policy.lookup_every_s:
            self.cancel(life, now)
        elif waited >= self._patience_s(life, watch):
            self.look_up(life, now)

    def _patience_s(self, life: OrderLife, watch: Watch) -> float:
        is_urgent = life.state is OrderState.UNKNOWN or watch.missing_since is not None
        return self._policy.lookup_every_s if is_urgent else self._policy.poll_every_s
