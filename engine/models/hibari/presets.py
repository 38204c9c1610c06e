"""The voices that can be asked for: one network in many timbres."""

from dataclasses import dataclass

from engine.models.hibari.timbre import Timbre
from engine.speech import Voice

LOUDNESS = -20.0
"""What every preset measures by ITU-R BS.1770 over a spread of sentences, in LUFS."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A voice: its timbre, with the gain that gives :data:`LOUDNESS`, and its pace relative to the network's."""

    voice: Voice
    timbre: Timbre
    pace: float = 1.0


PRESETS = {
    preset.voice.id: preset
    for preset in (
        Preset(Voice("heart", "Heart", "A warm, lively woman"), Timbre(6.0)),
        Preset(Voice("clara", "Clara", "A calm, low woman"), Timbre(5.9, 0.82, 0.7, 0.96), 0.92),
        Preset(Voice("zoe", "Zoe", "A bright, fast young woman"), Timbre(8.2, 1.2, 1.25, 1.07), 1.15),
        Preset(Voice("mia", "Mia", "A child, high and clear"), Timbre(8.2, 1.4, 1.1, 1.17), 1.02),
        Preset(Voice("sam", "Sam", "A light, lively young man"), Timbre(6.2, 0.74, 1.2, 0.94), 1.08),
        Preset(Voice("finn", "Finn", "A friendly man of middle pitch"), Timbre(5.3, 0.62, 0.9, 0.88)),
        Preset(Voice("otto", "Otto", "A deep, calm man"), Timbre(4.2, 0.48, 0.8, 0.82), 0.95),
        Preset(
            Voice("walter", "Walter", "An old narrator, low and slow"), Timbre(4.2, 0.56, 0.55, 0.93), 0.82
        ),
        Preset(Voice("hush", "Hush", "A whisper"), Timbre(15.3, whisper=True)),
    )
}
DEFAULT_VOICE = "heart"
