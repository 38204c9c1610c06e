"""What is sent to a line, and when. Decides; does no I/O."""

from collections import deque
from collections.abc import Sequence

_ROUNDING = 1e-6


class Player:
    """Packets of one length in real time, sent no more than ``lead`` seconds before they are heard.

    The listener is thought to play what is sent at once and without a break; :meth:`report` tells what was really
    played, where the transport knows. Who is asked less than a packet too late catches up, and so does not drift.
    All times are seconds; positions count from 0, anew after each :meth:`drop`.
    """

    def __init__(self, *, packet_seconds: float = 0.02, lead: float = 0.1) -> None:
        if not lead >= packet_seconds > 0:
            raise ValueError(f"lead is {lead!r}, expected at least a packet of {packet_seconds!r} s")
        self._packet = packet_seconds
        self._lead = lead
        self._lag = 0.0  # by which what is heard is behind what was sent in real time
        self._behind = (
            0.0  # the same, because of a packet that was sent after the one before it had been heard
        )
        self._held = False
        self.drop()

    def drop(self) -> None:
        """Forget everything queued and held; the position starts anew at 0."""
        self._queue: deque[bytes] = deque()
        self._unheard: deque[bytes] = deque()  # the last of those sent
        self._sent = 0
        self._dry_at: float | None = None  # when all that was sent is played, by the clock of the pace
        self._ran_out = True
        self._floor = 0.0
        self._held = False

    @property
    def held(self) -> bool:
        """Whether nothing is sent until :meth:`resume`."""
        return self._held

    @property
    def queued(self) -> float:
        """Seconds that have not been sent yet, or are to be sent again."""
        return len(self._queue) * self._packet

    @property
    def due(self) -> float | None:
        """When to call :meth:`take` next, in the past if at once; None if there is nothing to send."""
        if self._held or not self._queue:
            return None
        return float("-inf") if self._dry_at is None else self._dry_at + self._packet - self._lead

    def push(self, packets: Sequence[bytes]) -> None:
        """Add to the end of the queue."""
        self._queue.extend(packets)

    def take(self, now: float) -> list[bytes]:
        """The packets whose time to be sent has come."""
        if self._held or not self._queue:
            return []
        if self._dry_at is None or now > self._dry_at + (0.0 if self._ran_out else self._packet):
            self._floor = self.heard(now)
            self._dry_at = now
            self._behind = 0.0
        elif now - self._dry_at > self._behind:
            self._floor = self.heard(now)
            self._behind = now - self._dry_at
        taken: list[bytes] = []
        while self._queue and self._dry_at + self._packet <= now + self._lead + _ROUNDING:
            taken.append(self._queue.popleft())
            self._dry_at += self._packet
        self._sent += len(taken)
        self._unheard.extend(taken)
        self._ran_out = not self._queue
        while len(self._unheard) > self._sent - self._packets_heard(now):
            self._unheard.popleft()
        return taken

    def hold(self, now: float) -> None:
        """Send no more; what was sent and has not been heard to its end will be sent again.

        The transport is to drop what it has not played.
        """
        if self._held:
            return
        self._floor = self.heard(now)
        self._held = True
        again = self._sent - self._packets_heard(now)
        while again:
            self._queue.appendleft(self._unheard.pop())
            self._sent -= 1
            again -= 1
        self._unheard.clear()
        self._dry_at = None
        self._ran_out = True

    def resume(self, now: float) -> None:
        """Go on where the listener was."""
        self._held = False

    def report(self, heard: float, now: float) -> None:
        """The listener has really heard ``heard`` seconds since the last :meth:`drop`. Void while held."""
        if self._held or self._dry_at is None:
            return
        self._floor = self.heard(now)
        if heard >= self.sent:
            self._floor = self.sent
        else:
            self._lag, self._behind = now - (self._dry_at - self.sent) - heard, 0.0

    @property
    def sent(self) -> float:
        """Seconds that were sent, but for what is to be sent again."""
        return self._sent * self._packet

    def heard(self, now: float) -> float:
        """Seconds heard since the last :meth:`drop`; never less than a moment ago."""
        if self._dry_at is None:
            return self._floor
        return max(self._floor, min(self.sent, now - (self._dry_at - self.sent) - self._lag - self._behind))

    def idle(self, now: float) -> bool:
        """Whether all that was pushed has been heard."""
        return not self._queue and self.heard(now) >= self.sent - _ROUNDING

    def idle_at(self) -> float | None:
        """When all that was sent will have been heard, unless :meth:`report` says otherwise; None if it has been.

        Of what is still queued nothing is known: with any, None.
        """
        if self._queue or self._dry_at is None:
            return None
        return self._dry_at + self._lag + self._behind

    def _packets_heard(self, now: float) -> int:
        """How many packets were heard to their end."""
        return min(self._sent, int((self.heard(now) + _ROUNDING) / self._packet))
