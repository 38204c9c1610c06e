"""What the drivers note → turns with their parts: when each began and ended, and how it went.

Sans-I/O, and without OpenTelemetry. A turn is one utterance; where an agent converses, with the hearing and the
thinking before it. It is told as soon as it is over, with all its parts; a part that ends later is told on its
own.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.origin import Origin
from realtime.observer import (
    Admitted,
    Answered,
    Audible,
    Begun,
    Encoded,
    Ended,
    Floor,
    Observation,
    Recognised,
    Refused,
    Said,
    Sent,
    SpeechId,
    TextCame,
    Thought,
    TurnedAway,
    Underrun,
)

Value = str | int | float | bool

MOST_PARTS = 128
"""Of one turn; of a long text the segments after these are only counted."""

MOST_OPEN = 4096
"""Turns at a time; beyond, the oldest is forgotten."""

# Where somebody converses: what is heard there is answered in a turn.
_CONVERSING = frozenset(("agent", "webrtc", "telephony"))


@dataclass(frozen=True, slots=True)
class Part:
    """Something that was done, from ``start`` to ``end`` in seconds of ``time.monotonic``.

    It belongs to the turn ``of`` this number; 0 is the request itself.
    """

    name: str
    start: float
    end: float
    origin: Origin
    of: int = 0
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in a turn at a time."""

    name: str
    at: float
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn that is over, its parts in the order of their beginnings. ``number`` is never used again."""

    number: int
    start: float
    end: float
    origin: Origin
    attributes: Mapping[str, Value]
    failed: bool
    parts: tuple[Part, ...]
    marks: tuple[Mark, ...]


Told = Turn | Part
"""What is over: a turn, or a part of one that was told before."""


@dataclass(slots=True)
class _Open:
    """A turn under way."""

    number: int
    origin: Origin
    speech: SpeechId | None = None
    parts: list[Part] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    start: float = float("inf")
    end: float = 0.0
    segments: int = 0
    left_out: int = 0
    failed: bool = False

    def add(self, name: str, start: float, end: float, *, failed: bool = False, **attributes: Value) -> None:
        if len(self.parts) == MOST_PARTS:
            self.left_out += 1
            return
        self.spans(start, end)
        named = {f"parrotfish.{key}": value for key, value in attributes.items()}
        self.parts.append(Part(name, start, end, self.origin, self.number, named, failed))

    def spans(self, start: float, end: float) -> None:
        self.start, self.end = min(self.start, start), max(self.end, end)

    def mark(self, name: str, at: float, **attributes: Value) -> None:
        if len(self.marks) < MOST_PARTS:
            self.marks.append(
                Mark(name, at, {f"parrotfish.{key}": value for key, value in attributes.items()})
            )


class Turns:
    """Puts together what belongs together."""

    def __init__(self) -> None:
        self._numbers = 0
        self._turns: OrderedDict[tuple[str, str], _Open] = OrderedDict()  # by the request's span, and context
        self._over: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()  # number and end, a while
        self._heard: dict[str, list[Recognised]] = {}  # by the request's span, until they are answered

    def __len__(self) -> int:
        return len(self._turns) + len(self._heard)

    def note(self, event: Observation) -> list[Told]:
        """Take an event in; what is over because of it."""
        if isinstance(event, TurnedAway):
            return []  # its request is a span of its own
        if isinstance(event, Recognised | Thought | Answered | Floor):
            origin = event.origin
            if origin is None or not _traced(origin):
                return []
            match event:
                case Recognised():
                    return self._recognised(event, origin)
                case Thought():
                    return self._thought(event, origin)
                case Answered(at=at, turn=number, ended=ended):
                    if turn := self._turns.get(_key(origin, str(number))):
                        turn.mark("answered", at, after=round(at - ended, 4))
                case Floor(at=at, turn=number, what=what):
                    if turn := self._turns.get(_key(origin, str(number))):
                        turn.mark(what, at)
            return []
        origin = event.speech.origin
        if origin is None or not _traced(origin):
            return []
        return self._spoken(event, origin)

    def over(self, origin: Origin) -> list[Told]:
        """A request is over, and with it what is left of its turns."""
        if origin.trace is None:
            return []
        span = origin.trace.span_id
        told: list[Told] = []
        for key in [key for key in self._turns if key[0] == span]:
            told.append(self._end(key, "gone"))
        for heard in self._heard.pop(span, ()):
            told.append(_asr(heard, origin))
        return told

    # -- what an utterance goes through -------------------------------------------------------------

    def _spoken(
        self,
        event: Admitted | Refused | TextCame | Said | Begun | Encoded | Sent | Audible | Underrun | Ended,
        origin: Origin,
    ) -> list[Told]:
        speech, at = event.speech, event.at
        key = _key(origin, speech.context)
        turn = self._turns.get(key)
        told: list[Told] = []
        if turn is not None and turn.speech is not None and turn.speech.number != speech.number:
            told.append(self._end(key, "gone"))  # its end was never noted
            turn = None
        if turn is None:
            if not isinstance(event, Admitted | Refused):
                return told + self._late(event, key, origin)
            turn = self._begin(key, origin)
        turn.speech = speech
        if not isinstance(event, Audible):  # which is told before it is heard
            turn.spans(at, at)
        match event:
            case Admitted(asked=asked):
                turn.spans(asked, at)
            case Refused(reason=reason):
                turn.failed = True
                told.append(self._end(key, "refused", reason=reason))
            case TextCame():
                turn.mark("text", at)
            case Said(segment=segment, characters=characters, text=text):
                turn.segments += 1
                turn.add("chunk", text, at, segment=segment, characters=characters)
            case Begun(segment=segment, said=said, prefill=prefill, prefilled=prefilled):
                waited = round(prefill - said, 6)
                turn.add("prefill", prefill, prefilled, segment=segment, queued_seconds=waited)
                turn.add("first frame", prefilled, at, segment=segment)
            case Encoded(segment=segment, began=began):
                turn.add("encode", began, at, segment=segment)
            case Sent(encoded=encoded):
                turn.add("send", encoded, at)
            case Audible():
                turn.mark("audible", at)
            case Underrun(seconds=seconds):
                turn.mark("underrun", at, seconds=seconds)
            case Ended(outcome=outcome, seconds=seconds, characters=characters):
                turn.failed = outcome == "error"
                told.append(self._end(key, outcome, audio_seconds=round(seconds, 4), characters=characters))
        return told

    def _late(self, event: Observation, key: tuple[str, str], origin: Origin) -> list[Told]:
        """What is noted of a turn that has been told."""
        if isinstance(event, Sent) and (over := self._over.get(key)):
            number, end = over
            if event.encoded <= end:
                return [Part("send", event.encoded, min(event.at, end), origin, number)]
        return []

    # -- conversations ------------------------------------------------------------------------------

    def _recognised(self, event: Recognised, origin: Origin) -> list[Told]:
        if event.kind == "partial":
            return []
        if origin.transport not in _CONVERSING or origin.trace is None:
            return [_asr(event, origin)]
        waiting = self._heard.setdefault(origin.trace.span_id, [])
        waiting.append(event)
        if len(waiting) > MOST_PARTS:  # nobody answers
            return [_asr(waiting.pop(0), origin)]
        if len(self._heard) > MOST_OPEN:
            del self._heard[next(iter(self._heard))]
        return []

    def _thought(self, event: Thought, origin: Origin) -> list[Told]:
        key = _key(origin, str(event.turn))
        failed = event.outcome == "error"
        attributes: dict[str, Value] = {"parrotfish.outcome": event.outcome}
        if event.first is not None:
            attributes["parrotfish.first_token_seconds"] = round(event.first - event.asked, 6)
        turn = self._turns.get(key)
        if turn is None and (over := self._over.get(key)):
            number, end = over
            if event.asked > end:
                return []
            return [Part("llm", event.asked, min(event.at, end), origin, number, attributes, failed)]
        if turn is None:
            turn = self._begin(key, origin)
        turn.spans(event.asked, event.at)
        if len(turn.parts) < MOST_PARTS:
            turn.parts.append(Part("llm", event.asked, event.at, origin, turn.number, attributes, failed))
        told: list[Told] = []
        for earlier in [other for other in self._turns if other[0] == key[0] and other != key]:
            if self._turns[earlier].speech is None:  # nothing was said in it, and by now nothing will be
                told.append(self._end(earlier, "error" if self._turns[earlier].failed else "stop"))
        turn.failed = turn.failed or failed
        return told

    # -- turns --------------------------------------------------------------------------------------

    def _begin(self, key: tuple[str, str], origin: Origin) -> _Open:
        self._numbers += 1
        turn = self._turns[key] = _Open(self._numbers, origin)
        if len(self._turns) > MOST_OPEN:
            self._turns.popitem(last=False)
        return turn

    def _end(self, key: tuple[str, str], outcome: str, **attributes: Value) -> Turn:
        turn = self._turns.pop(key)
        self._over[key] = turn.number, turn.end
        self._over.move_to_end(key)
        if len(self._over) > MOST_OPEN:
            self._over.popitem(last=False)
        asked = min((part.start for part in turn.parts if part.name == "llm"), default=turn.start)
        waiting = self._heard.get(key[0], [])
        for heard in [one for one in waiting if one.at <= max(asked, turn.start) + 1e-3]:
            waiting.remove(heard)
            turn.spans(heard.began, heard.at)
            turn.parts.append(_asr(heard, turn.origin, turn.number))
        if not waiting:
            self._heard.pop(key[0], None)
        told: dict[str, Value] = {"outcome": outcome, "segments": turn.segments, **attributes}
        if turn.speech is not None:
            told["model"] = turn.speech.model
        if turn.left_out:
            told["parts_left_out"] = turn.left_out
        return Turn(
            turn.number,
            turn.start,
            turn.end,
            turn.origin,
            {f"parrotfish.{name}": value for name, value in told.items()},
            turn.failed,
            tuple(sorted(turn.parts, key=lambda part: part.start)),
            tuple(turn.marks),
        )


def _traced(origin: Origin) -> bool:
    return origin.trace is not None and origin.trace.sampled


def _key(origin: Origin, context: str) -> tuple[str, str]:
    assert origin.trace is not None
    return origin.trace.span_id, context


def _asr(event: Recognised, origin: Origin, of: int = 0) -> Part:
    attributes: dict[str, Value] = {"parrotfish.kind": event.kind, "parrotfish.audio_seconds": event.seconds}
    return Part("asr", event.began, event.at, origin, of, attributes)
