"""Which worker speaks a new stream: pure decisions."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from engine.admission import refusal
from engine.errors import Overloaded

_THREADS = "OMP_NUM_THREADS"  # which torch, and what numpy computes with, go by

AFFINITY = 2
"""How many streams more a worker may speak, and still be better than another that has not yet read a voice."""


class Load(NamedTuple):
    """What a worker has to do, and whether it has the voices of a new stream at hand."""

    speaking: int
    open: int
    max_streams: int
    warm: bool = False

    @property
    def has_room(self) -> bool:
        """Whether it takes another stream."""
        return refusal(self.speaking, self.open, self.max_streams) is None


def choose(loads: Sequence[Load]) -> int:
    """The place in ``loads`` of the worker that speaks least, or little more with the voice at hand.

    Raises :class:`Overloaded` if none has room; there is one at least.
    """
    free = [place for place, load in enumerate(loads) if load.has_room]
    if not free:
        total = [sum(numbers) for numbers in zip(*(load[:3] for load in loads), strict=True)]
        # Together they may have room that each of them has for nobody: what is open does not move.
        raise Overloaded(refusal(*total) or f"all {len(loads)} workers are busy with open streams")

    def cost(place: int) -> tuple[float, float]:
        load = loads[place]
        return load.speaking - AFFINITY * load.warm, load.open

    return min(free, key=cost)


def shares(max_streams: int, workers: int) -> list[int]:
    """So many streams for each of the workers. Raises ValueError if there are fewer than one for each."""
    if max_streams < workers:
        raise ValueError(
            f"max_streams is {max_streams}; it must be {workers} or more, one for each of {workers} workers"
        )
    least, more = divmod(max_streams, workers)
    return [least + (place < more) for place in range(workers)]


def shared(measured: int, workers: int, processors: int) -> int:
    """What each of the workers carries of the streams that one of them, alone, has been measured to carry.

    A model that is measured computes on one processor at a time.
    """
    return max(1, measured * min(workers, processors) // workers)


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(workers: int) -> dict[str, str]:
    """The environment in which each of several workers computes with its share of the processors.

    Half of them, together: the event loop and the encoders need theirs. What the operator has set stays.
    """
    if _THREADS in os.environ:
        return {}
    return {_THREADS: str(max(1, processors() // (2 * workers)))}
