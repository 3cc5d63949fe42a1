"""The HTTP that vendor SDKs are given: guarded, bounded in time, and honest about what it knows.

Belongs here: what makes any SDK safe to trade with. alpaca-py has no timeout and re-sends an order
after a 504; ccxt reads a web page, an empty body or half an object as an order without an id. Both
get this session, which raises the port's own errors before the SDK can look away. Does not belong
here: anything of one vendor. Imported only by adapters, since `requests` is slow to import.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
import urllib3

from quant.core.errors import OrderUnknownError, VenueError, VenueUnavailableError
from quant.execution.broker import RateLimitedError, VenueAuthError
from quant.execution.budget import CallKind
from resources.brokers.egress import HostGuard
from resources.brokers.quiet import quieten
from resources.brokers.shared_calls import SharedCalls

BODY_BYTES_MAX: Final = 32 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
# Without a Retry-After: Alpaca's budget is per minute, and Binance's bans begin at two minutes.
RETRY_AFTER_S: Final = 5.0
BAN_S: Final = 120.0
# A server closes a connection that is idle for long, and an order that meets such a close has an
# open end: what has idled longer than this is not used again.
IDLE_S_MAX: Final = 10.0


# The weight of a request by method and address.
Weigh = Callable[[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Both are walls: an answer that drips slowly does not start the clock anew."""

    connect_s: float = 3.0
    # Binance's matching engine gives up after 10 s.
    read_s: float = 12.0


class VenueSession(requests.Session):
    """One venue's session. A GET changes nothing; anything else may, unless `is_reading` is set."""

    def __init__(
        self,
        guard: HostGuard,
        *,
        timeouts: Timeouts,
        calls: SharedCalls,
        weigh: Weigh = lambda _method, _url: 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        quieten()
        self.guard = guard
        self.timeouts = timeouts
        self.calls = calls
        # What the caller is about to do, where the method alone does not tell.
        self.purpose: CallKind | None = None
        self._weigh = weigh
        self.last_status = 0
        self.last_json: Any = None
        # For venues that read by POST: True while the caller only asks.
        self.is_reading = False
        self._monotonic = monotonic
        self._used_at = monotonic()

    def request(self, method: Any, url: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        """One request, once; raises the port's errors, which no SDK catches."""
        self.last_status, self.last_json = 0, None
        address = self.guard.address(str(url))
        # Raises while the venue wants silence, and where this kind of call has had its share.
        self.calls.ask(self._kind(str(method)), self._weigh(str(method).upper(), str(url)))
        # The environment's proxies and .netrc must not redirect money. Set each time, since ccxt
        # sets it too.
        self.trust_env = False
        limits = (self.timeouts.connect_s, self.timeouts.read_s)
        options |= {"stream": True, "allow_redirects": False, "timeout": limits}
        if self._monotonic() - self._used_at > IDLE_S_MAX:
            self.close()
        changes = str(method).upper() not in {"GET", "HEAD"} and not self.is_reading
        response, body = self._send(str(method), address, options, changes=changes)
        self._count(response.headers)
        self._judge(response.status_code, response.headers, body, changes=changes)
        return response

    @contextlib.contextmanager
    def meant_for(self, purpose: CallKind) -> Iterator[None]:
        """Calls of the block are counted as this kind, look-ups included."""
        before, self.purpose = self.purpose, purpose
        try:
            yield
        finally:
            self.purpose = before

    def _kind(self, method: str) -> CallKind:
        if self.purpose is not None:
            return self.purpose
        if self.is_reading or method.upper() in {"GET", "HEAD"}:
            return CallKind.READ
        return CallKind.CANCEL if method.upper() == "DELETE" else CallKind.SEND

    def _count(self, headers: Mapping[str, str]) -> None:
        """The venue's own count, which sees what others behind this address do."""
        used = headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdigit():
            self.calls.counted(int(used))

    def _send(
        self, method: str, address: str, options: dict[str, Any], *, changes: bool
    ) -> tuple[requests.Response, bytes]:
        ends_at = self._monotonic() + self.timeouts.read_s + self.timeouts.connect_s
        try:
            response = super().request(method, address, **options)
            with response:
                body = self._read(response, ends_at)
        # `from None` everywhere: the text of these exceptions holds the whole signed URL.
        except requests.exceptions.ConnectionError as error:
            if _is_unsent(error):
                raise self._unavailable("cannot be reached") from None
            raise self._open("ended the connection without an answer", changes) from None
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            raise self._open(f"did not answer within {self.timeouts.read_s:g} s", changes) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._open(f"broke off its answer ({type(error).__name__})", changes) from None
        self._used_at = self._monotonic()
        response._content = body  # the SDK reads it again through .text and .json()
        return response, body

    def _read(self, response: requests.Response, ends_at: float) -> bytes:
        pieces, size = [], 0
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > BODY_BYTES_MAX or self._monotonic() > ends_at:
                raise TimeoutError
        expected = response.headers.get("Content-Length")
        if expected and expected.isdigit() and size < int(expected) and not _is_packed(response):
            raise OSError("the body was cut off")
        return b"".join(pieces)

    def _judge(
        self, status: int, headers: Mapping[str, str], body: bytes, *, changes: bool
    ) -> None:
        self.last_status = status
        if status in {418, 429}:
            raise self._limited(status, headers)
        if status >= 500 or 300 <= status < 400:
            raise self._open(f"answered with status {status}", changes)
        if status == 401:
            raise VenueAuthError(
                f"{self.guard.venue} refuses the key (401)",
                remedy="check that key, secret and environment belong together, and the key's IPs",
            )
        if status == 204:
            return
        try:
            self.last_json = json.loads(body, parse_constant=_refuse_constant)
        except ValueError:
            # An error status is a definite no, whatever its body looks like.
            if status < 400:
                raise self._open(f"answered with {_kind(body)} instead of JSON", changes) from None

    def _limited(self, status: int, headers: Mapping[str, str]) -> RateLimitedError:
        """Remember the wait, so that nothing more is sent before it is over, by nobody here."""
        is_banned = status == 418
        told = headers.get("Retry-After", "")
        default = BAN_S if is_banned else RETRY_AFTER_S
        wait_s = float(told) if told.replace(".", "", 1).isdigit() else default
        self.calls.silence(wait_s, is_banned=is_banned)
        word = "has banned this address" if is_banned else "asks for fewer requests"
        return RateLimitedError(
            f"{self.guard.venue} {word}; wait {wait_s:.1f} s",
            retry_after_s=wait_s,
            is_banned=is_banned,
        )

    def _open(self, what: str, changes: bool) -> VenueError:
        """The error of an answer that is missing or cannot be believed."""
        if not changes:
            return self._unavailable(what)
        return OrderUnknownError(
            f"{self.guard.venue} {what}; what was asked may have been done",
            remedy="look the order up by its client order id before anything else",
        )

    def _unavailable(self, what: str) -> VenueUnavailableError:
        simulated = self.guard.redirect_to
        remedy = f"is `pmx venue` running at {simulated}?" if simulated else "ask again later"
        return VenueUnavailableError(f"{self.guard.venue} {what}", remedy=remedy)


def _is_unsent(error: requests.exceptions.ConnectionError) -> bool:
    """Whether not a byte of the request can have arrived."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


def _is_packed(response: requests.Response) -> bool:
    return "Content-Encoding" in response.headers


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _kind(body: bytes) -> str:
    if not body:
        return "nothing"
    return "a web page" if body.lstrip()[:1] == b"<" else "half an answer"
