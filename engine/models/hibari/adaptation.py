"""A preset that is close to a recorded voice: the bundled network cannot clone, but its timbre can be moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.audio import loudness
from engine.models.hibari.network import Network
from engine.models.hibari.phrase import setting_of, speak
from engine.models.hibari.presets import DEFAULT_VOICE, LOUDNESS, PRESETS, Preset
from engine.models.hibari.reading import Reader, Reading
from engine.models.hibari.synthesis import SAMPLE_RATE, Synthesizer
from engine.models.hibari.timbre import MEDIAN_HZ, Timbre
from engine.speech import Pcm, Reference, Voice
from engine.voices.traits import RATE, Traits, measure, resampled, speaking_seconds, tract

# Beyond these, sounds are lost; they are a little wider than what the presets have.
_PITCHES = (0.45, 1.5)
_RANGES = (0.5, 1.4)
_TRACTS = (0.8, 1.2)
_PACES = (0.78, 1.1)

_LISTENED = 30.0  # seconds of the recordings: more says nothing more
_LONGEST_TEXT = 300  # characters, some 20 s, that the model says itself
_LONGEST_READ = 20_000  # characters; 10 min of speech have less
_PHRASE = 80  # phonemes
# Sounds that speech rarely goes beyond; what does has another text than it is said to have, or another language.
_RATES = (5.0, 25.0)  # phonemes in a second
_SENTENCES = (
    "Please tell me what you think about the new plan. Keep the door closed when you leave the room. "
    "Four friends walked through the forest at night. Have you seen my blue umbrella anywhere? "
    "The children played in the garden until it got dark, and nobody knew what had happened to the captain."
)


class Adapter:
    """Moves the default voice toward recorded ones. May be used from several threads.

    A voice is compared with what the model says itself: its median pitch and how far that moves with a spread of
    sentences, for the words at hand say little of them; its vocal tract and its pace with the same words, for the
    sounds in them say much of those.
    """

    def __init__(self, network: Network, reader: Reader) -> None:
        self._network, self._reader = network, reader

    def adapted(self, voice: str, references: Sequence[Reference]) -> Preset:
        """The preset of a voice. Never fails: what cannot be measured stays as it is.

        Takes about 10 ms for each second of the recordings, of which the first 30 are listened to, and 0.2 s.
        """
        own = replace(PRESETS[DEFAULT_VOICE], voice=Voice(voice, voice, "Moved toward a recording"))
        recordings = [resampled(reference.pcm, reference.sample_rate) for reference in references]
        heard = measure(np.concatenate(recordings)[: round(_LISTENED * RATE)])
        if heard is None:
            return own
        text = " ".join(reference.text for reference in references)
        usual = self._usual.traits
        assert usual is not None, "the model's own voice is one"
        span = _within(heard.span / usual.span, _RANGES)
        # The melody is stretched around the network's middle, which is not quite that of these sentences.
        pitch = _within(heard.pitch / (MEDIAN_HZ * (usual.pitch / MEDIAN_HZ) ** span), _PITCHES)
        same = self._say(text[:_LONGEST_TEXT], own)
        length = tract(heard, same.traits or usual)
        if rate := self._rate(text, recordings):
            pace = rate / (same if same.traits else self._usual).rate
        else:
            pace = math.sqrt(
                heard.syllables / usual.syllables
            )  # counted so roughly that half of it is believed
        timbre = Timbre(own.timbre.gain_db, pitch, span, _within(length, _TRACTS))
        preset = Preset(own.voice, timbre, setting_of(_within(pace, _PACES)))
        missing = LOUDNESS - loudness(self._say(_SENTENCES, preset).pcm, SAMPLE_RATE)
        return replace(preset, timbre=replace(timbre, gain_db=timbre.gain_db + missing))

    @cached_property
    def _usual(self) -> "_Said":
        return self._say(_SENTENCES, PRESETS[DEFAULT_VOICE])

    def _say(self, text: str, preset: Preset) -> "_Said":
        synthesizer = Synthesizer(np.random.default_rng(1))
        pieces: list[Pcm] = [np.zeros(0, np.float32)]
        phonemes = 0
        for reading in self._reader.read(text, False, _PHRASE):
            phrase = speak(self._network, reading, preset, 1.0)
            synthesizer.start(phrase.spectra, phrase.timbre)
            pieces.append(synthesizer.advance(synthesizer.hops_left))
            phonemes += _sounds(reading)
        return _Said(np.concatenate(pieces), phonemes)

    def _rate(self, text: str, recordings: Sequence[Pcm]) -> float | None:
        """Phonemes in each second that somebody spoke; None if the text cannot be that of the recordings."""
        phonemes = sum(map(_sounds, self._reader.read(text[:_LONGEST_READ], False, _PHRASE)))
        seconds = sum(map(speaking_seconds, recordings))
        rate = phonemes / seconds if seconds else 0.0
        slowest, fastest = _RATES
        return rate if slowest < rate < fastest else None


@dataclass(frozen=True)
class _Said:
    """What the model said itself: the sound at the network's rate, and how many phonemes there are in it."""

    pcm: Pcm
    phonemes: int

    @cached_property
    def traits(self) -> Traits | None:
        """None if there was nothing to say."""
        return measure(self._speech)

    @property
    def rate(self) -> float:
        """Phonemes in each second."""
        return self.phonemes / speaking_seconds(self._speech)

    @cached_property
    def _speech(self) -> Pcm:
        return resampled(self.pcm, SAMPLE_RATE)


def _sounds(reading: Reading) -> int:
    """How many of its phonemes are sounds."""
    return sum(origin is not None for origin in reading.origins)


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return max(low, min(high, value))
