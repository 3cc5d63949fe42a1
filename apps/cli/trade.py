"""`pmx trade`: send what last night decided to the book's venue, once, and see it to its end.

Belongs here: which session it is, and the words at the end. The session itself is
`apps.trader.venue_session`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.days import day as parse_day
from apps.cli.result import Cli, CommandResult
from quant.core.errors import StateError, UsageError
from quant.execution.order_states import OPEN_STATES
from quant.execution.venues import BrokersPolicy, Environment, VenuePolicy

if TYPE_CHECKING:
    from quant.execution.broker import Broker
    from quant.execution.events import BookOpened
    from quant.execution.orders import Fill
    from resources.desk import Desk
    from resources.ledger import Ledger, OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded(CommandResult):
    """What became of a session's intents."""

    book: str
    venue: str
    session: dt.date | None
    mode: str
    opened_with: Decimal | None
    orders: tuple[dict[str, Any], ...]
    refusals: tuple[dict[str, Any], ...]
    held: dict[str, str]
    cash: Decimal
    currency: str

    @property
    def exit_code(self) -> int:
        """1 when an order's end is not known, or ledger and account do not agree."""
        return 1 if self._open_count or self.held else 0

    @property
    def _open_count(self) -> int:
        return sum(bool(order["is_open"]) for order in self.orders)

    def render(self, console: Any) -> None:
        """Orders first, then what was not sent, then whether the account agrees."""
        if self.opened_with is not None:
            console.print(
                f"Book {self.book} begins with {self.opened_with:,.2f} {self.currency} at "
                f"{self.venue}."
            )
        if self.session is None:
            console.print("Nothing is decided for this session: pmx nightly decides the next one.")
            return
        for order in self.orders:
            console.print(_order_line(order), soft_wrap=True, markup=False)
        for one in self.refusals:
            console.print(
                f"  not sent: {one['symbol']}, {one['gate']}: {one['reason']}",
                soft_wrap=True,
                markup=False,
            )
        ended = len(self.orders) - self._open_count
        console.print(
            f"Session {self.session} of book {self.book} at {self.venue}: {ended} of "
            f"{len(self.orders)} orders ended, {len(self.refusals)} refused, "
            f"{self.cash:,.2f} {self.currency} of cash."
        )
        for scope, reason in self.held.items():
            what = "the book" if scope == "*" else scope
            console.print(f"HELD  {what}: {reason}", soft_wrap=True, markup=False)
        if not self.held:
            console.print("Account and ledger agree; the next pmx nightly closes the session.")


def _order_line(order: Mapping[str, Any]) -> str:
    price = f" at {order['average_price']:,.4f}" if order["average_price"] else ""
    why = f" ({order['reason']})" if order["reason"] else ""
    return (
        f"  {order['side']:<4} {order['filled']} of {order['quantity']} {order['symbol']}{price}, "
        f"{order['state']}{why}"
    )


def run(
    cli: Cli,
    *,
    session: Annotated[
        str, typer.Option(help="Trading day; default: today, in a simulation what is pending.")
    ] = "",
    minutes: Annotated[
        float, typer.Option(min=0, help="Cancel what is still open after so long, or at the close.")
    ] = 60.0,
) -> Traded:
    """Read the account, send what passes the gates, wait for each order's end, read it again."""
    from apps.trader.desk_session import session_at_venue
    from apps.trader.venue_session import open_book
    from apps.trader.venues import connect
    from resources.desk import Desk

    wanted = parse_day(session, option="--session") if session else None
    with Desk(cli.settings) as desk:
        venue, book = _venue_of(desk), desk.settings.book
        broker = connect(cli.settings, venue)
        with desk.ledger(write=True) as ledger:
            opened = open_book(ledger, book, broker, venue)
            day = _session(desk, ledger, venue, wanted)
            if day is None:
                return _told(ledger, book, venue, None, opened=opened, held={})
            require_open(broker, venue)
            one = session_at_venue(desk, ledger, broker, venue, day)
            seconds = min(minutes * 60, _seconds_left(desk, venue, day))
            with cli.console.progress(f"{book} at {venue.label}, {day}") as progress:
                end = one.trade(
                    seconds=seconds,
                    on_step=lambda done, all_: progress.advance(0, note=f"{done} of {all_} ended"),
                )
            return _told(ledger, book, venue, day, opened=opened, held=end.manager.state.held)


def _venue_of(desk: "Desk") -> VenuePolicy:
    policy, book = desk.policy("brokers", BrokersPolicy), desk.settings.book
    venue = policy.venue_of(book)
    if venue is None:
        raise UsageError(
            f"book {book} trades at no venue: pmx nightly fills it on paper",
            remedy=f"set PMX_BOOK to one of {', '.join(sorted(policy.books)) or '(none yet)'}, or "
            f"give {book} a venue in {desk.settings.config_dir / 'brokers.yaml'}",
        )
    if venue.environment is Environment.LIVE:
        raise UsageError(
            f"book {book} is live, and this version sends no live orders",
            remedy="use the environment paper or simulated in brokers.yaml",
        )
    return venue


def _session(
    desk: "Desk", ledger: "Ledger", venue: VenuePolicy, wanted: dt.date | None
) -> dt.date | None:
    """Today's session, or in a simulation what is pending; None where there is nothing to do."""
    book = desk.settings.book
    now = ledger.book(book)
    days = [now.opened_session] if now.opened_session not in {None, now.closed_session} else []
    days += [one.order.valid_session for one in ledger.open_orders(book)]
    days += [one.valid_session for one in ledger.pending_intents(book)]
    if venue.environment is Environment.SIMULATED:
        return wanted or max(days, default=None)
    today = _open_session(desk, venue)
    if wanted not in {None, today}:
        raise UsageError(
            f"{wanted} is not today, and {venue.label} has no other day",
            remedy="leave --session out; the night after closes a session that was missed",
        )
    return today if days else None


def require_open(broker: "Broker", venue: VenuePolicy) -> None:
    """The calendar has said open; where the venue disagrees it is closed, and a person looks."""
    if broker.is_open() is False:
        raise StateError(
            f"{venue.label} says that it is closed, and the calendar that it is open",
            remedy="look for an unscheduled closure; nothing was sent, run it again later",
        )


def _open_session(desk: "Desk", venue: VenuePolicy) -> dt.date:
    from quant.market.calendars import get_calendar, is_session, session_close, session_open

    now, calendar = desk.clock.now(), desk.universe.calendar
    today = now.astimezone(get_calendar(calendar).time_zone).date()
    if is_session(calendar, today):
        opens, closes = session_open(calendar, today), session_close(calendar, today)
        if opens <= now < closes:
            return today
        hours = f"it trades from {opens:%H:%M} to {closes:%H:%M} UTC today"
    else:
        hours = f"{today} is no session"
    raise StateError(
        f"{venue.label} is closed: {calendar} {hours}",
        remedy="run it while the market is open; nothing was sent",
    )


def _seconds_left(desk: "Desk", venue: VenuePolicy, session: dt.date) -> float:
    from quant.market.calendars import session_close

    if venue.environment is Environment.SIMULATED:
        return float("inf")
    return (session_close(desk.universe.calendar, session) - desk.clock.now()).total_seconds()


def _told(
    ledger: "Ledger",
    book: str,
    venue: VenuePolicy,
    session: dt.date | None,
    *,
    opened: "BookOpened | None",
    held: Mapping[str, str],
) -> Traded:
    """What the ledger holds on the session now."""
    now = ledger.book(book)
    orders = ledger.orders(book, valid_session=session) if session else []
    refusals = ledger.refusals(book=book, valid_session=session) if session else []
    fills = ledger.fills(book=book, valid_session=session) if session else []
    return Traded(
        book=book,
        venue=venue.label,
        session=session,
        mode=ledger.mode(book).value,
        opened_with=opened.initial_cash if opened else None,
        orders=tuple(_order_row(status, fills) for status in orders),
        refusals=tuple(
            {"symbol": r.symbol, "gate": r.gate, "reason": r.reason, "decision_id": r.decision_id}
            for r in refusals
        ),
        held=dict(held),
        cash=now.cash,
        currency=now.currency,
    )


def _order_row(status: "OrderStatus", fills: "Sequence[Fill]") -> dict[str, Any]:
    order = status.order
    own = [fill for fill in fills if fill.client_order_id == order.client_order_id]
    filled = sum((fill.quantity for fill in own), start=Decimal(0))
    paid = sum((fill.quantity * fill.price for fill in own), start=Decimal(0))
    return {
        "client_order_id": order.client_order_id,
        "decision_id": order.decision_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "filled": status.filled_quantity,
        "average_price": paid / filled if filled else None,
        "state": status.state.value,
        "is_open": status.state in OPEN_STATES,
        "reason": status.reason,
    }
