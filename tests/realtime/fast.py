"""An event loop whose seconds are shorter than real ones: a conversation in a fraction of its time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any


class _Selector(selectors.DefaultSelector):
    def __init__(self, times: float) -> None:
        super().__init__()
        self._times = times

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._times)


class FastLoop(asyncio.SelectorEventLoop):
    """Its clock runs ``times`` as fast as the wall's. Threads and what they compute do not."""

    def __init__(self, times: float) -> None:
        self._times = times
        super().__init__(_Selector(times))

    def time(self) -> float:
        return super().time() * self._times


def fast(times: float) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """A test that runs on such a loop."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            with asyncio.Runner(loop_factory=lambda: FastLoop(times)) as runner:
                runner.run(test(*args, **kwargs))

        return run

    return decorate
