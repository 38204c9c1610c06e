"""A telephone call as a line of a conversation: the driver between a provider's socket and its protocol."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.audio import Law, decode_g711, output_format
from engine.logs import UserText
from realtime.conversation.events import ConversationEvent
from realtime.line import Digit, Heard, LineEvent, LineFormat
from transports.telephony.config import TelephonyConfig
from transports.telephony.marks import Marks
from transports.telephony.media import (
    RATE,
    Complaint,
    Key,
    MarkBack,
    Media,
    MediaError,
    MediaEvent,
    MediaStream,
    Started,
    Stopped,
)

# Providers buffer what they are sent and drop it on a clear, so that nothing is lost by sending early.
_LEAD = 0.4
# Events that wait to be taken. Of too much audio the oldest is forgotten: what is said now counts.
_MOST_WAITING = 250
# RMS of 20 ms: above the noise of a line, and below any voice.
_SOUND = 0.01
NORMAL, WRONG = 1000, 1008
# What Starlette has for a socket that is closed, and we for one that is stuck.
_GONE = (RuntimeError, WebSocketDisconnect, TimeoutError)

log = logging.getLogger(__name__)


async def started(socket: WebSocket, stream: MediaStream, config: TelephonyConfig) -> Started | None:
    """What the provider says of the call; None if it is gone, or says nothing in time. Raises MediaError."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(config.start_seconds):
            while (events := await _receive(socket, stream, config)) is not None:
                for event in events:
                    if isinstance(event, Started):
                        return event
    return None


async def close(socket: WebSocket, code: int, config: TelephonyConfig) -> None:
    """Close a socket that may be gone already, or take nothing any more."""
    with contextlib.suppress(*_GONE):
        async with asyncio.timeout(config.stall_seconds):
            await socket.close(code)


class PhoneLine:
    """One call; to be used in an ``async with``, which reads the socket and in the end closes it.

    It ends when the caller hangs up, when the provider says nothing any more or does not take what it is sent,
    and when what it says is none of its protocol. What has come and was not taken by then is forgotten.
    """

    def __init__(self, socket: WebSocket, stream: MediaStream, law: Law, config: TelephonyConfig) -> None:
        self._format = LineFormat(output_format(law), RATE, _LEAD)
        self._law: Law = law
        self._socket = socket
        self._stream = stream
        self._config = config
        self._marks = Marks()
        self._waiting: deque[LineEvent] = deque()
        self._news = asyncio.Event()
        self._silent = 0.0  # seconds of the caller's audio since either side was heard
        self._over = False
        self._code = NORMAL
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
        await close(self._socket, self._code, self._config)

    @property
    def format(self) -> LineFormat:
        """G.711 in both directions."""
        return self._format

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """What the caller says and presses, and what was played to him, until the call is over."""
        while True:
            while self._waiting and not self._over:
                yield self._waiting.popleft()
            if self._over:
                return
            self._news.clear()
            await self._news.wait()

    async def send(self, packet: bytes) -> None:
        """Have 20 ms of audio played after those before it."""
        self._silent = 0.0
        mark = self._marks.sent()
        await self._say(self._stream.media(packet))
        if mark is not None:
            await self._say(self._stream.mark(mark))

    async def clear(self) -> None:
        """Drop what has not been played."""
        self._marks.cleared()
        await self._say(self._stream.clear())

    async def tell(self, event: ConversationEvent) -> None:
        """Nothing: a telephone has no display."""

    async def _say(self, message: str) -> None:
        if self._over:
            return
        try:
            async with asyncio.timeout(self._config.stall_seconds):
                await self._socket.send_text(message)
        except _GONE:
            self._hang_up()

    async def _read(self) -> None:
        try:
            while not self._over:
                async with asyncio.timeout(self._config.idle_seconds):
                    events = await _receive(self._socket, self._stream, self._config)
                if events is None:
                    break
                for event in events:
                    self._take(event)
                if self._silent > self._config.silence_seconds:
                    log.warning(
                        "a call was ended: nobody said anything for %g s", self._config.silence_seconds
                    )
                    break
        except TimeoutError:
            log.warning("a call was ended: nothing came for %g s", self._config.idle_seconds)
        except MediaError as error:
            log.warning("a call was ended: %s", error)
            self._code = WRONG
        finally:
            self._hang_up()

    def _take(self, event: MediaEvent) -> None:
        match event:
            case Media(data):
                pcm = decode_g711(data, self._law)
                silent = np.dot(pcm, pcm) <= _SOUND**2 * pcm.size
                self._silent = self._silent + pcm.size / RATE if silent else 0.0
                self._put(Heard(pcm))
            case Key(digit):
                self._silent = 0.0
                self._put(Digit(digit))
            case MarkBack(name):
                if (played := self._marks.back(name)) is not None:
                    self._put(played)
            case Complaint(reason):
                log.warning("the provider of a call complains: %s", UserText(reason))
            case Stopped():
                self._hang_up()
            case Started():
                pass

    def _put(self, event: LineEvent) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            audio = (at for at, waiting in enumerate(self._waiting) if isinstance(waiting, Heard))
            del self._waiting[next(audio, 0)]
        self._waiting.append(event)
        self._news.set()

    def _hang_up(self) -> None:
        self._over = True
        self._news.set()


async def _receive(
    socket: WebSocket, stream: MediaStream, config: TelephonyConfig
) -> list[MediaEvent] | None:
    """What the next message says; None if the provider is gone. Raises MediaError."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text")
    if text is None:
        raise MediaError("message: got a binary frame; expected JSON in a text frame")
    if len(text) > config.max_message_bytes:
        raise MediaError(f"message: got {len(text)} characters; expected at most {config.max_message_bytes}")
    return stream.receive(text)
