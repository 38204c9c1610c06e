"""What the engine can say of itself in numbers. It knows nobody who counts: it offers them, and somebody asks.

Times are seconds of ``time.monotonic``, which on Linux is one clock for all processes of a machine.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

STEP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds that a step takes; S2's frame lasts 0.046."""

BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Streams in a step."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values were at most each of ``bounds`` and above the one before; the last count is of the rest.

    ``total`` is the sum of all values. Both only grow.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Tally:
    """Counts values into a :class:`Distribution`: one writer, and readers on any thread."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """One value more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Distribution:
        """What there was by now."""
        return Distribution(self._bounds, tuple(self._counts), self._total)


@dataclass(frozen=True, slots=True)
class PageNumbers:
    """The KV cache of a model: pages that streams hold, that may be found again, and that there are.

    Of ``asked`` positions of prompts and histories, ``found`` were in it already. Both only grow.
    """

    used: int
    cached: int
    pages: int
    asked: int
    found: int


@runtime_checkable
class Paged(Protocol):
    """A model that can say how full its KV cache is, on any thread."""

    @property
    def pages(self) -> PageNumbers | None:
        """As it is now; None if that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class SegmentTiming:
    """When a segment was ``said``, when the model took it (``prefill``) and had taken it (``prefilled``).

    ``first_frame`` is when the step ended that gave the first sound of it.
    """

    said: float
    prefill: float
    prefilled: float
    first_frame: float


@dataclass(frozen=True, slots=True)
class WorkerNumbers:
    """What one worker does and has done; what is no count of the moment only grows while it lives.

    ``open`` streams are let in, ``speaking`` of them have something to say, ``waiting`` of those nothing that is
    being spoken. ``busy`` seconds went into ``audio`` seconds of speech. ``release`` is from the moment that a
    stream's slot was given up until the model had let go of it. ``pages`` is None for a model without.
    A worker that is a process (``pid``) is not ``alive`` for a while before each of its ``restarts``.
    """

    worker: int
    open: int
    speaking: int
    waiting: int
    max_streams: int
    busy: float
    audio: float
    steps: Distribution
    batch: Distribution
    prefill: Distribution
    release: Distribution
    pages: PageNumbers | None = None
    alive: bool = True
    restarts: int = 0
    pid: int = 0


@dataclass(slots=True)
class WorkerTally:
    """What a worker counts while it works: one writer."""

    steps: Tally = field(default_factory=lambda: Tally(STEP_BOUNDS))
    batch: Tally = field(default_factory=lambda: Tally(BATCH_BOUNDS))
    prefill: Tally = field(default_factory=lambda: Tally(STEP_BOUNDS))
    release: Tally = field(default_factory=lambda: Tally(STEP_BOUNDS))
    busy: float = 0.0
    audio: float = 0.0
