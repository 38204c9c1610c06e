"""Hearing: audio in, words out, with whichever recogniser there is."""

from realtime.ears.activity import Vad
from realtime.ears.choice import RecogniserChoice
from realtime.ears.ear import Ear
from realtime.ears.ears import Ears, EarsConfig
from realtime.ears.listening import Final, Finalized, ListeningEvent, Partial
from realtime.ears.phrases import VoiceStarted, VoiceStopped
from realtime.ears.recogniser import (
    HEARING_RATE,
    HeardSegment,
    HearingError,
    HearingOff,
    HearingOverloaded,
    Recogniser,
    RecogniserFailed,
    RecogniserInfo,
    TooMuchAudio,
    Transcript,
    Unhearable,
    UnknownLanguage,
)

__all__ = [
    "HEARING_RATE",
    "Ear",
    "Ears",
    "EarsConfig",
    "Final",
    "Finalized",
    "HeardSegment",
    "HearingError",
    "HearingOff",
    "HearingOverloaded",
    "ListeningEvent",
    "Partial",
    "Recogniser",
    "RecogniserChoice",
    "RecogniserFailed",
    "RecogniserInfo",
    "TooMuchAudio",
    "Transcript",
    "Unhearable",
    "UnknownLanguage",
    "Vad",
    "VoiceStarted",
    "VoiceStopped",
]
