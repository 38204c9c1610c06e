"""What a peer says, as one stream without holes."""

from collections.abc import Sequence

import numpy as np

from engine.audio import OPUS_RATE, DecodeError, OpusDecoder
from engine.speech import Pcm
from transports.webrtc.reorder import RtpPayload

RATE = OPUS_RATE
"""Hz; what the decoder gives, and the unit of the timestamps (RFC 7587), whatever the peer has encoded."""
# A hole is filled up to here; what is longer was a pause, of which so much is enough.
_LONGEST_HOLE = RATE
# Nothing for so long is taken for silence: a microphone that is muted, or sends nothing in pauses.
_QUIET_SECONDS = 0.2


class Inbound:
    """Opus packets in their order → samples in a row, with silence where something is missing.

    Silence also goes on while nothing comes at all, or nobody would know that the speaker has paused. To be used
    off the event loop, by one thread at a time.
    """

    def __init__(self) -> None:
        self._decoder = OpusDecoder()
        self._next: int | None = None  # the timestamp of the sample that comes next
        self._quiet_since = 0.0

    def decode(self, packets: Sequence[RtpPayload], now: float) -> Pcm:
        """The samples of these packets, with what was missing before each. One that is no Opus is missing."""
        pieces: list[Pcm] = []
        for packet in packets:
            pcm = self._decode(packet.data)
            hole = 0 if self._next is None else (packet.timestamp - self._next) & 0xFFFFFFFF
            if 0 < hole < 1 << 31:
                pieces.append(np.zeros(min(hole, _LONGEST_HOLE), np.float32))
            pieces.append(pcm)
            self._next = (packet.timestamp + pcm.size) & 0xFFFFFFFF
            self._quiet_since = now
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def silence(self, now: float) -> Pcm:
        """What is missing because nothing has come for a while; nothing, if something has."""
        if self._next is None or now - self._quiet_since < _QUIET_SECONDS:
            return np.zeros(0, np.float32)
        samples = min(round((now - self._quiet_since) * RATE), _LONGEST_HOLE)
        self._quiet_since = now
        self._next = (self._next + samples) & 0xFFFFFFFF
        return np.zeros(samples, np.float32)

    def _decode(self, data: bytes) -> Pcm:
        try:
            return self._decoder.decode(data)
        except DecodeError:
            return np.zeros(0, np.float32)
