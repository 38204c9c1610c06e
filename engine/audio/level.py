"""Loudness: measuring it, bringing a stream to it, and never clipping on the way."""

import functools
import math
from collections import deque

import numpy as np
import numpy.typing as npt

from engine.speech import Pcm

_BLOCK_SECONDS = 0.4  # ITU-R BS.1770-4: gating blocks of 400 ms ...
_HOP_SECONDS = 0.1  # ... that overlap by 75 %
_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = -10.0  # LU
_OFFSET = -0.691  # dB, cancels the gain of the K-weighting at 997 Hz

_CEILING = 10 ** (-1 / 20)  # -1 dBFS leaves room for the overshoot of resamplers and codecs
_LOOK_AHEAD_SECONDS = 0.005
_RELEASE_DB_PER_SECOND = 60.0  # slow enough not to bend the waves of a low voice, fast enough not to pump

_MAX_CORRECTION_DB = 15.0
_MAX_SLOPE_DB_PER_SECOND = 3.0
# Blocks that the expected loudness counts for when it is averaged with the measured one, lest the gain
# follow the first syllable; and how many of the latest blocks are measured (one minute).
_PRIOR_BLOCKS = 10
_MEMORY_BLOCKS = 600


def loudness(pcm: Pcm, sample_rate: int) -> float:
    """Integrated loudness of mono samples by ITU-R BS.1770-4, in LUFS; -inf for silence.

    ``sample_rate`` is in Hz. Less than one block of 400 ms is measured as one shorter block.
    """
    block, hop = _samples(_BLOCK_SECONDS, sample_rate), _samples(_HOP_SECONDS, sample_rate)
    if not pcm.size:
        return -math.inf
    if pcm.size < block:
        return _gated(np.array([_block_power(pcm, sample_rate)]))[0]
    starts = range(0, pcm.size - block + 1, hop)
    return _gated(np.array([_block_power(pcm[at : at + block], sample_rate) for at in starts]))[0]


class Leveler:
    """Gain, loudness normalisation and a limiter for a mono stream at ``sample_rate`` Hz.

    With ``normalize`` the gain starts at ``target - expected_loudness`` (both in LUFS), which is right from
    the first syllable if the voice is as loud as expected, and is then corrected by what is measured: by 3
    dB a second and 15 dB in all at the most. ``gain_db`` comes on top. The limiter keeps every sample within
    -1 dBFS. Nothing is delayed, but the last ``latency`` samples are held back for the limiter to look
    ahead. If there is nothing to do (no gain, no normalisation), samples pass untouched and at once.

    How the stream is cut into pushes has no influence on what comes out, beyond rounding.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        gain_db: float = 0.0,
        normalize: bool = False,
        expected_loudness: float = -20.0,
        target: float = -18.0,
    ) -> None:
        self._gain_db = gain_db
        self._control = _LoudnessControl(sample_rate, expected_loudness, target) if normalize else None
        self._limiter = _Limiter(sample_rate) if normalize or gain_db else None
        self.latency = self._limiter.latency if self._limiter else 0

    def push(self, pcm: Pcm) -> Pcm:
        """The samples that are ready by now. In and out: shape ``(n,)``, n may be 0."""
        if self._limiter is None:
            return pcm
        gain_db = self._gain_db + (self._control.push(pcm) if self._control else 0.0)
        return self._limiter.push(pcm * 10 ** (gain_db / 20))

    def drain(self) -> Pcm:
        """The samples held back. Ends the stream."""
        return self._limiter.push(np.zeros(self.latency)) if self._limiter else np.zeros(0, np.float32)


class _LoudnessControl:
    """Measures a stream hop by hop, and says by how many dB each of its samples is to be amplified."""

    def __init__(self, sample_rate: int, expected: float, target: float) -> None:
        self._sample_rate = sample_rate
        self._hop = _samples(_HOP_SECONDS, sample_rate)
        self._block = _samples(_BLOCK_SECONDS, sample_rate)
        self._expected = expected
        self._target = target
        self._heard = np.zeros(0, np.float32)  # what the block that ends with the current hop has by now
        self._at = 0  # position in the current hop
        self._powers: deque[float] = deque(maxlen=_MEMORY_BLOCKS)
        self._gain = self._next_gain = target - expected  # dB at both ends of the current hop

    def push(self, pcm: Pcm) -> npt.NDArray[np.float64]:
        """The gain in dB for each of these samples; it depends on earlier hops alone."""
        gains = []
        while pcm.size:
            piece, pcm = np.split(pcm, [self._hop - self._at])
            ramp = np.arange(self._at, self._at + piece.size) / self._hop
            gains.append(self._gain + (self._next_gain - self._gain) * ramp)
            self._heard = np.concatenate([self._heard, piece])
            self._at += piece.size
            if self._at == self._hop:
                self._end_hop()
        return np.concatenate(gains) if gains else np.zeros(0)

    def _end_hop(self) -> None:
        self._at = 0
        if self._heard.size == self._block:
            self._powers.append(_block_power(self._heard, self._sample_rate))
            self._heard = self._heard[self._hop :]
        self._gain = self._next_gain
        self._next_gain = self._gain + float(np.clip(self._wanted() - self._gain, -self._slope, self._slope))

    @property
    def _slope(self) -> float:
        return _MAX_SLOPE_DB_PER_SECOND * _HOP_SECONDS

    def _wanted(self) -> float:
        measured, blocks = _gated(np.array(self._powers))
        if not blocks:
            return self._gain
        error = (measured - self._expected) * blocks / (blocks + _PRIOR_BLOCKS)
        return self._target - self._expected - max(-_MAX_CORRECTION_DB, min(_MAX_CORRECTION_DB, error))


class _Limiter:
    """A look-ahead peak limiter, exact: no sample leaves above the ceiling.

    The gain that each peak needs recovers on a straight line in dB. The minimum of that curve over the
    look-ahead, averaged over the look-ahead again, falls smoothly and has arrived when the peak does: all
    values in the average that meets a peak are minima over windows which contain it.
    """

    def __init__(self, sample_rate: int) -> None:
        self._window = _samples(_LOOK_AHEAD_SECONDS, sample_rate)
        self.latency = self._window - 1
        self._release = _RELEASE_DB_PER_SECOND / sample_rate  # dB in a sample
        self._recovering = 0.0  # dB at the last sample
        self._held = np.zeros(self.latency)
        # Gains in dB from before the first push: enough of them to average over minima.
        self._curve = np.zeros(2 * self.latency)
        self._skip = self.latency  # of the next output, which lies before the first sample

    def push(self, pcm: npt.NDArray[np.floating]) -> Pcm:
        """As many samples as are given, from ``latency`` samples ago; fewer at the start of the stream."""
        if not pcm.size:
            return np.zeros(0, np.float32)
        peaks = np.maximum(np.abs(pcm), _CEILING)
        needed = 20 * np.log10(_CEILING / peaks)
        line = np.arange(1, pcm.size + 1) * self._release
        curve = np.minimum(np.minimum.accumulate(needed - line), self._recovering) + line
        curve = np.minimum(curve, 0.0)
        self._recovering = float(curve[-1])

        curve = np.concatenate([self._curve, curve])
        self._curve = curve[-2 * self.latency :]
        gains = 10 ** (_sliding_min(curve, self._window) / 20)
        sums = np.concatenate([[0.0], np.cumsum(gains)])
        smooth = (sums[self._window :] - sums[: -self._window]) / self._window

        signal = np.concatenate([self._held, pcm])
        self._held = signal[pcm.size :]
        # The clip is for the last bit of a float only.
        limited: Pcm = np.clip(signal[: pcm.size] * smooth, -_CEILING, _CEILING).astype(np.float32)
        skipped = min(self._skip, limited.size)
        self._skip -= skipped
        return limited[skipped:]


def _sliding_min(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """Minima over every ``window`` neighbours; ``window - 1`` values fewer than given."""
    span = 1
    while span < window:
        step = min(span, window - span)
        values = np.minimum(values[:-step], values[step:])
        span += step
    return values


def _gated(powers: npt.NDArray[np.float64]) -> tuple[float, int]:
    """Loudness in LUFS of blocks of these K-weighted powers, and how many passed both gates."""
    powers = powers[_lufs(powers) > _ABSOLUTE_GATE]
    if powers.size:
        powers = powers[_lufs(powers) > _lufs(powers.mean()) + _RELATIVE_GATE]
    return (float(_lufs(powers.mean())), powers.size) if powers.size else (-math.inf, 0)


def _lufs(power: npt.ArrayLike) -> npt.NDArray[np.float64]:
    lufs: npt.NDArray[np.float64] = _OFFSET + 10 * np.log10(np.maximum(power, 1e-20))
    return lufs


def _block_power(block: Pcm, sample_rate: int) -> float:
    """Mean square of one K-weighted block, by Parseval's theorem."""
    spectrum = np.abs(np.fft.rfft(block)) ** 2 * _k_weighting(block.size, sample_rate)
    return float(2 * spectrum.sum() - spectrum[0]) / block.size**2


@functools.lru_cache(maxsize=8)
def _k_weighting(size: int, sample_rate: int) -> npt.NDArray[np.float64]:
    """Power response of the K-weighting at the bins of an FFT of ``size`` samples.

    Both filters of BS.1770 Annex 1 as biquads at any rate; the analogue prototypes that give the standard's
    coefficients at 48 kHz are those of libebur128.
    """
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))

    def response(b: tuple[float, float, float], a: tuple[float, float, float]) -> npt.NDArray[np.float64]:
        gain: npt.NDArray[np.float64] = np.abs(
            (b[0] + b[1] * z + b[2] * z**2) / (a[0] + a[1] * z + a[2] * z**2)
        )
        return gain**2

    q, k = 0.7071752369554196, math.tan(math.pi * 1681.974450955533 / sample_rate)
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    denominator = (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
    numerator = (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k)
    shelf = response(numerator, denominator)
    q, k = 0.5003270373238773, math.tan(math.pi * 38.13547087602444 / sample_rate)
    denominator = (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
    # The standard leaves this numerator unnormalised.
    scale = denominator[0]
    return shelf * response((scale, -2 * scale, scale), denominator)


def _samples(seconds: float, sample_rate: int) -> int:
    return round(seconds * sample_rate)
