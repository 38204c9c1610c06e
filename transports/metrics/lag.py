"""How late the event loop is: whatever runs on it too long makes everybody wait, and nothing else tells."""

import asyncio
from time import monotonic
from typing import Protocol

INTERVAL_SECONDS = 0.1


class _Histogram(Protocol):
    def observe(self, amount: float) -> None: ...


class LagMeter:
    """A timer that observes how late it is called. To be started on the loop, and stopped."""

    def __init__(self, histogram: _Histogram) -> None:
        self._histogram = histogram
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin, on the loop that runs now."""
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = monotonic() + INTERVAL_SECONDS
        self._timer = loop.call_later(INTERVAL_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._histogram.observe(max(0.0, monotonic() - self._due))
        self._wait(loop)
