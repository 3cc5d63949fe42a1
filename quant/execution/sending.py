"""Sends an order once, and again only on proof that nothing of it is at the venue.

Belongs here: first and second sendings, refusals, absences, the order that replaces another. Does
not belong here: which intents become orders (`gates`), or when the venue is asked (`asking`).
"""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from quant.core.identity import client_order_id as derive_order_id
from quant.execution.asking import Asking, Watch
from quant.execution.broker import (
    OrderRejectedError,
    OrderUnknownError,
    VenueAuthError,
    VenueUnavailableError,
)
from quant.execution.broker_events import Alarm
from quant.execution.commands import ManagerPolicy, Send
from quant.execution.events import EVERY_BOOK, Mode, OrderSent, RefusalRecorded
from quant.execution.order_life import ZERO, OrderLife
from quant.execution.order_states import UNANSWERED_STATES, OrderState
from quant.execution.orders import Order, Refusal, trace_of
from quant.execution.pacing import Pacing
from quant.execution.recorder import Recorder


class Sending:
    """Sends for one book; `open_session` is the only session whose orders may leave."""

    def __init__(
        self, recorder: Recorder, asking: Asking, pacing: Pacing, policy: ManagerPolicy
    ) -> None:
        self.open_session: dt.date | None = None
        self._recorder = recorder
        self._state = recorder.state
        self._asking = asking
        self._pacing = pacing
        self._policy = policy

    def first(self, order: Order, now: float) -> None:
        """Record an order and let it leave."""
        if order.client_order_id in self._state.lives:
            return  # sent before: an id is sent once, and again only on proof that it never came
        self._recorder.record(OrderSent(order=order))
        watch = self._asking.start(self._state.lives[order.client_order_id], now)
        if self._pacing.is_quiet(now):
            watch.resend_at = self._pacing.quiet_until
        else:
            self._recorder.ask(Send(order, 1, self._policy.time_in_force))

    def failed(self, command: Send, error: object, now: float) -> None:
        """A sending brought no order."""
        life = self._state.lives[command.order.client_order_id]
        # An older sending's failure says nothing of a later one, nor of an order that is known.
        if command.number != life.sends or life.state not in UNANSWERED_STATES:
            return
        match error:
            case VenueUnavailableError():
                watch = self._asking.watch(life, now)
                watch.resend_at = max(now + self._policy.lookup_every_s, self._pacing.quiet_until)
            case OrderRejectedError() | VenueAuthError():
                self._refused(life, error, now)
            case OrderUnknownError():
                self._asking.doubt(life, str(error), now)
            case _:
                self._asking.doubt(life, f"an answer that says nothing: {error!r}", now)

    def is_waiting(self, life: OrderLife, now: float) -> bool:
        """Whether the order waits to leave again; it does when its time has come."""
        watch = self._asking.watch(life, now)
        if life.state not in UNANSWERED_STATES:
            # The venue has spoken of it after all: a confirmed order cancels its second sending.
            watch.resend_at = None
        if watch.resend_at is None:
            return False
        if now >= watch.resend_at and not self._pacing.is_quiet(now):
            watch.resend_at = None
            self._again(life, "nothing had left", now)
        return True

    def not_found(self, life: OrderLife, watch: Watch, now: float) -> None:
        """The venue has no such order now, which proves something only after the grace time."""
        watch.not_found += 1
        is_proof = (
            now - watch.sent_at >= self._policy.grace_s
            and watch.not_found >= self._policy.not_found_min
        )
        if not is_proof:
            return
        if life.state in UNANSWERED_STATES and not life.filled and not life.venue_order_id:
            if watch.was_refused:
                self._recorder.move(life, OrderState.REJECTED, watch.was_refused)
            elif not self._pacing.is_quiet(now):
                # An answer that was slow can come after a later one has asked for silence; the
                # order is looked up again when that is over.
                self._again(life, "the venue never got it", now)
            return
        # It was there once. Nothing is concluded: it stays open, at its worst case.
        key = life.order.client_order_id
        what = f"order {key} was at the venue and cannot be found"
        self._recorder.alarm(Alarm.VANISHED, key, life.order.symbol, what)

    def follow(self, life: OrderLife, now: float) -> None:
        """Send the order that replaces an ended one, for what is missing of the two together.

        What the first order was allowed, the second may not be any more: a reason against it is
        recorded as a refusal of the decision, and the decision ends with what it has.
        """
        wish, order = life.replacement, life.order
        if wish is None or life.is_open:
            return
        missing = wish.quantity - self.filled_before(order) - life.filled
        attempt = order.attempt + 1
        key = derive_order_id(book=order.book, decision=order.decision_id, attempt=attempt)
        if missing <= 0 or key in self._state.lives:
            return
        if objection := self._against(order):
            gate, reason = objection
            words = f"the order that was to replace {order.client_order_id} stays: {reason}"
            numbers = {"missing": str(missing), "attempt": str(attempt)}
            refusal = Refusal(**trace_of(order), gate=gate, reason=words, numbers=numbers)
            self._recorder.record(RefusalRecorded(refusal=refusal))
            return
        follower = replace(
            order,
            client_order_id=key,
            quantity=missing,
            limit_price=wish.limit_price,
            attempt=attempt,
        )
        self.first(follower, now)

    def _against(self, order: Order) -> tuple[str, str] | None:
        """Gate and reason that keep a second order of a decision from leaving, or nothing."""
        state = self._state
        if order.valid_session != self.open_session:
            return "window", f"session {order.valid_session} is not open"
        mode = state.control.mode(state.name)
        if mode is not Mode.NORMAL:
            return "mode", f"the book is in mode {mode}"
        for scope in (EVERY_BOOK, order.symbol):
            if scope in state.held:
                return "reconciliation", f"held: {state.held[scope]}"
        for other in state.open_in(order.symbol):
            if other.state is OrderState.UNKNOWN and other.order.decision_id != order.decision_id:
                return "unknown", f"order {other.order.client_order_id} is unknown"
        return None

    def filled_before(self, order: Order) -> Decimal:
        """What earlier orders of the same intent have filled."""
        keys = (
            derive_order_id(book=order.book, decision=order.decision_id, attempt=attempt)
            for attempt in range(order.attempt)
        )
        lives = (self._state.lives[key] for key in keys if key in self._state.lives)
        return sum((life.filled for life in lives), start=ZERO)

    def _again(self, life: OrderLife, why: str, now: float) -> None:
        objection = self._against(life.order)
        if life.sends >= self._policy.sends_max or life.cancels or objection:
            why = objection[1] if objection else why
            self._recorder.move(life, OrderState.REJECTED, f"never at the venue: {why}")
            return
        self._recorder.move(life, OrderState.SENT, f"sent again: {why}")
        self._asking.start(life, now)
        self._recorder.ask(Send(life.order, life.sends, self._policy.time_in_force))

    def _refused(self, life: OrderLife, error: Exception, now: float) -> None:
        if life.sends == 1:
            self._recorder.move(life, OrderState.REJECTED, str(error))
            return
        # The first sending may be what made the second one wrong (its cash is spent), so this
        # refusal alone does not say that the venue has nothing.
        self._asking.watch(life, now).was_refused = str(error)
        self._asking.doubt(life, str(error), now)
