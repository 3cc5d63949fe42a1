"""The order manager: what happened goes in, what to record and what to ask the venue comes out.

Belongs here: submit once, monitor, cancel, replace, reconcile; every decision about an order's
life. Pure: no clock, no disk, no network. Time is a number of seconds that only runs forward, told
by the caller. Does not belong here: carrying commands out (`apps.trader.order_desk`), judging an
intent (`gates`), or comparing accounts (`reconcile`).

The contract with whoever drives it: after any call, `take()` gives events and commands. The events
are recorded durably first, then the commands are carried out; so an intent and an order are on disk
before anything leaves. When recording fails, this manager is thrown away and a new one is made from
the ledger: its state is a fold over recorded events and never ahead of them for long.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from quant.core.identity import client_order_id as derive_order_id
from quant.core.money import cash as to_cents
from quant.core.policy import Policy
from quant.execution.book import BookPolicy
from quant.execution.broker import Execution, Failure, OrderReport, Trouble, VenueRules
from quant.execution.broker import VenueSnapshot as Snapshot
from quant.execution.broker_events import (
    Alarm,
    AlarmRaised,
    Breaker,
    BreakerChanged,
    CancelRequested,
    FillReversed,
    ReconciliationRecorded,
    ReplaceRequested,
)
from quant.execution.event_base import Event
from quant.execution.events import (
    FillRecorded,
    Mode,
    OrderSent,
    OrderStateChanged,
    RefusalRecorded,
)
from quant.execution.gates import CostsOf, Desk, admit
from quant.execution.limits import LimitData, TradeLimitsPolicy
from quant.execution.manager_state import ManagerState
from quant.execution.order_life import ZERO, Inferred, OrderLife
from quant.execution.order_states import VENUE_STATES, OrderState, is_legal
from quant.execution.orders import Fill, Intent, Order, execution_fill_id, trace_of
from quant.execution.reconcile import reconcile


class ManagerPolicy(Policy):
    """When the manager asks again, and when it believes an absence; all in seconds."""

    # A request that got no answer for so long is unknown.
    answer_timeout_s: float = 10.0
    # Venues were seen to need up to 30 s before a new order can be found, and a request may be on
    # its way for its receive window; within this time "not found" proves nothing.
    grace_s: float = 90.0
    lookup_every_s: float = 5.0
    # A stream may be silent while its socket is open: open orders are asked for so often.
    poll_every_s: float = 60.0
    snapshot_every_s: float = 300.0
    not_found_min: int = 2
    sends_max: int = 3
    auth_failures_max: int = 2
    cash_tolerance: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Hand this order to the venue; `number` counts its sendings."""

    order: Order
    number: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to end an order."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Find:
    """Look an order up by its id."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Read the whole account."""


Command = Send | Cancel | Find | TakeSnapshot


@dataclass(slots=True)
class Step:
    """What to record, all in one commit, and what to do when that is on disk."""

    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the gates need that no event tells."""

    book_policy: BookPolicy
    costs_of: CostsOf
    rules_of: Callable[[str], VenueRules] | None = None
    limits: TradeLimitsPolicy = field(default_factory=TradeLimitsPolicy)
    limit_data: LimitData | None = None
    splits: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(slots=True)
class _Watch:
    """When an order was last asked about; lost in a restart, which only makes us ask again."""

    sent_at: float
    asked_at: float
    is_asked: bool = False
    not_found: int = 0
    was_refused: str = ""
    resend_at: float | None = None


_UNANSWERED: Final = frozenset({OrderState.SENT, OrderState.UNKNOWN})


class OrderManager:
    """One book at one venue."""

    def __init__(self, state: ManagerState, policy: ManagerPolicy, *, now: float) -> None:
        self.state = state
        self.policy = policy
        self.open_session: dt.date | None = None
        self._step = Step()
        self._watches: dict[str, _Watch] = {}
        self._quiet_until = now
        self._is_banned = False
        self._auth_failures = 0
        self._moved_since: set[str] = set()
        self._snapshot_asked_at: float | None = None
        self._snapshot_done_at = float("-inf")
        self._resume(now)

    # What the driver calls

    def take(self) -> Step:
        """Hand over what has gathered since the last call."""
        step, self._step = self._step, Step()
        return step

    def observe(self, event: Event) -> None:
        """Note an event that somebody else recorded, such as an intent or a change of mode."""
        self.state.take(event)

    def offer(self, session: dt.date, around: Surroundings, *, now: float) -> None:
        """Judge every pending intent for `session`, refuse or send it; a repeat changes nothing."""
        self.open_session = session
        state = self.state
        pending = [one for one in state.pending.values() if one.valid_session <= session]
        if not pending or state.book is None:
            return
        orders, refusals = admit(pending, self._desk(session, around))
        for refusal in refusals:
            self._record(RefusalRecorded(refusal=refusal))
        for order in orders:
            self._send_first(order, now)

    def end_session(self, *, now: float) -> None:
        """Nothing is sent any more; what is open shall end."""
        self.open_session = None
        for client_order_id in list(self.state.open):
            self.cancel(client_order_id, reason="the session ends", now=now)

    def cancel(self, client_order_id: str, *, reason: str, now: float) -> None:
        """Ask for the end of an order, once; the venue's report is what ends it."""
        life = self.state.open.get(client_order_id)
        if life is None or life.cancels:
            return
        self._record(
            CancelRequested(
                book=self.state.name,
                decision_id=life.order.decision_id,
                client_order_id=client_order_id,
                number=life.cancels + 1,
                reason=reason,
            )
        )
        self._ask_cancel(life, now)

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
        self._record(
            ReplaceRequested(
                book=self.state.name,
                decision_id=life.order.decision_id,
                client_order_id=client_order_id,
                number=life.replacements + 1,
                quantity=min(quantity, life.order.quantity),
                limit_price=limit_price,
                reason=reason,
            )
        )
        self.cancel(client_order_id, reason=f"replaced: {reason}", now=now)

    def on_report(self, report: OrderReport, *, now: float) -> None:
        """The venue told of an order, by itself or as the answer to a sending."""
        life = self.state.lives.get(report.client_order_id)
        if life is None:
            return  # not ours: reconciliation shows it, and nobody owns it
        self._auth_failures = 0
        self._hear(life, report, now, is_whole=False)

    def on_execution(self, execution: Execution, *, now: float) -> None:
        """The venue told of a trade."""
        life = self.state.lives.get(execution.client_order_id)
        if life is not None:
            self._execute(life, execution, now)
            self._replace_if_ended(life, now)

    def on_send_failed(
        self, client_order_id: str, number: int, failure: Failure, *, now: float
    ) -> None:
        """A sending brought no order."""
        life = self.state.lives[client_order_id]
        self._weigh(failure, now)
        # An older sending's failure says nothing of a later one, nor of an order that is known.
        if number != life.sends or life.state not in _UNANSWERED:
            return
        match failure.trouble:
            case Trouble.NOTHING_SENT | Trouble.RATE_LIMITED:
                watch = self._watch(life, now)
                watch.resend_at = max(now + self.policy.lookup_every_s, self._quiet_until)
            case Trouble.REJECTED | Trouble.AUTH | Trouble.FATAL:
                self._refused(life, failure, now)
            case _:
                self._doubt(life, failure.reason or failure.trouble, now)

    def on_found(self, client_order_id: str, report: OrderReport | None, *, now: float) -> None:
        """A look-up was answered; None is what the venue has under that id at this moment."""
        life = self.state.lives[client_order_id]
        watch = self._watch(life, now)
        watch.is_asked = False
        self._auth_failures = 0
        if report is not None:
            watch.not_found = 0
            self._hear(life, report, now, is_whole=True)
        elif life.is_open:
            watch.not_found += 1
            self._missing(life, watch, now)

    def on_find_failed(self, client_order_id: str, failure: Failure, *, now: float) -> None:
        """A look-up brought nothing: nothing is known, and nothing changes."""
        self._watch(self.state.lives[client_order_id], now).is_asked = False
        self._weigh(failure, now)

    def on_cancel_answered(
        self, client_order_id: str, failure: Failure | None, *, now: float
    ) -> None:
        """Accepted or not, what became of the order is asked and never guessed."""
        life = self.state.lives[client_order_id]
        if failure is not None:
            self._weigh(failure, now)
        if life.is_open:
            self._ask(life, now)

    def on_snapshot(
        self,
        snapshot: Snapshot,
        *,
        now: float,
        strategy_view: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> None:
        """Compare venue, ledger and strategies; hold what does not agree, look up what may."""
        moved, self._moved_since = self._moved_since, set()
        self._snapshot_asked_at = None
        self._snapshot_done_at = now
        if snapshot.orders is not None:
            for report in snapshot.orders:
                life = self.state.lives.get(report.client_order_id)
                if life is not None and life.is_open:
                    self._hear(life, report, now, is_whole=False)
        found = reconcile(
            self.state,
            snapshot,
            moved=moved | self._moved_since,
            strategy_view=strategy_view,
            cash_tolerance=self.policy.cash_tolerance,
        )
        for orphan in found.orphans:
            what = f"{orphan.side} {orphan.quantity} {orphan.symbol} is in no ledger of ours"
            self._alarm(Alarm.ORPHAN_ORDER, orphan.client_order_id, orphan.symbol, what)
        for venue_id, what in found.external.items():
            self._alarm(Alarm.EXTERNAL_ORDER, venue_id, "", what)
        state = self.state
        before = (state.is_readable, state.held, state.external)
        if before != (found.is_readable, dict(found.held), dict(found.external)):
            self._record(
                ReconciliationRecorded(
                    book=state.name,
                    sequence=state.reconciliations + 1,
                    is_readable=found.is_readable,
                    held=found.held,
                    external=found.external,
                )
            )
        for client_order_id in found.lookups:
            self._ask(state.lives[client_order_id], now)

    def on_snapshot_failed(self, failure: Failure, *, now: float) -> None:
        """The account could not be read: everything is held until it can be."""
        self._weigh(failure, now)
        self.on_snapshot(Snapshot(orders=None, positions=None), now=now)
        # Sooner than usual: until then nothing is sent.
        self._snapshot_done_at = now - self.policy.snapshot_every_s + self.policy.lookup_every_s

    def on_time(self, *, now: float) -> None:
        """Let what is due happen: time-outs, look-ups, second sendings, the next snapshot."""
        if self._is_banned and now >= self._quiet_until:
            self._is_banned = False
        if self.mode is Mode.EMERGENCY:
            for client_order_id in list(self.state.open):
                self.cancel(client_order_id, reason="emergency", now=now)
        for life in list(self.state.open.values()):
            self._tend(life, now)
        if self._snapshot_asked_at is None:
            if now - self._snapshot_done_at >= self.policy.snapshot_every_s:
                self.ask_snapshot(now=now)
        elif now - self._snapshot_asked_at >= 3 * self.policy.answer_timeout_s:
            self._snapshot_asked_at = None

    def ask_snapshot(self, *, now: float) -> None:
        """Read the account now, unless that is under way or forbidden."""
        if self._snapshot_asked_at is None and not self._is_quiet(now):
            self._snapshot_asked_at = now
            self._moved_since = set()
            self._step.commands.append(TakeSnapshot())

    @property
    def mode(self) -> Mode:
        """What the book may send now."""
        return self.state.control.mode(self.state.name)

    @property
    def is_settled(self) -> bool:
        """Whether every order has ended and the account was matched."""
        return not self.state.open and self.state.is_readable

    # Sending

    def _desk(self, session: dt.date, around: Surroundings) -> Desk:
        state = self.state
        assert state.book is not None
        unknown, working = [], []
        for life in state.open.values():
            if life.rest:
                doubted = life.state in _UNANSWERED
                rest = replace(life.order, quantity=life.rest)
                (unknown if doubted else working).append(rest)
        held = state.held
        if not state.is_readable:
            held = {"*": "the venue could not be read", **held}
        return Desk(
            session=session,
            book=state.book,
            mode=self.mode,
            verdict=state.verdict,
            policy=around.book_policy,
            costs_of=around.costs_of,
            unknown=tuple(unknown),
            working=tuple(working),
            held=held,
            breakers=state.control.tripped(state.name),
            rules_of=around.rules_of,
            limits=around.limits,
            limit_data=around.limit_data,
            trades_today=state.sent_in[session],
            sales_free_cash=False,
            splits=around.splits,
        )

    def _send_first(self, order: Order, now: float) -> None:
        if order.client_order_id in self.state.lives:
            return  # sent before: an id is sent once, and again only on proof that it never came
        self._record(OrderSent(order=order))
        self._watches[order.client_order_id] = _Watch(sent_at=now, asked_at=now)
        self._step.commands.append(Send(order, 1))

    def _may_send(self, life: OrderLife) -> bool:
        in_window = life.order.valid_session == self.open_session
        return in_window and self.mode is Mode.NORMAL and not life.cancels

    def _send_again(self, life: OrderLife, why: str, now: float) -> None:
        """Under the same id, only on proof that nothing of it is at the venue."""
        if life.sends >= self.policy.sends_max or not self._may_send(life):
            self._move(life, OrderState.REJECTED, f"never at the venue: {why}")
            return
        self._move(life, OrderState.SENT, f"sent again: {why}")
        self._watches[life.order.client_order_id] = _Watch(sent_at=now, asked_at=now)
        self._step.commands.append(Send(life.order, life.sends))

    def _refused(self, life: OrderLife, failure: Failure, now: float) -> None:
        if life.sends == 1:
            self._move(life, OrderState.REJECTED, failure.reason or failure.trouble)
            return
        # The first sending may be what made the second one wrong (its cash is spent), so this
        # refusal alone does not say that the venue has nothing.
        self._watch(life, now).was_refused = failure.reason or failure.trouble
        self._doubt(life, failure.reason, now)

    def _doubt(self, life: OrderLife, reason: str, now: float) -> None:
        if life.state is not OrderState.UNKNOWN and is_legal(life.state, OrderState.UNKNOWN):
            self._move(life, OrderState.UNKNOWN, reason)
        self._ask(life, now)

    # Watching

    def _tend(self, life: OrderLife, now: float) -> None:
        watch = self._watch(life, now)
        policy = self.policy
        if watch.resend_at is not None:
            if now >= watch.resend_at and not self._is_quiet(now):
                watch.resend_at = None
                self._send_again(life, "nothing had left", now)
            return
        waited = now - watch.asked_at
        if watch.is_asked:
            watch.is_asked = waited < policy.answer_timeout_s
            return
        if life.state is OrderState.SENT:
            if now - watch.sent_at >= policy.answer_timeout_s:
                self._doubt(life, "no answer came", now)
        elif life.cancels and waited >= policy.lookup_every_s:
            self._ask_cancel(life, now)
        elif waited >= (
            policy.lookup_every_s if life.state is OrderState.UNKNOWN else policy.poll_every_s
        ):
            self._ask(life, now)

    def _ask(self, life: OrderLife, now: float) -> None:
        watch = self._watch(life, now)
        if not watch.is_asked and not self._is_quiet(now):
            watch.is_asked, watch.asked_at = True, now
            self._step.commands.append(Find(life.order.client_order_id))

    def _ask_cancel(self, life: OrderLife, now: float) -> None:
        # A rate limit leaves room for cancels; a ban does not.
        if not self._is_banned:
            self._watch(life, now).asked_at = now
            self._step.commands.append(Cancel(life.order.client_order_id))

    def _missing(self, life: OrderLife, watch: _Watch, now: float) -> None:
        """The venue has no such order now, which proves something only after the grace time."""
        is_proof = (
            now - watch.sent_at >= self.policy.grace_s
            and watch.not_found >= self.policy.not_found_min
        )
        if not is_proof:
            return
        if life.state in _UNANSWERED and not life.filled and not life.venue_order_id:
            if watch.was_refused:
                self._move(life, OrderState.REJECTED, watch.was_refused)
            else:
                self._send_again(life, "the venue never got it", now)
            return
        # It was there once. Nothing is concluded: it stays open, at its worst case.
        what = f"order {life.order.client_order_id} was at the venue and cannot be found"
        self._alarm(Alarm.VANISHED, life.order.client_order_id, life.order.symbol, what)

    def _watch(self, life: OrderLife, now: float) -> _Watch:
        key = life.order.client_order_id
        if key not in self._watches:
            self._watches[key] = _Watch(sent_at=now, asked_at=now)
        return self._watches[key]

    def _is_quiet(self, now: float) -> bool:
        return now < self._quiet_until

    def _weigh(self, failure: Failure, now: float) -> None:
        """What a failure means for the calls to come."""
        match failure.trouble:
            case Trouble.RATE_LIMITED:
                self._quiet_until = max(self._quiet_until, now + failure.retry_after_s)
                self._is_banned = self._is_banned or failure.is_ban
            case Trouble.AUTH:
                self._auth_failures += 1
                if self._auth_failures >= self.policy.auth_failures_max:
                    self._halt(Breaker.VENUE_AUTH, failure.reason)
            case Trouble.FATAL:
                self._halt(Breaker.VENUE_FATAL, failure.reason)

    def _halt(self, breaker: Breaker, reason: str) -> None:
        control, book = self.state.control, self.state.name
        if any(one.breaker is breaker for one in control.tripped(book)):
            return
        self._record(
            BreakerChanged(
                book=book,
                breaker=breaker,
                is_tripped=True,
                reason=reason,
                changed_by="order manager",
                sequence=control.changes(book, breaker) + 1,
            )
        )

    # Hearing

    def _hear(self, life: OrderLife, report: OrderReport, now: float, *, is_whole: bool) -> None:
        """Take in what the venue says of an order; `is_whole` when it was asked just now."""
        order = life.order
        if (report.symbol, report.side, report.quantity) != (
            order.symbol,
            order.side,
            order.quantity,
        ):
            what = f"the venue has {report.side} {report.quantity} {report.symbol} under our id"
            self._alarm(Alarm.CONFLICTING_REPORT, order.client_order_id, order.symbol, what)
            return
        for execution in report.executions:
            self._execute(life, execution, now)
        missing = report.filled_quantity - life.filled
        if missing > 0:
            if not is_whole:
                self._note_venue_id(life, report)
                self._ask(life, now)
                return
            self._infer(life, report, missing)
        if missing >= 0:
            self._advance(life, report)
        self._replace_if_ended(life, now)

    def _note_venue_id(self, life: OrderLife, report: OrderReport) -> None:
        """The venue has it: an order that waited for an answer is at work, whatever its fills."""
        if life.state in _UNANSWERED:
            self._move(life, OrderState.WORKING, "", report.venue_order_id)

    def _advance(self, life: OrderLife, report: OrderReport) -> None:
        """Move on where the venue is ahead of us; what is older than we know is dropped."""
        after = report.state
        if after not in VENUE_STATES:
            return
        if after in {OrderState.WORKING, OrderState.PARTIAL}:
            after = OrderState.PARTIAL if life.filled else OrderState.WORKING
        if after is OrderState.FILLED and life.filled < life.order.quantity:
            what = f"the venue says filled, and {life.filled} of {life.order.quantity} are"
            self._alarm(
                Alarm.CONFLICTING_REPORT, life.order.client_order_id, life.order.symbol, what
            )
            return
        if after is OrderState.REJECTED and life.filled:
            after = OrderState.CANCELED
        backwards = after is OrderState.WORKING and life.state is OrderState.PARTIAL
        if after is life.state or backwards or not is_legal(life.state, after):
            return
        self._move(life, after, report.reason, report.venue_order_id)

    def _execute(self, life: OrderLife, execution: Execution, now: float) -> None:
        """Book one trade, once."""
        order = life.order
        if execution.execution_id in life.executions:
            return
        matches = (execution.symbol, execution.side) == (order.symbol, order.side)
        if not (matches and execution.is_believable()):
            what = (
                f"execution {execution.execution_id} of {execution.quantity} at {execution.price}"
            )
            self._alarm(Alarm.BAD_EXECUTION, execution.execution_id, order.symbol, what)
            self._ask(life, now)
            return
        self._explain(life, execution.quantity)
        if life.filled + execution.quantity > order.quantity:
            what = f"{life.filled + execution.quantity} of {order.quantity} {order.symbol} filled"
            self._alarm(Alarm.OVERFILL, order.client_order_id, order.symbol, what)
        self._fill(
            life,
            quantity=execution.quantity,
            price=execution.price,
            notional=to_cents(execution.quantity * execution.price),
            fee=execution.fee_amount,
            at=execution.event_time,
            execution_id=execution.execution_id,
        )
        self._after_fill(life)

    def _explain(self, life: OrderLife, quantity: Decimal) -> None:
        """Take back as much of what was inferred as the real execution now tells."""
        for one in list(life.inferred):
            part = min(one.quantity, quantity)
            if part <= 0:
                return
            quantity -= part
            self._reverse(life, one, part)

    def _reverse(self, life: OrderLife, one: Inferred, part: Decimal) -> None:
        is_all = part == one.quantity
        self._record(
            FillReversed(
                book=life.order.book,
                symbol=life.order.symbol,
                decision_id=life.order.decision_id,
                client_order_id=life.order.client_order_id,
                fill_id=one.fill_id,
                sequence=one.reversals + 1,
                side=life.order.side,
                quantity=part,
                notional=one.notional if is_all else to_cents(one.notional * part / one.quantity),
                fee_amount=one.fee if is_all else to_cents(one.fee * part / one.quantity),
            )
        )

    def _infer(self, life: OrderLife, report: OrderReport, missing: Decimal) -> None:
        """Book what the venue's sum says and no execution tells, until the executions come."""
        order = life.order
        if not missing.is_finite():
            return
        if report.filled_quantity > order.quantity:
            what = f"{report.filled_quantity} of {order.quantity} {order.symbol} filled"
            self._alarm(Alarm.OVERFILL, order.client_order_id, order.symbol, what)
        notional = to_cents(missing * order.reference_price)
        if report.filled_notional is not None:
            notional = max(ZERO, to_cents(report.filled_notional - life.notional))
        price = notional / missing if notional else order.reference_price
        fee = ZERO
        if report.fee_amount is not None:
            fee = max(ZERO, report.fee_amount - life.fees)
        self._fill(
            life,
            quantity=missing,
            price=price,
            notional=notional,
            fee=fee,
            at=report.event_time,
            # A pure function of what is known, so that a restart infers the same fill.
            execution_id=f"sum:{report.filled_quantity}:{life.fills}",
            is_inferred=True,
        )
        self._after_fill(life)

    def _fill(
        self,
        life: OrderLife,
        *,
        quantity: Decimal,
        price: Decimal,
        notional: Decimal,
        fee: Decimal,
        at: dt.datetime,
        execution_id: str,
        is_inferred: bool = False,
    ) -> None:
        order = life.order
        apart = to_cents((price - order.reference_price) * order.side.sign * quantity)
        self._moved_since.add(order.symbol)
        self._record(
            FillRecorded(
                fill=Fill(
                    **trace_of(order),
                    fill_id=execution_fill_id(order=order.client_order_id, execution=execution_id),
                    client_order_id=order.client_order_id,
                    sequence=life.fills + 1,
                    side=order.side,
                    quantity=quantity,
                    price=price,
                    notional=notional,
                    reference_price=order.reference_price,
                    price_row_hash="",
                    event_time=at,
                    spread_amount=ZERO,
                    slippage_amount=apart,
                    impact_amount=ZERO,
                    fee_amount=fee,
                    costs_hash="venue",
                    execution_id=execution_id,
                    is_inferred=is_inferred,
                )
            )
        )

    def _after_fill(self, life: OrderLife) -> None:
        """A fill is news of the order's state too."""
        if life.state is OrderState.REJECTED:
            what = f"order {life.order.client_order_id} was rejected and then filled"
            key, symbol = life.order.client_order_id, life.order.symbol
            self._alarm(Alarm.FILL_AFTER_REJECTION, key, symbol, what)
            return
        is_whole = life.filled >= life.order.quantity
        after = OrderState.FILLED if is_whole else OrderState.PARTIAL
        if after is not life.state and is_legal(life.state, after):
            self._move(life, after, "")

    def _replace_if_ended(self, life: OrderLife, now: float) -> None:
        """Send the order that was to follow, for what is still missing of the two together."""
        wish = life.replacement
        if wish is None or life.is_open:
            return
        missing = wish.quantity - self._lineage_filled(life.order)
        order = life.order
        if missing <= 0 or order.valid_session != self.open_session or self.mode is not Mode.NORMAL:
            return
        attempt = order.attempt + 1
        key = derive_order_id(book=order.book, decision=order.decision_id, attempt=attempt)
        if key in self.state.lives:
            return
        follower = replace(
            order,
            client_order_id=key,
            quantity=missing,
            limit_price=wish.limit_price,
            attempt=attempt,
        )
        self._send_first(follower, now)

    def _lineage_filled(self, order: Order) -> Decimal:
        """What all orders of one intent have filled."""
        keys = (
            derive_order_id(book=order.book, decision=order.decision_id, attempt=attempt)
            for attempt in range(order.attempt + 1)
        )
        lives = (self.state.lives[key] for key in keys if key in self.state.lives)
        return sum((life.filled for life in lives), start=ZERO)

    # Recording

    def _resume(self, now: float) -> None:
        """What was sent and not answered when a process ended is looked up, never sent again."""
        for life in list(self.state.open.values()):
            self._watches[life.order.client_order_id] = _Watch(sent_at=now, asked_at=now)
            if life.state is OrderState.SENT:
                self._doubt(life, "the process ended before an answer", now)
            else:
                self._ask(life, now)
        self.ask_snapshot(now=now)

    def _move(
        self, life: OrderLife, after: OrderState, reason: str, venue_order_id: str = ""
    ) -> None:
        order = life.order
        self._record(
            OrderStateChanged(
                book=order.book,
                decision_id=order.decision_id,
                client_order_id=order.client_order_id,
                sequence=life.moves + 1,
                before=life.state,
                after=after,
                reason=reason,
                venue_order_id=venue_order_id,
            )
        )
        if not life.is_open:
            self._watches.pop(order.client_order_id, None)

    def _alarm(self, alarm: Alarm, subject: str, symbol: str, message: str) -> None:
        event = AlarmRaised(
            book=self.state.name, alarm=alarm, subject=subject, symbol=symbol, message=message
        )
        if event.key not in self.state.alarms:
            self._record(event)

    def _record(self, event: Event) -> None:
        self._step.events.append(event)
        self.state.take(event)


__all__ = [
    "Cancel",
    "Command",
    "Find",
    "Intent",
    "ManagerPolicy",
    "OrderManager",
    "Send",
    "Step",
    "Surroundings",
    "TakeSnapshot",
]
