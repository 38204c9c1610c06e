"""How long a client may leave what it is sent. Sans I/O."""

from transports.security.config import Limits


class Outgoing:
    """Watches what one connection is sent."""

    __slots__ = ("_ended_at", "_limits", "_stuck_at")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stuck_at: float | None = None
        self._ended_at: float | None = None

    def stuck(self, now: float) -> None:
        """More waits to be taken than may."""
        self._stuck_at = now

    def moving(self) -> None:
        """Most of it was taken."""
        self._stuck_at = None

    def ended(self, now: float) -> None:
        """Nothing more will be sent."""
        if self._ended_at is None:
            self._ended_at = now

    def overdue(self, now: float, *, closing: bool) -> bool:
        """Whether the connection has to be cut; ``closing`` says that it was closed, and waits for the client."""
        if closing:
            self.ended(now)
        stuck = self._stuck_at is not None and now - self._stuck_at > self._limits.stall_seconds
        ended = self._ended_at is not None and now - self._ended_at > self._limits.linger_seconds
        return stuck or ended
