"""What somebody hears who plays a stream from its first audio on, in real time. Pure: no clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

AUDIBLE_RMS = 0.01
WINDOW_SECONDS = 0.01


class Arrival(NamedTuple):
    """Mono samples, shape ``(n,)``, and the time in seconds at which they were there to be played."""

    at: float
    pcm: Samples


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the listener made of a stream. Times are those of the arrivals, in seconds.

    ``onset`` is when the first audible sample is heard, None if none is. ``waits`` are the silences for lack
    of audio after that: what was awaited before the first sound is part of the onset. ``rms`` is the level of
    the whole stream.
    """

    first_arrival: float
    onset: float | None
    end: float
    seconds: float
    waits: tuple[float, ...]
    rms: float

    @property
    def underrun(self) -> float:
        """Seconds waited in all."""
        return sum(self.waits)

    @property
    def longest_wait(self) -> float:
        """The longest single wait in seconds, 0 without any."""
        return max(self.waits, default=0.0)


def listen(arrivals: Sequence[Arrival], sample_rate: int) -> Hearing | None:
    """Play a stream from its first samples on; None if there are none.

    The listener keeps no reserve: a sample is heard as soon as it is there and the one before it is over.
    """
    arrivals = [arrival for arrival in arrivals if arrival.pcm.size]
    if not arrivals:
        return None
    audible = first_audible(np.concatenate([arrival.pcm for arrival in arrivals]), sample_rate)
    dry_at = arrivals[0].at
    onset, played = None, 0
    waits = []
    for at, pcm in arrivals:
        if at > dry_at and onset is not None:
            waits.append(at - dry_at)
        start = max(at, dry_at)
        if onset is None and audible is not None and audible < played + pcm.size:
            onset = start + (audible - played) / sample_rate
        played += pcm.size
        dry_at = start + pcm.size / sample_rate
    power = sum(float(np.square(pcm, dtype=np.float64).sum()) for _, pcm in arrivals)
    return Hearing(
        first_arrival=arrivals[0].at,
        onset=onset,
        end=dry_at,
        seconds=played / sample_rate,
        waits=tuple(waits),
        rms=float(np.sqrt(power / played)),
    )


def first_audible(pcm: Samples, sample_rate: int) -> int | None:
    """The first sample that ends 10 ms with an RMS above 0.01; None if there is none.

    Before the first sample lies silence. A window that ends at the sample asks for nothing that the listener
    has not heard yet.
    """
    window = round(WINDOW_SECONDS * sample_rate)
    energy = np.concatenate([np.zeros(window), np.cumsum(np.square(pcm, dtype=np.float64))])
    loud = np.flatnonzero(energy[window:] - energy[:-window] > window * AUDIBLE_RMS**2)
    return int(loud[0]) if loud.size else None
