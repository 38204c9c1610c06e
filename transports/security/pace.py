"""How slowly requests and messages may come. Sans I/O: what has come goes in, what is overdue comes out."""

from enum import Enum, auto

from transports.security.config import Limits
from transports.security.gate import POLICY_VIOLATION, Refusal

# Chunked encoding has some bytes around each piece of content, and trailers after the last. Clients send pieces
# of kilobytes; whoever sends so many times as much around it, and so much, is up to no good.
_AROUND, _AROUND_BYTES = 16, 64 * 1024


class Phase(Enum):
    """Where a connection is in its requests."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class Pace:
    """Watches the requests of one connection, which begins with waiting for a head."""

    __slots__ = ("_bytes", "_content", "_excused", "_limits", "_since", "phase")

    def __init__(self, limits: Limits, now: float) -> None:
        self.phase = Phase.HEAD
        self._limits = limits
        self._since = now
        self._excused = 0.0
        self._bytes = 0
        self._content = 0

    @property
    def silent(self) -> bool:
        """Whether nothing of the head has come."""
        return self.phase is Phase.HEAD and not self._bytes

    def received(self, size: int, now: float) -> None:
        """So many bytes have come; after a whole request they begin the next one's head."""
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEAD, now)
        self._bytes += size

    def head_begun(self, now: float) -> None:
        """A request line begins."""
        if self.phase is not Phase.HEAD:
            self._enter(Phase.HEAD, now)

    def head_done(self, now: float) -> None:
        """All headers have come."""
        self._enter(Phase.BODY, now)

    def content(self, size: int) -> None:
        """So much of a body has come."""
        self._content += size

    def done(self, now: float) -> None:
        """The body has come, or there was none."""
        self._enter(Phase.IDLE, now)

    def excuse(self, seconds: float) -> None:
        """For so long it was we who did not read."""
        self._excused += seconds

    def too_much(self) -> Refusal | None:
        """Whether there are more bytes of a head, or around a body, than may be."""
        if self.phase is Phase.HEAD and self._bytes > self._limits.head:
            return head_too_large(self._limits)
        if self.phase is Phase.BODY and self._bytes - self._content > _AROUND_BYTES + _AROUND * self._content:
            return Refusal(400, "body: more bytes around its pieces than in them")
        return None

    def overdue(self, now: float) -> Refusal | None:
        """What should have come by now."""
        limits, seconds = self._limits, now - self._since - self._excused
        late = None
        if self.phase is Phase.BODY:
            late = _late("body", self._content, seconds, limits)
        elif self.phase is Phase.HEAD and seconds > limits.head_seconds:
            late = f"headers: not all there after {limits.head_seconds:g} s"
        return Refusal(408, late) if late else None

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since = phase, now
        self._excused, self._bytes, self._content = 0.0, 0, 0


class MessagePace:
    """Watches the messages of one WebSocket, each of which has as much time as a body."""

    __slots__ = ("_excused", "_limits", "_since", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: float | None = None
        self._excused = 0.0
        self._size = 0

    @property
    def unfinished(self) -> bool:
        """Whether there is a part of a message."""
        return self._since is not None

    def part(self, size: int, now: float) -> None:
        """Of the next message so many bytes have come, perhaps none."""
        self._size = size
        if not size:
            self._since = None
        elif self._since is None:
            self._since, self._excused = now, 0.0

    def done(self) -> None:
        """All of it has come; what comes now is of the next."""
        self._since = None

    def excuse(self, seconds: float) -> None:
        """For so long it was we who did not read."""
        self._excused += seconds

    def overdue(self, now: float) -> Refusal | None:
        """What should have come by now."""
        if self._since is None:
            return None
        late = _late("message", self._size, now - self._since - self._excused, self._limits)
        return Refusal(POLICY_VIOLATION, late) if late else None


def head_too_large(limits: Limits) -> Refusal:
    """The answer to a head with too many bytes, or too many fields."""
    return Refusal(431, f"headers: expected at most {limits.head} bytes in {limits.head_fields} fields")


def _late(what: str, size: int, seconds: float, limits: Limits) -> str | None:
    """Why a body or message is too slow of which so many bytes have come in so many seconds."""
    if seconds > limits.body_seconds:
        return f"{what}: not all there after {limits.body_seconds:g} s"
    if seconds > limits.body_grace + size / limits.body_rate:
        return f"{what}: less than {limits.body_rate:g} bytes a second"
    return None
