"""A few threads that the event loop gives work to."""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from enum import IntEnum
from typing import TypeVar

_Result = TypeVar("_Result")

# A listener hears at once that speech is late, and hardly that an answer begins a little later.
_NICENESS = 5


def step_back() -> None:
    """Have this thread, and those that it will start, leave the processor to all others when it is short.

    Only Linux knows priorities of threads.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, 19))


class Urgency(IntEnum):
    """What comes first when the threads are busy."""

    FILE = 0
    PARTIAL = 1
    FINAL = 2


class Workers:
    """Threads for one event loop, which step back behind all others of the process.

    The most urgent work comes first, and else what was asked for first.
    Who is cancelled while it waits is forgotten; work that was begun ends in its own time, and only then its
    thread takes the next.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, name, step_back)
        self._idle = threads
        self._waiting: dict[Urgency, deque[asyncio.Future[None]]] = {
            urgency: deque() for urgency in sorted(Urgency, reverse=True)
        }

    async def run(self, work: Callable[[], _Result], urgency: Urgency = Urgency.FILE) -> _Result:
        """What ``work`` returns, called in a thread."""
        loop = asyncio.get_running_loop()
        if self._idle:
            self._idle -= 1
        else:
            turn = loop.create_future()
            queue = self._waiting[urgency]
            queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                else:
                    queue.remove(turn)
                raise

        def done(_: Future[_Result]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._next)

        # In a copy of the caller's context: it says on whose behalf this is done.
        future = self._executor.submit(copy_context().run, work)
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    def _next(self) -> None:
        """A thread has nothing to do."""
        for queue in self._waiting.values():
            if queue:
                queue.popleft().set_result(None)
                return
        self._idle += 1

    async def close(self) -> None:
        """Wait for the work that was begun. None may be given any more."""
        await asyncio.to_thread(self._executor.shutdown)
