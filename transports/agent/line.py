"""The agent socket as a line of a conversation."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.audio import DecodeError
from engine.speech import Pcm
from realtime.conversation.events import ConversationEvent
from realtime.line import Heard, LineEvent, LineFormat
from transports.agent.messages import event_message, line_event_of
from transports.errors import RequestError, failure
from transports.fields import LARGE_BYTES, from_json

# Audio that a client plays from its own buffer, and drops when it is told to.
LEAD = 0.2
# Events that wait to be taken, and seconds of audio among them. Of too much audio the oldest is forgotten: what
# is said now counts.
_MOST_WAITING = 250
_MOST_SECONDS = 60.0
# A message of audio holds no more than a second or two of it; text, what a client asks.
MAX_MESSAGE_BYTES = LARGE_BYTES * 4
# A client that takes nothing for so long is gone.
_STALL_SECONDS = 10.0

# What Starlette has for a socket that is closed, and we for one that is stuck.
_GONE = (RuntimeError, WebSocketDisconnect, TimeoutError)

log = logging.getLogger(__name__)


class SocketLine:
    """A client's socket once the conversation has begun; to be used in an ``async with``, which reads it.

    ``decode`` makes samples of a message of audio. The line ends when the client goes, sends nothing for
    ``idle_seconds``, or takes nothing. What has come and was not taken by then is forgotten.
    """

    def __init__(
        self,
        socket: WebSocket,
        format_: LineFormat,
        decode: Callable[[bytes], Awaitable[Pcm]],
        idle_seconds: float,
    ) -> None:
        self._socket = socket
        self._format = format_
        self._decode = decode
        self._idle_seconds = idle_seconds
        self._waiting: deque[LineEvent] = deque()
        self._samples = 0  # of audio among them
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._over = False
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._reading is not None
        self._hang_up()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def format(self) -> LineFormat:
        """As the client asked for."""
        return self._format

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """What the client says and asks, until it is gone."""
        while not self._over:
            while self._waiting and not self._over:
                yield self._took(0)
            if not self._over:
                self._news.clear()
                await self._news.wait()

    async def send(self, packet: bytes) -> None:
        """Have a packet played after those before it."""
        await self._send(self._socket.send_bytes, packet)

    async def clear(self) -> None:
        """Have the client drop what it has not played."""
        await self.say({"type": "clear"})

    async def tell(self, event: ConversationEvent) -> None:
        """Tell the client of this."""
        await self.say(event_message(event))

    async def say(self, message: dict[str, Any]) -> None:
        """Send a message, if there is anybody to be told."""
        await self._send(self._socket.send_text, orjson.dumps(message).decode())

    async def _send(self, send: Callable[[Any], Any], data: bytes | str) -> None:
        if self._over:
            return
        try:
            async with self._sending, asyncio.timeout(_STALL_SECONDS):
                await send(data)
        except _GONE:
            self._hang_up()

    def _hang_up(self) -> None:
        self._over = True
        self._news.set()

    async def _read(self) -> None:
        with contextlib.suppress(*_GONE):
            while not self._over:
                async with asyncio.timeout(self._idle_seconds):
                    message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                try:
                    await self._take(message)
                except RequestError as error:
                    wrong = failure(error)
                    await self.say({"type": "error", "message": wrong.message, "status": wrong.status})
        self._hang_up()

    async def _take(self, message: Mapping[str, Any]) -> None:
        """What a message says. Raises RequestError."""
        data = message.get("bytes")
        if data is None:
            fields = read_message(message["text"])
            if (event := line_event_of(fields)) is not None:
                self._put(event)
            return
        if len(data) > MAX_MESSAGE_BYTES:
            raise RequestError(f"audio: got {len(data)} bytes; expected at most {MAX_MESSAGE_BYTES}", 413)
        try:
            pcm = await self._decode(data)
        except DecodeError as error:
            raise RequestError(f"audio: {error}", field="audio") from None
        if pcm.size:
            self._put(Heard(pcm))

    def _put(self, event: LineEvent) -> None:
        self._waiting.append(event)
        if isinstance(event, Heard):
            self._samples += event.pcm.size
        while len(self._waiting) > _MOST_WAITING or self._samples > _MOST_SECONDS * self._format.hears_at:
            audio = (at for at, waiting in enumerate(self._waiting) if isinstance(waiting, Heard))
            self._took(next(audio, 0))
        self._news.set()

    def _took(self, at: int) -> LineEvent:
        event = self._waiting[at]
        del self._waiting[at]
        if isinstance(event, Heard):
            self._samples -= event.pcm.size
        return event


def read_message(text: str | bytes) -> dict[str, Any]:
    """The JSON object of a text frame, with its ``type``. Raises RequestError."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_MESSAGE_BYTES:
        raise RequestError(f"message: got {len(data)} bytes; expected at most {MAX_MESSAGE_BYTES}", 413)
    message = from_json(data, "message")
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise RequestError('message: expected a JSON object with a "type"')
    return message
