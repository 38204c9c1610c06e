"""The data channel of a peer: JSON messages, both ways."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from aiortc import RTCDataChannel

from transports.errors import RequestError
from transports.fields import from_json

# Messages that wait to be carried out: text that is written faster than it can be paid for, at the most.
MAX_WAITING, MAX_WAITING_BYTES = 1000, 1024 * 1024
# A client that leaves so much unread is not there any more.
MAX_UNREAD_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


class Channel:
    """The first data channel that a peer opens; ``overrun`` is called when it does not keep up, or we do not.

    What is told before it is open is lost: nobody has asked.
    """

    def __init__(self, max_bytes: int, overrun: Callable[[], None]) -> None:
        self._max_bytes = max_bytes
        self._overrun = overrun
        self._channel: RTCDataChannel | None = None
        self._messages: deque[tuple[dict[str, Any] | RequestError, int]] = deque()  # and how long it was
        self._waiting = 0  # bytes of them
        self._came = asyncio.Event()
        self.opened = asyncio.Event()

    def attach(self, channel: RTCDataChannel) -> None:
        """The peer has opened a channel; a second one is closed."""
        if self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._received)
        self.opened.set()

    def tell(self, message: dict[str, Any]) -> None:
        """Send this, if there is anybody to be told."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > MAX_UNREAD_BYTES:
            log.warning("a WebRTC peer does not read its data channel")
            self._overrun()
            return
        channel.send(orjson.dumps(message).decode())

    async def flushed(self, seconds: float) -> None:
        """Wait until what was told has left, but for no longer than this."""
        if (channel := self._channel) is None or not channel.bufferedAmount:
            return
        left = asyncio.Event()
        channel.on("bufferedamountlow", left.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await left.wait()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any] | RequestError]:
        """What the client says, one after the other; what is no message, as what is wrong with it. Never ends."""
        while True:
            while self._messages:
                yield self._take()
            self._came.clear()
            await self._came.wait()

    async def void_until(self, type_: str) -> None:
        """Wait for a message of a type; it, and what has come before it and was not yet taken, is void."""
        while True:
            for at, (message, _) in enumerate(self._messages):
                if isinstance(message, dict) and message["type"] == type_:
                    for _ in range(at + 1):
                        self._take()
                    return
            self._came.clear()
            await self._came.wait()

    def _take(self) -> dict[str, Any] | RequestError:
        message, size = self._messages.popleft()
        self._waiting -= size
        return message

    def _received(self, data: str | bytes) -> None:
        if len(self._messages) >= MAX_WAITING or self._waiting + len(data) > MAX_WAITING_BYTES:
            log.warning("a WebRTC peer sends faster than can be done what it asks")
            self._overrun()
            return
        message: dict[str, Any] | RequestError
        try:
            message = self._read(data)
        except RequestError as error:
            message = error
        self._messages.append((message, len(data)))
        self._waiting += len(data)
        self._came.set()

    def _read(self, data: str | bytes) -> dict[str, Any]:
        if isinstance(data, bytes):
            raise RequestError("message: got a binary message; expected text with a JSON object")
        encoded = data.encode()
        if len(encoded) > self._max_bytes:
            raise RequestError(f"message: got {len(encoded)} bytes; expected at most {self._max_bytes}", 413)
        message = from_json(encoded, "message")
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise RequestError('message: expected a JSON object with a "type"')
        return message
