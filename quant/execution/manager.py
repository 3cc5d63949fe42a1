"""The order manager: what happened goes in, what to record and what to ask the venue comes out.

Belongs here: the calls of whoever drives it, and what each of them sets in motion. Pure: no clock,
no disk, no network. Time is a number of seconds that only runs forward, told by the caller. Does
not belong here: carrying commands out (`apps.trader.order_desk`), judging an intent (`gates`),
sendings (`sending`), what a venue tells (`hearing`), or when it is asked (`asking`).

The contract with whoever drives it: after any call, `take()` gives events and commands. The events
are recorded durably first, then the commands are carried out and each answer, a value of the broker
port or one of its errors, is handed to `settle`; so an intent and an order are on disk before
anything leaves. When recording fails, this manager is thrown away and a new one is made from the
ledger: its state is a fold over recorded events.
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from quant.execution.account_check import AccountCheck
from quant.execution.admission import desk_of
from quant.execution.asking import Asking
from quant.execution.broker import (
    Listing,
    OrderNotFoundError,
    RateLimitedError,
    VenueFill,
    VenueOrder,
)
from quant.execution.broker_events import Breaker, CancelRequested, ReplaceRequested
from quant.execution.commands import (
    Cancel,
    Command,
    Find,
    ManagerPolicy,
    ReadFills,
    Send,
    Step,
    Surroundings,
    TakeSnapshot,
)
from quant.execution.event_base import Event
from quant.execution.events import Mode, RefusalRecorded
from quant.execution.gates import admit, is_reducing
from quant.execution.hearing import Hearing
from quant.execution.manager_state import ManagerState
from quant.execution.order_life import ZERO, OrderLife
from quant.execution.order_states import OrderState
from quant.execution.pacing import Pacing
from quant.execution.reconcile import UNREADABLE, VenueView
from quant.execution.recorder import Recorder
from quant.execution.sending import Sending

__all__ = ["Answer", "OrderManager"]

Answer = VenueOrder | Listing[VenueFill] | VenueView | Exception


class OrderManager:
    """One book at one venue."""

    def __init__(self, state: ManagerState, policy: ManagerPolicy, *, now: float) -> None:
        self.state = state
        self.policy = policy
        self._recorder = Recorder(state)
        self._hearing = Hearing(self._recorder, untold_fee_bps=policy.untold_fee_bps)
        self._pacing = Pacing(self._recorder, auth_failures_max=policy.auth_failures_max, now=now)
        self._asking = Asking(self._recorder, self._pacing, policy)
        self._sending = Sending(self._recorder, self._asking, self._pacing, policy)
        self._account = AccountCheck(self._recorder, self._pacing, policy)
        self._resume(now)

    @property
    def mode(self) -> Mode:
        """What the book may send now."""
        return self.state.control.mode(self.state.name)

    @property
    def open_session(self) -> dt.date | None:
        """The session whose orders may leave; None between sessions."""
        return self._sending.open_session

    @property
    def has_read_account(self) -> bool:
        """Whether the whole account was read since this manager began."""
        return self._account.has_read

    def take(self) -> Step:
        """Hand over what has gathered since the last call."""
        return self._recorder.take()

    def observe(self, event: Event) -> None:
        """Note an event that somebody else recorded, such as an intent or a change of mode."""
        self.state.take(event)

    # What a person or a strategy wants

    def offer(self, session: dt.date, around: Surroundings, *, now: float) -> None:
        """Judge every pending intent for `session`, refuse or send it; a repeat changes nothing.

        While the venue wants silence nothing is judged: offer again.
        """
        self._sending.open_session = session
        state = self.state
        pending = [one for one in state.pending.values() if one.valid_session <= session]
        if not pending or state.book is None or self._pacing.is_quiet(now):
            return
        orders, refusals = admit(pending, desk_of(state, session, around))
        for refusal in refusals:
            self._recorder.record(RefusalRecorded(refusal=refusal))
        for order in orders:
            self._sending.first(order, now)

    def end_session(self, *, now: float) -> None:
        """Nothing is sent any more; what is open shall end."""
        self._sending.open_session = None
        self._cancel_all("the session ends", now)

    def cancel(self, client_order_id: str, *, reason: str, now: float) -> None:
        """Ask for the end of an order, once; the venue's report is what ends it."""
        life = self.state.open.get(client_order_id)
        if life is None or life.cancels:
            return
        self._recorder.record(
            CancelRequested(
                book=self.state.name,
                decision_id=life.order.decision_id,
                client_order_id=client_order_id,
                number=life.cancels + 1,
                reason=reason,
            )
        )
        self._asking.cancel(life, now)

    def replace(
        self,
        client_order_id: str,
        *,
        quantity: Decimal,
        reason: str,
        now: float,
        limit_price: Decimal | None = None,
    ) -> None:
        """End an order and send another for what is then missing of `quantity`, fills included.

        The second leaves only when the venue has said how the first ended, so the two never live
        side by side and their fills never exceed the intent.
        """
        life = self.state.open.get(client_order_id)
        if life is None:
            return
        allowed = life.order.quantity + self._sending.filled_before(life.order)
        self._recorder.record(
            ReplaceRequested(
                book=self.state.name,
                decision_id=life.order.decision_id,
                client_order_id=client_order_id,
                number=life.replacements + 1,
                quantity=min(quantity, allowed),
                limit_price=limit_price,
                reason=reason,
            )
        )
        self.cancel(client_order_id, reason=f"replaced: {reason}", now=now)

    # What the venue says

    def on_report(self, report: VenueOrder, *, now: float) -> None:
        """The venue told of an order by itself."""
        life = self.state.lives.get(report.client_order_id)
        if life is not None:  # not ours: reconciliation shows it, and nobody owns it
            self._hear(life, report, now, is_asked=False)

    def on_fill(self, told: VenueFill, *, now: float) -> None:
        """The venue told of a trade."""
        life = self.state.lives.get(told.client_order_id)
        if life is None:
            return
        if not self._hearing.execution(life, told):
            self._asking.look_up(life, now)
        self._sending.follow(life, now)

    def settle(self, command: Command, answer: Answer, *, now: float) -> None:
        """A command was carried out, or failed with one of the broker port's errors."""
        if isinstance(answer, Exception):
            self._pacing.weigh(answer, now)
        else:
            self._pacing.answered()
        match command:
            case Send():
                self._settle_send(command, answer, now)
            case Find():
                self._settle_find(command, answer, now)
            case Cancel():
                self._settle_cancel(command, answer, now)
            case ReadFills():
                self._asking.fills_answered()
                if isinstance(answer, Listing):
                    self._hear_fills(answer, now)
            case TakeSnapshot() if _is_put_off(answer):
                self._account.put_off()
            case TakeSnapshot():
                view = answer if isinstance(answer, VenueView) else UNREADABLE
                self._settle_snapshot(view, now)

    def compare(
        self, view: VenueView, strategy_view: Mapping[tuple[str, str], Decimal] | None = None
    ) -> tuple[str, ...]:
        """Hold what does not agree between venue, ledger and strategies; ids worth looking up."""
        return self._account.compare(view, self._hearing.moved, strategy_view)

    # What time brings

    def on_time(self, *, now: float) -> None:
        """Let what is due happen: time-outs, look-ups, second sendings, the next snapshot."""
        self._obey_mode(now)
        for life in list(self.state.open.values()):
            if not self._sending.is_waiting(life, now):
                self._asking.tend(life, now)
        self._asking.forget_ended()
        if self._account.is_due(now):
            self.ask_snapshot(now=now)

    def ask_snapshot(self, *, now: float) -> None:
        """Read the account now, unless that is under way or forbidden."""
        if self._account.ask(now):
            self._hearing.moved = set()

    def _resume(self, now: float) -> None:
        """What was sent and not answered when a process ended is looked up, never sent again."""
        for life in list(self.state.open.values()):
            self._asking.start(life, now)
            if life.state is OrderState.SENT:
                self._asking.doubt(life, "the process ended before an answer", now)
            else:
                self._asking.look_up(life, now)
        self.ask_snapshot(now=now)

    def _obey_mode(self, now: float) -> None:
        """Orders that were sent before the mode changed: those that it forbids shall end."""
        if self.mode is Mode.EMERGENCY:
            self._cancel_all("emergency", now)
        elif self.mode is Mode.REDUCE:
            for life in list(self.state.open.values()):
                if life.rest and not is_reducing(self._held(life.order.symbol), life.signed_rest):
                    key = life.order.client_order_id
                    self.cancel(key, reason="the book only reduces", now=now)

    def _held(self, symbol: str) -> Decimal:
        return ZERO if self.state.book is None else self.state.book.quantity(symbol)

    def _cancel_all(self, reason: str, now: float) -> None:
        for client_order_id in list(self.state.open):
            self.cancel(client_order_id, reason=reason, now=now)

    # Answers

    def _settle_send(self, command: Send, answer: Answer, now: float) -> None:
        if isinstance(answer, VenueOrder):
            life = self.state.lives[command.order.client_order_id]
            self._hear(life, answer, now, is_asked=False)
        else:
            self._sending.failed(command, answer, now)

    def _settle_find(self, command: Find, answer: Answer, now: float) -> None:
        life = self.state.lives[command.client_order_id]
        watch = self._asking.watch(life, now)
        watch.is_asked = False
        if isinstance(answer, VenueOrder):
            watch.not_found = 0
            self._hear(life, answer, now, is_asked=True)
        elif isinstance(answer, OrderNotFoundError) and life.is_open:
            self._sending.not_found(life, watch, now)

    def _settle_cancel(self, command: Cancel, answer: Answer, now: float) -> None:
        life = self.state.lives[command.client_order_id]
        if isinstance(answer, VenueOrder):
            self._hear(life, answer, now, is_asked=True)
        elif life.is_open:
            # What became of the order is asked and never guessed.
            self._asking.look_up(life, now)

    def _settle_snapshot(self, view: VenueView, now: float) -> None:
        self._account.answered(view, now)
        if view.fills is not None:
            self._hear_fills(view.fills, now)
        for report in view.orders.rows if view.orders is not None else ():
            life = self.state.lives.get(report.client_order_id)
            if life is not None and life.is_open:
                self._hear(life, report, now, is_asked=False)
        if view.account is not None and not view.account.can_trade:
            self._pacing.halt(Breaker.VENUE_FATAL, "the venue says that the account may not trade")
        for client_order_id in self.compare(view):
            self._asking.look_up(self.state.lives[client_order_id], now)

    def _hear(self, life: OrderLife, report: VenueOrder, now: float, *, is_asked: bool) -> None:
        watch = self._asking.watch(life, now)
        since = watch.missing_since
        may_infer = is_asked and since is not None and now - since >= self.policy.infer_after_s
        if self._hearing.report(life, report, may_infer=may_infer):
            watch.missing_since = now if since is None else since
            self._asking.fills(now)
        else:
            watch.missing_since = None
        self._sending.follow(life, now)

    def _hear_fills(self, told: Listing[VenueFill], now: float) -> None:
        """Listings repeat themselves; most of one has been heard."""
        lives = self.state.lives
        for fill in told.rows:
            life = lives.get(fill.client_order_id)
            if life is not None and fill.execution_id not in life.executions:
                self.on_fill(fill, now=now)


def _is_put_off(answer: Answer) -> bool:
    """Whether our own budget kept a reading back, which says nothing of the account."""
    return isinstance(answer, RateLimitedError) and answer.stops_reads_only
