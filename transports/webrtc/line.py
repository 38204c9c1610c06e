"""A WebRTC peer as a line of a conversation."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from time import monotonic

from engine.audio import OutputFormat
from engine.speech import Pcm
from realtime.conversation.events import Command, ConversationEvent
from realtime.line import Digit, Heard, LineEvent, LineFormat, LinePlayed
from transports.webrtc.inbound import RATE, Inbound
from transports.webrtc.reorder import Reorder, RtpPayload
from transports.webrtc.track import PACKET_SECONDS, SpeechTrack

# Speech waits here, where it can be taken back, and covers what the event loop may be late by.
LEAD = 0.1
# Packets are decoded so many at a time: a hop to a thread for each would cost more than what is done there.
_TOGETHER = 2
# What nobody takes is forgotten: packets, two seconds of them, and what a client asks of its agent.
_MOST_PACKETS = 100
_MOST_COMMANDS = 100
_SILENCE_SECONDS = 0.1


class PeerLine:
    """What comes from a peer and goes to it; packets are decoded on ``decoders``. Iterated by one at a time.

    Until it is iterated, what comes is dropped.
    """

    def __init__(self, output: OutputFormat, decoders: Executor) -> None:
        self.format = LineFormat(output, RATE, LEAD)
        self.on_event: Callable[[ConversationEvent], None] = lambda _: None
        self.track = SpeechTrack(most=round(LEAD / PACKET_SECONDS) + 1)
        self._decoders = decoders
        self._reorder = Reorder()
        self._packets: deque[RtpPayload] = deque(maxlen=_MOST_PACKETS)
        self._commands: deque[Command | Digit] = deque(maxlen=_MOST_COMMANDS)
        self._played: LinePlayed | None = None
        self._clears = 0
        self._listening = False
        self._hung_up = False
        self._wake = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[LineEvent]:
        """What the peer does, until it has gone."""
        inbound = Inbound()
        self._listening = True
        try:
            while not self._hung_up:
                pcm = await self._next(inbound)
                if pcm is not None and pcm.size:
                    yield Heard(pcm)
                if self._played is not None:
                    played, self._played = self._played, None
                    yield played
                while self._commands:
                    yield self._commands.popleft()
        finally:
            self._listening = False
            self._packets.clear()

    async def send(self, packet: bytes) -> None:
        """Have the peer hear a packet after those before it."""
        await self.track.send(packet)

    async def clear(self) -> None:
        """Drop what has not left for the peer yet."""
        self._clears += 1
        self.track.clear()

    async def tell(self, event: ConversationEvent) -> None:
        """Tell whoever has asked to be."""
        self.on_event(event)

    def take(self, sequence: int, payload: RtpPayload) -> None:
        """A packet has come from the peer."""
        if self._listening:
            self._packets += self._reorder.push(sequence, payload)
            if len(self._packets) >= _TOGETHER:
                self._wake.set()

    def ask(self, command: Command | Digit) -> None:
        """The client asks this of its agent, or presses a key."""
        self._commands.append(command)
        self._wake.set()

    def reported(self, pts: int) -> None:
        """The peer has got the packets up to this time of the track."""
        if (seconds := self.track.ledger.heard(pts)) is not None:
            self._played = LinePlayed(seconds, self._clears)
            self._wake.set()

    def hang_up(self) -> None:
        """The peer has gone. Idempotent."""
        self._hung_up = True
        self.track.stop()
        self._wake.set()

    async def _next(self, inbound: Inbound) -> Pcm | None:
        """Wait until something happens; what is heard by then."""
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            if not self._packets:
                return inbound.silence(monotonic())
        self._wake.clear()
        if not self._packets:
            return None
        packets = tuple(self._packets)
        self._packets.clear()
        work = partial(inbound.decode, packets, monotonic())
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)
