"""The one way out to a vendor: rate limit, retry, time limit, size limit, typed errors.

Belongs here: everything that is the same for all vendors (`VendorGate`, `JsonClient`). Does not
belong here: paths, parameters and shapes of one vendor; which source is asked next (`failover`).
"""

import datetime as dt
import email.utils
import functools
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr

from quant.core.errors import SourceAnswerError, SourceRefusedError, SourceUnavailableError
from quant.core.policy import Policy

# Part of a vendor's own words that is worth repeating in a message.
VENDOR_WORDS_LENGTH: Final = 160
# A ban (418) is Binance's answer to ignoring 429; both mean "later", as do the 5xx.
LATER: Final = frozenset({408, 418, 425, 429})


class SourceRules(Policy):
    """How hard one vendor may be asked."""

    requests_per_minute: int = Field(default=60, ge=1)
    # Everything together: waiting for the rate limit, connecting, retries, reading the body.
    timeout_s: float = Field(default=2.0, gt=0)
    connect_timeout_s: float = Field(default=1.0, gt=0)
    retries: int = Field(default=2, ge=0)
    # The longest first pause before a retry; doubled at every further one.
    backoff_first_s: float = Field(default=0.2, gt=0)
    # The largest honest answer seen is an exchange's list of markets, below 16 MB.
    body_bytes_max: int = Field(default=32 * 1024 * 1024, ge=1)


class TransientAnswerError(SourceUnavailableError):
    """Worth another try, not before `retry_after_s` have passed."""

    def __init__(self, message: str, *, remedy: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


class SymbolRefusedError(SourceRefusedError):
    """The vendor said no to this symbol or range; it may well have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# Sends one request within the seconds it is given and returns what came back.
Send = Callable[[float], RawAnswer]


@dataclass(slots=True, kw_only=True)
class VendorGate:
    """Every request to one vendor passes here, whichever library builds it."""

    source: str
    rules: SourceRules
    secrets: tuple[SecretStr, ...] = ()
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _bucket: Any = field(init=False, repr=False)
    _limiter: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, SingleBucketFactory

        # Old entries are dropped at every turn, so that no background thread per vendor is needed.
        self._bucket = InMemoryBucket([Rate(self.rules.requests_per_minute, Duration.MINUTE)])
        self._limiter = Limiter(SingleBucketFactory(self._bucket, schedule_leak=False))

    def ask(self, send: Send) -> tuple[Any, RawAnswer]:
        """The parsed JSON and the raw answer; every failure is one of the three source errors."""
        import tenacity

        ends_at = self.monotonic() + self.rules.timeout_s
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientAnswerError),
            stop=tenacity.stop_after_attempt(self.rules.retries + 1)
            | tenacity.stop_before_delay(self.rules.timeout_s),
            wait=self._pause_s,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(self._ask_once, send, ends_at)

    def _pause_s(self, state: Any) -> float:
        """Exponential with full jitter, so that many machines do not return together."""
        step_s: float = self.rules.backoff_first_s * 2 ** (state.attempt_number - 1)
        error = state.outcome.exception()
        asked_s = error.retry_after_s if isinstance(error, TransientAnswerError) else 0.0
        return asked_s + random.uniform(0.0, step_s)

    def _ask_once(self, send: Send, ends_at: float) -> tuple[Any, RawAnswer]:
        self._wait_for_turn(ends_at)
        answer = send(max(ends_at - self.monotonic(), 0.001))
        return self.read(answer), answer

    def _wait_for_turn(self, ends_at: float) -> None:
        self._bucket.leak(self._bucket.now())
        left = max(ends_at - self.monotonic(), 0.0)
        if not self._limiter.try_acquire(self.source, blocking=True, timeout=left):
            raise SourceUnavailableError(
                f"{self.source}: {self.rules.requests_per_minute} requests a minute are used up",
                remedy="wait a minute, or raise requests_per_minute if your plan allows it",
            )

    def read(self, answer: RawAnswer) -> Any:
        """The JSON of a good answer; the right error for any other."""
        status, words = answer.status, self._words(answer)
        if status in LATER or status >= 500:
            raise TransientAnswerError(
                f"{self.source} answered {status}{words}",
                remedy="try later; the next source is asked meanwhile",
                retry_after_s=retry_after_s(answer.headers),
            )
        if status in (401, 403):
            raise SourceRefusedError(
                f"{self.source} answered {status}{words}",
                remedy=f"check the key of {self.source} and what its plan allows",
            )
        if status >= 400:
            raise SymbolRefusedError(
                f"{self.source} answered {status}{words}",
                remedy="check that the source has this symbol, range and interval",
            )
        if status >= 300:
            raise self.unbelievable(f"a redirect ({status}) where data was due")
        return self._parsed(answer.body)

    def _parsed(self, body: bytes) -> Any:
        if not body.strip():
            raise self.unbelievable("an empty body")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            start = body.lstrip()[:1]
            kind = "a web page" if start == b"<" else f"{len(body)} bytes that are not whole JSON"
            raise self.unbelievable(kind) from None

    def unbelievable(self, what: str) -> SourceAnswerError:
        """The error for an answer that came but cannot be used."""
        return SourceAnswerError(
            f"{self.source} answered {what}",
            remedy=f"ask another source; if it lasts, look whether {self.source} changed its API",
        )

    def unreachable(self, what: str) -> TransientAnswerError:
        """The error for an answer that did not come."""
        return TransientAnswerError(
            f"{self.source} {what}",
            remedy="check the network; the next source is asked meanwhile",
        )

    def redacted(self, text: str) -> str:
        """`text` as it may be shown: one short line without any of the vendor's secrets."""
        for secret in self.secrets:
            text = text.replace(secret.get_secret_value(), "***")
        return " ".join(text.split())[:VENDOR_WORDS_LENGTH]

    def _words(self, answer: RawAnswer) -> str:
        """What the vendor says about the failure, where it says it in JSON."""
        if answer.status < 400:
            return ""
        try:
            told = json.loads(answer.body)
        except (ValueError, RecursionError):
            return ""
        words = _find_words(told)
        return f": {self.redacted(words)}" if words else ""

    def read_body(self, chunks: Iterable[bytes], *, ends_at: float) -> bytes:
        """All chunks, unless they are too many or drip in too slowly."""
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > self.rules.body_bytes_max:
                raise self.unbelievable(f"more than {self.rules.body_bytes_max} bytes")
            if self.monotonic() > ends_at:
                raise self.unreachable(f"did not finish within {self.rules.timeout_s:g} s")
        return bytes(body)


class JsonClient:
    """Requests for JSON, over one pooled connection per vendor."""

    def __init__(
        self, gate: VendorGate, *, base_url: str, headers: Mapping[str, str] | None = None
    ) -> None:
        # At INFO httpx logs whole URLs, at DEBUG httpcore logs headers; both can hold a key.
        quiet_wire_logs()
        self.gate = gate
        self._client = httpx.Client(
            base_url=base_url,
            headers=dict(headers or {}),
            trust_env=not is_loopback(base_url),
            verify=_tls(),
        )

    def get(self, path: str, params: Mapping[str, str | int]) -> Any:
        """The parsed answer to one question."""

        def send(seconds: float) -> RawAnswer:
            return self._send("GET", path, seconds, params=params)

        return self.gate.ask(send)[0]

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float) -> Any:
        """The parsed answer to a question too long for an address, within `seconds`."""

        def send(most: float) -> RawAnswer:
            return self._send("POST", path, min(most, seconds), json=body)

        return self.gate.ask(send)[0]

    def _send(self, method: str, path: str, seconds: float, **content: Any) -> RawAnswer:
        rules, gate = self.gate.rules, self.gate
        ends_at = gate.monotonic() + seconds
        timeout = httpx.Timeout(seconds, connect=min(seconds, rules.connect_timeout_s))
        try:
            with self._client.stream(method, path, timeout=timeout, **content) as response:
                # Without a chunk size each piece is seen as it comes, and the clock with it.
                body = gate.read_body(response.iter_bytes(), ends_at=ends_at)
                return RawAnswer(
                    status=response.status_code, headers=dict(response.headers), body=body
                )
        # `from None`: httpx's exceptions hold the request, whose URL can hold a key.
        except httpx.TimeoutException:
            raise gate.unreachable(f"did not answer within {rules.timeout_s:g} s") from None
        except httpx.RemoteProtocolError:
            raise gate.unbelievable("a body that was cut off") from None
        except httpx.DecodingError:
            raise gate.unbelievable("a body that cannot be decompressed") from None
        except httpx.HTTPError as error:
            raise gate.unreachable(f"cannot be reached ({type(error).__name__})") from None

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


@functools.cache
def _tls() -> ssl.SSLContext:
    """One set of trusted certificates for all vendors; reading it takes tens of milliseconds."""
    return httpx.create_ssl_context()


def is_loopback(url: str) -> bool:
    """Whether the address is this machine, to which no proxy leads."""
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "::1", "localhost")


def quiet_wire_logs() -> None:
    """Keep URLs and headers, which can hold keys, out of any log."""
    for name, level in (("httpx", logging.WARNING), ("httpcore", logging.INFO)):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, level))


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The wait that a vendor asks for, in either form that HTTP allows; 0 where it asks none."""
    text = {name.lower(): value for name, value in headers.items()}.get("retry-after", "").strip()
    if not text:
        return 0.0
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)


def _find_words(told: Any) -> str:
    """The first text under one of the names that the vendors use for their complaints."""
    if isinstance(told, dict):
        for name in ("message", "msg", "description", "error", "Error Message"):
            value = told.get(name)
            if isinstance(value, str):
                return value
        for value in told.values():
            if isinstance(value, dict) and (words := _find_words(value)):
                return words
    return ""
