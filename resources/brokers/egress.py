"""Which hosts an adapter may reach, and a watch that proves what a process reached.

Paper, live and simulated differ by the list of hosts that is wired in, checked before a connection
is opened: a paper configuration cannot reach a live venue whatever its base URL says.
"""

import ipaddress
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from quant.core.errors import PmxError, UsageError
from quant.execution.venues import Environment

HOSTS: Final[Mapping[tuple[str, Environment], frozenset[str]]] = {
    ("alpaca", Environment.PAPER): frozenset({"paper-api.alpaca.markets"}),
    ("alpaca", Environment.LIVE): frozenset({"api.alpaca.markets"}),
    ("binance", Environment.PAPER): frozenset({"testnet.binance.vision"}),
    ("binance", Environment.LIVE): frozenset({"api.binance.com"}),
    ("kraken", Environment.LIVE): frozenset({"api.kraken.com"}),
    ("coinbase", Environment.LIVE): frozenset({"api.coinbase.com"}),
    ("ctrader", Environment.PAPER): frozenset({"demo.ctraderapi.com"}),
    ("ctrader", Environment.LIVE): frozenset({"live.ctraderapi.com"}),
}


class EgressRefusedError(PmxError):
    """A connection to a host that this environment must not reach; nothing was sent."""

    exit_code = 8


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine; a name is not trusted, since it resolves to anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str | None:
    """The host of an address; `UsageError` for one that no request could go to."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https", "ws", "wss"} and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise UsageError(
            f"{url[:60]!r} is no address on loopback: it needs http and a port from 1 to 65535",
            remedy="start `pmx venue` and give its address, such as http://127.0.0.1:8790",
        )
    return parts.hostname


@dataclass(frozen=True, slots=True)
class HostGuard:
    """The hosts of one venue in one environment."""

    venue: str
    environment: Environment
    # Where every request really goes; only a simulated venue may set it, and only to loopback.
    redirect_to: str | None = None

    def __post_init__(self) -> None:
        host = host_of(self.redirect_to) if self.redirect_to else None
        if self.environment is Environment.SIMULATED:
            if host is None or not is_loopback(host):
                raise UsageError(
                    f"a simulated {self.venue} lives on loopback, not at {host}",
                    remedy="start `pmx venue` and give its address, such as http://127.0.0.1:8790",
                )
        elif self.redirect_to is not None:
            raise UsageError(
                f"{self.venue} in environment {self.environment} has its own address",
                remedy="leave the URL out, or use the environment simulated",
            )
        elif (self.venue, self.environment) not in HOSTS:
            raise UsageError(
                f"{self.venue} has no {self.environment} venue",
                remedy="use another environment, or the simulator",
            )

    def address(self, url: str) -> str:
        """Where a request for `url` may go; `EgressRefusedError` when nowhere."""
        parts = urlsplit(url)
        if self.redirect_to is not None:
            query = f"?{parts.query}" if parts.query else ""
            return f"{self.redirect_to.rstrip('/')}{parts.path}{query}"
        allowed = HOSTS[self.venue, self.environment]
        if (
            parts.scheme != "https"
            or parts.hostname not in allowed
            or parts.port not in {None, 443}
        ):
            raise EgressRefusedError(
                f"{self.venue} in environment {self.environment} may not reach "
                f"{parts.scheme}://{parts.hostname}",
                remedy=f"allowed: {', '.join(sorted(allowed))} over https",
            )
        return url


@dataclass(slots=True)
class EgressWatch:
    """What left this process, or tried to, beyond loopback while the watch was on."""

    attempts: list[str] = field(default_factory=list)
    is_on: bool = True


_WATCHES: Final[list[EgressWatch]] = []
_EVENTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo"})
_LOCAL_NAMES: Final = frozenset({"localhost", "", "None"})
_installed: list[bool] = []


@contextmanager
def no_egress() -> Iterator[EgressWatch]:
    """Refuse every socket beyond loopback in this process, and list what was tried.

    Python's own audit events are used, so that no library can have kept an unpatched function.
    """
    if not _installed:
        # An audit hook stays for good; without a watch it does nothing.
        sys.addaudithook(_audit)
        _installed.append(True)
    watch = EgressWatch()
    _WATCHES.append(watch)
    try:
        yield watch
    finally:
        watch.is_on = False
        _WATCHES.remove(watch)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCHES or event not in _EVENTS:
        return
    target = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = target[0] if isinstance(target, tuple) else target
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    # A path is a Unix socket, which leaves no machine.
    if str(host) in _LOCAL_NAMES or str(host).startswith("/") or is_loopback(str(host)):
        return
    for watch in _WATCHES:
        watch.attempts.append(f"{event} {host}")
    raise PermissionError(f"{event} to {host} is beyond loopback")
