"""One stretch of speech between two silences: what the network predicted, trimmed and timed."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.models.hibari.network import Network
from engine.models.hibari.presets import Preset
from engine.models.hibari.reading import Reading
from engine.models.hibari.sentences import Word
from engine.models.hibari.synthesis import HOP_SECONDS, VOICED_HZ, Array, Spectra, join, silent
from engine.models.hibari.timbre import Timbre
from engine.speech import PLAIN, Style

_ONSET_POWER = 10 ** (-41 / 10)  # speech is at about -20 dB and mostly sets in within a frame or two
_DECAY_POWER = 10 ** (-54 / 10)
_FADE_IN = np.log(np.array([0.25], np.float32))
_FADE_OUT = np.log(np.array([0.5, 0.25], np.float32))
_LEAD, _TRAIL = silent(1), silent(3)  # so that no window is cut off in the middle
_EDGE_SECONDS = 0.04  # what two neighbours have of silence by their edges alone
_HEARD_EARLY = 4  # frames by which a phoneme is heard before the network's durations say so
_HELD_FRAMES = 40
_HELD_FALL = 0.35
# The network counts in steps of 25 ms: by how much its speech is really faster (measured over six sentences), and
# the speed to ask of it for that. One step beyond 1.3 it is faster by half, too high, and swallows sounds.
_PACES = (0.61, 0.64, 0.71, 0.74, 0.81, 0.90, 0.97, 1.0, 1.035, 1.057, 1.09, 1.13, 1.148)
_SETTINGS = (0.6, 0.65, 0.7, 0.76, 0.8, 0.82, 0.9, 1.0, 1.1, 1.15, 1.2, 1.25, 1.3)


class SpokenWord(NamedTuple):
    """A word and when it is heard, in seconds from the first sample of its phrase."""

    word: Word
    start: float
    end: float


class Phrase(NamedTuple):
    """Spectra that begin and end in silence, the timbre to give them, their words, and the hops of silence that
    follow.
    """

    spectra: Spectra
    timbre: Timbre
    words: list[SpokenWord]
    pause_hops: int


def pace_of(preset: Preset, speed: float, style: Style) -> float:
    """How fast a phrase is to be spoken, 1 being the network's own pace, within what the network can do."""
    own = float(np.interp(preset.pace, _SETTINGS, _PACES))
    return max(_PACES[0], min(_PACES[-1], own * speed * style.pace))


def setting_of(pace: float) -> float:
    """The :attr:`Preset.pace` that gives a pace, 1 being the network's own."""
    return float(np.interp(pace, _PACES, _SETTINGS))


def speak(network: Network, reading: Reading, preset: Preset, speed: float, style: Style = PLAIN) -> Phrase:
    """Run the network for one reading, at the pace that :func:`pace_of` says."""
    pace = pace_of(preset, speed, style)
    prediction = network.predict(reading.phonemes, setting_of(pace))
    # Where speech begins does not depend on how loud the style is: a soft word has all its sounds, too.
    power = prediction.spectra.power() * np.float32(10 ** (preset.timbre.gain_db / 10))
    first = _heard(power, _ONSET_POWER)[0] - len(_FADE_IN)
    last = _heard(power, _DECAY_POWER)[-1] + len(_FADE_OUT)
    start = max(first, 0)
    spectra = prediction.spectra[start : last + 1]
    if reading.unfinished:
        spectra = replace(spectra, f0=_held_up(spectra.f0))
    edged = join(_LEAD, _faded(spectra), _TRAIL)
    seconds = (len(edged) - 2) * HOP_SECONDS
    pause = max(reading.pause / pace - _EDGE_SECONDS, 0.0)
    starts = (prediction.starts - start + len(_LEAD) - _HEARD_EARLY) * HOP_SECONDS
    words = _word_times(reading, starts, seconds)
    return Phrase(edged, preset.timbre.styled(style), words, round(pause / HOP_SECONDS))


def silence(hops: int) -> Phrase:
    """A phrase in which nothing is said."""
    return Phrase(silent(2), Timbre(), [], hops)


def _heard(power: Array, threshold: float) -> npt.NDArray[np.intp]:
    """The frames that reach a threshold; the loudest one if there is none."""
    return np.flatnonzero(power >= min(threshold, power.max()))


def _held_up(f0: Array) -> Array:
    """Half a second of melody that falls less far below its middle than it would at the end of a sentence."""
    voiced = f0 > VOICED_HZ
    if not voiced.any():
        return f0
    middle = np.log(np.median(f0[voiced]))
    hold = np.linspace(0, 1, _HELD_FRAMES)[-len(f0) :]
    hold = np.concatenate([np.zeros(len(f0) - len(hold)), hold])
    height = np.log(np.maximum(f0, 1)) - middle
    held = np.where(height < 0, height * (1 - hold * (1 - _HELD_FALL)), height)
    return np.where(voiced, np.exp(middle + held), 0).astype(np.float32)


def _faded(spectra: Spectra) -> Spectra:
    """The first and the last frames quieter, for speech to come out of silence and go back to it."""
    gain = np.zeros(len(spectra), np.float32)
    gain[: len(_FADE_IN)] = _FADE_IN
    gain[-len(_FADE_OUT) :] = _FADE_OUT[-len(gain) :]
    return spectra.louder(gain[:, None])


def _word_times(reading: Reading, starts: npt.NDArray[np.float64], seconds: float) -> list[SpokenWord]:
    """Words from their first phoneme to their last. Phoneme ``i`` lies between ``starts[i]`` and the next."""
    spans: dict[Word, tuple[float, float]] = {}
    times = starts.clip(0, seconds).tolist()
    for word, start, end in zip(reading.origins, times, times[1:], strict=False):
        if word is not None:
            spans[word] = (spans.get(word, (start, end))[0], end)
    return [SpokenWord(word, *span) for word, span in spans.items()]
