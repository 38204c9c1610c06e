"""A few threads that the event loop gives work to."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


class Workers:
    """Threads for one event loop. Urgent work comes first, and else what was asked for first.

    Who is cancelled while it waits is forgotten; work that was begun ends in its own time, and only then its
    thread takes the next.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._idle = threads
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def run(self, work: Callable[[], _Result], *, urgent: bool = False) -> _Result:
        """What ``work`` returns, called in a thread."""
        loop = asyncio.get_running_loop()
        if self._idle:
            self._idle -= 1
        else:
            turn = loop.create_future()
            queue = self._urgent if urgent else self._waiting
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

        future = self._executor.submit(work)
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    def _next(self) -> None:
        """A thread has nothing to do."""
        for queue in (self._urgent, self._waiting):
            if queue:
                queue.popleft().set_result(None)
                return
        self._idle += 1

    async def close(self) -> None:
        """Wait for the work that was begun. None may be given any more."""
        await asyncio.to_thread(self._executor.shutdown)
