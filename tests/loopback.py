"""A small threaded HTTP server that answers as a vendor does, or fails as one does.

Every response leaves in one write, so that no delayed acknowledgement slows a test down.
"""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

WEB_PAGE = b"<html><body>We will be right back</body></html>"


@dataclass
class Ask:
    """One request as the server saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


# Returns the JSON value to answer, or (status, JSON value).
Responder = Callable[[Ask], Any]


@dataclass
class Vendor:
    """What the server answers; `faults` are used up first, one a request."""

    respond: Responder
    faults: list[str] = field(default_factory=list)
    # This one is never used up.
    fault: str = ""
    retry_after: str = "0"
    asks: list[Ask] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, ask: Ask) -> bytes:
        """The whole response as bytes; empty to close the connection without a word."""
        self.asks.append(ask)
        fault = self.faults.pop(0) if self.faults else self.fault
        if fault == "hang":
            self.over.wait(20)
            return b""
        if fault.isdigit():
            headers = {"Retry-After": self.retry_after} if fault == "429" else {}
            return response(int(fault), b'{"message": "not now"}', **headers)
        if fault == "html":
            return response(200, WEB_PAGE, **{"Content-Type": "text/html"})
        if fault == "empty":
            return response(200, b"")
        told = self.respond(ask)
        status, value = told if isinstance(told, tuple) else (200, told)
        body = json.dumps(value).encode()
        if fault == "truncated":
            return response(status, body[: len(body) // 2])
        if fault == "cut":
            return response(status, body)[: -len(body) // 2]
        if fault == "shape":
            return response(200, b'{"surprise": 1}')
        return response(status, body)


def response(status: int, body: bytes, **headers: str) -> bytes:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return (head + lines + "Connection: close\r\n\r\n").encode() + body


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32
    vendor: Vendor


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        if not line:
            return
        parts = urlsplit(line.split(" ")[1])
        headers = {}
        while (text := self.rfile.readline().decode().strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        ask = Ask(
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query)),
            headers=headers,
            body=self.rfile.read(int(headers.get("content-length", "0"))),
        )
        content = self.server.vendor.answer(ask)
        if self.server.vendor.fault == "drip":
            self._drip(content)
        elif content:
            self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        """A byte at a time, each soon enough for a read timeout that starts anew with it."""
        try:
            for place in range(len(content)):
                self.wfile.write(content[place : place + 1])
                if self.server.vendor.over.wait(0.005):
                    return
        except OSError:
            pass  # the client has rightly gone


@contextmanager
def serving(respond: Responder, **settings: Any) -> Iterator[Vendor]:
    """A vendor on a free loopback port for the time of the block."""
    vendor = Vendor(respond=respond, **settings)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.vendor = vendor
        vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=lambda: server.serve_forever(0.005), daemon=True)
        thread.start()
        try:
            yield vendor
        finally:
            vendor.over.set()
            server.shutdown()
            thread.join()


def refusing_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
