"""The rules of the wire: how often, how long, how much, and what may be said about it."""

import datetime as dt
import time

import pytest
from pydantic import SecretStr

from quant.core.errors import SourceAnswerError, SourceUnavailableError
from resources.market_data.http import JsonClient, SourceRules, VendorGate, retry_after_s
from tests.loopback import Ask, refusing_address, serving


def client(url: str, **rules: float) -> JsonClient:
    settings = {"requests_per_minute": 1000, "timeout_s": 2.0, "retries": 0} | rules
    gate = VendorGate(
        source="vendor",
        rules=SourceRules.model_validate(settings),
        secrets=(SecretStr("canary-key"),),
    )
    return JsonClient(gate, base_url=url)


def test_the_rate_limit_holds_and_is_told_when_there_is_no_time_to_wait() -> None:
    """Three requests a minute: the fourth would wait a minute and has a fifth of a second."""
    with serving(lambda _ask: {"n": 1}) as vendor:
        asking = client(vendor.url, requests_per_minute=3, timeout_s=0.2)
        for _ in range(3):
            asking.get("/", {})
        started = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="3 requests a minute"):
            asking.get("/", {})
        assert time.monotonic() - started < 0.5
        assert len(vendor.asks) == 3


def test_retries_count_against_the_rate_limit() -> None:
    """A storm of retries is what a vendor bans for."""
    with serving(lambda _ask: {}, fault="503") as vendor:
        with pytest.raises(SourceUnavailableError):
            client(vendor.url, requests_per_minute=2, retries=5, timeout_s=1.0).get("/", {})
        assert len(vendor.asks) == 2


def test_a_body_that_is_too_large_is_given_up_while_it_comes() -> None:
    with (
        serving(lambda _ask: ["x" * 1000] * 300) as vendor,
        pytest.raises(SourceAnswerError, match="more than 100000 bytes"),
    ):
        client(vendor.url, body_bytes_max=100_000).get("/", {})


def test_retries_end_with_the_time_and_not_only_with_their_number() -> None:
    with serving(lambda _ask: {}, fault="503") as vendor:
        started = time.monotonic()
        with pytest.raises(SourceUnavailableError):
            client(vendor.url, retries=1000, timeout_s=0.8).get("/", {})
        assert time.monotonic() - started < 1.6


def test_the_vendors_own_words_are_shown_without_the_key() -> None:
    """A vendor that repeats the key in its complaint must not bring it into a log."""

    def respond(ask: Ask) -> object:
        return 403, {"error": f"key {ask.query['apikey']} is not allowed here"}

    with serving(respond) as vendor, pytest.raises(Exception, match=r"key \*\*\* is not allowed"):
        client(vendor.url).get("/", {"apikey": "canary-key"})


def test_nobody_listening_is_told_without_the_address_and_its_key() -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        client(refusing_address()).get("/", {"apikey": "canary-key"})
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_retry_after_is_read_in_both_forms() -> None:
    """RFC 9110: seconds or a date; nonsense and the past are no wait."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    assert retry_after_s({"Retry-After": "7"}) == 7.0
    date = soon.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 27 < retry_after_s({"retry-after": date}) <= 30
    assert retry_after_s({"retry-after": "Thu, 01 Jan 2015 00:00:00 GMT"}) == 0.0
    assert retry_after_s({"retry-after": "soon"}) == 0.0
    assert retry_after_s({}) == 0.0
