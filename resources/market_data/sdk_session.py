"""A `requests` session that obeys our rules, for vendor SDKs that bring their own HTTP.

Belongs here: what makes alpaca-py and ccxt safe to call (alpaca-py has no timeout at all; ccxt
reads a web page as data and sorts errors by URL). Does not belong here: anything of one vendor.
Imported only by the adapters that need it, since `requests` is slow to import.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3

from quant.core.errors import SourceAnswerError
from resources.market_data.http import RawAnswer, VendorGate, is_loopback

BODY_READ_BYTES: Final = 64 * 1024
# 200 pages of 10,000 bars are 500 symbols over 15 years; no honest answer is longer.
REQUESTS_PER_CALL_MAX: Final = 200


class GuardedSession(requests.Session):
    """Judges every answer before the SDK sees it: the SDK parses only whole, good JSON.

    With `redirect_to` every request goes to that address whatever host the SDK meant, so that a
    loopback server sees the SDK's real paths and nothing can leave the machine.
    """

    def __init__(self, gate: VendorGate, *, redirect_to: str | None = None) -> None:
        super().__init__()
        self.gate = gate
        self.redirect_to = redirect_to
        # The latest good answer as it came, for adapters that check what the SDK made of it.
        self.last_json: Any = None
        # An SDK that follows a vendor's page tokens would follow a circle of them for ever.
        self.requests_left = REQUESTS_PER_CALL_MAX

    def start_call(self) -> None:
        """A fresh allowance of requests for one question to the SDK."""
        self.requests_left = REQUESTS_PER_CALL_MAX

    def request(self, method: Any, url: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        """One guarded request; raises our source errors, which no SDK catches."""
        self.requests_left -= 1
        if self.requests_left < 0:
            raise SourceAnswerError(
                f"{self.gate.source} kept answering with a next page",
                remedy="ask for a shorter range",
            )
        last: list[requests.Response] = []
        address = self._address(str(url))
        options |= {"stream": True, "allow_redirects": False}
        # Set every time, since ccxt switches the environment's proxies off.
        self.trust_env = not is_loopback(address)

        def send(seconds: float) -> RawAnswer:
            response, answer = self._send_once(str(method), address, options, seconds)
            last[:] = [response]
            return answer

        self.last_json, _ = self.gate.ask(send)
        return last[0]

    def _send_once(
        self, method: str, address: str, options: dict[str, Any], seconds: float
    ) -> tuple[requests.Response, RawAnswer]:
        gate = self.gate
        ends_at = gate.monotonic() + seconds
        timeout = (min(seconds, gate.rules.connect_timeout_s), seconds)
        try:
            response = super().request(method, address, **(options | {"timeout": timeout}))
            with response:
                body = gate.read_body(_pieces(response), ends_at=ends_at)
        # `from None`: the text of these exceptions holds the whole URL.
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise gate.unreachable(f"did not answer within {gate.rules.timeout_s:g} s") from None
        except urllib3.exceptions.ProtocolError:
            raise gate.unbelievable("a body that was cut off") from None
        except urllib3.exceptions.DecodeError:
            raise gate.unbelievable("a body that cannot be decompressed") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise gate.unreachable(f"cannot be reached ({type(error).__name__})") from None
        response._content = body  # the SDK reads it again through .text and .json()
        return response, RawAnswer(
            status=response.status_code, headers=dict(response.headers), body=body
        )

    def _address(self, url: str) -> str:
        if self.redirect_to is None:
            return url
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.redirect_to.rstrip('/')}{parts.path}{query}"


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes; `iter_content` would wait for whole chunks and hide a slow drip."""
    while piece := response.raw.read1(BODY_READ_BYTES, decode_content=True):
        yield piece
