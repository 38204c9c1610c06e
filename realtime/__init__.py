"""The logic of a live conversation. It knows no socket, and its decisions do no I/O."""

from realtime.request import Latency, SpeechRequest
from realtime.session import DEFAULT_CONTEXT, Session
from realtime.speaker import Audio, Encoders, Event, Output, Speaker
from realtime.utterance import Cancelled, ChunkInfo, Finished, Flushed, Log, SpokenWord

__all__ = [
    "DEFAULT_CONTEXT",
    "Audio",
    "Cancelled",
    "ChunkInfo",
    "Encoders",
    "Event",
    "Finished",
    "Flushed",
    "Latency",
    "Log",
    "Output",
    "Session",
    "Speaker",
    "SpeechRequest",
    "SpokenWord",
]
