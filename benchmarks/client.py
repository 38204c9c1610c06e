"""One caller on the live socket, who only takes down what came when: all analysis is for later."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.decoding import RATES, Message, estimated_seconds

clock = time.perf_counter

CHUNK_LENGTH, MIN_CHUNK_LENGTH = 200, 50
_UTTERANCE_SECONDS = 90.0
_LAG_SECONDS = 0.01


@dataclass(slots=True)
class Recording:
    """One utterance as the client saw it. Times are those of :data:`clock`.

    ``sent`` is when each token left, and last the stop; ``reason`` is that of ``finish``, or what happened
    instead.
    """

    text: str
    audio_format: str
    sent: list[float] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    reason: str = "none"
    finished: float = 0.0

    def listened_until(self) -> float:
        """When a listener who did not have to wait has heard everything."""
        if not self.messages:
            return self.finished
        return self.messages[0].at + estimated_seconds(self.messages, self.audio_format)


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[ClientConnection]:
    """A socket to the live endpoint, as the known clients open it. Raises OSError or WebSocketException."""
    headers = {"Authorization": "Bearer benchmark", "model": "s2-pro"}
    async with connect(url, additional_headers=headers, compression=None, max_size=None) as socket:
        yield socket


def start_event(audio_format: str, latency: str) -> bytes:
    """The first message of an utterance."""
    request = {
        "text": "",
        "format": audio_format,
        "sample_rate": RATES[audio_format],
        "latency": latency,
        "chunk_length": CHUNK_LENGTH,
        "min_chunk_length": MIN_CHUNK_LENGTH,
    }
    return _pack({"event": "start", "request": request})


async def speak(
    socket: ClientConnection,
    tokens: Sequence[str],
    *,
    audio_format: str = "pcm",
    latency: str = "balanced",
    tokens_per_second: float | None = None,
) -> Recording:
    """Have one utterance spoken, its tokens sent at their rate (None: all at once), up to its ``finish``.

    Never raises for what the server does: the recording says it.
    """
    recording = Recording("".join(tokens), audio_format)
    feeding = asyncio.create_task(
        _feed(socket, tokens, start_event(audio_format, latency), tokens_per_second, recording.sent)
    )
    try:
        async with asyncio.timeout(_UTTERANCE_SECONDS):
            await _record(socket, recording)
    except (OSError, WebSocketException) as error:
        recording.reason = f"no finish: {error!r}"
    except TimeoutError:
        recording.reason = f"no finish within {_UTTERANCE_SECONDS:.0f} s"
    recording.finished = clock()
    feeding.cancel()
    with suppress(asyncio.CancelledError, OSError, WebSocketException):
        await feeding
    return recording


async def _feed(
    socket: ClientConnection, tokens: Sequence[str], start: bytes, rate: float | None, sent: list[float]
) -> None:
    messages = [_pack({"event": "text", "text": token}) for token in tokens] + [_pack({"event": "stop"})]
    await socket.send(start)
    begin = clock()
    for index, message in enumerate(messages):
        if rate is not None and (delay := begin + index / rate - clock()) > 0:
            await asyncio.sleep(delay)
        sent.append(clock())
        await socket.send(message)


async def _record(socket: ClientConnection, recording: Recording) -> None:
    while True:
        data = await socket.recv(decode=False)
        now = clock()
        event = ormsgpack.unpackb(data)
        match event["event"]:
            case "audio":
                recording.messages.append(Message(now, event["audio"]))
            case "log":
                recording.logs.append(str(event.get("message")))
            case "finish":
                recording.reason = str(event["reason"])
                return


@asynccontextmanager
async def quiet_loop() -> AsyncIterator[list[float]]:
    """Keeps the garbage collector out of a measurement; gives the event loop's lag in seconds, as sampled."""
    lags: list[float] = []

    async def watch() -> None:
        while True:
            due = clock() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            lags.append(max(clock() - due, 0.0))

    gc.collect()
    gc.disable()
    watching = asyncio.create_task(watch())
    try:
        yield lags
    finally:
        watching.cancel()
        gc.enable()


def _pack(event: dict[str, Any]) -> bytes:
    return ormsgpack.packb(event)
