"""A caller and the provider between him and us, over a real socket: 20 ms of audio each way all the time.

What it is sent it plays as providers do: one packet after the other in real time, marks when their turn comes,
and on a clear nothing more, with all marks at once.
"""

import asyncio
import contextlib
import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from engine.audio import Law, decode_g711
from engine.audio.g711 import encode_g711
from engine.speech import Pcm
from tests.hearing import resample

PACKET = 0.02
_SILENCE: dict[Law, bytes] = {"mulaw": b"\xff" * 160, "alaw": b"\xd5" * 160}


class Phone:
    """One call, from the moment at which the provider opens the socket."""

    def __init__(
        self,
        url: str,
        provider: str,
        law: Law = "mulaw",
        *,
        call: str = "CA1",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url, self.provider, self.law, self.call = url, provider, law, call
        self.received: list[str] = []
        """The events that came, in order."""
        self.cleared: list[tuple[float, int]] = []
        """When a clear came, and how many packets had by then."""
        self.ahead = 0.0
        """The most seconds that were waiting to be played."""
        self.over = asyncio.Event()
        self.socket: ClientConnection
        self._headers = dict(headers or {})
        self._loop = asyncio.get_running_loop()
        self._playing: deque[bytes | str] = deque()
        self._speech: deque[bytes] = deque()
        self._heard: list[bytes] = []
        self._news = asyncio.Event()
        self._chunk = 0
        self._group = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        # Uncompressed, as the server has it.
        self.socket = await self._group.enter_async_context(
            connect(self.url, additional_headers=self._headers, compression=None)
        )
        for message in self._beginning():
            await self.socket.send(json.dumps(message))
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._line())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._group.aclose()

    # -- the caller -----------------------------------------------------------------------------------

    async def say(self, pcm: Pcm, rate: int) -> None:
        """Speak; returns when it has all been said."""
        samples = resample(pcm, rate, 8000)
        samples = np.pad(samples, (0, -samples.size % 160))
        codes = encode_g711(np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16), self.law)
        self._speech.extend(codes[at : at + 160] for at in range(0, len(codes), 160))
        await self.until(lambda: not self._speech)

    async def press(self, digit: str) -> None:
        await self._send("dtmf", {"dtmf": {"digit": digit}})

    async def hang_up(self) -> None:
        await self._send("stop", {"stop": {}})

    def heard(self) -> Pcm:
        """All that was played to him, silence included."""
        return decode_g711(b"".join(self._heard), self.law)

    def sound(self, since: int = 0) -> float:
        """Seconds of what was played that were no silence, from a packet on."""
        return sum(packet != _SILENCE[self.law] for packet in self._heard[since:]) * PACKET

    @property
    def packets(self) -> int:
        """How many were played."""
        return len(self._heard)

    async def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._news.clear()
            await self._news.wait()

    async def quiet(self, seconds: float) -> None:
        """Until so much silence was heard after the last sound, of which there was some."""
        packets = round(seconds / PACKET)
        await self.until(
            lambda: self.sound() > 0 and all(p == _SILENCE[self.law] for p in self._heard[-packets:])
        )

    # -- the provider ---------------------------------------------------------------------------------

    def _beginning(self) -> list[dict[str, Any]]:
        if self.provider == "twilio":
            form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
            start = {"streamSid": "MZ1", "callSid": self.call, "tracks": ["inbound"], "mediaFormat": form}
            return [
                {"event": "connected", "protocol": "Call", "version": "1.0.0"},
                {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": "MZ1"},
            ]
        form = {"encoding": {"mulaw": "PCMU", "alaw": "PCMA"}[self.law], "sample_rate": 8000, "channels": 1}
        start = {"user_id": "u1", "call_control_id": self.call, "media_format": form}
        return [
            {"event": "connected", "version": "1.0.0"},
            {"event": "start", "sequence_number": "1", "start": start, "stream_id": "s1"},
        ]

    async def _send(self, event: str, fields: dict[str, Any]) -> None:
        stream = {"streamSid": "MZ1"} if self.provider == "twilio" else {"stream_id": "s1"}
        await self.socket.send(json.dumps({"event": event, **stream, **fields}))

    async def _receive(self) -> None:
        try:
            await self._play()
        finally:
            self.over.set()
            self._news.set()

    async def _play(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            self.received.append(message["event"])
            match message["event"]:
                case "media":
                    packet = b64decode(message["media"]["payload"])
                    assert len(packet) == 160
                    self._playing.append(packet)
                    waiting = sum(isinstance(one, bytes) for one in self._playing)
                    self.ahead = max(self.ahead, waiting * PACKET)
                case "mark":
                    self._playing.append(message["mark"]["name"])
                case "clear":
                    self.cleared.append((self._loop.time(), self.received.count("media")))
                    marks = [one for one in self._playing if isinstance(one, str)]
                    self._playing.clear()
                    for name in marks:
                        await self._send("mark", {"mark": {"name": name}})
            self._news.set()

    async def _line(self) -> None:
        """20 ms to us and 20 ms to the caller, all the time."""
        due = self._loop.time()
        while True:
            await self._marks()
            packet = self._playing.popleft() if self._playing else _SILENCE[self.law]
            assert isinstance(packet, bytes)
            self._heard.append(packet)
            self._chunk += 1
            said = self._speech.popleft() if self._speech else _SILENCE[self.law]
            audio = {"track": "inbound", "chunk": str(self._chunk), "payload": b64encode(said).decode()}
            await self._send("media", {"media": audio})
            self._news.set()
            due += PACKET
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._marks()

    async def _marks(self) -> None:
        while self._playing and isinstance(name := self._playing[0], str):
            self._playing.popleft()
            await self._send("mark", {"mark": {"name": name}})
