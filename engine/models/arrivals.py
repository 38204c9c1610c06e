"""Frames that arrive from elsewhere: a box for each stream, and one place to wait for all of them.

For models whose speech is made by another thread, process or machine, while a step has to return soon.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from engine.errors import SpeechError

T = TypeVar("T")


class Arrivals:
    """The boxes of one model, and the condition that all of them share."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def box(self, limit: float, resume: Callable[[], None]) -> "Box[Any]":
        """A box that asks its filler to pause once it holds ``limit``, in whatever unit sizes are told.

        ``resume`` is then called when half of that has been taken, on the thread that takes.
        """
        return Box(self._changed, limit, resume)

    def wait(self, boxes: "Collection[Box[Any]]", seconds: float) -> None:
        """Return as soon as any of these has something to tell, after ``seconds`` at the latest."""
        with self._changed:
            self._changed.wait_for(lambda: any(box.ready for box in boxes), seconds)


class Box(Generic[T]):
    """What arrives for one segment of a stream: filled from any thread, emptied by the engine's.

    Made by :meth:`Arrivals.box`.
    """

    def __init__(self, changed: threading.Condition, limit: float, resume: Callable[[], None]) -> None:
        self._changed = changed
        self._limit = limit
        self._resume = resume
        self._items: deque[tuple[T, float]] = deque()
        self._held = 0.0
        self._full = False
        self._over = False
        self._error: SpeechError | None = None

    def put(self, item: T, size: float) -> bool:
        """Append an item. False if that is enough for now: ``resume`` is called when there is room again."""
        with self._changed:
            self._items.append((item, size))
            self._held += size
            self._full = self._held >= self._limit
            self._changed.notify_all()
            return not self._full

    def end(self, error: SpeechError | None = None) -> None:
        """Nothing more will come: the segment is complete, or was cut short by ``error``."""
        with self._changed:
            self._over, self._error = True, error
            self._changed.notify_all()

    @property
    def ready(self) -> bool:
        """Whether :meth:`take` has something to tell: items, the end, or an error."""
        return bool(self._items) or self._over

    def take(self, most: float) -> tuple[list[T], bool]:
        """The next items, of a size of ``most`` together or else just one, and whether no more will come.

        Raises the error that cut the segment short, after everything that came before it.
        """
        with self._changed:
            taken: list[T] = []
            size = 0.0
            while self._items and (not taken or size + self._items[0][1] <= most):
                item, its_size = self._items.popleft()
                taken.append(item)
                size += its_size
            self._held -= size
            resumed = self._full and self._held <= self._limit / 2
            self._full = self._full and not resumed
            last = self._over and self._error is None and not self._items
            error = None if taken else self._error
        if resumed:
            self._resume()
        if error is not None:
            raise error
        return taken, last
