"""When a chunk leaves: how long to wait for a better place to cut, by the latency that was asked for."""

from dataclasses import dataclass

from realtime.request import Latency


@dataclass(frozen=True, slots=True)
class Pace:
    """When a chunk leaves.

    ``first_words``: a silent listener gets a phrase of that many words. ``idle``: seconds without new text
    after which what is complete of it is spoken; ``settled``: those after which "$3.", which might have grown,
    counts as complete. With less than ``urgent`` seconds of speech left the listener is served as if it
    were silent, with less than ``hurry`` the next longer phrase goes, with less than ``relaxed`` the next clause,
    with more only whole sentences.
    """

    first_words: int
    idle: float
    settled: float
    urgent: float
    hurry: float
    relaxed: float

    @property
    def turning_points(self) -> tuple[float, ...]:
        """How many seconds are left when something changes."""
        return self.relaxed, self.hurry, self.urgent


PACES = {
    Latency.LOW: Pace(first_words=3, idle=0.15, settled=0.8, urgent=0.3, hurry=0.5, relaxed=1.5),
    Latency.BALANCED: Pace(first_words=4, idle=0.25, settled=1.0, urgent=0.4, hurry=0.8, relaxed=2.5),
    Latency.NORMAL: Pace(first_words=8, idle=0.5, settled=1.5, urgent=0.5, hurry=1.0, relaxed=4.0),
}

TOLERANCE = 0.0015
"""Seconds by which a timer may be early and still find passed what it was set for: a tick of a clock that counts
milliseconds, and what is lost in subtracting large times."""
