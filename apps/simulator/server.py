"""The venue as a whole: one exchange behind two protocols, and the faults before its clients.

Belongs here: assembly, serving, and what each fault does to an answer. Does not belong here: any
protocol (`alpaca`, `binance`) or what a venue decides (`exchange`). Loopback only, and no option to
change that: a fake venue that others can reach is a hazard.
"""

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO, Any, Final

from apps.simulator.alpaca import ACCOUNT as ALPACA
from apps.simulator.alpaca import AlpacaFront
from apps.simulator.binance import ACCOUNT as BINANCE
from apps.simulator.binance import BinanceFront
from apps.simulator.ctrader import ACCOUNT as CTRADER
from apps.simulator.ctrader import CTraderFront
from apps.simulator.eventlog import EventLog
from apps.simulator.exchange import Exchange, VenueEvent
from apps.simulator.faults import Fault, FaultFile, FaultPlan
from apps.simulator.fronts import Front, Struck, moment_text, text
from apps.simulator.http import Ask, HttpConnection, Reply
from apps.simulator.instruments import COIN_FEES, COINS, CURRENCIES, STOCK_FEES, STOCKS, Instrument
from apps.simulator.records import IdRule, SimAccount, SimRequest, VenueRefusal
from apps.simulator.streams import StreamHub
from quant.core.clock import Clock, SystemClock
from quant.execution.orders import Side

HOST: Final = "127.0.0.1"
# The market moves in steps of 100 ms; a timer of half of that keeps streams fresh.
TICK_S: Final = 0.05

_PAGE: Final = b"<html><body>We will be right back</body></html>"
_DROPPING: Final = {Fault.REQUEST_LOST, Fault.OUTAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOptions:
    """What a venue is made of; the keys are not secret, since nothing real answers to them."""

    seed: int = 1
    faults: FaultFile = field(default_factory=FaultFile)
    key_id: str = "simulated-key"
    secret: str = "simulated-secret"
    cash_usd: Decimal = Decimal(1_000_000)
    cash_usdt: Decimal = Decimal(1_000_000)
    instruments: tuple[Instrument, ...] = (*STOCKS, *COINS, *CURRENCIES)


class Venue:
    """An exchange with both protocols in front of it. Not thread-safe: one loop serves it."""

    def __init__(
        self, options: VenueOptions, *, clock: Clock | None = None, log: IO[str] | None = None
    ) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.plan = FaultPlan(seed=options.seed, rules=list(options.faults.rules))
        self.plan.started_at = self.clock.now()
        self.log = EventLog(seed=options.seed, stream=log)
        self.exchange = Exchange(
            instruments=options.instruments,
            accounts=_accounts(options),
            seed=options.seed,
            clock=self.clock,
        )
        self.exchange.listeners.append(self._record)
        self.alpaca = AlpacaFront(
            self.exchange,
            self._hub(ALPACA),
            key_id=options.key_id,
            secret=options.secret,
            requests_per_minute=options.faults.alpaca_requests_per_minute,
        )
        self.binance = BinanceFront(
            self.exchange,
            self._hub(BINANCE),
            key=options.key_id,
            secret=options.secret,
            weight_per_minute=options.faults.binance_weight_per_minute,
        )
        self.ctrader = CTraderFront(
            self.exchange,
            self.plan,
            self.log,
            client_id=options.key_id,
            client_secret=options.secret,
        )

    def serve(self, front: Front, ask: Ask) -> Reply:
        """One request, with whatever strikes it."""
        now, operation = self.clock.now(), front.operation_of(ask)
        struck = {r.fault: r for r in self.plan.choose(front.name, operation, now)}
        reply = self._before(front, struck) or self._after(front, ask, operation, struck)
        self.log.write(
            "request",
            moment_text(now),
            venue=front.name,
            operation=operation,
            method=ask.method,
            path=ask.path,
            status=reply.status,
            faults=sorted(struck),
        )
        return reply

    def _before(self, front: Front, struck: Struck) -> Reply | None:
        """Faults that keep the request from the exchange."""
        if struck.keys() & _DROPPING:
            return Reply(is_dropped=True)
        for fault, status in ((Fault.BANNED, 418), (Fault.RATE_LIMITED, 429)):
            if rule := struck.get(fault):
                told = 429 if front.name == ALPACA else status
                wait = {"Retry-After": f"{math.ceil(rule.retry_after_s)}"}
                return front.error(told, rule.code, "too many requests", **wait)
        if Fault.AUTH_REVOKED in struck:
            return front.error(401, 0, "Invalid API-key, IP, or permissions for action.")
        if rule := struck.get(Fault.ERROR_BEFORE):
            return front.error(rule.status, rule.code, "the venue is busy")
        return None

    def _after(self, front: Front, ask: Ask, operation: str, struck: Struck) -> Reply:
        """What the exchange says, and what becomes of it on the way."""
        self.exchange.is_halted = Fault.HALT in struck
        if Fault.SUSPENDED in struck:
            self.exchange.accounts[front.name].is_suspended = True
        if Fault.EXTERNAL_ORDER in struck:
            self._trade_by_hand(front.name)
        reply = front.answer(ask, struck)
        if Fault.REQUEST_DOUBLED in struck:
            front.answer(ask, struck)
        if operation != "submit" or reply.status == 200:
            reply = _broken(reply, front, struck)
        if rule := struck.get(Fault.DELAY):
            draw = self.plan.draw("delay", front.name, operation, self.plan.struck["delay"])
            reply.delay_s = draw.uniform(rule.delay_ms_min, rule.delay_ms_max) / 1000
        reply.is_dropped = Fault.ACK_LOST in struck
        reply.is_withheld = Fault.ACK_HUNG in struck
        reply.is_cut = Fault.CUT in struck
        reply.is_doubled = Fault.ANSWER_DOUBLED in struck
        return reply

    def _trade_by_hand(self, account: str) -> None:
        held = self.exchange.accounts[account]
        symbol, quantity = (
            ("AAPL", Decimal(1)) if account == ALPACA else ("BTCUSDT", Decimal("0.01"))
        )
        name = f"manual-{len(held.orders)}"
        with contextlib.suppress(VenueRefusal):
            self.exchange.submit(
                account,
                SimRequest(client_id=name, symbol=symbol, side=Side.BUY, quantity=quantity),
            )

    def _hub(self, venue: str) -> StreamHub:
        return StreamHub(venue=venue, plan=self.plan, now=self.clock.now, later=_later)

    def _record(self, event: VenueEvent) -> None:
        order, fill = event.order, event.fill
        traded = {"price": text(fill.price), "quantity": text(fill.quantity)} if fill else {}
        self.log.write(
            f"order {event.kind}",
            moment_text(event.time),
            venue=order.account,
            order_id=order.order_id,
            client_order_id=order.request.client_id,
            symbol=order.request.symbol,
            side=order.request.side.value,
            status=order.status.value,
            **traded,
        )

    async def listen(self, ports: dict[str, int]) -> dict[str, asyncio.Server]:
        """Open the ports; 0 takes a free one."""
        loop = asyncio.get_running_loop()
        fronts: dict[str, Front] = {
            ALPACA: self.alpaca,
            BINANCE: self.binance,
            CTRADER: self.ctrader,
        }
        found = {}
        for name, port in ports.items():
            found[name] = await loop.create_server(self._factory(fronts[name]), HOST, port)
        return found

    def _factory(self, front: Front) -> Callable[[], HttpConnection]:
        return lambda: HttpConnection(lambda ask: self.serve(front, ask), front.open_channel)

    async def run(self) -> None:
        """Let time pass until cancelled, so that orders fill and streams speak by themselves."""
        while True:
            await asyncio.sleep(TICK_S)
            self.exchange.advance()
            self.log.flush()


def _accounts(options: VenueOptions) -> tuple[SimAccount, ...]:
    return (
        SimAccount(
            name=ALPACA,
            cash_asset="USD",
            fees=STOCK_FEES,
            balances={"USD": options.cash_usd},
            can_short=True,
            id_rule=IdRule.FOR_EVER,
            works_market_orders=True,
        ),
        SimAccount(
            name=BINANCE,
            cash_asset="USDT",
            fees=COIN_FEES,
            balances={"USDT": options.cash_usdt},
            can_short=False,
            id_rule=IdRule.WHILE_OPEN,
            works_market_orders=False,
        ),
        SimAccount(
            name=CTRADER,
            cash_asset="USD",
            fees=STOCK_FEES,
            balances={"USD": options.cash_usd},
            can_short=True,
            id_rule=IdRule.NEVER,
            works_market_orders=False,
        ),
    )


def _later(seconds: float, action: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, action)


def _broken(reply: Reply, front: Front, struck: Struck) -> Reply:
    """An honest answer turned into a dishonest one."""
    if rule := struck.get(Fault.ERROR_AFTER):
        return front.error(rule.status, rule.code, "the outcome is unknown")
    if Fault.PAGE in struck:
        return Reply(status=200, body=_PAGE, headers={"Content-Type": "text/html"})
    fixed = {Fault.EMPTY: b"", Fault.EMPTY_OBJECT: b"{}", Fault.EMPTY_LIST: b"[]"}
    for fault, body in fixed.items():
        if fault in struck:
            return Reply(status=200, body=body)
    if Fault.TRUNCATED in struck:
        reply.body = reply.body[: len(reply.body) // 2]
        return reply
    odd = struck.keys() & {
        Fault.UNKNOWN_WORD,
        Fault.NULL_FIELD,
        Fault.EXTRA_FIELD,
        Fault.NAN_FIELD,
    }
    if odd and reply.body:
        reply.body = json.dumps(_odd(json.loads(reply.body), odd)).encode()
    return reply


def _odd(value: Any, faults: set[Fault]) -> Any:
    """The first object of the answer with something in it that no client expects."""
    if isinstance(value, list):
        return [_odd(value[0], faults), *value[1:]] if value else value
    if not isinstance(value, dict):
        return value
    changes: dict[str, Any] = {"surprise": {"deep": [1]}} if Fault.EXTRA_FIELD in faults else {}
    for name in ("status",):
        if name in value and Fault.UNKNOWN_WORD in faults:
            changes[name] = "surprising_status"
    for name in ("qty", "origQty"):
        if name in value and Fault.NULL_FIELD in faults:
            changes[name] = None
        if name in value and Fault.NAN_FIELD in faults:
            changes[name] = "NaN"
    return value | changes


@contextlib.contextmanager
def running(venue: Venue, ports: dict[str, int] | None = None) -> Iterator[dict[str, str]]:
    """The venue on free loopback ports in a thread of its own; gives the addresses by protocol."""
    ready = threading.Event()
    addresses: dict[str, str] = {}
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        servers = await venue.listen(ports or {ALPACA: 0, BINANCE: 0, CTRADER: 0})
        for name, server in servers.items():
            addresses[name] = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        ready.set()
        try:
            await venue.run()
        finally:
            for server in servers.values():
                server.close()

    task = loop.create_task(serve())

    def live() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=live, name="venue", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield addresses
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
