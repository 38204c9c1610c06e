"""A preset that is close to a recorded voice: the bundled network cannot clone, but its timbre can be moved."""

import math
from collections.abc import Sequence
from dataclasses import replace

from engine.models.hibari.presets import DEFAULT_VOICE, PRESETS, Preset
from engine.speech import Reference, Voice
from engine.voices import measure

_MEDIAN_HZ = 185.0  # of the network's own voice
_PITCHES = (0.45, 1.5)  # beyond, words are lost


def adapted(voice: str, references: Sequence[Reference]) -> Preset:
    """The default voice, moved toward that of the recordings. Never fails: what cannot be measured stays."""
    own = PRESETS[DEFAULT_VOICE]
    traits = measure(references[0].pcm, references[0].sample_rate)
    pitch = 1.0 if traits.pitch is None else min(max(traits.pitch / _MEDIAN_HZ, _PITCHES[0]), _PITCHES[1])
    timbre = replace(own.timbre, pitch=pitch, gain_db=own.timbre.gain_db + 10 * math.log10(pitch))
    return Preset(Voice(voice, voice, "Moved toward a recording"), timbre)
