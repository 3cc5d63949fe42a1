"""A paper configuration cannot reach a live venue, whatever it is told; and the watch sees all."""

import asyncio
import pickle
import socket
import sys
import urllib.request

import pytest

from quant.core.errors import UsageError
from resources.brokers.credentials import Credentials, credentials_of
from resources.brokers.egress import (
    HOSTS,
    EgressRefusedError,
    Environment,
    HostGuard,
    is_loopback,
    no_egress,
)
from resources.settings import Settings

LIVE_HOSTS = sorted(
    host
    for (_, environment), hosts in HOSTS.items()
    if environment is Environment.LIVE
    for host in hosts
)


def test_paper_and_live_share_no_host() -> None:
    paper = {host for (_, e), hosts in HOSTS.items() if e is Environment.PAPER for host in hosts}
    assert paper
    assert not paper & set(LIVE_HOSTS)


@pytest.mark.parametrize("host", LIVE_HOSTS)
@pytest.mark.parametrize("venue", ["alpaca", "binance"])
def test_paper_reaches_no_live_host(venue: str, host: str) -> None:
    guard = HostGuard(venue, Environment.PAPER)
    for address in (f"https://{host}/v2/orders", f"https://{host}:443/", f"http://{host}/"):
        with pytest.raises(EgressRefusedError, match="may not reach"):
            guard.address(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://paper-api.alpaca.markets/v2",  # not encrypted
        "https://paper-api.alpaca.markets:8443/v2",
        "https://paper-api.alpaca.markets.evil.example/v2",
        "https://paper-api.alpaca.markets@evil.example/v2",
        "https://evil.example/paper-api.alpaca.markets",
        "file:///etc/passwd",
    ],
)
def test_only_the_exact_host_over_tls_is_reached(address: str) -> None:
    with pytest.raises(EgressRefusedError):
        HostGuard("alpaca", Environment.PAPER).address(address)


def test_paper_reaches_its_own_host() -> None:
    address = "https://paper-api.alpaca.markets/v2/account"
    assert HostGuard("alpaca", Environment.PAPER).address(address) == address


def test_a_paper_or_live_venue_takes_no_other_url() -> None:
    for environment in (Environment.PAPER, Environment.LIVE):
        with pytest.raises(UsageError, match="its own address"):
            HostGuard("alpaca", environment, "http://127.0.0.1:1")


@pytest.mark.parametrize("url", [None, "https://api.alpaca.markets", "http://localhost:1", "x"])
def test_a_simulated_venue_lives_on_loopback(url: str | None) -> None:
    """A name is refused too, since names resolve to anything."""
    with pytest.raises(UsageError, match="loopback"):
        HostGuard("alpaca", Environment.SIMULATED, url)


def test_everything_goes_to_the_simulator_when_there_is_one() -> None:
    guard = HostGuard("binance", Environment.SIMULATED, "http://127.0.0.1:9")
    told = guard.address("https://fapi.binance.com/fapi/v1/order?a=1")
    assert told == "http://127.0.0.1:9/fapi/v1/order?a=1"


def test_a_venue_without_paper_money_says_so() -> None:
    with pytest.raises(UsageError, match="no paper venue"):
        HostGuard("kraken", Environment.PAPER)


@pytest.mark.parametrize(
    ("host", "is_ours"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("a", False)]
)
def test_loopback_is_an_address(host: str, is_ours: bool) -> None:
    assert is_loopback(host) == is_ours


def test_the_watch_refuses_and_lists_every_way_out() -> None:
    """Plain sockets, names, HTTP and asyncio; 192.0.2.1 is reserved for documentation."""
    with no_egress() as watch:
        with socket.socket() as plain, pytest.raises(PermissionError):
            plain.connect(("192.0.2.1", 80))
        with socket.socket(type=socket.SOCK_DGRAM) as sent, pytest.raises(PermissionError):
            sent.sendto(b"x", ("192.0.2.1", 53))
        with pytest.raises(OSError, match="beyond loopback"):
            urllib.request.urlopen("http://venue.example/", timeout=1)
        with pytest.raises(PermissionError):
            asyncio.run(asyncio.open_connection("192.0.2.1", 80))
    assert len(watch.attempts) == 4


def test_the_watch_lets_loopback_through_and_ends_with_its_block() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with no_egress() as watch, socket.socket() as client:
            client.connect(listener.getsockname())
        assert watch.attempts == []
        assert not watch.is_on
    # What a socket would announce, without a socket: nobody refuses it any more.
    sys.audit("socket.connect", None, ("192.0.2.1", 80))
    assert watch.attempts == []


def test_credentials_are_neither_printed_nor_pickled() -> None:
    secret = Credentials("canary-id", "canary-secret")
    assert "canary" not in repr(secret)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    assert secret.scrub("canary-id said canary-secret") == "*** said ***"


def test_missing_credentials_name_their_variables_and_no_value() -> None:
    settings = Settings.from_env({"PMX_ALPACA_KEY_ID": "canary"})
    with pytest.raises(UsageError, match="PMX_ALPACA_SECRET_KEY") as error:
        credentials_of(settings, "alpaca")
    assert "canary" not in f"{error.value}{error.value.remedy}"
    whole = Settings.from_env({"PMX_ALPACA_KEY_ID": "a", "PMX_ALPACA_SECRET_KEY": "b"})
    assert credentials_of(whole, "alpaca").secret == "b"
    with pytest.raises(UsageError, match="empty"):
        Credentials("", "x")
