"""What is logged of refusals: each kind, but not each of thousands; never what was sent."""

import logging
from collections import Counter

# One line of a kind in so many seconds; what came between is counted in the next.
QUIET_SECONDS = 10.0

log = logging.getLogger(__name__)


class RefusalLog:
    """Logs who was refused what, seldom enough for a flood not to fill a disk."""

    def __init__(self) -> None:
        self._next: dict[int, float] = {}
        self._unsaid: Counter[int] = Counter()

    def note(self, status: int, host: str | None, message: str, now: float) -> None:
        """Somebody was refused. ``message`` may hold nothing that they have sent but names of theirs."""
        if now < self._next.get(status, 0.0):
            self._unsaid[status] += 1
            return
        self._next[status] = now + QUIET_SECONDS
        more = self._unsaid.pop(status, 0)
        log.warning(
            "refused %s with %d: %s%s",
            host or "somebody",
            status,
            message,
            f" (and {more} more since the last line like this)" if more else "",
        )
