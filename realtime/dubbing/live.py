"""A dub of captions that are still being made, in real time."""

import asyncio
from collections.abc import AsyncIterator

from realtime.dubbing.captions import Caption
from realtime.dubbing.dubber import Dubber, Made

# Audio is made in steps of so many seconds, and this much before it is heard: a late step is not heard as a gap.
STEP_SECONDS = 0.1
LEAD_SECONDS = 0.25
# After a standstill (of the listener, or of this machine) the audio is made up for in pieces of so many seconds.
MOST_AT_ONCE = 1.0


class ListenerTooSlow(Exception):
    """Whoever takes the audio does not keep up with real time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"audio: it was not taken for more than {seconds:g} s; read it as it comes")


class LiveDub:
    """One live feed. The captions' clock runs in real time, and every line is heard ``delay`` seconds after it.

    The audio begins at once, when the captions' clock says ``clock``. Iteration, of which there must be one,
    yields audio in real time and ends after :meth:`stop`, once all has been heard. Raises what ended the dub, or
    :class:`ListenerTooSlow` if nobody asks for the audio for ``max_behind`` seconds.
    """

    def __init__(
        self, dubber: Dubber, *, clock: float = 0.0, delay: float = 0.0, max_behind: float = 30.0
    ) -> None:
        self._dubber = dubber
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._delay = delay
        self._max_behind = max_behind
        self._stopped = asyncio.Event()
        self.sync(clock)

    @property
    def stopped(self) -> bool:
        """Whether no caption will come any more."""
        return self._stopped.is_set()

    @property
    def waiting(self) -> int:
        """How many captions have not begun to be heard."""
        return self._dubber.planner.waiting

    def get(self, id_: str) -> Caption | None:
        """The caption of an id that has not ended."""
        return self._dubber.planner.get(id_)

    def put(self, caption: Caption) -> None:
        """A new caption, or a new version of one."""
        self._dubber.put(caption)

    def remove(self, id_: str) -> None:
        """A caption is void."""
        self._dubber.remove(id_)

    def sync(self, clock: float) -> None:
        """The captions' clock says ``clock`` now. Lines that have begun stay where they are."""
        self._dubber.planner.sync(clock - self._delay - self._heard())

    @property
    def clock(self) -> float:
        """What the captions' clock says now."""
        return self._dubber.planner.offset + self._delay + self._heard()

    def stop(self) -> None:
        """No caption will come any more: speak those that are there, then end."""
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[Made]:
        planner = self._dubber.planner
        while not (self._stopped.is_set() and planner.idle):
            wanted = self._heard() + LEAD_SECONDS
            if wanted - planner.now > self._max_behind:
                raise ListenerTooSlow(self._max_behind)
            if wanted >= planner.now + STEP_SECONDS:
                yield await self._dubber.advance(min(wanted, planner.now + MOST_AT_ONCE))
            else:
                await asyncio.sleep(planner.now + STEP_SECONDS - wanted)
        yield Made(await self._dubber.finish(), planner.now, ())

    def _heard(self) -> float:
        """Seconds of audio that are heard by now, if the listener plays it at once."""
        return self._loop.time() - self._began
