"""OpenAI's voices, and who of ours speaks for them."""

from collections.abc import Mapping

from engine import ModelInfo

# Alike in kind: woman or man, high or low, bright or calm.
_ALIKE = {
    "alloy": "heart",
    "ash": "sam",
    "ballad": "finn",
    "cedar": "otto",
    "coral": "zoe",
    "echo": "finn",
    "fable": "walter",
    "marin": "heart",
    "nova": "zoe",
    "onyx": "otto",
    "sage": "clara",
    "shimmer": "clara",
    "verse": "sam",
}


def reference_id(voice: str, info: ModelInfo, aliases: Mapping[str, str]) -> str | None:
    """The id to ask for, None for the model's default voice.

    A name of OpenAI's that is no voice of the model's is the one most alike, or else one that is always the same.
    An operator's alias goes first.
    """
    if voice in aliases or voice in info.voice_ids or voice not in _ALIKE:
        return voice
    if _ALIKE[voice] in info.voice_ids:
        return _ALIKE[voice]
    others = [known for known in info.voice_ids if known != info.default_voice]
    place = list(_ALIKE).index(voice)
    return (info.default_voice, *others)[place % len(info.voice_ids)] if others else None
