"""Telnyx media streaming: https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket."""

from collections.abc import Mapping
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

from engine.audio import Law
from transports.telephony.media import Complaint, MediaEvent, MediaStream, Started, law_of, parameters, text

Codec = Literal["PCMU", "PCMA"]
CODECS: Mapping[str, Law] = {"PCMU": "mulaw", "PCMA": "alaw"}
_FORMAT = ("encoding", "sample_rate", "channels")


class TelnyxStream(MediaStream):
    """One call in RTP mode: what is sent back has the format of what comes. Messages may overtake one another."""

    _STREAM_FIELD = "stream_id"
    _ADDRESSED = False

    def _start(self, start: dict[str, Any], message: dict[str, Any]) -> Started:
        return Started(
            text(message, "message", "stream_id"),
            text(start, "start", "call_control_id"),
            law_of(start.get("media_format"), "start.media_format", CODECS, _FORMAT),
            parameters(start.get("custom_parameters"), "start.custom_parameters"),
        )

    def _other(self, event: str, message: dict[str, Any]) -> list[MediaEvent]:
        if event != "error":
            return []
        told = message.get("payload")
        reason = told if isinstance(told, dict) else {}
        parts = (reason.get(name) for name in ("code", "title", "detail"))
        return [
            Complaint(" ".join(str(part)[:200] for part in parts if part is not None) or "no reason given")
        ]


def connect(url: str, codec: Codec) -> str:
    """The TeXML that connects a call to a WebSocket of ours, both ways. When that is closed, the call ends."""
    fields = f'codec="{codec}" bidirectionalMode="rtp" bidirectionalCodec="{codec}"'
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}<Response><Connect><Stream url={quoteattr(url)} {fields}/></Connect></Response>"
