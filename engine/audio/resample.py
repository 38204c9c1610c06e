"""Sample-rate conversion of a stream."""

import math

import numpy as np

from engine.audio.graph import Filter
from engine.speech import Pcm

# Taps of libswresample's polyphase filter, at the lower of both rates. Its default of 32 lets images of an
# upsampled voice through at -22 dB just above the old Nyquist frequency; with 64 they are below -66 dB.
_TAPS = 64


class Resampler:
    """Converts a stream from ``source_rate`` to ``target_rate`` in Hz, band-limited to the lower of both.

    How the stream is cut into pushes has no influence on what comes out. ``latency`` is the number of source
    samples after which a sample has certainly left; nothing is delayed, only held back.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._source_rate = source_rate
        self._target_rate = target_rate
        self._pushed = 0
        self._pulled = 0
        self._filter: Filter | None = None
        self.latency = 0
        if source_rate != target_rate:
            # PyAV's own AudioResampler takes no filter options before version 18.
            self._filter = Filter(source_rate, "aresample", f"{target_rate}:filter_size={_TAPS}")
            ratio = max(1.0, source_rate / target_rate)
            self.latency = math.ceil(_TAPS / 2 * ratio) + math.ceil(ratio)
            # libswresample starts only when its whole filter is filled. Filled with silence, it starts at once;
            # with so much of it that sample 0 falls on an output sample.
            unit = source_rate // math.gcd(source_rate, target_rate)
            silence = math.ceil(_TAPS * ratio / unit) * unit
            self._pulled = -silence * target_rate // source_rate
            self._convert(self._filter, np.zeros(silence, np.float32))

    def push(self, pcm: Pcm) -> Pcm:
        """The samples that can be computed by now. In and out: shape ``(n,)``, n may be 0."""
        if self._filter is None or not pcm.size:
            return pcm
        self._pushed += pcm.size
        return self._convert(self._filter, pcm)

    def drain(self) -> Pcm:
        """The samples held back. Ends the stream."""
        # Silence, because libswresample's own flush gets the length of very short streams wrong.
        missing = math.ceil(self._pushed * self._target_rate / self._source_rate) - max(0, self._pulled)
        return self.push(np.zeros(self.latency, np.float32))[: max(0, missing)]

    def _convert(self, resample: Filter, pcm: Pcm) -> Pcm:
        converted = resample.push(pcm)
        early = min(max(0, -self._pulled), converted.size)
        self._pulled += converted.size
        return converted[early:]
