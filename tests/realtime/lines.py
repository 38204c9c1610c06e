"""A caller in memory: what is sent to him is recorded as he hears it, what he says is fed in real time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from engine.audio import output_format
from engine.speech import Pcm
from realtime.conversation.events import ConversationEvent
from realtime.line import PACKET_SECONDS, Heard, LineEvent, LineFormat


@dataclass
class Playing:
    """A packet as the caller hears it: from ``start`` on, for ``seconds``, which a clear may shorten."""

    start: float
    seconds: float
    packet: bytes


class MemoryLine:
    """A line of raw PCM whose other end plays at once and without a break what it is sent."""

    def __init__(self, rate: int = 16000, lead: float = 0.4) -> None:
        self.rate = rate
        self.format = LineFormat(output_format("pcm", rate), rate, lead)
        self.calls: list[str] = []  # "send" and "clear", in order
        self.playing: list[Playing] = []
        self.clears: list[int] = []  # of how many packets something was heard at each clear
        self.told: list[tuple[float, ConversationEvent]] = []
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[LineEvent | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self.cleared = asyncio.Event()
        self.taken = 0.0  # seconds of the caller that were asked for
        self.began = self._loop.time()

    # -- the line -------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, Heard):
                self.taken += len(event.pcm) / self.rate
            yield event

    async def send(self, packet: bytes) -> None:
        now = self._loop.time()
        self.calls.append("send")
        start = now
        if self.playing:
            start = max(now, self.playing[-1].start + self.playing[-1].seconds)
        self.playing.append(Playing(start, len(packet) / 2 / self.rate, packet))

    async def clear(self) -> None:
        now = self._loop.time()
        self.calls.append("clear")
        self.cleared.set()
        while self.playing and self.playing[-1].start >= now:
            self.playing.pop()
        if self.playing:
            last = self.playing[-1]
            last.seconds = min(last.seconds, now - last.start)
        self.clears.append(len(self.playing))

    async def tell(self, event: ConversationEvent) -> None:
        self.told.append((self._loop.time(), event))
        self._news.set()

    # -- the caller -----------------------------------------------------------------------------------

    def do(self, event: LineEvent) -> None:
        self._events.put_nowait(event)

    def hang_up(self) -> None:
        self._events.put_nowait(None)

    async def say(self, pcm: Pcm) -> None:
        """Speak samples in real time; returns with the last."""
        size = round(self.rate * PACKET_SECONDS)
        begin = self._loop.time()
        for number, at in enumerate(range(0, len(pcm), size)):
            await asyncio.sleep(max(0.0, begin + (number + 1) * PACKET_SECONDS - self._loop.time()))
            self.do(Heard(pcm[at : at + size]))

    async def until(self, *kinds: type[ConversationEvent], after: int = 0) -> ConversationEvent:
        """The first event of these kinds, but for the first ``after`` of all."""
        while True:
            for _, event in self.told[after:]:
                if isinstance(event, kinds):
                    return event
            self._news.clear()
            await self._news.wait()

    def heard(self, since: float | None = None, until: float | None = None) -> Pcm:
        """What the caller heard between two times of the loop, silence included."""
        since = self.began if since is None else since
        until = self._loop.time() if until is None else until
        pcm = np.zeros(max(0, round((until - since) * self.rate)), np.float32)
        for playing in self.playing:
            samples = np.frombuffer(playing.packet, "<i2").astype(np.float32) / 32768
            samples = samples[: round(playing.seconds * self.rate)]
            at = round((playing.start - since) * self.rate)
            samples, at = samples[max(0, -at) :], max(0, at)
            pcm[at : at + len(samples)] = samples[: max(0, len(pcm) - at)]
        return pcm

    def packets(self) -> list[bytes]:
        """Those of which something was heard."""
        return [playing.packet for playing in self.playing]


def voiced(pcm: Pcm, rate: int, level: float = 0.01) -> list[tuple[float, float]]:
    """Where there is sound, from and to in seconds: 10 ms with an RMS above ``level``, gaps to 60 ms closed."""
    hop = rate // 100
    frames = np.sqrt(np.mean(np.square(pcm[: len(pcm) // hop * hop].reshape(-1, hop)), axis=1)) > level
    found: list[tuple[float, float]] = []
    for index in np.flatnonzero(frames).tolist():
        if found and index / 100 - found[-1][1] < 0.06:
            found[-1] = (found[-1][0], (index + 1) / 100)
        else:
            found.append((index / 100, (index + 1) / 100))
    return found
