"""What somebody hears who plays what comes at once, and drops what he is told to drop. Pure: no clock, no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks.listener import AUDIBLE_RMS, WINDOW_SECONDS, Arrival, Samples, first_audible


class Clear(NamedTuple):
    """The listener was told, at this time in seconds, to drop what he had not played."""

    at: float


@dataclass(frozen=True, slots=True)
class Played:
    """Samples played from ``start`` on, which came at ``arrived``; ``fresh``: as the first, or after a clear."""

    start: float
    arrived: float
    pcm: Samples
    fresh: bool


def play(came: Sequence[Arrival | Clear], rate: int) -> list[Played]:
    """What is heard of it, in order: each sample as soon as it is there and the one before it is over."""
    played: list[Played] = []
    dry_at = float("-inf")
    fresh = True
    for one in came:
        if isinstance(one, Clear):
            while played and played[-1].start >= one.at:
                played.pop()
            if played and dry_at > one.at:
                last = played.pop()
                heard = last.pcm[: round((one.at - last.start) * rate)]
                played.append(Played(last.start, last.arrived, heard, last.fresh))
            dry_at = min(dry_at, one.at)
            fresh = True
        elif one.pcm.size:
            start = max(one.at, dry_at)
            played.append(Played(start, one.at, one.pcm, fresh))
            dry_at = start + one.pcm.size / rate
            fresh = False
    return played


def waits(played: Sequence[Played], rate: int) -> Iterator[float]:
    """The silences for lack of audio between samples of one reply; after a clear, silence is what was wanted."""
    for before, after in pairwise(played):
        gap = after.start - before.start - before.pcm.size / rate
        if not after.fresh and gap > 1 / rate:
            yield gap


class Timeline:
    """Sounds as they were heard, from ``start`` on, with silence between them."""

    def __init__(self, sounds: Sequence[tuple[float, Samples]], rate: int) -> None:
        self.start = min((at for at, _ in sounds), default=0.0)
        self.rate = rate
        end = max((at + pcm.size / rate for at, pcm in sounds), default=0.0)
        self.pcm: Samples = np.zeros(round((end - self.start) * rate) + 1, np.float32)
        for at, pcm in sounds:
            first = self._index(at)
            into = self.pcm[first : first + pcm.size]
            into[:] = pcm[: into.size]

    def onset(self, after: float, until: float = float("inf")) -> float | None:
        """When the first sample was heard that ends 10 ms with an RMS above 0.01."""
        first = self._index(after)
        found = first_audible(self.pcm[first : self._index(until)], self.rate)
        return None if found is None else self.start + (first + found) / self.rate

    def last_sound(self, until: float, after: float = float("-inf")) -> float | None:
        """When the last sample was heard that begins 10 ms with such an RMS."""
        last = self._index(until)
        found = first_audible(self.pcm[self._index(after) : last][::-1], self.rate)
        return None if found is None else self.start + (last - found) / self.rate

    def sounded(self, seconds: float, after: float) -> float | None:
        """When so much sound had been heard in all, in pieces of 10 ms, counted from ``after`` on."""
        window = round(WINDOW_SECONDS * self.rate)
        first = self._index(after)
        whole = (self.pcm.size - first) // window * window
        blocks = self.pcm[first : first + whole].reshape(-1, window)
        loud = np.flatnonzero(np.sqrt(np.mean(np.square(blocks, dtype=np.float64), axis=1)) > AUDIBLE_RMS)
        needed = round(seconds / WINDOW_SECONDS)
        if loud.size < needed:
            return None
        return self.start + (first + (int(loud[needed - 1]) + 1) * window) / self.rate

    def _index(self, at: float) -> int:
        if at == float("inf"):
            return self.pcm.size
        return max(0, min(self.pcm.size, round((max(at, self.start) - self.start) * self.rate)))


def goes_on_at(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    """Of which packet of ``before`` on ``after`` sends the same again, as far as both go; else its length."""
    for first in range(len(before)):
        if all(old == new for old, new in zip(before[first:], after, strict=False)):
            return first
    return len(before)
