"""Where the real SDKs would go, seen from the socket; and what they would put on the wire.

Every connection is refused before it is made: nothing leaves this machine.
"""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from quant.core.errors import VenueUnavailableError
from quant.execution.broker import OrderKind, OrderRejectedError, OrderTicket, TimeInForce
from quant.execution.orders import Side
from quant.execution.venues import Environment
from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions
from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker
from resources.brokers.credentials import Credentials
from resources.brokers.egress import HOSTS, EgressRefusedError, no_egress

KEYS = Credentials("key", "c2VjcmV0")
OURS = "pmx-0123456789abcdef0123456789ab"


@pytest.mark.parametrize("environment", [Environment.PAPER, Environment.LIVE])
def test_alpacas_sdk_goes_to_the_host_of_its_environment_alone(environment: Environment) -> None:
    broker = AlpacaBroker(KEYS, AlpacaOptions(environment=environment))
    with no_egress() as watch, pytest.raises(VenueUnavailableError, match="cannot be reached"):
        broker.account()
    (host,) = HOSTS["alpaca", environment]
    assert set(watch.attempts) == {f"socket.getaddrinfo {host}"}


@pytest.mark.parametrize(
    ("exchange_id", "environment"),
    [
        ("binance", Environment.PAPER),
        ("binance", Environment.LIVE),
        ("kraken", Environment.LIVE),
        ("coinbase", Environment.LIVE),
    ],
)
def test_ccxt_goes_to_the_host_of_its_environment_alone(
    exchange_id: str, environment: Environment
) -> None:
    """ccxt alone would ask seven addresses for Binance's markets."""
    broker = CcxtSpotBroker(
        KEYS, CcxtOptions(exchange_id=exchange_id, environment=environment, quote="USD")
    )
    with no_egress() as watch, pytest.raises(VenueUnavailableError, match="cannot be reached"):
        broker.connect()
    (host,) = HOSTS[exchange_id, environment]
    assert set(watch.attempts) == {f"socket.getaddrinfo {host}"}


def test_a_paper_sdk_that_is_bent_towards_live_is_refused_before_any_look_up() -> None:
    """Even somebody who changes the SDK's own address does not reach the live venue."""
    alpaca = AlpacaBroker(KEYS)
    alpaca._client._base_url = "https://api.alpaca.markets"
    spot = CcxtSpotBroker(KEYS)
    spot._exchange.urls["api"]["public"] = "https://api.binance.com/api/v3"
    with no_egress() as watch:
        with pytest.raises(EgressRefusedError):
            alpaca.account()
        with pytest.raises(EgressRefusedError):
            spot.connect()
    assert watch.attempts == []


def wire_of(exchange_id: str, ticket: OrderTicket) -> dict[str, Any]:
    """The body that ccxt would post for `ticket`."""
    posted: list[Any] = []
    options = CcxtOptions(exchange_id=exchange_id, environment=Environment.LIVE, quote="USD")
    broker = CcxtSpotBroker(KEYS, options)

    def keep(method: str, url: str, **options: Any) -> Any:
        posted.append((url, options["data"]))
        raise VenueUnavailableError("kept for the test")

    broker._session.request = keep
    broker._exchange.set_markets([market_of(exchange_id)])
    broker._is_ready = True
    with pytest.raises(VenueUnavailableError, match="kept"):
        broker.submit(ticket)
    body = posted[-1][1].decode()
    if body.startswith("{"):
        return json.loads(body)
    return {name: values[0] for name, values in parse_qs(body).items()}


def market_of(exchange_id: str) -> dict[str, Any]:
    name = {"kraken": "XBTUSD", "coinbase": "BTC-USD"}[exchange_id]
    limits = {"min": "0.0001", "max": None}
    return {
        "id": name,
        "wsId": "XBT/USD",
        "symbol": "BTC/USD",
        "base": "BTC",
        "quote": "USD",
        "baseId": "BTC",
        "quoteId": "USD",
        "type": "spot",
        "spot": True,
        "contract": False,
        "active": True,
        "precision": {"amount": "0.0001", "price": "0.1"},
        "limits": {"amount": limits, "price": {"min": None, "max": None}, "cost": limits},
        "info": {},
    }


def limit_ticket(**more: Any) -> OrderTicket:
    told: dict[str, Any] = {
        "client_order_id": OURS,
        "symbol": "BTC/USD",
        "side": Side.BUY,
        "quantity": Decimal("0.0125"),
        "kind": OrderKind.LIMIT,
        "limit_price": Decimal("60000.1"),
        "time_in_force": TimeInForce.GTC,
    }
    return OrderTicket(**(told | more))


def test_coinbase_gets_our_id_which_ccxt_would_replace_by_its_own() -> None:
    body = wire_of("coinbase", limit_ticket())
    assert body["client_order_id"] == OURS
    assert "60000.1" in json.dumps(body)
    assert "0.0125" in json.dumps(body)


def test_kraken_gets_our_id_in_the_form_that_it_takes() -> None:
    body = wire_of("kraken", limit_ticket())
    assert body["cl_ord_id"] == "706d0123456789abcdef0123456789ab"
    assert (body["volume"], body["price"]) == ("0.0125", "60000.1")


def test_an_order_for_the_day_is_refused_where_there_is_no_day() -> None:
    broker = CcxtSpotBroker(
        KEYS, CcxtOptions(exchange_id="kraken", environment=Environment.LIVE, quote="USD")
    )
    broker._exchange.set_markets([market_of("kraken")])
    broker._is_ready = True
    with no_egress(), pytest.raises(OrderRejectedError, match="no day"):
        broker.submit(limit_ticket(time_in_force=TimeInForce.DAY))


def test_a_market_buy_is_refused_where_it_would_be_another_order() -> None:
    """Coinbase buys for an amount of money; a quantity that nobody asked for would come back."""
    broker = CcxtSpotBroker(
        KEYS, CcxtOptions(exchange_id="coinbase", environment=Environment.LIVE, quote="USD")
    )
    broker._exchange.set_markets([market_of("coinbase")])
    broker._is_ready = True
    ticket = OrderTicket(
        client_order_id=OURS, symbol="BTC/USD", side=Side.BUY, quantity=Decimal("0.01")
    )
    with no_egress() as watch, pytest.raises(OrderRejectedError, match="amount of money"):
        broker.submit(ticket)
    assert watch.attempts == []
