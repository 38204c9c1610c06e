"""Speech faster or slower, at its own pitch."""

import numpy as np

from engine.audio.graph import Filter
from engine.speech import Pcm


class Stretcher:
    """Plays a stream at ``sample_rate`` Hz ``tempo`` times as fast (0.25 to 4) without a change of pitch.

    FFmpeg's atempo: overlap-add of windows of about 40 ms where the waveforms fit best, in two steps beyond the
    factor of two up to which it leaves no sample out. Nothing comes out for the first such window; what is held
    back comes with :meth:`drain`. The length is that of the source over ``tempo``, to the sample.
    """

    def __init__(self, sample_rate: int, tempo: float) -> None:
        self.tempo = tempo
        self._pushed = 0
        self._pulled = 0
        steps = 1 if 0.5 <= tempo <= 2 else 2
        self._filter = Filter(sample_rate, "atempo", *[f"{tempo ** (1 / steps)}"] * steps)

    def push(self, pcm: Pcm) -> Pcm:
        """The samples that can be computed by now. In and out: shape ``(n,)``, n may be 0."""
        if not pcm.size:
            return pcm
        self._pushed += pcm.size
        stretched = self._filter.push(pcm)
        self._pulled += stretched.size
        return stretched

    def drain(self) -> Pcm:
        """The samples held back. Ends the stream."""
        missing = max(0, round(self._pushed / self.tempo) - self._pulled)
        rest = self._filter.end() if self._pushed else np.zeros(0, np.float32)
        return np.pad(rest, (0, max(0, missing - rest.size)))[:missing]
