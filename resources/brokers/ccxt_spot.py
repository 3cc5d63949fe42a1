"""Spot trading on crypto exchanges through the real ccxt: Binance, Kraken, Coinbase.

Belongs here: the port in ccxt's words. Does not belong here: transport (`session`), what errors
mean (`ccxt_errors`), how exchanges differ (`ccxt_dialects`). Symbols are ccxt's, such as BTC/USDT.
ccxt is told to keep numbers as text, so that no float stands between the wire and `Decimal`. One
adapter belongs to one thread.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from quant.core.errors import DataError, OrderUnknownError, VenueUnavailableError
from quant.execution.broker import (
    Listing,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    RateLimitedError,
    TimeInForce,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.budget import CallKind, CallLimits
from quant.execution.orders import OrderState, Side
from quant.execution.venue_rules import VenueRules, require_allowed
from quant.execution.venues import Environment
from quant.market.symbols import shown
from resources.brokers.ccxt_dialects import dialect_of
from resources.brokers.ccxt_errors import Outcome, error_for, outcome_of, told
from resources.brokers.clock_watch import ClockWatch
from resources.brokers.credentials import Credentials
from resources.brokers.egress import HostGuard
from resources.brokers.once import RESEND_AFTER_S, SubmitOnce
from resources.brokers.rows import (
    ROW_ERRORS,
    listing,
    moment_of_ms,
    number,
    reason_of,
    side,
    text,
)

TRADES_PER_PAGE: Final = 1000
# How long nothing is sent after the venue has refused our time twice.
CLOCK_PAUSE_S: Final = 10.0
PAGES_MAX: Final = 1000
STATES: Final = {
    "open": OrderState.WORKING,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "canceling": OrderState.WORKING,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CcxtOptions:
    """Paper by default; a simulated venue needs its address."""

    exchange_id: str = "binance"
    environment: Environment = Environment.PAPER
    url: str | None = None
    # The pairs that are traded: fills are asked for pair by pair.
    symbols: tuple[str, ...] = ("BTC/USDT",)
    quote: str = "USDT"
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 12.0
    resend_after_s: float = RESEND_AFTER_S
    # Where the count of calls lies that all processes of this host share; None counts alone.
    calls_folder: Path | None = None
    # None: the venue's own, and none at all in the simulator.
    limits: CallLimits | None = None


class CcxtSpotBroker:
    """`Broker` over one spot account."""

    def __init__(
        self,
        credentials: Credentials,
        options: CcxtOptions | None = None,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        import ccxt

        from resources.brokers.session import Timeouts, VenueSession
        from resources.brokers.shared_calls import SharedCalls, limits_in

        self.options = options or CcxtOptions()
        self.dialect = dialect_of(self.options.exchange_id)
        self._credentials = credentials
        guard = HostGuard(self.options.exchange_id, self.options.environment, self.options.url)
        limits = Timeouts(
            connect_s=self.options.connect_timeout_s, read_s=self.options.read_timeout_s
        )
        calls = SharedCalls(
            self.name,
            limits_in(self.options.environment, self.dialect.limits, self.options.limits),
            folder=self.options.calls_folder,
            monotonic=monotonic,
        )
        self._session = VenueSession(guard, timeouts=limits, calls=calls, weigh=self.dialect.weigh)
        self._exchange: Any = getattr(ccxt, self.dialect.exchange_id)(
            {
                "apiKey": credentials.key_id,
                "secret": credentials.secret,
                "session": self._session,
                "number": str,
                "enableRateLimit": False,  # the session obeys the venue's own word
                "options": {**self.dialect.options, "maxRetriesOnFailure": 0},
            }
        )
        self._exchange.has["fetchCurrencies"] = False
        # What requests are stamped with.
        self._exchange.milliseconds = lambda: int(wall() * 1000)
        self._watch = ClockWatch(wall=wall, monotonic=monotonic)
        if self.options.environment is Environment.PAPER:
            self._exchange.set_sandbox_mode(True)
        self._error: type[Exception] = ccxt.BaseError
        self._once = SubmitOnce(resend_after_s=self.options.resend_after_s)
        self._names: dict[str, str] = {}
        self._is_ready = False

    def __repr__(self) -> str:
        return f"CcxtSpotBroker({self.name})"

    @property
    def name(self) -> str:
        """Exchange and environment."""
        return f"{self.dialect.exchange_id}-{self.options.environment}"

    def connect(self) -> None:
        """Read the markets, measure the clock, and refuse a key that may do too much."""
        if not self._is_ready:
            self._read("load_markets")
            if not self._exchange.markets:
                raise VenueUnavailableError(f"{self.name} listed no markets")
            if self.dialect.stamps_requests:
                self._compare_clocks()
            with self._translated(changes=False):
                self.dialect.require_safe_key(self._exchange, self.options.environment)
            self._is_ready = True

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        """See the port; the venue's filters are checked before anything is sent."""
        self.connect()
        require_allowed(ticket, self.rules(ticket.symbol), reference_price=ticket.reference_price)
        if ticket.side is Side.BUY and not (
            ticket.kind.has_limit or self.dialect.takes_market_buys
        ):
            raise OrderRejectedError(
                f"{self.name} takes a market buy by its amount of money only",
                rule="market_buy",
                remedy="buy with a limit, such as the ask, and ioc",
            )
        with self._session.meant_for(CallKind.SEND):
            return self._once.submit(
                ticket,
                find=lambda: self.find(ticket.client_order_id, symbol=ticket.symbol),
                send=lambda: self._send(ticket),
            )

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port; a cancel that comes too late answers with what the order became."""
        self.connect()
        number_or_none = None
        with self._session.meant_for(CallKind.CANCEL):
            if not self.dialect.finds_by_client_id:
                number_or_none = self.find(client_order_id, symbol=symbol).venue_order_id
            with contextlib.suppress(OrderNotFoundError, OrderRejectedError):
                self._write("cancel_order", number_or_none, symbol, self._by_name(client_order_id))
            return self.find(client_order_id, symbol=symbol)

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        """See the port."""
        self.connect()
        if not self.dialect.finds_by_client_id:
            return self._search(client_order_id, symbol)
        answer = self._read("fetch_order", None, symbol, self._by_name(client_order_id))
        try:
            order = self._order(answer)
        except ROW_ERRORS as error:
            raise self._unreadable("order", error) from None
        if order.client_order_id != client_order_id or order.symbol != symbol:
            raise VenueUnavailableError(
                f"{self.name} was asked for {client_order_id} and answered with another order",
                remedy="ask again",
            )
        return order

    def open_orders(self) -> Listing[VenueOrder]:
        """See the port; the venue's list has no pages."""
        self.connect()
        return listing("order", self._list("fetch_open_orders"), self._order)

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        """See the port; for the pairs of the options."""
        self.connect()
        # Exchanges tell milliseconds: an exact moment would leave out a fill of its own moment.
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        rows = [row for symbol in self.options.symbols for row in self._trades(symbol, moment)]
        found = listing("fill", rows, self._fill)
        kept = sorted(
            (fill for fill in found.rows if fill.event_time >= moment),
            key=lambda fill: fill.event_time,
        )
        return Listing(rows=tuple(kept), unreadable=found.unreadable)

    def positions(self) -> Listing[VenuePosition]:
        """See the port: what is held of every coin but the quote currency."""
        self.connect()
        balance = self._balance()
        info = balance.get("info")
        told = info.get("balances") if isinstance(info, dict) else None
        try:
            # ccxt makes a coin of its own of a row whose coin it cannot read.
            for row in told if isinstance(told, list) else ():
                text(row.get("asset"), "asset")
        except ROW_ERRORS as error:
            raise self._unreadable("account", error) from None
        return listing("position", balance["total"].items(), self._position)

    def is_open(self) -> bool | None:
        """See the port; coins trade at any time."""
        return None

    def account(self) -> VenueAccount:
        """See the port."""
        self.connect()
        balance, quote = self._balance(), self.options.quote
        info = balance.get("info")
        can_trade = info.get("canTrade", True) if isinstance(info, dict) else True
        try:
            return VenueAccount(
                account_id=self.name,
                currency=quote,
                cash=number(balance["total"].get(quote, "0"), f"total {quote}"),
                equity=None,
                buying_power=number(balance["free"].get(quote, "0"), f"free {quote}"),
                can_trade=bool(can_trade),
            )
        except ROW_ERRORS as error:
            raise self._unreadable("account", error) from None

    def rules(self, symbol: str) -> VenueRules:
        """The venue's filters of `symbol`; `OrderRejectedError` when it is not traded."""
        market = self._exchange.markets.get(symbol)
        if market is None:
            raise OrderRejectedError(f"{self.name} does not trade {symbol}", rule="symbol")
        limits, precision = market["limits"], market["precision"]
        return VenueRules(
            symbol=symbol,
            price_step=_limit(precision, "price"),
            price_min=_limit(limits["price"], "min"),
            price_max=_limit(limits["price"], "max"),
            quantity_step=_limit(precision, "amount"),
            quantity_min=_limit(limits["amount"], "min"),
            quantity_max=_limit(limits["amount"], "max"),
            notional_min=_limit(limits["cost"], "min"),
            percent_band=_band(market.get("info")),
        )

    def _send(self, ticket: OrderTicket) -> VenueOrder:
        wire_name = self.dialect.to_wire(ticket.client_order_id)
        parameters: dict[str, Any] = {self.dialect.id_parameter: wire_name}
        if ticket.kind.has_limit:
            parameters["timeInForce"] = _time_in_force(ticket)
        if ticket.stop_price is not None:
            parameters["triggerPrice"] = _text(ticket.stop_price)
        limit = ticket.limit_price
        answer = self._write(
            "create_order",
            ticket.symbol,
            "limit" if ticket.kind.has_limit else "market",
            ticket.side.value,
            _text(ticket.quantity),
            None if limit is None else _text(limit),
            parameters,
        )
        try:
            order = self._order(answer)
            # ccxt makes an order without an id of any broken answer.
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

    def _by_name(self, client_order_id: str) -> dict[str, Any]:
        if not self.dialect.finds_by_client_id:
            return {}
        return {"clientOrderId": self.dialect.to_wire(client_order_id)}

    def _search(self, client_order_id: str, symbol: str) -> VenueOrder:
        """For venues that cannot be asked by our id: look through open, then closed orders."""
        for method in ("fetch_open_orders", "fetch_closed_orders"):
            found = listing("order", self._list(method, symbol), self._order)
            for order in found.rows:
                if order.client_order_id == client_order_id:
                    return order
            if not found.is_whole:
                why = found.unreadable[0].reason
                raise VenueUnavailableError(
                    f"{self.name} listed an order that cannot be read: {why}"
                )
        raise OrderNotFoundError(f"{self.name} does not know order {client_order_id}")

    def _trades(self, symbol: str, moment: dt.datetime) -> list[Any]:
        """Every trade since `moment`; a full page is never the last."""
        rows: dict[str, Any] = {}
        since: int | None = int(moment.timestamp() * 1000)
        parameters: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            page = self._list("fetch_my_trades", symbol, since, TRADES_PER_PAGE, parameters)
            known = len(rows)
            rows |= {str(row.get("id")): row for row in page}
            if len(page) < TRADES_PER_PAGE:
                return list(rows.values())
            if len(rows) == known:
                break
            if self.dialect.pages_by_id:
                since, parameters = None, {"fromId": int(page[-1]["id"]) + 1}
            else:
                since = int(page[-1]["timestamp"])
        raise VenueUnavailableError(f"{self.name} has more trades than can be paged through")

    def _balance(self) -> Any:
        balance = self._read("fetch_balance")
        if not isinstance(balance.get("total"), dict) or not balance["total"]:
            raise VenueUnavailableError(
                f"{self.name} answered with no balance at all",
                remedy="ask again; nothing is known about what it holds",
            )
        return balance

    def _list(self, method: str, *values: Any) -> list[Any]:
        rows = self._read(method, *values)
        if not isinstance(rows, list) or not self.dialect.has_rows(self._session.last_json):
            raise VenueUnavailableError(
                f"{self.name} answered without a list", remedy="ask again; nothing is known"
            )
        told = self._session.last_json
        if isinstance(told, list) and len(told) > len(rows):
            # ccxt leaves out rows whose time it cannot read, and says nothing.
            raise VenueUnavailableError(
                f"{self.name} listed {len(told)} rows, and field timestamp of "
                f"{len(told) - len(rows)} of them cannot be read"
            )
        return rows

    def _read(self, method: str, *values: Any) -> Any:
        return self._timed(method, values, changes=False)

    def _write(self, method: str, *values: Any) -> Any:
        return self._timed(method, values, changes=True)

    def _timed(self, method: str, values: tuple[Any, ...], *, changes: bool) -> Any:
        """One call; refused for its timestamp, it is made once more with a measured clock."""
        if self._watch.has_stepped():
            self._watch.is_trusted = False
        if self._watch.has_stepped() or self._watch.is_old():
            self._compare_clocks()
        if changes and not self._watch.is_trusted:
            self._prove_clock()
        try:
            return self._once_only(method, values, changes=changes)
        except _ClockRefusedError as error:
            why = error
        self._compare_clocks()
        try:
            if changes:
                self._prove_clock()
            return self._once_only(method, values, changes=changes)
        except _ClockRefusedError:
            raise self._clocks_apart(str(why)) from None

    def _once_only(self, method: str, values: tuple[Any, ...], *, changes: bool) -> Any:
        with self._translated(changes=changes):
            return getattr(self._exchange, method)(*values)

    def _compare_clocks(self) -> None:
        self._once_only("load_time_difference", (), changes=False)
        self._watch.compared()

    def _prove_clock(self) -> None:
        """A signed question that changes nothing; an order leaves only where the venue takes it."""
        try:
            self._once_only("fetch_open_orders", (self.options.symbols[0],), changes=False)
        except _ClockRefusedError as error:
            raise self._clocks_apart(str(error)) from None
        self._watch.is_trusted = True

    def _clocks_apart(self, words: str) -> RateLimitedError:
        """Nothing was done, and nothing is sent until the venue takes our time again."""
        self._watch.is_trusted = False
        return RateLimitedError(
            f"{words}; a fresh comparison of the clocks did not help",
            retry_after_s=CLOCK_PAUSE_S,
            remedy="look at this machine's clock (timedatectl); sending is paused until the "
            "venue takes our time",
        )

    @contextlib.contextmanager
    def _translated(self, *, changes: bool) -> Iterator[None]:
        """ccxt's errors in our words; what the session raised passes through."""
        self._session.is_reading = not changes
        try:
            yield
        # `from None`: the text of ccxt's errors holds whole signed URLs.
        except self._error as error:
            body = self._session.last_json
            outcome = outcome_of(error, status=self._session.last_status, body=body)
            code, words = told(body)
            message = f"{self.name}: {words or type(error).__name__} (code {code or 'none'})"
            message = self._credentials.scrub(message)
            if outcome is Outcome.CLOCK:
                raise _ClockRefusedError(message) from None
            rule = _rule(words) or str(code or type(error).__name__)
            raise error_for(outcome, message, rule=rule, changes=changes) from None
        except ROW_ERRORS as error:
            # Inside ccxt: JSON of a shape that its parsers did not expect.
            what = f"{self.name} answered with JSON of another shape: {reason_of(error)}"
            raise error_for(Outcome.OPEN, what, rule="", changes=changes) from None
        finally:
            self._session.is_reading = False

    def _unreadable(self, what: str, error: Exception) -> VenueUnavailableError:
        return VenueUnavailableError(
            f"{self.name} answered with an {what} that cannot be read: {reason_of(error)}",
            remedy="ask again; nothing is known until then",
        )

    def _order(self, row: Any) -> VenueOrder:
        filled, status = number(row["filled"], "filled"), row["status"]
        state = STATES.get(str(status), OrderState.UNKNOWN)
        if state is OrderState.WORKING and filled > 0:
            state = OrderState.PARTIAL
        if not row["id"] or not row["clientOrderId"]:
            raise DataError("field id or clientOrderId: text was missing")
        average = row.get("average")
        order = VenueOrder(
            client_order_id=self.dialect.from_wire(text(row["clientOrderId"], "clientOrderId")),
            venue_order_id=text(row["id"], "id"),
            symbol=text(row["symbol"], "symbol"),
            side=side(row["side"], "side"),
            quantity=number(row["amount"], "amount"),
            filled_quantity=filled,
            state=state,
            average_price=number(average, "average")
            if average is not None and filled > 0
            else None,
            reason="" if str(status) in STATES else f"unknown status {str(status)[:40]}",
        )
        self._names[order.venue_order_id] = order.client_order_id
        return order

    def _fill(self, row: Any) -> VenueFill:
        info = row.get("info")
        if isinstance(info, dict) and not isinstance(info.get("isBuyer", True), bool):
            # ccxt would call it a sale.
            raise DataError(f"field isBuyer: neither true nor false: {shown(info['isBuyer'])}")
        fee = row.get("fee") or {}
        # A fee in a currency that is not told is not known.
        cost = fee.get("cost") if fee.get("currency") else None
        return VenueFill(
            execution_id=text(row["id"], "id"),
            client_order_id=self._name(text(row["order"], "order"), text(row["symbol"], "symbol")),
            venue_order_id=text(row["order"], "order"),
            symbol=text(row["symbol"], "symbol"),
            side=side(row["side"], "side"),
            quantity=number(row["amount"], "amount"),
            price=number(row["price"], "price"),
            fee_amount=None if cost is None else number(cost, "fee cost"),
            fee_currency=text(fee["currency"], "fee currency") if fee.get("currency") else "",
            event_time=moment_of_ms(row["timestamp"], "timestamp"),
        )

    def _name(self, order_id: str, symbol: str) -> str:
        """Our id of an order that the venue names by its own; asked for once."""
        if order_id not in self._names:
            self._order(self._read("fetch_order", order_id, symbol))
        return self._names[order_id]

    def _position(self, held: tuple[str, Any]) -> VenuePosition | None:
        coin, total = held
        quantity = number(total, f"total {coin}")
        if coin == self.options.quote or quantity == 0:
            return None
        pair = f"{coin}/{self.options.quote}"
        return VenuePosition(
            symbol=pair if pair in self._exchange.markets else coin, quantity=quantity
        )


class _ClockRefusedError(Exception):
    """The venue found our timestamp outside its window; nothing was done."""


_FILTER: Final = "Filter failure: "


def _rule(words: str) -> str:
    """The name of the filter that Binance says was broken."""
    return words.removeprefix(_FILTER) if words.startswith(_FILTER) else ""


def _time_in_force(ticket: OrderTicket) -> str:
    if ticket.time_in_force is TimeInForce.DAY:
        raise OrderRejectedError(
            f"order {ticket.client_order_id} is good for the day, and a spot exchange has no day",
            rule="time_in_force",
            remedy="use gtc, ioc or fok",
        )
    return ticket.time_in_force.value.upper()


def _text(value: Decimal) -> str:
    return format(value, "f")


def _limit(values: Any, name: str) -> Decimal | None:
    value = values.get(name)
    if value is None:
        return None
    found = number(value, name)
    return found if found > 0 else None


def _band(info: Any) -> Decimal | None:
    """The narrowest side of Binance's PERCENT_PRICE_BY_SIDE."""
    filters = info.get("filters", []) if isinstance(info, dict) else []
    for one in filters:
        if one.get("filterType") == "PERCENT_PRICE_BY_SIDE":
            up, down = (
                number(one["bidMultiplierUp"], "bidMultiplierUp"),
                number(one["bidMultiplierDown"], "bidMultiplierDown"),
            )
            return min(up - 1, 1 - down)
    return None
