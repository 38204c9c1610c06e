"""What the media streams of telephone providers have in common, without a socket: JSON in, events out, and back.

A provider connects a call to a WebSocket: JSON in text frames, which begins with ``connected`` and ``start``,
then 20 ms of G.711 in each ``media``, in base64. We send ``media`` and ``mark``, which comes back when all before
it has been played, and ``clear``, which drops what has not.
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import orjson

from engine.audio import Law

RATE: Final = 8_000
DIGITS: Final = frozenset("0123456789*#ABCD")
MAX_MEDIA_BYTES: Final = RATE
"""A second of audio in one message; providers send 20 ms."""
MAX_PARAMETERS: Final = 64
MAX_TEXT: Final = 1_000

# How many messages of audio may overtake one before it is given up, and how many may come too late in a row until
# that is another count; bytes of lost ones that are filled up.
_REORDERED = 4
_MOST_FILLED = RATE
_SILENCE: dict[Law, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5"}


class MediaError(ValueError):
    """A message that is none of the protocol: names the field, its value, and what would be right."""

    @property
    def brief(self) -> str:
        """The field, for the log."""
        return str(self).partition(":")[0]


@dataclass(frozen=True, slots=True)
class Started:
    """The call's audio begins. ``parameters`` are those that our own answer to the call has set."""

    stream: str
    call: str
    law: Law
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Media:
    """The caller's next audio, in G.711."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class MarkBack:
    """All audio before a mark of ours was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The provider could do nothing with what we have sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call, or its stream, is over."""


MediaEvent = Started | Media | Key | MarkBack | Complaint | Stopped


class MediaStream(ABC):
    """One call's stream: what a provider says of it, checked, and what may be said to the provider.

    After ``stop`` nothing more is taken in. Events that are not known are ignored, for providers add some.
    """

    _STREAM_FIELD: ClassVar[str]
    _ADDRESSED: ClassVar[bool]
    """Whether what is sent names the stream, too."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._stopped = False
        self._order = _InOrder()

    @property
    def started(self) -> Started | None:
        """What ``start`` said, once it has come."""
        return self._started

    def receive(self, message: str) -> list[MediaEvent]:
        """What a text frame says. Raises :class:`MediaError`."""
        if self._stopped:
            return []
        fields = _object(_json(message), "message")
        event = fields.get("event")
        if event == "connected":
            return []
        if event == "start":
            if self._started is not None:
                raise MediaError("event: got a second 'start'; expected one")
            self._started = self._start(_object(fields.get("start"), "start"), fields)
            return [self._started]
        if self._started is None:
            raise MediaError(f"event: got {_short(event)}; expected 'connected' or 'start'")
        if fields.get(self._STREAM_FIELD, self._started.stream) != self._started.stream:
            raise _wrong(self._STREAM_FIELD, fields[self._STREAM_FIELD], repr(self._started.stream))
        match event:
            case "media":
                return self._media(_object(fields.get("media"), "media"), self._started.law)
            case "dtmf":
                digit = text(_object(fields.get("dtmf"), "dtmf"), "dtmf", "digit")
                if digit not in DIGITS:
                    raise _wrong("dtmf.digit", digit, "one of 0 to 9, A to D, * and #")
                return [Key(digit)]
            case "mark":
                return [MarkBack(text(_object(fields.get("mark"), "mark"), "mark", "name"))]
            case "stop":
                self._stopped = True
                return [Stopped()]
            case str():
                return self._other(event, fields)
            case _:
                raise _wrong("event", event, "the name of an event")

    def media(self, packet: bytes) -> str:
        """The message that has a packet of G.711 played after those before it."""
        return self._say("media", {"media": {"payload": b64encode(packet).decode()}})

    def mark(self, name: str) -> str:
        """The message that comes back when all before it has been played."""
        return self._say("mark", {"mark": {"name": name}})

    def clear(self) -> str:
        """The message that drops all that has not been played. Marks before it come back at once."""
        return self._say("clear", {})

    @abstractmethod
    def _start(self, start: dict[str, Any], message: dict[str, Any]) -> Started:
        """What a start says. Raises :class:`MediaError`."""

    def _other(self, event: str, message: dict[str, Any]) -> list[MediaEvent]:
        """What an event says that only one provider has."""
        return []

    def _media(self, media: dict[str, Any], law: Law) -> list[MediaEvent]:
        if media.get("track", "inbound") != "inbound":
            return []
        payload = media.get("payload")
        if not isinstance(payload, str) or len(payload) > MAX_MEDIA_BYTES * 4 // 3 + 4:
            raise _wrong("media.payload", payload, f"up to {MAX_MEDIA_BYTES} bytes in base64")
        try:
            data = b64decode(payload, validate=True)
        except (NoBase64, ValueError):
            raise _wrong("media.payload", payload, "base64") from None
        chunk = media.get("chunk")
        if chunk is None:
            return [Media(data)]
        return [Media(piece) for piece in self._order.push(whole(chunk, "media.chunk"), data, law)]

    def _say(self, event: str, fields: dict[str, Any]) -> str:
        assert self._started is not None, "nothing may be said before start"
        address = {self._STREAM_FIELD: self._started.stream} if self._ADDRESSED else {}
        return orjson.dumps({"event": event, **address, **fields}).decode()


class _InOrder:
    """Pieces of audio by their number, in their order. What is lost becomes silence, so that time goes on.

    A piece that comes too late is left out. Where nothing else comes, another count has begun, and is followed.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._early: dict[int, bytes] = {}
        self._late: dict[int, bytes] = {}  # those since the last that was not

    def push(self, number: int, data: bytes, law: Law) -> list[bytes]:
        """What can be given on now."""
        if self._next is None:
            self._next = number
        pieces: list[bytes] = []
        if number < self._next:
            self._late.setdefault(number, data)
            if len(self._late) <= _REORDERED:
                return []
            pieces += (self._early[at] for at in sorted(self._early))
            self._early, self._next = self._late, min(self._late)
            self._late = {}
        else:
            self._late.clear()
            self._early.setdefault(number, data)
        while self._early:
            if self._next not in self._early:
                if len(self._early) <= _REORDERED:
                    break
                first = min(self._early)
                pieces.append(_SILENCE[law] * min((first - self._next) * len(data), _MOST_FILLED))
                self._next = first
            pieces.append(self._early.pop(self._next))
            self._next += 1
        return pieces


def text(fields: dict[str, Any], where: str, name: str) -> str:
    """A field that is text. Raises :class:`MediaError`."""
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise _wrong(f"{where}.{name}", value, f"1 to {MAX_TEXT} characters")
    return value


def whole(value: object, name: str) -> int:
    """A number that may come as text. Raises :class:`MediaError`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    raise _wrong(name, value, "a whole number")


def law_of(fields: object, where: str, encodings: Mapping[str, Law], names: tuple[str, str, str]) -> Law:
    """The law of a media format, whose fields are called ``names``. Raises :class:`MediaError`."""
    known = _object(fields, where)
    encoding, rate, channels = (known.get(name) for name in names)
    if not isinstance(encoding, str) or encoding not in encodings:
        raise _wrong(f"{where}.{names[0]}", encoding, " or ".join(encodings))
    if rate != RATE:
        raise _wrong(f"{where}.{names[1]}", rate, str(RATE))
    if channels != 1:
        raise _wrong(f"{where}.{names[2]}", channels, "1")
    return encodings[encoding]


def parameters(fields: object, where: str) -> dict[str, str]:
    """Parameters of our own; numbers become text. Raises :class:`MediaError`."""
    if fields is None:
        return {}
    found = _object(fields, where)
    if len(found) > MAX_PARAMETERS:
        raise MediaError(f"{where}: got {len(found)} parameters; expected at most {MAX_PARAMETERS}")
    for name, value in found.items():
        if not isinstance(value, str | int | float) or len(str(value)) > MAX_TEXT:
            raise _wrong(f"{where}.{name[:40]}", value, f"up to {MAX_TEXT} characters")
    return {name: str(value) for name, value in found.items()}


def _json(message: str) -> object:
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise MediaError(f"message: not valid JSON: {error}") from None


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value, "a JSON object")
    return value


def _wrong(name: str, value: object, expected: str) -> MediaError:
    return MediaError(f"{name}: got {_short(value)}; expected {expected}")


def _short(value: object) -> str:
    shown = repr(value[:80] if isinstance(value, str) else value)
    return shown if len(shown) <= 100 else shown[:100] + "..."
