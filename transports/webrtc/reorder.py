"""RTP packets as the network gives them → in their order, each once, and none waited for in vain. No I/O."""

from typing import NamedTuple

# So many packets may be there before we stop to wait for one that is missing: 100 ms at 20 ms a packet.
_PATIENCE = 5
# A packet so far from the one that is expected belongs to another count: the sender has begun anew.
_ANOTHER_COUNT = 500


class RtpPayload(NamedTuple):
    """What is in a packet; ``timestamp`` is the sender's, in samples, modulo 2**32."""

    timestamp: int
    data: bytes


class Reorder:
    """A packet that is in its order leaves at once; those after a missing one wait for it, but not for long."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, RtpPayload] = {}

    def push(self, sequence: int, payload: RtpPayload) -> list[RtpPayload]:
        """The packets that can be decoded now; ``sequence`` is modulo 2**16."""
        if self._next is None:
            self._next = sequence
        ahead = _ahead(sequence, self._next)
        if abs(ahead) > _ANOTHER_COUNT:
            ready = [self._held[at] for at in sorted(self._held, key=self._distance)]
            self._held.clear()
            self._next = (sequence + 1) & 0xFFFF
            return [*ready, payload]
        if ahead < 0:
            return []  # it comes too late, or for the second time
        self._held[sequence] = payload
        if len(self._held) > _PATIENCE:
            self._next = min(self._held, key=self._distance)
        ready = []
        while (found := self._held.pop(self._next, None)) is not None:
            ready.append(found)
            self._next = (self._next + 1) & 0xFFFF
        return ready

    def _distance(self, sequence: int) -> int:
        assert self._next is not None
        return _ahead(sequence, self._next)


def _ahead(sequence: int, of: int) -> int:
    """By how much one is ahead of another, negative if behind."""
    return ((sequence - of + 0x8000) & 0xFFFF) - 0x8000
