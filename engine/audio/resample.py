"""Sample-rate conversion of a stream."""

import math

import av
import numpy as np
from av.audio.resampler import AudioResampler

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
        self._swr: AudioResampler | None = None
        self.latency = 0
        if source_rate != target_rate:
            options = {"filter_size": str(_TAPS)}
            self._swr = AudioResampler(format="flt", layout="mono", rate=target_rate, options=options)
            self.latency = math.ceil(_TAPS / 2 * max(1.0, source_rate / target_rate)) + 1

    def push(self, pcm: Pcm) -> Pcm:
        """The samples that can be computed by now. In and out: shape ``(n,)``, n may be 0."""
        if self._swr is None or not pcm.size:
            return pcm
        frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        return _joined(self._swr.resample(frame))

    def drain(self) -> Pcm:
        """The samples held back. Ends the stream."""
        return _joined(self._swr.resample(None)) if self._swr else np.zeros(0, np.float32)


def _joined(frames: list[av.AudioFrame]) -> Pcm:
    parts = [np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
