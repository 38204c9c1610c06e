"""Other voices from one, frame by frame: melody moved, vocal tract stretched, voicing taken away."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.models.hibari.synthesis import BINS, N_FFT, SAMPLE_RATE, SILENT, VOICED_HZ, Array, Spectra
from engine.speech import Style

MEDIAN_HZ = 185.0
"""The middle of the network's own melody."""

_LOWEST_HZ = 55.0
_KNEE = 0.85  # above this share of the band the stretching bends back, for the band's end to stay in place
_TOP_HARMONIC_BIN = 549  # 11 kHz, where the pulse train ends
_BIN_HZ = np.float32(SAMPLE_RATE / N_FFT)
# What the free branch loses to sound as loud as noise; in voiced frames, part of it belongs to the harmonics.
_FRICTION = np.float32(0.35)
_BREATH = np.float32(1.2)
# A whisper is softer than a voice, and an open glottis has little to give below 1 kHz.
_HZ = np.maximum(np.arange(BINS), 3) * _BIN_HZ
_WHISPER_TILT = (-1.2 - np.log1p((1000 / _HZ) ** 2) / 2).astype(np.float32)
# The gain that makes a whisper 5 dB softer than the voices are, whatever its vocal tract.
_WHISPER_GAIN_DB = 10.3
_PITCHES = (0.5, 2.0)
_RANGES = (0.0, 2.0)
_LEVELS_DB = (-30.0, 6.0)


@dataclass(frozen=True)
class Timbre:
    """How a voice differs from the network's own.

    ``pitch`` scales the median of f0, ``range`` the melody around it (in octaves); ``tract`` moves the formants
    (above 1 a shorter vocal tract); ``whisper`` puts breath in place of the voicing; ``gain_db`` is its level.
    """

    gain_db: float = 0.0
    pitch: float = 1.0
    range: float = 1.0
    tract: float = 1.0
    whisper: bool = False

    def melody(self, f0: Array) -> Array:
        """The voice's f0, from the network's."""
        if self.whisper:
            return np.zeros_like(f0)
        height = np.log(np.maximum(f0, 1) / MEDIAN_HZ)
        moved = np.maximum(MEDIAN_HZ * self.pitch * np.exp(self.range * height), _LOWEST_HZ)
        return f0 if self.own_voice else np.where(f0 > VOICED_HZ, moved, 0).astype(np.float32)

    def colour(self, spectra: Spectra) -> Spectra:
        """The voice's spectra, from the network's; ``f0`` stays the network's."""
        if not self.own_voice:
            spectra = self._revoiced(spectra)
        return spectra.louder(np.float32(self.gain_db * np.log(10) / 20))

    def styled(self, style: Style) -> "Timbre":
        """The same voice in another style, whose factors are bounded to what it can do.

        Pitch and whisper leave the loudness to ``level_db``: closer harmonics carry more power, and a whisper has
        a level of its own, a little below the voice's.
        """
        pitch, level = _within(style.pitch, _PITCHES), _within(style.level_db, _LEVELS_DB)
        whisper = self.whisper or style.whisper
        if whisper and not self.whisper:
            gain = _WHISPER_GAIN_DB
        else:
            gain = self.gain_db + (0 if whisper else 10 * math.log10(pitch))
        span = self.range * _within(style.range, _RANGES)
        return Timbre(gain + level, self.pitch * pitch, span, self.tract, whisper)

    @cached_property
    def own_voice(self) -> bool:
        """Whether this is the network's voice, but for the level."""
        return (self.pitch, self.range, self.tract, self.whisper) == (1.0, 1.0, 1.0, False)

    def _revoiced(self, spectra: Spectra) -> Spectra:
        """Spectra for another f0 and another vocal tract.

        The network knows its envelope only where the harmonics of its own f0 lie, and part of each harmonic is
        in the free branch. So the envelope is taken there, from both branches, and interpolated in between; the
        phase is that of the nearest harmonic. What else is in the free branch becomes noise.
        """
        voiced = (spectra.f0 > VOICED_HZ)[:, None]
        spacing = np.maximum(spectra.f0, VOICED_HZ)[:, None] / _BIN_HZ
        place = self._source_bins / spacing  # in harmonics
        below = np.maximum(np.floor(place), 1)
        share = (place - below).clip(0, 1)
        low, high = (
            np.rint(order * spacing).clip(1, _TOP_HARMONIC_BIN).astype(np.intp)
            for order in (below, below + 1)
        )
        power = np.exp(2 * np.minimum(spectra.harmonic, 7)) + np.exp(2 * np.minimum(spectra.free, 7))
        level = np.log(power) / 2
        envelope = _at(level, low) * (1 - share) + _at(level, high) * share
        phase = _at(spectra.phase, np.where(share < 0.5, low, high))
        noise = self._stretched(spectra.free) - np.where(voiced, _BREATH, _FRICTION)
        if self.whisper:
            noise = np.where(voiced, np.maximum(noise, envelope + _WHISPER_TILT), noise)
        nothing = np.full_like(spectra.free, SILENT)
        harmonic = np.where(voiced, envelope, SILENT)
        return Spectra(harmonic, phase, noise, nothing, spectra.free_phase, spectra.f0)

    @cached_property
    def _source_bins(self) -> Array:
        """For each bin, the bin of the network's spectra that is moved there."""
        top = BINS - 1
        knee = _KNEE * top / max(self.tract, 1.0)
        return np.interp(np.arange(BINS), [0, knee * self.tract, top], [0, knee, top]).astype(np.float32)

    def _stretched(self, magnitude: Array) -> Array:
        low = np.minimum(self._source_bins.astype(np.intp), BINS - 2)
        share = self._source_bins - low.astype(np.float32)
        return magnitude[:, low] * (1 - share) + magnitude[:, low + 1] * share


def _at(values: Array, bins: npt.NDArray[np.intp]) -> Array:
    return np.take_along_axis(values, bins, axis=1)


def _within(value: float, bounds: tuple[float, float]) -> float:
    """``value``, or the bound that it exceeds."""
    low, high = bounds
    return max(low, min(high, value))
