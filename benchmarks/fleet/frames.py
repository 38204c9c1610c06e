"""What strangers send: for each protocol what is right, and anything between that and noise. Pure."""

import copy
import random
from dataclasses import dataclass
from typing import Any

import orjson
import ormsgpack

Frame = bytes | str

_DEEP: Any = []
for _ in range(60):
    _DEEP = [_DEEP]
_JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        2**53,
        1e300,
        0.5,
        "",
        "x" * 300,
        "\x00",
        "\ud7ff🙂",
        [],
        {},
        {"a": {}},
        [1, "b"],
        _DEEP,
    ),
)
_TEXTS = ("Hello ", "there. ", "[tag", "] ", "<|speaker:1|>", "<|", "3.", "14 ", "你好。", "🙂", "a" * 200)
_START: dict[str, Any] = {"text": "", "format": "pcm", "sample_rate": 16_000, "latency": "balanced"}


@dataclass(frozen=True, slots=True)
class Wire:
    """A socket's protocol: what a client says ``first``, and then.

    Messages are msgpack if ``packed``, else JSON in text frames; audio goes beside them if it ``hears``. If it
    is ``direct``, a replica itself is called and not the balancer; if ``peer``, they go over the data channel of
    a WebRTC peer.
    """

    path: str
    first: dict[str, Any]
    then: tuple[dict[str, Any], ...]
    packed: bool = False
    hears: bool = False
    direct: bool = False
    peer: bool = False

    def encoded(self, message: Any) -> Frame:
        """A message as it goes over the wire."""
        if self.packed:
            return ormsgpack.packb(message)
        return orjson.dumps(message).decode()


_LIVE = (
    {"event": "start", "request": _START},
    {"event": "start", "request": _START, "context": "b"},
    {"event": "text", "text": "Hello there. "},
    {"event": "text", "text": "And you? ", "context": "b"},
    {"event": "flush"},
    {"event": "played", "seconds": 0.5},
    {"event": "cancel"},
    {"event": "stop"},
)
_AGENT = (
    {"type": "user_text", "text": "Hello."},
    {"type": "say", "text": "Hello."},
    {"type": "interrupt"},
    {"type": "instruct", "instructions": "Be brief."},
    {"type": "tool_result", "call_id": "1", "content": "Hello."},
    {"type": "played", "seconds": 0.1},
    {"type": "leave"},
)
_MEDIA = {
    "event": "media",
    "sequence_number": "3",
    "stream_id": "MZ1",
    "media": {"payload": "/////w==", "track": "inbound"},
}
WIRES = (
    Wire("/v1/tts/live", _LIVE[0], _LIVE, packed=True),
    Wire("/v1/tts/live/with-timestamp", _LIVE[0], _LIVE, packed=True),
    Wire(
        "/v1/asr/realtime",
        {"type": "config", "sample_rate": 16_000},
        ({"type": "finalize"}, {"type": "keepalive"}, {"type": "close"}),
        hears=True,
    ),
    Wire(
        "/v1/dub",
        {"type": "start", "format": "pcm"},
        (
            {"type": "caption", "id": "1", "start": 1.0, "end": 2.5, "text": "Hello there."},
            {"type": "clock", "time": 1.0},
            {"type": "end"},
        ),
    ),
    Wire("/v1/agent", {"type": "start"}, _AGENT, hears=True),
    Wire("/v1/webrtc?agent=true", {"type": "start"}, _AGENT, hears=True, peer=True),
    Wire(
        "/v1/webrtc",
        {"type": "start"},
        (
            {"type": "start"},
            {"type": "text", "text": "Hello there. "},
            {"type": "flush"},
            {"type": "played", "seconds": 0.1},
            {"type": "cancel"},
            {"type": "stop"},
        ),
        hears=True,
        peer=True,
    ),
    Wire(
        "/v1/telephony/twilio",
        {
            "event": "start",
            "streamSid": "MZ1",
            "start": {
                "streamSid": "MZ1",
                "callSid": "CA1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        },
        (
            _MEDIA,
            {"event": "mark", "mark": {"name": "1"}},
            {"event": "dtmf", "dtmf": {"digit": "1"}},
            {"event": "stop"},
        ),
        direct=True,
    ),
    Wire(
        "/v1/telephony/telnyx",
        {
            "event": "start",
            "stream_id": "MZ1",
            "start": {
                "call_control_id": "CA1",
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
            },
        },
        (
            _MEDIA,
            {"event": "mark", "mark": {"name": "1"}},
            {"event": "dtmf", "dtmf": {"digit": "1"}},
            {"event": "stop"},
        ),
        direct=True,
    ),
)

PATHS = (
    *("/v1/tts", "/v1/tts/stream/with-timestamp", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/asr"),
    *(
        "/model",
        "/v1/webrtc",
        "/fish/tts",
        "/api/v1/fish-audio/tts",
        "/v1/telephony/twilio",
        "/v1/telephony/telnyx",
    ),
)
"""Where bodies are posted to."""

_TYPES = (
    *("application/json", "application/msgpack", "application/sdp", "text/plain", "audio/wav"),
    *("multipart/form-data; boundary=b", "application/x-www-form-urlencoded"),
)


def frame(wire: Wire, rng: random.Random) -> Frame:
    """Anything from noise to a good message."""
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randint(0, 200))
    if kind < 0.08:
        return "".join(map(chr, rng.choices(range(1, 0x3000), k=rng.randint(0, 60))))
    if wire.hears and kind < 0.5:
        return rng.randbytes(2 * rng.randint(1, 800))
    message = copy.deepcopy(rng.choice(wire.then))
    if "text" in message:
        message["text"] = rng.choice(_TEXTS)
    if kind > 0.6:
        message = _spoiled(message, rng)
    encoded = wire.encoded(message)
    if kind > 0.96:
        data = bytearray(encoded if isinstance(encoded, bytes) else encoded.encode())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data) if isinstance(encoded, bytes) else data.decode(errors="replace")
    return encoded


def body(rng: random.Random) -> tuple[bytes, str]:
    """A body that is posted somewhere, and what it says it is."""
    kind = rng.random()
    if kind < 0.3:
        return rng.randbytes(rng.randint(0, 400)), rng.choice(_TYPES)
    message = {"text": rng.choice(_TEXTS), "input": rng.choice(_TEXTS), "voice": "alloy", "format": "pcm"}
    spoiled = _spoiled(_spoiled(message, rng), rng) if kind < 0.8 else [message]
    if kind < 0.6:
        return ormsgpack.packb(spoiled), "application/msgpack"
    return orjson.dumps(spoiled), "application/json"


def _spoiled(message: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The message with something in it that does not belong there, at any depth."""
    inside = message
    while (
        inner := [value for value in inside.values() if isinstance(value, dict) and value]
    ) and rng.random() < 0.6:
        inside = rng.choice(inner)
    key = rng.choice([*inside, "context", "events", "more"])
    if rng.random() < 0.2:
        inside.pop(key, None)
    else:
        inside[key] = copy.deepcopy(rng.choice(_JUNK))
    return message
