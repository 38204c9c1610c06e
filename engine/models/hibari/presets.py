"""The voices: one network, many timbres, by what is done to its spectra before they become sound."""

from dataclasses import dataclass

import numpy as np

from engine.models.hibari.synthesis import BINS, SILENT, VOICED_HZ, Array, Spectra
from engine.speech import Voice

LOUDNESS = -20.0
"""What every preset measures by ITU-R BS.1770 over a spread of sentences, in LUFS."""

_MEDIAN_HZ = 185.0  # of the network's own voice
_NYQUIST_KNEE = (
    0.85  # above this share of the band the warp bends back, so that the band's end stays where it is
)


_FRICTION = np.float32(0.35)  # what the free branch loses, in unvoiced frames, to be as loud as noise
_RESIDUE = np.float32(1.5)  # ... and in voiced ones, where most of it was no noise


@dataclass(frozen=True, slots=True)
class Preset:
    """How one voice differs from the network's own.

    ``pitch`` scales the median of f0, ``range`` the melody around it (in octaves); ``tract`` moves the
    formants (above 1 a shorter vocal tract); ``pace`` is relative to the network's; ``whisper`` takes the
    voicing away. ``gain_db`` was measured so that the voice comes out at :data:`LOUDNESS`.
    """

    voice: Voice
    gain_db: float
    pitch: float = 1.0
    range: float = 1.0
    tract: float = 1.0
    pace: float = 1.0
    whisper: bool = False

    def apply(self, spectra: Spectra) -> Spectra:
        """The network's spectra as this voice would have them."""
        shaped = spectra
        if self.tract != 1.0 or self.pitch != 1.0 or self.range != 1.0:
            shaped = _warp(_revoice(shaped, self.pitch, self.range), self.tract)
        if self.whisper:
            shaped = _whisper(shaped)
        return shaped.louder(np.float32(self.gain_db * np.log(10) / 20))


def _revoice(spectra: Spectra, pitch: float, span: float) -> Spectra:
    """Move the melody. The free branch holds what the harmonics of the *old* pitch left: make it noise."""
    f0 = spectra.f0
    moved = np.exp(np.log(_MEDIAN_HZ * pitch) + span * np.log(np.maximum(f0, 1) / _MEDIAN_HZ))
    voiced = f0 > VOICED_HZ
    return Spectra(
        spectra.harmonic,
        spectra.phase,
        np.logaddexp(spectra.noise, spectra.free - np.where(voiced, _RESIDUE, _FRICTION)[:, None]),
        np.full_like(spectra.free, SILENT),
        spectra.free_phase,
        np.where(voiced, np.maximum(moved, VOICED_HZ + 20), np.float32(0)).astype(np.float32),
    )


def _warp(spectra: Spectra, tract: float) -> Spectra:
    """Stretch the frequency axis by ``tract``.

    Magnitudes are interpolated; phases come from the nearest bin, since an angle between two that lie half a
    turn apart would be neither.
    """
    top = BINS - 1
    knee = _NYQUIST_KNEE * top / max(tract, 1.0)
    source = np.interp(np.arange(BINS), [0, knee * tract, top], [0, knee, top])
    low = np.minimum(source.astype(np.int64), top - 1)
    share = (source - low).astype(np.float32)
    nearest = np.rint(source).astype(np.int64)

    def stretch(magnitude: Array) -> Array:
        return magnitude[:, low] * (1 - share) + magnitude[:, low + 1] * share

    return Spectra(
        stretch(spectra.harmonic),
        spectra.phase[:, nearest],
        stretch(spectra.noise),
        stretch(spectra.free),
        spectra.free_phase[:, nearest],
        spectra.f0,
    )


def _whisper(spectra: Spectra) -> Spectra:
    """Breath in place of the pulses, with less below 1 kHz, where an open glottis has little to give."""
    hz = np.arange(BINS) * 20.0
    tilt = (-0.5 * np.log1p((1000.0 / np.maximum(hz, 60.0)) ** 2)).astype(np.float32)
    voiced = (spectra.f0 > VOICED_HZ)[:, None]
    breath = np.where(voiced, spectra.harmonic + tilt - np.float32(1.2), SILENT)
    return Spectra(
        np.full_like(spectra.harmonic, SILENT),
        spectra.phase,
        np.logaddexp(np.logaddexp(spectra.noise, spectra.free - np.float32(0.35)), breath),
        np.full_like(spectra.free, SILENT),
        spectra.free_phase,
        np.zeros_like(spectra.f0),
    )


PRESETS = {
    preset.voice.id: preset
    for preset in (
        Preset(Voice("heart", "Heart", "A warm, lively woman: the network's own voice"), 6.0),
        Preset(Voice("clara", "Clara", "A calm, low woman"), 6.0, 0.82, 0.7, 0.96, 0.92),
        Preset(Voice("zoe", "Zoe", "A bright, fast young woman"), 6.0, 1.2, 1.25, 1.07, 1.15),
        Preset(Voice("mia", "Mia", "A child, high and clear"), 6.0, 1.45, 1.1, 1.18, 1.02),
        Preset(Voice("sam", "Sam", "A light, lively young man"), 6.0, 0.74, 1.2, 0.94, 1.08),
        Preset(Voice("finn", "Finn", "A friendly man of middle pitch"), 6.0, 0.64, 0.9, 0.88),
        Preset(Voice("otto", "Otto", "A deep, calm man"), 6.0, 0.5, 0.8, 0.82, 0.95),
        Preset(Voice("walter", "Walter", "An old narrator, low and slow"), 6.0, 0.58, 0.6, 0.92, 0.82),
        Preset(Voice("hush", "Hush", "A whisper"), 6.0, whisper=True),
    )
}
DEFAULT_VOICE = "heart"
