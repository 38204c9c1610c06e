"""The logic of a live conversation. It knows no socket, and its decisions do no I/O."""

from realtime.request import Latency, SpeechRequest
from realtime.session import Finished, Log, Session
from realtime.speaker import Audio, Event, Speaker

__all__ = ["Audio", "Event", "Finished", "Latency", "Log", "Session", "Speaker", "SpeechRequest"]
