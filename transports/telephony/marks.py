"""How much of what was sent to a telephone has been played, by the marks that come back."""

from realtime.line import PACKET_SECONDS, LinePlayed

EVERY = 5
"""Packets between two marks. Between them a line plays in real time; more marks would only be more messages."""
_MOST_PENDING = 256


class Marks:
    """Decides which packets are followed by a mark, and what it means when one comes back.

    The first packet after a silence or a clear is, so that the delay of the line is known at once.
    """

    def __init__(self) -> None:
        self._clears = 0
        self._packets = 0
        self._pending: dict[str, int] = {}

    def sent(self) -> str | None:
        """A packet was sent: the name of the mark to be sent after it, if one is."""
        self._packets += 1
        if self._packets % EVERY != 1:
            return None
        if len(self._pending) >= _MOST_PENDING:  # they never come back
            del self._pending[next(iter(self._pending))]
        name = f"{self._clears}.{self._packets}"
        self._pending[name] = self._packets
        return name

    def cleared(self) -> None:
        """A clear was sent. Marks from before it come back, too, whether what they mark was played or not."""
        self._clears += 1
        self._packets = 0
        self._pending.clear()

    def back(self, name: str) -> LinePlayed | None:
        """A mark has come back: what was played by now; None if it says nothing of that."""
        packets = self._pending.pop(name, None)
        if packets is None:
            return None
        for earlier in [mark for mark, count in self._pending.items() if count < packets]:
            del self._pending[earlier]
        return LinePlayed(packets * PACKET_SECONDS, self._clears)
