"""The track to a peer: speech packets that are already encoded, and silence where there is none."""

import asyncio
from collections import deque
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import Packet
from av.stream import Stream

from transports.webrtc.ledger import SAMPLES, Ledger

PACKET_SECONDS = 0.02
# Opus: 20 ms of nothing in CELT, mono, full band (the table of RFC 6716, section 3.1).
SILENCE = b"\xf8\xff\xfe"
# Whoever was kept from sending for longer does not send it all at once: the listener has gone on, too.
_FURTHEST_BEHIND = 0.2
_TIME_BASE = Fraction(1, 48_000)


class SpeechTrack(MediaStreamTrack):
    """Packets of 20 ms in real time: what :meth:`send` was given, or silence.

    The RTP clock goes on by 960 for each of them. As many as ``most`` packets wait here.
    """

    kind = "audio"

    def __init__(self, most: int) -> None:
        super().__init__()
        self.ledger = Ledger()
        self._most = most
        self._queue: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._started: float | None = None
        self._ticks = 0

    @property
    def waiting(self) -> int:
        """Packets that have not been sent yet."""
        return len(self._queue)

    @property
    def latest(self) -> int:
        """The time of the packet that was sent last, on the RTP clock from 0 on."""
        return (self._ticks - 1) * SAMPLES

    async def send(self, packet: bytes) -> None:
        """Send this after those before it; waits while there are too many."""
        while len(self._queue) >= self._most and self.readyState == "live":
            self._room.clear()
            await self._room.wait()
        self._queue.append(packet)

    def clear(self) -> None:
        """Drop what has not been sent."""
        self._queue.clear()
        self._room.set()
        self.ledger.clear()

    def stop(self) -> None:
        """Idempotent."""
        super().stop()
        self._queue.clear()
        self._room.set()

    async def recv(self) -> "Packet[Stream]":
        """The next packet, when its time has come: aiortc asks for one after the other."""
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.time()
        behind = loop.time() - self._started - self._ticks * PACKET_SECONDS
        if behind < 0:
            await asyncio.sleep(-behind)
        elif behind > _FURTHEST_BEHIND:
            self._ticks += int(behind / PACKET_SECONDS)
        speech = bool(self._queue)
        packet: Packet[Stream] = Packet(self._queue.popleft() if speech else SILENCE)
        self._room.set()
        packet.pts, packet.time_base = self._ticks * SAMPLES, _TIME_BASE
        self.ledger.sent(packet.pts, speech=speech)
        self._ticks += 1
        return packet
