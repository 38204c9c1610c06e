"""Which of the packets that were sent carried speech: what a receiver report says of them, as seconds heard."""

from collections import deque

SAMPLES = 960
"""Of a packet of 20 ms, in units of the RTP clock for Opus (RFC 7587: 48 kHz, whatever was encoded)."""
_REMEMBERED = 256  # packets, about five seconds; reports are about the last round trip


class Ledger:
    """Counts speech since the last :meth:`clear`; silence between utterances does not count."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._speech = 0

    def sent(self, pts: int, *, speech: bool) -> None:
        """The packet with this time has left."""
        self._speech += speech
        self._sent.append((pts, self._speech))

    def clear(self) -> None:
        """What is sent from now on counts anew."""
        self._speech = 0
        for at, (pts, _) in enumerate(self._sent):
            self._sent[at] = (pts, 0)

    def heard(self, pts: int) -> float | None:
        """Seconds of speech up to and with the packet of this time; None if it is not known any more."""
        for sent, speech in reversed(self._sent):
            if sent <= pts:
                return speech * 0.02 if sent == pts else None
        return None
