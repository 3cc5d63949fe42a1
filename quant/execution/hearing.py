"""What a venue tells of an order, taken in once and in the right direction.

Belongs here: reports and executions becoming fills, moves and alarms: duplicates dropped, old news
dropped, sums without executions inferred and later replaced, overfills booked and cried out. Does
not belong here: asking the venue anything (`manager`).
"""

import datetime as dt
from decimal import Decimal

from quant.core.money import cash as to_cents
from quant.execution.broker import VenueFill, VenueOrder
from quant.execution.broker_events import Alarm, FillReversed
from quant.execution.events import FillRecorded
from quant.execution.order_life import ZERO, Inferred, OrderLife
from quant.execution.order_states import UNANSWERED_STATES, VENUE_STATES, OrderState, is_legal
from quant.execution.orders import Fill, execution_fill_id, trace_of
from quant.execution.recorder import Recorder

_BPS = Decimal(10_000)
IN_KIND = "venue:in-kind"


class Hearing:
    """Listens for one manager; `moved` gathers symbols that traded since it was emptied."""

    def __init__(self, recorder: Recorder, *, untold_fee_bps: Decimal) -> None:
        self._recorder = recorder
        self._untold_fee_bps = untold_fee_bps
        self.moved: set[str] = set()

    def report(self, life: OrderLife, report: VenueOrder, *, may_infer: bool) -> bool:
        """Take in what the venue says of an order.

        True when it knows of fills that no execution has told, and `may_infer` was not given: then
        the executions are worth asking for.
        """
        if self._conflicts(life, report):
            return False
        missing = report.filled_quantity - life.filled
        if missing > 0 and not may_infer:
            self._is_there(life, report)
            return True
        if missing > 0:
            self._infer(life, report, missing)
        # A report of fewer fills than we know is older than they are.
        if missing >= 0:
            self._advance(life, report)
        return False

    def execution(self, life: OrderLife, told: VenueFill) -> bool:
        """Book one trade, once; False when it cannot be one of this order."""
        order = life.order
        if told.execution_id in life.executions:
            return True
        if (told.symbol, told.side) != (order.symbol, order.side):
            what = f"execution {told.execution_id}: {told.side} {told.quantity} {told.symbol}"
            self._recorder.alarm(Alarm.BAD_EXECUTION, told.execution_id, order.symbol, what)
            return False
        self._explain(life, told.quantity)
        notional = to_cents(told.quantity * told.price)
        fee, origin = self._fee(told, notional)
        in_kind = told.fee_amount if origin == IN_KIND else None
        self._fill(
            life,
            quantity=told.quantity,
            price=told.price,
            notional=notional,
            fee=fee,
            at=told.event_time,
            execution_id=told.execution_id,
            costs=origin,
            fee_quantity=max(ZERO, in_kind or ZERO),
        )
        return True

    def _conflicts(self, life: OrderLife, report: VenueOrder) -> bool:
        order = life.order
        if (report.symbol, report.side, report.quantity) == (
            order.symbol,
            order.side,
            order.quantity,
        ):
            return False
        what = f"the venue has {report.side} {report.quantity} {report.symbol} under our id"
        self._recorder.alarm(Alarm.CONFLICTING_REPORT, order.client_order_id, order.symbol, what)
        return True

    def _is_there(self, life: OrderLife, report: VenueOrder) -> None:
        """The venue has it: an order that waited for an answer is at work, whatever its fills."""
        if life.state in UNANSWERED_STATES:
            self._recorder.move(life, OrderState.WORKING, "", report.venue_order_id)

    def _advance(self, life: OrderLife, report: VenueOrder) -> None:
        """Move on where the venue is ahead of us; what is older than we know is dropped."""
        after = report.state
        if after is OrderState.UNKNOWN and life.state is OrderState.SENT:
            # The venue has it, under a word that is new to us: it stays at its worst case.
            self._recorder.move(life, after, report.reason, report.venue_order_id)
        if after not in VENUE_STATES:
            return
        if after in {OrderState.WORKING, OrderState.PARTIAL}:
            after = OrderState.PARTIAL if life.filled else OrderState.WORKING
        if after is OrderState.FILLED and life.filled < life.order.quantity:
            key, symbol = life.order.client_order_id, life.order.symbol
            what = f"the venue says filled, and {life.filled} of {life.order.quantity} are"
            self._recorder.alarm(Alarm.CONFLICTING_REPORT, key, symbol, what)
            return
        if after is OrderState.REJECTED and life.filled:
            after = OrderState.CANCELED
        if after is not life.state and is_legal(life.state, after):
            self._recorder.move(life, after, report.reason, report.venue_order_id)

    def _fee(self, told: VenueFill, notional: Decimal) -> tuple[Decimal, str]:
        """In the book's currency, and where the number comes from."""
        book = self._recorder.state.book
        if told.fee_amount is not None:
            if book is None or told.fee_currency in {"", book.currency}:
                return max(ZERO, to_cents(told.fee_amount)), "venue"
            # More than was traded is no fee in kind, whatever it is.
            if told.symbol.startswith(told.fee_currency) and told.fee_amount < told.quantity:
                return max(ZERO, to_cents(told.fee_amount * told.price)), IN_KIND
        return to_cents(notional * self._untold_fee_bps / _BPS), "venue:estimated"

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
        self._recorder.record(
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

    def _infer(self, life: OrderLife, report: VenueOrder, missing: Decimal) -> None:
        """Book what the venue's sum says and no execution tells, until the executions come."""
        order = life.order
        notional = to_cents(missing * order.reference_price)
        if report.average_price is not None:
            whole = report.filled_quantity * report.average_price
            notional = max(ZERO, to_cents(whole - life.notional))
        self._fill(
            life,
            quantity=missing,
            price=notional / missing if notional else order.reference_price,
            notional=notional,
            fee=to_cents(notional * self._untold_fee_bps / _BPS),
            # When it traded is not told; it was after the decision.
            at=order.as_of,
            # A pure function of what is known, so that a restart infers the same fill.
            execution_id=f"sum:{report.filled_quantity}:{life.fills}",
            costs="venue:estimated",
            is_inferred=True,
        )

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
        costs: str,
        is_inferred: bool = False,
        fee_quantity: Decimal = ZERO,
    ) -> None:
        order = life.order
        if life.filled + quantity > order.quantity:
            what = f"{life.filled + quantity} of {order.quantity} {order.symbol} filled"
            self._recorder.alarm(Alarm.OVERFILL, order.client_order_id, order.symbol, what)
        self.moved.add(order.symbol)
        self._recorder.record(
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
                    slippage_amount=to_cents(
                        (price - order.reference_price) * order.side.sign * quantity
                    ),
                    impact_amount=ZERO,
                    fee_amount=fee,
                    costs_hash=costs,
                    execution_id=execution_id,
                    is_inferred=is_inferred,
                    fee_quantity=fee_quantity,
                )
            )
        )
        self._after_fill(life)

    def _after_fill(self, life: OrderLife) -> None:
        """A fill is news of the order's state too."""
        order = life.order
        if life.state is OrderState.REJECTED:
            what = f"order {order.client_order_id} was rejected and then filled"
            self._recorder.alarm(
                Alarm.FILL_AFTER_REJECTION, order.client_order_id, order.symbol, what
            )
            return
        after = OrderState.FILLED if life.filled >= order.quantity else OrderState.PARTIAL
        if after is not life.state and is_legal(life.state, after):
            self._recorder.move(life, after, "")
