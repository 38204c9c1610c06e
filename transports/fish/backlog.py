"""Events of a live socket's context that have to wait, because a voice is being learned before them."""

import asyncio
from collections import deque
from typing import Any

Event = dict[Any, Any]


class Backlog:
    """The events in their order; ``size`` is what they took on the wire, in bytes.

    ``asking`` is what finds out with which voices an utterance is to be spoken, while that is under way, and
    ``task`` what carries the events out.
    """

    def __init__(self) -> None:
        self._events: deque[tuple[Event, int]] = deque()
        self.size = 0
        self.asking: asyncio.Task[Any] | None = None
        self.task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._events)

    @property
    def beginning(self) -> bool:
        """Whether an utterance is next that has not begun."""
        return self.asking is not None or (bool(self._events) and self._events[0][0]["event"] == "start")

    def add(self, event: Event, size: int) -> None:
        """One more."""
        self._events.append((event, size))
        self.size += size

    def next(self) -> Event | None:
        """The one that is next; None if there is none."""
        if not self._events:
            return None
        event, size = self._events.popleft()
        self.size -= size
        return event

    def drop(self) -> None:
        """Forget them all, and an utterance that has not begun."""
        self._events.clear()
        self.size = 0
        if self.asking is not None:
            self.asking.cancel()
