"""Streaming source-filter synthesis: the spectra that the network predicts, turned into sound bit by bit.

The sound is that of ``hibari.dsp.synth``,

    S = exp(harmonic) e^{i pi tanh(phase)} STFT(pulses(f0)) + exp(noise) Z + exp(free) e^{i free_phase},

an inverse STFT with a Hann window of 1200 samples and a hop of 300 at 24 kHz, computed hop by hop.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.speech import Pcm

Array = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]

SAMPLE_RATE = 24_000
HOP = 300
N_FFT = 1200
BINS = N_FFT // 2 + 1
HOP_SECONDS = HOP / SAMPLE_RATE
SILENT = np.float32(-30.0)
"""Log magnitude of nothing: 260 dB below full scale."""
VOICED_HZ = 40.0
"""A frame whose f0 is not above this has no pulses."""

_OVERLAP = N_FFT // HOP
_TOP_HARMONIC_HZ = 11_000.0
_LOUDEST = np.float32(7.0)
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
# A pulse train's harmonic of amplitude 1 peaks at sum(window) / 2 in the STFT: this makes that peak 1.
_SOURCE_WINDOW = _WINDOW / np.float32(N_FFT / 4)
# Squared Hann windows a quarter apart sum to 3/2.
_OUTPUT_WINDOW = _WINDOW / np.float32(1.5)
_POSITION = ((np.arange(HOP) + 0.5) / HOP - 0.5).astype(np.float32)
_LIMITER_KNEE = np.float32(0.85)


@dataclass(frozen=True, slots=True)
class Spectra:
    """What the network predicts, a row for each 12.5 ms: five arrays ``(frames, 601)`` and f0 ``(frames,)``.

    ``harmonic``, ``noise`` and ``free`` are natural-log magnitudes; ``phase`` is an angle before ``pi tanh``;
    ``free_phase`` is in radians; ``f0`` is in Hz, at most 40 where there is no voice.
    """

    harmonic: Array
    phase: Array
    noise: Array
    free: Array
    free_phase: Array
    f0: Array

    def __len__(self) -> int:
        return len(self.f0)

    def __getitem__(self, frames: slice) -> "Spectra":
        return Spectra(*(part[frames] for part in self.parts()))

    def parts(self) -> Iterator[Array]:
        """The six arrays, in the order of the fields."""
        return (getattr(self, field.name) for field in fields(self))

    def louder(self, gain: Array | np.float32) -> "Spectra":
        """The same with a natural-log gain added to its magnitudes."""
        return replace(self, harmonic=self.harmonic + gain, noise=self.noise + gain, free=self.free + gain)

    def power(self) -> Array:
        """Estimated mean square of the sound around each frame, shape ``(frames,)``, without making it.

        A pulse train's harmonics lie ``f0`` apart, with amplitudes of ``exp(harmonic) / 300``; the two other
        branches add up like noise over the overlapping windows.
        """
        voiced = self.f0 > VOICED_HZ
        bin_hz = SAMPLE_RATE / N_FFT
        density = np.square(np.exp(np.minimum(self.harmonic, _LOUDEST))).sum(1) * (bin_hz / (2 * HOP * HOP))
        power = np.where(voiced, density / np.maximum(self.f0, VOICED_HZ), 0)
        for magnitude, variance in ((self.noise, 4.0), (self.free, 2.0)):
            power += np.square(np.exp(np.minimum(magnitude, _LOUDEST))).sum(1) * (variance / 1.5 / N_FFT**2)
        return power.astype(np.float32)


def silent(frames: int) -> Spectra:
    """Spectra in which nothing sounds."""
    nothing, still = np.full((frames, BINS), SILENT), np.zeros((frames, BINS), np.float32)
    return Spectra(nothing, still, nothing, nothing, still, np.zeros(frames, np.float32))


def join(*pieces: Spectra) -> Spectra:
    """Spectra one after the other."""
    return Spectra(*map(np.concatenate, zip(*(piece.parts() for piece in pieces), strict=True)))


class Timbre(Protocol):
    """How a voice differs from the network's own."""

    def melody(self, f0: Array) -> Array:
        """The voice's f0, from the network's."""
        ...

    def colour(self, spectra: Spectra) -> Spectra:
        """The voice's spectra, from the network's, frame by frame."""
        ...


class Synthesizer:
    """One stream's voice: gives sound for one phrase after the other, as little at a time as is asked.

    The phase of the pulse train and the noise run on from phrase to phrase. However a phrase is cut into
    calls of :meth:`advance`, its samples are the same.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._phase = 0.0
        self.start(silent(2))

    def start(self, spectra: Spectra, timbre: Timbre | None = None) -> None:
        """Begin a phrase, which must start with one or two silent frames and end with three.

        A frame is heard from two hops before its centre until two hops after it. The sound begins where that
        of the third frame does and is two hops shorter than the spectra.
        """
        self._spectra = spectra
        self._timbre = timbre
        self._f0 = timbre.melody(spectra.f0) if timbre else spectra.f0
        self._frame = 0
        self._left = len(spectra) - 2
        self._lead = 2 * HOP
        self._source = np.zeros(2 * HOP, np.float32)  # pulses from two hops before the next frame's centre on
        self._tail = np.zeros(
            (_OVERLAP - 1) * HOP, np.float32
        )  # sound to come: of these frames, not all of it

    @property
    def hops_left(self) -> int:
        """How many hops of 300 samples the phrase still has."""
        return self._left

    def advance(self, hops: int) -> Pcm:
        """The next ``hops`` hops of the phrase, or what is left of it: 300 samples each, within (-1, 1)."""
        hops = min(hops, self._left)
        if not hops:
            return np.zeros(0, np.float32)
        lead, self._lead = self._lead, 0
        known = len(self._tail) - (_OVERLAP - 1) * HOP  # samples of the tail that no later frame adds to
        end = lead + hops * HOP
        count = min(-((known - end) // HOP), len(self._spectra) - self._frame)
        sound = np.zeros(known + (count + _OVERLAP - 1) * HOP, np.float32)
        sound[: len(self._tail)] = self._tail
        self._add(sound[known:].reshape(-1, HOP), count)
        self._left -= hops
        self._tail = sound[lead + hops * HOP :]
        return _limit(sound[lead : lead + hops * HOP])

    def _add(self, sound: Array, count: int) -> None:
        """Add the next ``count`` frames to their sound, in rows of a hop from where the first of them begins."""
        if not count:
            return
        first, last = self._frame, self._frame + count
        # The STFT is centred: the window of frame k spans the pulses of hops k-2 to k+1.
        made = first - 2 + len(self._source) // HOP
        source = np.concatenate([self._source, self._pulses(made, last + 1)])
        self._source = source[count * HOP :]
        rows = np.lib.stride_tricks.sliding_window_view(source, N_FFT)[: count * HOP : HOP]
        blocks = self._shape(rows, self._spectra[first:last]).reshape(count, _OVERLAP, HOP)
        for block in range(_OVERLAP):
            sound[block : block + count] += blocks[:, block]
        self._frame = last

    def _shape(self, source: Array, spectra: Spectra) -> Array:
        """Pulses under each window -> windowed sound of each frame, both ``(frames, 1200)``."""
        if self._timbre:
            spectra = self._timbre.colour(spectra)
        spectrum: Complex = np.fft.rfft(source * _SOURCE_WINDOW).astype(np.complex64, copy=False)
        turn = np.empty_like(spectrum)
        spectrum *= _polar(spectra.harmonic, np.float32(np.pi) * np.tanh(spectra.phase), turn)
        noise = self._rng.standard_normal((len(spectra), 2 * BINS), dtype=np.float32).view(np.complex64)
        noise *= np.exp(np.minimum(spectra.noise, _LOUDEST))
        spectrum += noise
        spectrum += _polar(spectra.free, spectra.free_phase, turn)
        sound: Array = np.fft.irfft(spectrum, N_FFT).astype(np.float32, copy=False)
        sound *= _OUTPUT_WINDOW
        return sound

    def _pulses(self, start: int, stop: int) -> Pcm:
        """Band-limited pulse train of hops ``start`` to ``stop``; silence past the phrase's end.

        All harmonics below 11 kHz at amplitude 1: ``sum cos(h t) = sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2``,
        with f0 interpolated linearly between the middles of the hops.
        """
        inside = min(stop, len(self._spectra))
        train = np.zeros((stop - start) * HOP, np.float32)
        if start >= inside:
            return train
        hops = np.arange(start - 1, inside + 1).clip(0, len(self._spectra) - 1)
        f0 = self._f0[hops]
        before, here, after = f0[:-2, None], f0[1:-1, None], f0[2:, None]
        f = np.where(
            _POSITION < 0, here + _POSITION * (here - before), here + _POSITION * (after - here)
        ).ravel()
        voiced = f > VOICED_HZ
        f = np.maximum(f, np.float32(VOICED_HZ))
        cycles = (self._phase + np.cumsum(f, dtype=np.float64) / SAMPLE_RATE) % 1.0
        self._phase = float(cycles[-1])
        t = (2 * np.pi * cycles).astype(np.float32)
        order = np.floor(np.float32(_TOP_HARMONIC_HZ) / f) + np.float32(0.5)
        below = 2 * np.sin(t / 2)
        top = np.abs(below) <= 2e-3  # there the quotient is 0 / 0, and H + 1/2 is its limit
        below[top] = 1
        pulses = np.where(top, order, np.sin(order * t) / below) - np.float32(0.5)
        train[: len(pulses)] = np.where(voiced, pulses, np.float32(0))
        return train


def _polar(log_magnitude: Array, angle: Array, out: Complex) -> Complex:
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    out *= np.exp(np.minimum(log_magnitude, _LOUDEST))
    return out


def _limit(pcm: Pcm) -> Pcm:
    """Bend what is above the knee towards 1 without reaching it; leave the rest as it is."""
    over = np.abs(pcm) - _LIMITER_KNEE
    loud = over > 0
    if loud.any():
        room = np.float32(0.999) - _LIMITER_KNEE
        pcm[loud] = np.sign(pcm[loud]) * (_LIMITER_KNEE + room * np.tanh(over[loud] / room))
    return pcm
