"""Hearing: audio in, words out, with whichever recogniser there is."""

from realtime.ears.choice import RecogniserChoice
from realtime.ears.ears import Ears, EarsConfig
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
    "Ears",
    "EarsConfig",
    "HeardSegment",
    "HearingError",
    "HearingOff",
    "HearingOverloaded",
    "Recogniser",
    "RecogniserChoice",
    "RecogniserFailed",
    "RecogniserInfo",
    "TooMuchAudio",
    "Transcript",
    "Unhearable",
    "UnknownLanguage",
]
