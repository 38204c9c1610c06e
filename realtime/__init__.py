"""The logic of a live conversation. It knows no socket, and its decisions do no I/O."""

from realtime.agent import Agent, Meter
from realtime.conversation import AgentConfig
from realtime.line import PACKET_SECONDS, Digit, Heard, Line, LineEvent, LineFormat, LinePlayed
from realtime.mouth import Began, EndHeard, Mouth, MouthEvent, WordsHeard
from realtime.request import Latency, SpeechRequest
from realtime.session import DEFAULT_CONTEXT, Session
from realtime.speaker import Audio, Encoders, Event, Output, Speaker
from realtime.utterance import Cancelled, ChunkInfo, Finished, Flushed, Log, SpokenWord

__all__ = [
    "DEFAULT_CONTEXT",
    "PACKET_SECONDS",
    "Agent",
    "AgentConfig",
    "Audio",
    "Began",
    "Cancelled",
    "ChunkInfo",
    "Digit",
    "Encoders",
    "EndHeard",
    "Event",
    "Finished",
    "Flushed",
    "Heard",
    "Latency",
    "Line",
    "LineEvent",
    "LineFormat",
    "LinePlayed",
    "Log",
    "Meter",
    "Mouth",
    "MouthEvent",
    "Output",
    "Session",
    "Speaker",
    "SpeechRequest",
    "SpokenWord",
    "WordsHeard",
]
