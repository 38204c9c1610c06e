"""A client of the agent socket: a microphone in real time, and a player that drops what it is told to drop."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import websockets
from websockets.asyncio.client import ClientConnection, connect

from engine.speech import Pcm
from tests.engine.models import speaking
from tests.hearing import resample
from tests.transports.conftest import Running

MIC_RATE = 16_000
PIECE = 0.04  # seconds in one message


def speech(text: str) -> Pcm:
    """What a caller says, at the rate of his microphone; his voice is another than the agent's."""
    return resample(speaking.speak(text, voice="finn").pcm, speaking.RATE, MIC_RATE)


class Client:
    """What was said and heard; ``events`` without audio."""

    def __init__(self, socket: ClientConnection, rate: int) -> None:
        self._socket = socket
        self._rate = rate
        self._microphone: deque[bytes] = deque()
        self._news = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self.audio = bytearray()  # that was not dropped before it was played
        self.dry_at = 0.0
        self.closed: tuple[int, str] | None = None

    def say(self, pcm: Pcm) -> None:
        """Into the microphone, after what is there."""
        piece = round(PIECE * MIC_RATE)
        whole = np.pad(pcm, (0, -len(pcm) % piece))
        data = (whole * 32767).astype("<i2").tobytes()
        self._microphone += [data[at : at + 2 * piece] for at in range(0, len(data), 2 * piece)]

    async def tell(self, **message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def until(self, type_: str, *, turn: int | None = None, seconds: float = 20.0) -> dict[str, Any]:
        """The first event of a type, and of a turn; waits for it."""

        def found() -> dict[str, Any] | None:
            for event in self.events:
                if event["type"] == type_ and turn in (None, event.get("turn")):
                    return event
            return None

        return await self._wait(found, seconds, type_)

    async def over(self, seconds: float = 20.0) -> tuple[int, str]:
        """How the socket was closed."""
        return await self._wait(lambda: self.closed, seconds, "the end")

    async def _wait(self, found: Callable[[], Any], seconds: float, what: str) -> Any:
        try:
            async with asyncio.timeout(seconds):
                while (value := found()) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {seconds} s: {self.events}") from None
        return value

    def heard(self) -> Pcm:
        """What was played."""
        return np.frombuffer(bytes(self.audio), "<i2").astype(np.float32) / 32767

    async def speak(self) -> None:
        """Send what the microphone hears, in real time, silence where there is nothing."""
        silence = bytes(2 * round(PIECE * MIC_RATE))
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._socket.send(self._microphone.popleft() if self._microphone else silence)
            due += PIECE
            await asyncio.sleep(due - loop.time())

    async def listen(self) -> None:
        """Take in what comes, and play it."""
        loop = asyncio.get_running_loop()
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    self.audio += message
                    self.dry_at = max(self.dry_at, loop.time()) + len(message) / 2 / self._rate
                else:
                    event = json.loads(message)
                    if event["type"] == "clear":
                        ahead = max(0.0, self.dry_at - loop.time())
                        unplayed = min(2 * round(ahead * self._rate), len(self.audio))
                        del self.audio[len(self.audio) - unplayed :]
                        self.dry_at = loop.time()
                    self.events.append(event)
                self._news.set()
        finally:
            self.closed = self._socket.close_code or 0, self._socket.close_reason or ""
            self._news.set()


@asynccontextmanager
async def conversing(
    server: Running, *, headers: dict[str, str] | None = None, **start: Any
) -> AsyncIterator[Client]:
    """A conversation with the microphone on."""
    audio = {"sample_rate": 24_000, "input_sample_rate": MIC_RATE} | start.pop("audio", {})
    address = server.url.replace("http", "ws") + "/v1/agent"
    async with connect(address, max_size=None, additional_headers=headers) as socket:
        client = Client(socket, audio["sample_rate"])
        await client.tell(type="start", audio=audio, **start)
        tasks = [asyncio.create_task(client.listen()), asyncio.create_task(client.speak())]
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception) and not isinstance(
                    result, websockets.exceptions.ConnectionClosed
                ):
                    raise result
