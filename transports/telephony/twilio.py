"""Twilio's bidirectional Media Streams: https://www.twilio.com/docs/voice/media-streams/websocket-messages."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from engine.audio import Law
from transports.telephony.media import MediaStream, Started, law_of, parameters, text

_ENCODINGS: Mapping[str, Law] = {"audio/x-mulaw": "mulaw"}
_FORMAT = ("encoding", "sampleRate", "channels")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


class TwilioStream(MediaStream):
    """One call: 8 kHz µ-law, since Twilio has nothing else."""

    _STREAM_FIELD = "streamSid"
    _ADDRESSED = True

    def _start(self, start: dict[str, Any], message: dict[str, Any]) -> Started:
        return Started(
            text(start, "start", "streamSid"),
            text(start, "start", "callSid"),
            law_of(start.get("mediaFormat"), "start.mediaFormat", _ENCODINGS, _FORMAT),
            parameters(start.get("customParameters"), "start.customParameters"),
        )


def connect(url: str) -> str:
    """The TwiML that connects a call to a WebSocket of ours. When that is closed, the call ends."""
    return f"{_HEAD}<Response><Connect><Stream url={quoteattr(url)}/></Connect></Response>"


def busy() -> str:
    """The TwiML that lets the caller hear that we are busy; such a call is not answered, and costs nothing."""
    return f'{_HEAD}<Response><Reject reason="busy"/></Response>'
