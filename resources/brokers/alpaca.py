"""Alpaca's trading API through the real alpaca-py, with its retries off and its waits bounded.

Belongs here: paths through the SDK, and Alpaca's words in ours. Answers are read raw and row by
row: the SDK's own models fail a whole list for one word that they do not know. Does not belong
here: transport (`session`), or sending once (`once`). One adapter belongs to one thread.
"""

import contextlib
import datetime as dt
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from quant.core.errors import OrderUnknownError, PmxError, VenueError, VenueUnavailableError
from quant.execution.broker import (
    Listing,
    OrderKind,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    VenueAccount,
    VenueAuthError,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.budget import VENUE_LIMITS, CallKind, CallLimits
from quant.execution.orders import OrderState
from quant.execution.venue_rules import VenueRules, require_allowed
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials
from resources.brokers.egress import HOSTS, HostGuard
from resources.brokers.once import RESEND_AFTER_S, DuplicateOrderError, SubmitOnce
from resources.brokers.rows import ROW_ERRORS, listing, moment, number, reason_of, side, text

VENUE: Final = "alpaca"
ORDERS_PER_PAGE: Final = 500
FILLS_PER_PAGE: Final = 100
PAGES_MAX: Final = 1000

# "done_for_day" comes back tomorrow; "calculated" waits for its settlement.
STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.WORKING,
    "accepted": OrderState.WORKING,
    "pending_new": OrderState.WORKING,
    "pending_review": OrderState.WORKING,
    "accepted_for_bidding": OrderState.WORKING,
    "held": OrderState.WORKING,
    "stopped": OrderState.WORKING,
    "suspended": OrderState.WORKING,
    "calculated": OrderState.WORKING,
    "done_for_day": OrderState.WORKING,
    "pending_cancel": OrderState.WORKING,
    "pending_replace": OrderState.WORKING,
    "partially_filled": OrderState.PARTIAL,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "replaced": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}

# What a 403 with a code is about is the order; without one it is the key.
ORDER_CODES_OF_403: Final = frozenset({40310000, 40310100})
CODE_OF_404: Final = 40410000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaOptions:
    """Paper by default; a simulated venue needs its address."""

    environment: Environment = Environment.PAPER
    url: str | None = None
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 12.0
    resend_after_s: float = RESEND_AFTER_S
    # Where the count of calls lies that all processes of this host share; None counts alone.
    calls_folder: Path | None = None
    # None: the venue's own, and none at all in the simulator.
    limits: CallLimits | None = None


class AlpacaBroker:
    """`Broker` over one Alpaca account."""

    def __init__(self, credentials: Credentials, options: AlpacaOptions | None = None) -> None:
        _import_quietly()
        from alpaca.trading.client import TradingClient

        from resources.brokers.session import Timeouts, VenueSession
        from resources.brokers.shared_calls import SharedCalls, limits_in

        self.options = options or AlpacaOptions()
        self._credentials = credentials
        guard = HostGuard(VENUE, self.options.environment, self.options.url)
        host = next(iter(HOSTS.get((VENUE, self.options.environment), ("simulated",))))
        self._session = VenueSession(
            guard,
            timeouts=Timeouts(
                connect_s=self.options.connect_timeout_s, read_s=self.options.read_timeout_s
            ),
            calls=SharedCalls(
                self.name,
                limits_in(self.options.environment, VENUE_LIMITS[VENUE], self.options.limits),
                folder=self.options.calls_folder,
            ),
        )
        self._client = TradingClient(
            credentials.key_id,
            credentials.secret,
            paper=self.options.environment is not Environment.LIVE,
            raw_data=True,
            url_override=f"https://{host}",
        )
        self._client._session = self._session
        # The SDK sends an order again after 429 and 504 unless told otherwise.
        self._client._retry_codes = []
        self._client._retry = 0
        self._once = SubmitOnce(resend_after_s=self.options.resend_after_s)
        self._names: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"AlpacaBroker({self.name})"

    @property
    def name(self) -> str:
        """Venue and environment."""
        return f"{VENUE}-{self.options.environment}"

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        """See the port; what Alpaca would refuse by its grid is refused before it is sent."""
        require_allowed(ticket, _rules_of(ticket), reference_price=ticket.reference_price)
        with self._session.meant_for(CallKind.SEND):
            return self._once.submit(
                ticket,
                find=lambda: self.find(ticket.client_order_id, symbol=ticket.symbol),
                send=lambda: self._send(ticket),
            )

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port; Alpaca cancels by its own id, so the order is found first."""
        with self._session.meant_for(CallKind.CANCEL):
            found = self.find(client_order_id, symbol=symbol)
            if found.state in _ENDS:
                return found
            # Too late, or not yet: what the order has become is the answer.
            with contextlib.suppress(OrderRejectedError, OrderNotFoundError):
                self._call(lambda: self._client.cancel_order_by_id(found.venue_order_id))
            return self.find(client_order_id, symbol=symbol)

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port."""
        answer = self._call(lambda: self._client.get_order_by_client_id(client_order_id))
        order = self._believe(answer)
        if order.client_order_id != client_order_id or order.symbol != symbol:
            raise VenueUnavailableError(
                f"{self.name} was asked for {client_order_id} and answered with another order",
                remedy="ask again",
            )
        return order

    def open_orders(self) -> Listing[VenueOrder]:
        """See the port. A full page is never the last."""
        from alpaca.common.enums import Sort
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        rows: dict[str, Any] = {}
        after: dt.datetime | None = None
        for _ in range(PAGES_MAX):
            question = GetOrdersRequest(
                status=QueryOrderStatus.OPEN, limit=ORDERS_PER_PAGE, direction=Sort.ASC, after=after
            )
            page = self._rows(self._call(lambda q=question: self._client.get_orders(q)))
            known = len(rows)
            rows |= {_id_of(row, place): row for place, row in enumerate(page, start=known)}
            if len(page) < ORDERS_PER_PAGE:
                return listing("order", rows.values(), self._order)
            if len(rows) == known:
                break
            # One microsecond earlier, since `after` leaves out orders of the same moment.
            after = moment(page[-1]["submitted_at"], "submitted_at") - dt.timedelta(microseconds=1)
        raise VenueUnavailableError(f"{self.name} has more open orders than can be paged through")

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        """See the port. Fees come as other activities at Alpaca, so a fill has none."""
        rows: list[Any] = []
        question: dict[str, Any] = {
            "direction": "asc",
            "page_size": FILLS_PER_PAGE,
            "after": (moment - dt.timedelta(milliseconds=1)).isoformat(),
        }
        for _ in range(PAGES_MAX):
            asked = dict(question)
            page = self._rows(
                self._call(lambda q=asked: self._client.get("/account/activities/FILL", q))
            )
            rows += page
            if len(page) < FILLS_PER_PAGE:
                found = listing("fill", rows, self._fill)
                kept = tuple(fill for fill in found.rows if fill.event_time >= moment)
                return Listing(rows=kept, unreadable=found.unreadable)
            question["page_token"] = page[-1]["id"]
        raise VenueUnavailableError(f"{self.name} has more fills than can be paged through")

    def positions(self) -> Listing[VenuePosition]:
        """See the port."""
        answer = self._call(self._client.get_all_positions)
        return listing("position", self._rows(answer), _position)

    def is_open(self) -> bool | None:
        """See the port."""
        answer = self._call(self._client.get_clock)
        told = answer.get("is_open") if isinstance(answer, dict) else None
        if not isinstance(told, bool):
            raise self._unreadable("clock", ValueError(told))
        return told

    def account(self) -> VenueAccount:
        """See the port."""
        answer = self._call(self._client.get_account)
        blocks = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
        try:
            return VenueAccount(
                account_id=text(answer["account_number"], "account_number"),
                currency=text(answer["currency"], "currency"),
                cash=number(answer["cash"], "cash"),
                equity=number(answer["equity"], "equity"),
                buying_power=number(answer["buying_power"], "buying_power"),
                can_trade=answer["status"] == "ACTIVE" and not any(answer[b] for b in blocks),
            )
        except ROW_ERRORS as error:
            raise self._unreadable("account", error) from None

    def _send(self, ticket: OrderTicket) -> VenueOrder:
        answer = self._call(lambda: self._client.submit_order(_request_of(ticket)), sends=True)
        try:
            order = self._order(answer)
            echo = (order.client_order_id, order.symbol, order.side, order.quantity)
            if echo != (ticket.client_order_id, ticket.symbol, ticket.side, ticket.quantity):
                raise ValueError("the answer is about another order")
        except ROW_ERRORS as error:
            raise OrderUnknownError(
                f"{self.name} took order {ticket.client_order_id} or not: its answer cannot be "
                f"read: {reason_of(error)}",
                remedy="look the order up by its client order id",
            ) from None
        return order

    def _call(self, ask: Any, *, sends: bool = False) -> Any:
        """One call of the SDK with its errors in our words."""
        from alpaca.common.exceptions import APIError, RetryException

        try:
            return ask()
        except APIError as error:
            code, words = self._told()
            raise error_of(
                int(error.status_code or 0), code, self._credentials.scrub(words), sends=sends
            ) from None
        except RetryException:
            raise OrderUnknownError(f"{self.name} answered, and the SDK gave up on it") from None

    def _told(self) -> tuple[int, str]:
        """Code and message of the last error; `APIError.code` itself raises on many bodies."""
        body = self._session.last_json
        if not isinstance(body, dict):
            return 0, "no readable message"
        code = body.get("code")
        return (code if isinstance(code, int) else 0), str(body.get("message", ""))[:200]

    def _believe(self, answer: Any) -> VenueOrder:
        try:
            return self._order(answer)
        except ROW_ERRORS as error:
            raise self._unreadable("order", error) from None

    def _rows(self, answer: Any) -> list[Any]:
        if not isinstance(answer, list):
            raise VenueUnavailableError(
                f"{self.name} answered with {type(answer).__name__} instead of a list",
                remedy="ask again; nothing is known about what it holds",
            )
        return answer

    def _unreadable(self, what: str, error: Exception) -> VenueUnavailableError:
        return VenueUnavailableError(
            f"{self.name} answered with an {what} that cannot be read: {reason_of(error)}",
            remedy="ask again; nothing is known until then",
        )

    def _order(self, row: Any) -> VenueOrder:
        filled = number(row["filled_qty"], "filled_qty")
        average = row.get("filled_avg_price")
        state = STATES.get(row["status"], OrderState.UNKNOWN)
        if state is OrderState.WORKING and filled > 0:
            state = OrderState.PARTIAL
        order = VenueOrder(
            client_order_id=text(row["client_order_id"], "client_order_id"),
            venue_order_id=text(row["id"], "id"),
            symbol=text(row["symbol"], "symbol"),
            side=side(row["side"], "side"),
            quantity=number(row["qty"], "qty"),
            filled_quantity=filled,
            state=state,
            average_price=number(average, "filled_avg_price")
            if average is not None and filled > 0
            else None,
            reason="" if row["status"] in STATES else f"unknown status {str(row['status'])[:40]}",
        )
        self._names[order.venue_order_id] = order.client_order_id
        return order

    def _fill(self, row: Any) -> VenueFill:
        order_id = text(row["order_id"], "order_id")
        return VenueFill(
            # "<time>::<execution id>", the same execution id that the stream tells.
            execution_id=text(row["id"], "id").rpartition("::")[2],
            client_order_id=self._name(order_id),
            venue_order_id=order_id,
            symbol=text(row["symbol"], "symbol"),
            # Short sales are told as sell_short.
            side=side(str(row["side"]).removesuffix("_short"), "side"),
            quantity=number(row["qty"], "qty"),
            price=number(row["price"], "price"),
            fee_amount=None,
            fee_currency="USD",
            event_time=moment(row["transaction_time"], "transaction_time"),
        )

    def _name(self, order_id: str) -> str:
        if order_id not in self._names:
            self._believe(self._call(lambda: self._client.get_order_by_id(order_id)))
        return self._names[order_id]


_ENDS: Final = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
)


def error_of(status: int, code: int, words: str, *, sends: bool) -> PmxError:
    """Alpaca's refusal in our words; `sends` says that an order was on its way."""
    message = f"alpaca: {words or 'no message'} (status {status}, code {code or 'none'})"
    if status == 401 or (status == 403 and code not in ORDER_CODES_OF_403):
        return VenueAuthError(message, remedy="check the key and its permissions")
    if status == 404 and not sends:
        # Another 404 is a wrong address, which says nothing about the order.
        is_told = code == CODE_OF_404
        return OrderNotFoundError(message) if is_told else VenueUnavailableError(message)
    if status == 422 and "client_order_id" in words and "unique" in words:
        return DuplicateOrderError(message)
    if 400 <= status < 500:
        return OrderRejectedError(message, rule=str(code or status))
    kind: type[VenueError] = OrderUnknownError if sends else VenueUnavailableError
    return kind(message)


def _import_quietly() -> None:
    """Import the SDK without its warning about the websockets module that its streams use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
        import alpaca.trading.client  # noqa: F401


def _request_of(ticket: OrderTicket) -> Any:
    from alpaca.trading import requests as forms

    form = {
        OrderKind.MARKET: forms.MarketOrderRequest,
        OrderKind.LIMIT: forms.LimitOrderRequest,
        OrderKind.STOP: forms.StopOrderRequest,
        OrderKind.STOP_LIMIT: forms.StopLimitOrderRequest,
    }[ticket.kind]
    prices = {"limit_price": ticket.limit_price, "stop_price": ticket.stop_price}
    return form(
        symbol=ticket.symbol,
        qty=_exact_float("quantity", ticket.quantity),
        side=ticket.side.value,
        time_in_force=ticket.time_in_force.value,
        client_order_id=ticket.client_order_id,
        **{name: _exact_float(name, value) for name, value in prices.items() if value is not None},
    )


def _rules_of(ticket: OrderTicket) -> VenueRules:
    """Cents from a dollar on and hundredths of them below (SEC rule 612); shares in billionths."""
    price = ticket.limit_price or ticket.stop_price
    is_penny = price is not None and price < 1
    is_fraction = ticket.quantity != ticket.quantity.to_integral_value()
    return VenueRules(
        symbol=ticket.symbol,
        price_step=Decimal("0.0001") if is_penny else Decimal("0.01"),
        quantity_step=Decimal("0.000000001"),
        # Whole shares may be worth less than the least amount of a fractional order.
        notional_min=Decimal(1) if is_fraction else None,
    )


def _exact_float(name: str, value: Decimal) -> float:
    """The SDK sends floats; a number that a float cannot carry is refused, not rounded."""
    found = float(value)
    if Decimal(repr(found)) != value:
        raise OrderRejectedError(
            f"{name} {value} has more digits than Alpaca's SDK can send",
            rule="exact_number",
            remedy="round it to at most 15 digits",
        )
    return found


def _position(row: Any) -> VenuePosition:
    quantity = number(row["qty"], "qty")
    # Alpaca tells a short as a negative quantity; `side` must agree or neither is believed.
    if (quantity < 0) != (row["side"] == "short"):
        raise ValueError("side and quantity disagree")
    return VenuePosition(
        symbol=text(row["symbol"], "symbol"),
        quantity=quantity,
        average_price=number(row["avg_entry_price"], "avg_entry_price"),
    )


def _id_of(row: Any, place: int) -> str:
    """The row's id; a row without one is kept under its place, to be reported."""
    return str(row.get("id", place)) if isinstance(row, dict) else str(place)
