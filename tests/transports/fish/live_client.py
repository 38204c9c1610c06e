"""A bare client of the live protocol: sends anything, keeps everything that comes back."""

from contextlib import AsyncExitStack
from typing import Any, Self

import ormsgpack
from websockets.asyncio.client import ClientConnection, connect

# What the official SDK 1.3.0 sends in start when its user asks for nothing special.
SDK_START: dict[str, Any] = {
    "text": "",
    "chunk_length": 200,
    "format": "mp3",
    "sample_rate": None,
    "mp3_bitrate": 128,
    "opus_bitrate": 32,
    "references": [],
    "reference_id": None,
    "normalize": True,
    "latency": "balanced",
    "prosody": None,
    "top_p": 0.7,
    "temperature": 0.7,
    "max_new_tokens": 1024,
    "repetition_penalty": 1.2,
    "min_chunk_length": 50,
    "condition_on_previous_chunks": True,
    "early_stop_threshold": 1.0,
}


class LiveClient:
    """One socket. ``heard`` is what audio events have brought since the last :meth:`start`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self.socket: ClientConnection
        self.heard: list[bytes] = []
        self.logs: list[str] = []

    async def __aenter__(self) -> Self:
        self.socket = await self._stack.enter_async_context(
            connect(self._url, additional_headers={"Authorization": "Bearer any", "model": "s2-pro"})
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def send(self, event: str, **fields: Any) -> None:
        await self.socket.send(ormsgpack.packb({"event": event, **fields}))

    async def start(self, **request: Any) -> None:
        self.heard.clear()
        self.logs.clear()
        await self.send("start", request=SDK_START | request)

    async def event(self) -> dict[str, Any]:
        """The next event, also kept in ``heard`` or ``logs``."""
        message = await self.socket.recv()
        assert isinstance(message, bytes), "the SDK cannot bear a text frame"
        event: dict[str, Any] = ormsgpack.unpackb(message)
        if event["event"] == "audio":
            self.heard.append(event["audio"])
        elif event["event"] == "log":
            self.logs.append(event["message"])
        return event

    async def finish(self) -> str:
        """Read until finish; its reason."""
        while (event := await self.event())["event"] != "finish":
            pass
        return str(event["reason"])

    async def bytes_of(self, seconds: float, rate: int) -> None:
        """Read until that much PCM has come."""
        while sum(map(len, self.heard)) < seconds * rate * 2:
            await self.event()
