"""A caller on the agent socket: a microphone in real time, and what came when. Analysis is for later."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.client import clock
from benchmarks.conversation.playback import Clear
from benchmarks.conversation.voices import MIC_RATE
from benchmarks.decoding import Message
from benchmarks.listener import Samples

RATE = 24_000
"""Of what the agent says, in Hz."""

_PIECE = 0.02
_SAMPLES = round(_PIECE * MIC_RATE)
# A quiet room: -60 dB. A microphone never gives digital silence.
_NOISE = 0.001
_NOISE_PIECES = 500
_PATIENCE = 25.0
_Found = TypeVar("_Found")


class NoEvent(Exception):
    """What was waited for did not come."""


@dataclass(slots=True)
class Notes:
    """What a caller said and what came, each with when; times are those of :data:`benchmarks.client.clock`.

    ``came`` are the messages of audio and the clears, in order.
    """

    said: list[tuple[float, Samples]] = field(default_factory=list)
    came: list[Message | Clear] = field(default_factory=list)
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)


class Caller:
    """One conversation. What the microphone hears is sent when its 20 ms are full, as a real one does."""

    def __init__(self, socket: ClientConnection, keep: bool, seed: int) -> None:
        self._socket = socket
        self._keep = keep
        self._microphone: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._began = 0.0
        self._sent = 0  # pieces
        self._noise = np.random.default_rng(seed).standard_normal(_NOISE_PIECES * _SAMPLES) * _NOISE
        self._silence = [_bytes(piece) for piece in self._noise.reshape(-1, _SAMPLES)]
        self.notes = Notes()
        self.over = False

    def say(self, pcm: Samples) -> tuple[float, float]:
        """Speak at once; returns when the first sample is spoken, and when the last."""
        assert not self._microphone
        whole = np.pad(pcm, (0, -len(pcm) % _SAMPLES))
        noisy = whole + np.resize(self._noise, whole.size)
        self._microphone += [_bytes(piece) for piece in noisy.reshape(-1, _SAMPLES)]
        start = self._began + self._sent * _PIECE
        if self._keep:
            self.notes.said.append((start, pcm))
        return start, start + len(pcm) / MIC_RATE

    async def tell(self, **message: Any) -> None:
        """Send a message."""
        await self._socket.send(orjson.dumps(message).decode())

    async def until(
        self, *types: str, since: float, seconds: float = _PATIENCE
    ) -> tuple[float, dict[str, Any]]:
        """The first event of one of these types since then, and when it came. Raises :class:`NoEvent`."""

        def found() -> tuple[float, dict[str, Any]] | None:
            wanted = (one for one in self.notes.events if one[0] >= since and one[1]["type"] in types)
            return next(wanted, None)

        return await self._until(found, seconds, " or ".join(types))

    async def sound(self, since: float, seconds: float = _PATIENCE) -> float:
        """When the first audio since then came. Raises :class:`NoEvent`."""

        def found() -> float | None:
            last = self.notes.came[-1] if self.notes.came else None
            return last.at if isinstance(last, Message) and last.at >= since else None

        return await self._until(found, seconds, "audio")

    async def closed(self) -> None:
        """Wait until the server has closed the socket. Raises :class:`NoEvent`."""
        await self._until(lambda: self.over or None, _PATIENCE, "end")

    def abort(self) -> None:
        """Break the connection off, as if the machine were gone."""
        self._socket.transport.abort()

    async def _until(self, found: Callable[[], _Found | None], seconds: float, what: str) -> _Found:
        try:
            async with asyncio.timeout(seconds):
                while (value := found()) is None:
                    if self.over:  # and it was not found
                        raise NoEvent(f"the socket was closed before {what}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise NoEvent(f"no {what} within {seconds:g} s") from None
        return value

    async def speak(self) -> None:
        """Send what the microphone hears."""
        self._began = clock()
        while True:
            await asyncio.sleep(max(0.0, self._began + (self._sent + 1) * _PIECE - clock()))
            silence = self._silence[self._sent % _NOISE_PIECES]
            piece = self._microphone.popleft() if self._microphone else silence
            self._sent += 1
            await self._socket.send(piece)

    async def listen(self) -> None:
        """Note what comes."""
        try:
            async for message in self._socket:
                now = clock()
                if isinstance(message, bytes):
                    if not self._keep:
                        self.notes.came.clear()
                    self.notes.came.append(Message(now, message))
                else:
                    event = orjson.loads(message)
                    if event["type"] == "clear":
                        self.notes.came.append(Clear(now))
                    self.notes.events.append((now, event))
                self._news.set()
        finally:
            self.over = True
            self._news.set()


@asynccontextmanager
async def calling(url: str, *, keep: bool = True, seed: int = 1, **start: Any) -> AsyncIterator[Caller]:
    """A conversation with the microphone on; without ``keep``, of the audio only the last message is noted.

    Raises OSError, WebSocketException or :class:`NoEvent`.
    """
    audio = {"sample_rate": RATE, "input_sample_rate": MIC_RATE}
    async with connect(url, max_size=None, compression=None) as socket:
        caller = Caller(socket, keep, seed)
        await caller.tell(type="start", audio=audio, **start)
        tasks = [asyncio.create_task(caller.listen()), asyncio.create_task(caller.speak())]
        try:
            await caller.until("ready", since=0.0)
            yield caller
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, OSError, WebSocketException):
                    await task


def _bytes(pcm: npt.NDArray[np.floating[Any]]) -> bytes:
    data: bytes = (np.clip(pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes()
    return data
