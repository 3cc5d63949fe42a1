"""HTTP/1.1 and WebSocket on asyncio, as small and fast as a loopback venue needs.

Belongs here: bytes. Does not belong here: what any path means. A response leaves in one write with
TCP_NODELAY: two writes cost 40 ms each, since the client delays its acknowledgement.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

REQUEST_BYTES_MAX: Final = 1_000_000


@dataclass(slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """One answer, and how it goes wrong on its way."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    is_dropped: bool = False  # the connection is closed instead
    is_withheld: bool = False  # nothing is sent, the connection stays
    is_cut: bool = False  # half of the bytes, then closed
    is_doubled: bool = False


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """An answer of JSON."""
    return Reply(status=status, body=json.dumps(value).encode(), headers=headers)


class Channel:
    """The server's end of one WebSocket."""

    def __init__(self, transport: asyncio.Transport, url_path: str) -> None:
        self.path = url_path
        self.on_text: Callable[[str], None] = lambda _text: None
        self.on_close: Callable[[], None] = lambda: None
        self._transport = transport
        self._protocol = ServerProtocol()

    def open(self, received: bytes) -> bool:
        """Answer the handshake that stands in `received`."""
        self._protocol.receive_data(received)
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                try:
                    self._protocol.send_response(self._protocol.accept(event))
                except InvalidHandshake:
                    return False
        self._flush()
        return True

    def receive(self, data: bytes) -> None:
        """Bytes from the client."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in {Opcode.TEXT, Opcode.BINARY}:
                self.on_text(bytes(event.data).decode())
        self._flush()

    def send(self, text: str) -> None:
        """One text frame."""
        if not self._transport.is_closing():
            self._protocol.send_text(text.encode())
            self._flush()

    def close(self) -> None:
        """End the connection as a venue that restarts does."""
        self._transport.abort()

    def _flush(self) -> None:
        chunks = self._protocol.data_to_send()
        data = b"".join(chunks)
        if data:
            self._transport.write(data)
        # An empty chunk asks for the end of the connection, for which the client waits.
        if b"" in chunks:
            self._transport.close()


Handler = Callable[[Ask], Reply]
Opener = Callable[[Channel], bool]


class HttpConnection(asyncio.Protocol):
    """One client connection, kept alive until either side has enough."""

    def __init__(self, handle: Handler, open_channel: Opener) -> None:
        self._handle = handle
        self._open_channel = open_channel
        self._buffer = b""
        self._channel: Channel | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send small answers at once."""
        self._transport = transport  # type: ignore[assignment]
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Serve every whole request in the buffer."""
        if self._channel is not None:
            self._channel.receive(data)
            return
        self._buffer += data
        while self._channel is None and (found := parse_request(self._buffer)) is not None:
            ask, used = found
            raw, self._buffer = self._buffer[:used], self._buffer[used:]
            if ask.headers.get("upgrade", "").lower() == "websocket":
                self._upgrade(ask, raw)
            else:
                self._answer(self._handle(ask))
        if len(self._buffer) > REQUEST_BYTES_MAX:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell the channel's owner."""
        if self._channel is not None:
            self._channel.on_close()

    def _upgrade(self, ask: Ask, raw: bytes) -> None:
        channel = Channel(self._transport, ask.path)
        if not self._open_channel(channel) or not channel.open(raw):
            self._transport.write(response_bytes(json_reply({"message": "no stream here"}, 404)))
            return
        self._channel = channel

    def _answer(self, reply: Reply) -> None:
        if reply.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(reply.delay_s, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        if reply.is_withheld or self._transport.is_closing():
            return
        if reply.is_dropped:
            self._transport.abort()
            return
        data = response_bytes(reply)
        if reply.is_cut:
            self._transport.write(data[: -max(1, len(reply.body) // 2)])
            self._transport.close()
            return
        self._transport.write(data * 2 if reply.is_doubled else data)


def parse_request(buffer: bytes) -> tuple[Ask, int] | None:
    """The first whole request in `buffer` and its length, or None."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    used = end + 4 + int(headers.get("content-length", "0"))
    if len(buffer) < used:
        return None
    method, target, *_ = [*first.split(" "), "/", "/"]
    parts = urlsplit(target)
    ask = Ask(
        method=method,
        path=unquote(parts.path),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        raw_query=parts.query,
        headers=headers,
        body=buffer[end + 4 : used],
    )
    return ask, used


def response_bytes(reply: Reply) -> bytes:
    """The whole response."""
    lines = [
        f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
        f"Content-Length: {len(reply.body)}",
    ]
    if "Content-Type" not in reply.headers:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
