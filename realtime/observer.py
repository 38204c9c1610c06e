"""What happens while callers are served, told as it happens to whoever counts it or traces it.

The drivers call an :class:`Observer`; nobody decides anything by what it does. All times are seconds of
``time.monotonic``. No event holds a text, a name or a key: what may be counted by is bounded, and the rest is
told apart by ids of our own.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from engine.origin import Origin

log = logging.getLogger(__name__)

# -- an utterance, from its start to its end --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechId:
    """One utterance: the ``number``-th of this process, in a ``context`` of its client's or a turn of an agent.

    ``context`` is the client's own word: good for telling apart, never for counting by. ``model`` speaks it.
    ``paced``: somebody listens as it is spoken.
    """

    number: int
    context: str
    model: str
    paced: bool
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The engine has let it in; it was asked for at ``asked``."""

    speech: SpeechId
    at: float
    asked: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine has not let it in, and nothing else of it follows: it is "full", or it is "stopped", or else."""

    speech: SpeechId
    at: float
    reason: Literal["full", "stopped", "other"]


@dataclass(frozen=True, slots=True)
class TextCame:
    """The first of its text is there."""

    speech: SpeechId
    at: float


@dataclass(frozen=True, slots=True)
class Said:
    """A segment, counted from 0, was handed to the engine. ``text`` is when the latest text before that came."""

    speech: SpeechId
    at: float
    segment: int
    characters: int
    text: float


@dataclass(frozen=True, slots=True)
class Begun:
    """A segment has begun to sound: said, taken by the model, read, and its first frame there.

    ``at`` is when the first frame was there; from ``prefill`` to ``prefilled`` the model read it, or took it to
    read it in the steps that follow.
    """

    speech: SpeechId
    at: float
    segment: int
    said: float
    prefill: float
    prefilled: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """The first sound of a segment has been encoded, for which it was handed over at ``began``."""

    speech: SpeechId
    at: float
    segment: int
    began: float


@dataclass(frozen=True, slots=True)
class Sent:
    """The first bytes of it were given to the wire, where they had been made at ``encoded``.

    ``text`` is when the first of its text came.
    """

    speech: SpeechId
    at: float
    encoded: float
    text: float


@dataclass(frozen=True, slots=True)
class Audible:
    """A listener who plays it as it comes hears the first of it: 10 ms with an RMS above 0.01.

    ``text`` is when that text came which let the first segment be spoken.
    """

    speech: SpeechId
    at: float
    text: float


@dataclass(frozen=True, slots=True)
class Underrun:
    """Its listener has waited for ``seconds`` from ``at`` on, for speech whose text the engine had by then."""

    speech: SpeechId
    at: float
    seconds: float


Outcome = Literal["stop", "cancelled", "error", "gone"]
"""Spoken to its end, cancelled by its client, failed, or its client hung up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over, with so many ``seconds`` of audio made and ``characters`` handed to the engine."""

    speech: SpeechId
    at: float
    outcome: Outcome
    seconds: float
    characters: int


# -- refusals, hearing, conversations ---------------------------------------------------------------------


Missing = Literal["room", "engine", "ears", "store"]
"""What there was none of for a caller who could have been served: a place, or a part of the server that works."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A caller was answered ``status``, as over HTTP, to something that would have been work.

    With 503 something was ``missing``.
    """

    origin: Origin | None
    at: float
    status: int
    missing: Missing = "room"


@dataclass(frozen=True, slots=True)
class Recognised:
    """``seconds`` of audio were heard: a whole "file", or of a live stream a "final" or "partial" phrase.

    It was handed over at ``began``; in a busy house it waits first.
    """

    origin: Origin | None
    at: float
    kind: Literal["file", "final", "partial"]
    began: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Thought:
    """The mind was ``asked`` for a reply, began it at ``first``, None if it did not, and has come to its end."""

    origin: Origin | None
    at: float
    turn: int
    asked: float
    first: float | None
    outcome: Literal["stop", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn of the caller's is being answered: the first of the reply is heard at ``at``.

    His voice ``ended``, his words were known (``transcript``), his turn was thought over (``decided``), and the
    mind began to write (``first_token``).
    """

    origin: Origin | None
    at: float
    turn: int
    ended: float
    transcript: float
    decided: float
    first_token: float


@dataclass(frozen=True, slots=True)
class Floor:
    """A voice has silenced the agent ("held"), which then went on ("resumed") or was broken off ("interrupted").

    A reply that was heard to its end has "ended".
    """

    origin: Origin | None
    at: float
    turn: int
    what: Literal["held", "resumed", "interrupted", "ended"]


SpeechEvent = Admitted | Refused | TextCame | Said | Begun | Encoded | Sent | Audible | Underrun | Ended
Observation = SpeechEvent | TurnedAway | Recognised | Thought | Answered | Floor


# -- who is told ------------------------------------------------------------------------------------------


class Observer(Protocol):
    """Is told what happens, on the event loop: does no I/O there, does not block, and is quick (microseconds)."""

    def note(self, event: Observation) -> None:
        """This has happened."""
        ...


class Observers:
    """Several observers as one. One that fails is logged, and disturbs nobody else."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """One more."""
        self._observers.append(observer)

    def note(self, event: Observation) -> None:
        """Tell everybody."""
        for observer in self._observers:
            try:
                observer.note(event)
            except Exception:
                log.exception("an observer failed at %s", type(event).__name__)


class _Nobody:
    """Hears of everything and does nothing."""

    def note(self, event: Observation) -> None:
        """So it has."""


NOBODY: Observer = _Nobody()
"""For drivers that nobody observes."""
