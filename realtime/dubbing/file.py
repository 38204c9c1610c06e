"""A dub of captions that are all there, as fast as it can be made."""

from collections.abc import AsyncIterator, Iterable

from realtime.dubbing.captions import Caption
from realtime.dubbing.dubber import Dubber, Made

# How much audio is made at a time: little enough to be in memory.
BLOCK_SECONDS = 1.0


async def dub(dubber: Dubber, captions: Iterable[Caption], seconds: float = 0.0) -> AsyncIterator[Made]:
    """The whole timeline from 0 on: to the end of the last caption and line, and ``seconds`` at least."""
    end = seconds
    for caption in captions:
        dubber.put(caption)
        end = max(end, caption.end)
    planner = dubber.planner
    while planner.now < end or not planner.idle:
        until = planner.now + BLOCK_SECONDS
        if until >= end and not planner.waiting:
            until = max(end, planner.busy_until)
        yield await dubber.advance(await dubber.spoken(until))
    yield Made(await dubber.finish(), planner.now, ())
