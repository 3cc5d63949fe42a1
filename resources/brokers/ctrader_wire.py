"""Messages to and from cTrader's Open API: JSON, one a WebSocket frame, answered by their id.

Belongs here: the connection, both logins, the single-use refresh token, and what errors mean. Does
not belong here: orders (`ctrader`). The vendor's own package pins versions that cannot live beside
ours, so this is a thin client of the documented protocol.
"""

import contextlib
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from quant.core.errors import OrderUnknownError, PmxError, VenueUnavailableError
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
)
from quant.execution.venues import Environment
from resources.brokers.credentials import Credentials
from resources.brokers.egress import HOSTS, HostGuard
from resources.brokers.once import DuplicateOrderError
from resources.brokers.quiet import quieten

VENUE: Final = "ctrader"
JSON_PORT: Final = 5036
HEARTBEAT: Final = 51
ERROR: Final = 2142
ORDER_ERROR: Final = 2132
# The venue closes a connection that says nothing for 10 s.
SILENT_S_MAX: Final = 8.0

_AUTH: Final = frozenset(
    {
        "CH_CLIENT_AUTH_FAILURE",
        "CH_CLIENT_NOT_AUTHENTICATED",
        "CH_ACCESS_TOKEN_INVALID",
        "OA_AUTH_TOKEN_EXPIRED",
        "ACCOUNT_NOT_AUTHORIZED",
        "ACCESS_DENIED",
        "ACCOUNT_DISABLED",
    }
)
_STALE_TOKEN: Final = frozenset({"CH_ACCESS_TOKEN_INVALID", "OA_AUTH_TOKEN_EXPIRED"})
_BUSY: Final = frozenset({"REQUEST_FREQUENCY_EXCEEDED", "BLOCKED_PAYLOAD_TYPE"})
_MAINTENANCE: Final = frozenset({"SERVER_IS_UNDER_MAINTENANCE", "CANT_ROUTE_REQUEST"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opens the account; the refresh token works once."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


class CTraderError(PmxError):
    """An error that the venue told; inside the adapter only."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"ctrader: {words or 'no message'} ({code})")
        self.code = code


def meaning(error: CTraderError) -> PmxError:
    """The port's error for what the venue told. A told error is a definite no."""
    code, message = error.code, str(error)
    if code in _AUTH:
        return VenueAuthError(message, remedy="log in again; refresh the tokens by hand if need be")
    if code in _BUSY:
        return RateLimitedError(message, retry_after_s=1.0)
    if code in _MAINTENANCE:
        return VenueUnavailableError(message, remedy="wait for the venue's maintenance to end")
    if code == "ORDER_NOT_FOUND":
        return OrderNotFoundError(message)
    if code == "ALREADY_EXISTS":
        return DuplicateOrderError(message)
    return OrderRejectedError(message, rule=code)


class Wire:
    """One logged-in connection, opened when it is needed and again when it has gone."""

    def __init__(
        self,
        application: Credentials,
        tokens: Tokens,
        save_tokens: Callable[[Tokens], None],
        *,
        account_id: int,
        environment: Environment,
        url: str | None,
        timeout_s: float,
    ) -> None:
        quieten()
        self._application = application
        self._tokens = tokens
        self._save = save_tokens
        self._account_id = account_id
        self._timeout_s = timeout_s
        self._address = _address(HostGuard(VENUE, environment, url))
        self._socket: Any = None
        self._opened = contextlib.ExitStack()
        self._names = itertools.count(1)
        self._spoke_at = 0.0
        self._quiet_until = 0.0

    def ask(self, kind: int, *, expects: int, changes: bool = False, **fields: Any) -> Any:
        """The payload that answers; `changes` says that an order or a cancel is on its way."""
        wait_s = self._quiet_until - time.monotonic()
        if wait_s > 0:
            raise RateLimitedError("ctrader asks for fewer requests", retry_after_s=wait_s)
        self._ensure()
        payload = {"ctidTraderAccountId": self._account_id, **fields}
        try:
            return self._exchange(kind, payload, expects=expects, changes=changes)
        except CTraderError as error:
            told = meaning(error)
            if isinstance(told, RateLimitedError):
                self._quiet_until = time.monotonic() + told.retry_after_s
            raise told from None

    def close(self) -> None:
        """End the connection; the next question opens another."""
        if self._socket is not None:
            # The venue's goodbye is not waited for long: it may be the one that hangs.
            self._opened.close()
            self._socket = None

    def _ensure(self) -> None:
        if time.monotonic() - self._spoke_at > SILENT_S_MAX:
            self.close()
        if self._socket is not None:
            return
        self._socket = self._open()
        try:
            self._log_in()
        except CTraderError as error:
            self.close()
            raise meaning(error) from None

    def _open(self) -> Any:
        from websockets.exceptions import InvalidHandshake
        from websockets.sync.client import connect

        try:
            return self._opened.enter_context(
                connect(
                    self._address,
                    open_timeout=self._timeout_s,
                    close_timeout=0.1,
                    ping_interval=None,
                    proxy=None,  # the environment must not redirect money
                )
            )
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise VenueUnavailableError(
                f"ctrader cannot be reached ({type(error).__name__})", remedy="ask again later"
            ) from None

    def _log_in(self) -> None:
        application = self._application
        login = {"clientId": application.key_id, "clientSecret": application.secret}
        self._exchange(2100, login, expects=2101)
        try:
            self._log_account_in()
        except CTraderError as error:
            if error.code not in _STALE_TOKEN:
                raise
            self._refresh()
            self._log_account_in()

    def _log_account_in(self) -> None:
        account = {"ctidTraderAccountId": self._account_id, "accessToken": self._tokens.access}
        self._exchange(2102, account, expects=2103)

    def _refresh(self) -> None:
        """New tokens, kept before they are used: the old ones are worth nothing from here on."""
        answer = self._exchange(2173, {"refreshToken": self._tokens.refresh}, expects=2174)
        self._tokens = Tokens(str(answer["accessToken"]), str(answer["refreshToken"]))
        self._save(self._tokens)

    def _exchange(
        self, kind: int, payload: dict[str, Any], *, expects: int, changes: bool = False
    ) -> Any:
        from websockets.exceptions import ConnectionClosed

        name = f"m{next(self._names)}"
        message = json.dumps({"clientMsgId": name, "payloadType": kind, "payload": payload})
        ends_at = time.monotonic() + self._timeout_s
        try:
            self._socket.send(message)
            self._spoke_at = time.monotonic()
            while True:
                left = ends_at - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                said = _read(self._socket.recv(timeout=left))
                # Heartbeats, events, and answers to questions that nobody waits for any more.
                if said.get("clientMsgId") == name:
                    return _payload(said, expects)
        except TimeoutError:
            raise self._open_end("did not answer in time", changes) from None
        except ConnectionClosed:
            raise self._open_end("ended the connection", changes) from None
        except ValueError:
            raise self._open_end("sent what is no message", changes) from None

    def _open_end(self, what: str, changes: bool) -> PmxError:
        self.close()
        if changes:
            return OrderUnknownError(
                f"ctrader {what}; what was asked may have been done",
                remedy="look the order up by its client order id",
            )
        return VenueUnavailableError(f"ctrader {what}", remedy="ask again later")


def _address(guard: HostGuard) -> str:
    if guard.redirect_to is not None:
        return f"ws://{urlsplit(guard.redirect_to).netloc}/"
    host = next(iter(HOSTS[VENUE, guard.environment]))
    guard.address(f"https://{host}/")
    return f"wss://{host}:{JSON_PORT}/"


def _read(text: Any) -> dict[str, Any]:
    said = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    if not isinstance(said, dict) or not isinstance(said.get("payloadType"), int):
        raise ValueError("no message")
    return said


def _payload(said: dict[str, Any], expects: int) -> Any:
    payload = said.get("payload", {})
    if said["payloadType"] in {ERROR, ORDER_ERROR}:
        raise CTraderError(str(payload.get("errorCode")), str(payload.get("description", ""))[:200])
    if said["payloadType"] != expects or not isinstance(payload, dict):
        raise ValueError("an answer of another kind")
    return payload


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
