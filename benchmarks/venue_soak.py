"""Thousands of orders through each real SDK, with faults, judged by the venue's own books.

    python -m benchmarks.venue_soak --orders 10000

Every order is one intent with one id. What goes wrong is met as an order manager must meet it: an
unknown outcome is looked up, and sent again only when the venue has not known it for the grace
period. Counted at the end: intents that became two orders, orders that nobody meant, orders whose
end we and the venue tell differently, and connections beyond loopback. All four have to be zero.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.simulator.faults import FaultFile, FaultRule
from apps.simulator.server import Venue, VenueOptions, running
from quant.core.errors import OrderUnknownError, VenueUnavailableError
from quant.execution.broker import (
    Broker,
    OrderKind,
    OrderNotFoundError,
    OrderTicket,
    RateLimitedError,
    TimeInForce,
    VenueOrder,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials
from resources.brokers.egress import no_egress

SHORT_ORDERS = 300
# Long enough for the read lag below, short enough for a soak.
GRACE_S = 0.06
ATTEMPTS_MAX = 200
# These are canceled again; the others fill at once.
RESTING_SHARE = 0.3

# Shares of calls; several faults may strike one.
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "ack_lost", "on": ("submit", "cancel"), "share": 0.03},
    {"fault": "request_lost", "share": 0.02},
    {"fault": "error_after", "on": ("submit",), "share": 0.02, "status": 504},
    {"fault": "error_after", "on": ("submit",), "share": 0.01, "status": 500, "code": -1006},
    {"fault": "error_before", "share": 0.01, "status": 503},
    {"fault": "page", "share": 0.01},
    {"fault": "empty", "share": 0.01},
    {"fault": "truncated", "share": 0.01},
    {"fault": "cut", "share": 0.01},
    {"fault": "empty_object", "on": ("submit", "query"), "share": 0.01},
    {"fault": "null_field", "on": ("submit", "query"), "share": 0.01},
    {"fault": "nan_field", "on": ("submit", "query"), "share": 0.01},
    {"fault": "extra_field", "share": 0.02},
    {"fault": "answer_doubled", "share": 0.01},
    {"fault": "delay", "share": 0.05, "delay_ms_min": 0.5, "delay_ms_max": 5.0},
    {"fault": "rate_limited", "share": 0.005, "retry_after_s": 0.0},
    {"fault": "read_lag", "on": ("query",), "share": 0.05, "lag_ms": 30.0},
    {"fault": "fill_on_cancel", "on": ("cancel",), "share": 0.05},
    # Binance takes an id again once its order has filled: there only the network could be blamed.
    {"fault": "request_doubled", "on": ("submit",), "venue": "alpaca", "share": 0.01},
)


@dataclass
class Soak:
    """One SDK's run."""

    sdk: str
    broker: Broker
    told: dict[str, VenueOrder] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)

    def trade(self, ticket: OrderTicket, *, is_canceled: bool) -> None:
        """Bring one intent to an end that is known."""
        self.told[ticket.client_order_id] = self.until_known(lambda: self.broker.submit(ticket))
        if is_canceled:
            self.told[ticket.client_order_id] = self.until_known(
                lambda: self.broker.cancel(ticket.client_order_id, symbol=ticket.symbol)
            )

    def until_known(self, act: Callable[[], VenueOrder]) -> VenueOrder:
        """What the venue says in the end, asked as an order manager must ask."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return act()
            except RateLimitedError as error:
                self.met["rate limited"] += 1
                time.sleep(error.retry_after_s)
            except OrderUnknownError:
                self.met["unknown"] += 1
                # A look comes at once; the adapter sends again only after the grace period.
                time.sleep(GRACE_S / 4 if attempt else 0)
            except (VenueUnavailableError, OrderNotFoundError) as error:
                self.met[type(error).__name__] += 1
                time.sleep(0.005)
        raise AssertionError("an order never came to a known end")


def run(*, orders: int = SHORT_ORDERS, seed: int = 11) -> list[dict[str, object]]:
    """One row an SDK; `ratio` counts everything that must not be."""
    return [soak(sdk, orders=orders, seed=seed) for sdk in ("alpaca", "binance")]


def soak(sdk: str, *, orders: int, seed: int) -> dict[str, object]:
    """`orders` intents through one SDK, and the venue's verdict."""
    rules = tuple(FaultRule(**rule) for rule in FAULTS)
    venue = Venue(VenueOptions(seed=seed, faults=FaultFile(rules=rules)))
    with no_egress() as watch, running(venue, {sdk: 0}) as urls:
        one = Soak(sdk=sdk, broker=_patiently(lambda: _broker(sdk, urls[sdk])))
        start = time.perf_counter()
        draw = random.Random(seed)
        for place in range(orders):
            is_resting = draw.random() < RESTING_SHARE
            one.trade(_ticket(sdk, venue, place, draw, is_resting), is_canceled=is_resting)
        seconds = time.perf_counter() - start
    verdict = judge(one, venue)
    wrong = sum(verdict.values()) + len(watch.attempts)
    return {
        "name": f"venue_soak_{sdk}",
        "ratio": wrong,
        "limit": 0,
        "holds": wrong == 0,
        "orders": orders,
        "orders_per_second": round(orders / seconds, 1),
        **verdict,
        "egress": len(watch.attempts),
        "faults": dict(sorted(venue.plan.struck.items())),
        "met": dict(sorted(one.met.items())),
        "seed": seed,
    }


def judge(one: Soak, venue: Venue) -> dict[str, int]:
    """What the venue's own books say about what we believe."""
    account = venue.exchange.accounts[one.sdk]
    states = {
        "filled": OrderState.FILLED,
        "canceled": OrderState.CANCELED,
        "expired": OrderState.EXPIRED,
        "partial": OrderState.PARTIAL,
        "new": OrderState.WORKING,
    }
    names = account.by_client_id
    differing = 0
    for name, told in one.told.items():
        if name in names:
            real = account.orders[names[name][-1]]
            is_same = told.state is states[real.status.value]
            differing += not (is_same and told.filled_quantity == real.filled)
    return {
        "duplicates": sum(len(ids) > 1 for ids in names.values()),
        "orphans": len(names.keys() - one.told.keys()),
        "lost": len(one.told.keys() - names.keys()),
        "differing": differing,
    }


def _ticket(
    sdk: str, venue: Venue, place: int, draw: random.Random, is_resting: bool
) -> OrderTicket:
    symbol, wire, size = (
        ("AAPL", "AAPL", "0.1") if sdk == "alpaca" else ("BTC/USDT", "BTCUSDT", "0.001")
    )
    # Two buys for a sale, so that there is always something to sell.
    side = Side.SELL if place % 3 == 2 and not is_resting else Side.BUY
    price = venue.exchange.markets[wire].instrument.start_price * Decimal("0.7")
    return OrderTicket(
        client_order_id=f"pmx-{draw.getrandbits(112):028x}",
        symbol=symbol,
        side=side,
        quantity=Decimal(size) * (draw.randint(1, 5) if side is Side.BUY else 1),
        kind=OrderKind.LIMIT if is_resting else OrderKind.MARKET,
        limit_price=price.quantize(Decimal("0.01")) if is_resting else None,
        time_in_force=TimeInForce.GTC,
    )


def _broker(sdk: str, url: str) -> Broker:
    from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions
    from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker

    credentials = Credentials(VenueOptions().key_id, VenueOptions().secret)
    told: dict[str, Any] = {
        "environment": Environment.SIMULATED,
        "url": url,
        "read_timeout_s": 2.0,
        "resend_after_s": GRACE_S,
    }
    if sdk == "alpaca":
        return AlpacaBroker(credentials, AlpacaOptions(**told))
    spot = CcxtSpotBroker(credentials, CcxtOptions(**told))
    spot.connect()
    return spot


def _patiently(connect: Any) -> Broker:
    """The faults strike the first questions too."""
    for _ in range(ATTEMPTS_MAX):
        try:
            return connect()
        except VenueUnavailableError:
            time.sleep(0.005)
    raise AssertionError("the venue never answered")


def main() -> None:
    """The long form, by hand or in a nightly job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    rows = run(orders=asked.orders, seed=asked.seed)
    print(json.dumps({"bench": "venue_soak", "rows": rows}, indent=2))
    raise SystemExit(0 if all(row["holds"] for row in rows) else 1)


if __name__ == "__main__":
    main()
