"""What a conversation needs of the wire that its caller is on: a telephone line, a WebRTC peer, a socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from engine.audio import OutputFormat, split_packets
from engine.speech import Pcm
from realtime.conversation.events import Command, ConversationEvent

PACKET_SECONDS = 0.02

# What a decoder plays as nothing; in mu-law and A-law by ITU-T G.711.
_SILENCE = {"pcm": b"\0", "mulaw": b"\xff", "alaw": b"\xd5"}


@dataclass(frozen=True, slots=True)
class LineFormat:
    """How a line takes and gives audio.

    ``output`` is "pcm", "mulaw", "alaw" or "packets", in which it is sent packets of 20 ms; ``hears_at`` is the
    rate of :class:`Heard` in Hz. Packets are sent up to ``lead`` seconds before they are heard: more on a line
    whose clock nobody hears stumble, and that can take back what it was sent.
    """

    output: OutputFormat
    hears_at: int
    lead: float = 0.1


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller's next samples, mono."""

    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Digit:
    """The caller pressed a key: 0 to 9, A to D, * or #."""

    digit: str


@dataclass(frozen=True, slots=True)
class LinePlayed:
    """What was really played of what was sent since the last :meth:`Line.clear`.

    ``clears`` is how many of them there had been when it was sent, so that a report which is on its way during a
    clear is not taken for one about what came after.
    """

    seconds: float
    clears: int = 0


LineEvent = Heard | Digit | LinePlayed | Command


class Line(Protocol):
    """A caller. Whoever makes it closes it; once it has been hung up, nothing of this raises."""

    @property
    def format(self) -> LineFormat:
        """How it takes and gives audio."""
        ...

    def __aiter__(self) -> AsyncIterator[LineEvent]:
        """What comes from the caller, until the line is hung up."""
        ...

    async def send(self, packet: bytes) -> None:
        """One packet, in its time. Shall not block for longer than a packet lasts."""
        ...

    async def clear(self) -> None:
        """Drop what was sent and has not been played."""
        ...

    async def tell(self, event: ConversationEvent) -> None:
        """Tell the client something; lines without a channel ignore it."""
        ...


class PacketCutter:
    """The bytes of an output stream → the packets of 20 ms that a line is sent."""

    def __init__(self, output: OutputFormat) -> None:
        if output.container != "packets" and output.container not in _SILENCE:
            raise ValueError(f"output is {output.container!r}, expected pcm, mulaw, alaw or packets")
        self._silence = _SILENCE.get(output.container)
        width = 2 if output.container == "pcm" else 1
        self._size = round(output.sample_rate * PACKET_SECONDS) * width
        self._rest = b""

    def push(self, data: bytes) -> list[bytes]:
        """The packets that are complete now."""
        if self._silence is None:
            return split_packets(data)
        data = self._rest + data
        whole = len(data) // self._size * self._size
        self._rest = data[whole:]
        return [data[at : at + self._size] for at in range(0, whole, self._size)]

    def flush(self) -> list[bytes]:
        """The rest, filled up with silence."""
        if self._silence is None or not self._rest:
            return []
        packet, self._rest = self._rest, b""
        return [packet + self._silence * (self._size - len(packet))]
