"""Rate and concurrency: pure decisions over a time that is handed in."""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """What one key may do; None is no limit. Counted by each server process for itself."""

    requests_per_minute: int | None = None
    max_concurrency: int | None = None


@dataclass(slots=True)
class Meter:
    """What one key does: a token bucket that holds a minute's requests, and the requests that run."""

    running: int = 0
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    _tokens: float = 0.0
    _rate: int | None = None
    _filled_at: float = 0.0

    def request(self, rate: int | None, now: float) -> float:
        """Take a token of ``rate`` a minute: 0 if there was one, else the seconds until there will be."""
        if rate is None:
            self._rate = None
            return 0.0
        if self._rate is None:
            self._tokens = rate
        else:
            self._tokens += max(0.0, now - self._filled_at) * self._rate / 60
        self._tokens, self._rate, self._filled_at = min(self._tokens, rate), rate, max(now, self._filled_at)
        # Whoever comes back at the time they were told must not fail for a rounding error.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) * 60 / rate

    def enter(self, most: int | None) -> bool:
        """Begin a request unless ``most`` are running."""
        if most is not None and self.running >= most:
            return False
        self.running += 1
        return True

    def leave(self) -> None:
        """A request has ended."""
        self.running -= 1
        self.freed.set()
