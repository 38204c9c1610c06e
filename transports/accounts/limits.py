"""Rate and concurrency: pure decisions over a time that is handed in, and who is asked for them."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from transports.errors import RequestError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one key may do; None is no limit."""

    requests_per_minute: int | None = None
    max_concurrency: int | None = None


class ConcurrencyExceeded(RequestError):
    """The key has as many requests running as it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"Concurrency limit exceeded: {most} at once", 429, retry_after=1)
        self.max_concurrency = most


class RateExceeded(RequestError):
    """The key has made as many requests as it may for now; ``wait`` seconds later it may make another one."""

    def __init__(self, rate: int, wait: float) -> None:
        super().__init__(f"rate limit exceeded: {rate} requests a minute", 429, retry_after=wait)


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


class Place(Protocol):
    """The place that a request has among those of its key."""

    def leave(self) -> None:
        """The request has ended. To be called once."""


class Limiter(Protocol):
    """Who counts the requests of keys."""

    def start(self) -> None:
        """Begin."""

    async def close(self) -> None:
        """End; no request runs any more."""

    async def enter(self, key: str, limits: Limits, *, counted: bool, patience: float) -> Place:
        """A place for a request of the key, which uses up one of its requests a minute if it is ``counted``.

        For ``patience`` seconds it waits for a place. Raises :class:`ConcurrencyExceeded` or
        :class:`RateExceeded`, and then nothing is used up.
        """
        ...


class LocalLimiter:
    """Counts what this process serves."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}

    def start(self) -> None:
        """Nothing is to be begun."""

    async def close(self) -> None:
        """Nothing is to be ended."""

    def meter(self, key: str) -> Meter:
        """What the key does here."""
        return self._meters.setdefault(key, Meter())

    async def enter(self, key: str, limits: Limits, *, counted: bool, patience: float) -> Place:
        """A place: see :class:`Limiter`."""
        meter, most, rate = self.meter(key), limits.max_concurrency, limits.requests_per_minute
        try:
            async with asyncio.timeout(patience):
                while not meter.enter(most):
                    meter.freed.clear()
                    await meter.freed.wait()
        except TimeoutError:
            raise ConcurrencyExceeded(most or 0) from None
        if counted and rate is not None and (wait := meter.request(rate, monotonic())):
            meter.leave()
            raise RateExceeded(rate, wait)
        return meter
