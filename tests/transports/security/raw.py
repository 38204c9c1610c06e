"""Clients that behave badly: bytes on a socket, with nothing between that would mend them."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

SECONDS = 30.0  # nothing here takes as long, unless it hangs


@contextlib.contextmanager
def dialled(
    url: str, source: str = "127.0.0.1", receive_buffer: int | None = None
) -> Iterator[socket.socket]:
    """A connection to a server, from one of this machine's loopback addresses."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    with contextlib.closing(socket.socket()) as client:
        client.settimeout(SECONDS)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.bind((source, 0))
        client.connect((parts.hostname, parts.port))
        yield client


def answer(client: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    received = b""
    while data := client.recv(65_536):
        received += data
    return received


def head_of(client: socket.socket) -> bytes:
    """What comes up to the end of an answer's headers."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = client.recv(1)
        assert data, received
        received += data
    return received


def status(answered: bytes) -> int:
    """The status of an HTTP response."""
    return int(answered.split(b" ", 2)[1])


def asked(path: str = "/health", *headers: str, method: str = "GET", host: str = "localhost") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode()


def upgrade(path: str, *headers: str, host: str = "localhost") -> bytes:
    """The head of a WebSocket's handshake."""
    return asked(
        path,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
        host=host,
    )


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as clients send it, masked with zeros; RFC 6455, 5.2."""
    first, size = fin << 7 | opcode, len(payload)
    if size < 126:
        return struct.pack("!BB4x", first, 0x80 | size) + payload
    assert size < 65_536
    return struct.pack("!BBH4x", first, 0x80 | 126, size) + payload


def closing(answered: bytes) -> tuple[int, str]:
    """The code and the reason of the close frame at the end of what a socket was sent."""
    at = answered.rindex(b"\x88")
    length = answered[at + 1]
    return int.from_bytes(answered[at + 2 : at + 4], "big"), answered[at + 4 : at + 2 + length].decode()


def refused(client: socket.socket) -> tuple[int, str]:
    """The same of a socket that is closed while more of what it has sent may be on its way."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65_536):
            received += data
    return closing(received)
