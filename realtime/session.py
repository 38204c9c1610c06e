"""The conversation with one client as a state machine: start, text, flush, stop, cancel.

Sans-I/O: what the client does and what the engine did go in with a time, what is to be done comes out as
actions. It decides what is legal, when which text is spoken, and when the utterance is over; it does not
know how bytes travel or how speech is made.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from engine import EngineError, Segment
from realtime.chunker import PACES, Chunker
from realtime.playout import PlayoutClock
from realtime.request import SpeechRequest


@dataclass(frozen=True, slots=True)
class Open:
    """Open an utterance and its container stream; if that is refused, call :meth:`Session.failed`."""

    request: SpeechRequest


@dataclass(frozen=True, slots=True)
class Say:
    """Give a segment to the utterance."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class EndSpeech:
    """No segment will follow in this utterance."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The stream falls silent: push out what the encoder holds back."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop the utterance and everything of it that has not left."""


@dataclass(frozen=True, slots=True)
class Log:
    """Tell the client something that it should know."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Tell the client that the utterance is over; ``error`` says why it ended badly.

    ``cause`` is what the engine raised, if it was the engine.
    """

    error: str | None = None
    cause: EngineError | None = None


# A segment that waits in the engine counts as this many seconds of speech ahead: whole sentences, please.
QUEUED_AHEAD = max(pace.relaxed for pace in PACES.values())

Action = Open | Say | EndSpeech | Drain | Cancel | Log | Finished


class _State(Enum):
    IDLE = auto()  # waits for a start
    OPEN = auto()  # takes text
    STOPPED = auto()  # speaks what it has, takes no more
    FAILED = auto()  # the client was told; everything up to the next start is void


class Session:
    """One client's session: any number of utterances, one after the other.

    After each call, :meth:`actions` says what to do, and :attr:`due` when to call :meth:`poll` at the latest.
    ``max_queued`` is how many segments are given to the engine before their time: enough that it never waits.
    ``max_pending`` bounds the characters that wait to be spoken; a client that sends more has gone astray.
    """

    def __init__(self, *, max_queued: int = 4, max_pending: int = 1_000_000) -> None:
        self._max_queued = max_queued
        self._max_pending = max_pending
        self._state = _State.IDLE
        self._actions: deque[Action] = deque()
        self._chunker: Chunker | None = None
        self._playout = PlayoutClock()
        self._unspoken = 0  # segments said whose last frame has not left
        self._drained = True
        self._ended = False  # EndSpeech was sent
        self.due: float | None = None

    def actions(self) -> list[Action]:
        """What is to be done now, in order. Each is returned once."""
        actions = list(self._actions)
        self._actions.clear()
        return actions

    @property
    def pending(self) -> int:
        """Characters of text that have not been given to the engine yet."""
        return self._chunker.pending if self._chunker else 0

    @property
    def active(self) -> bool:
        """Whether an utterance is open."""
        return self._state in (_State.OPEN, _State.STOPPED)

    # -- what the client does -----------------------------------------------------------------------

    def start(self, request: SpeechRequest, now: float) -> None:
        """Begin an utterance. While one is open this is an error, and ends it."""
        if self.active:
            self._break_off("start: the utterance before has not been stopped; send stop and await finish")
            return
        self._state = _State.OPEN
        self._chunker = Chunker(
            PACES[request.latency],
            chunk_length=request.chunk_length,
            min_chunk_length=request.min_chunk_length,
        )
        self._playout = PlayoutClock()
        self._unspoken = 0
        self._drained = True
        self._ended = False
        self._actions.append(Open(request))
        self._actions.extend(Log(note) for note in request.notes)
        self.poll(now)

    def text(self, text: str, now: float) -> None:
        """More text of the utterance."""
        if chunker := self._expect_open("text"):
            if chunker.pending + len(text) > self._max_pending:
                self._break_off(f"text: more than {self._max_pending} characters are waiting to be spoken")
                return
            chunker.push(text, now)
            self.poll(now)

    def flush(self, now: float) -> None:
        """Speak all text that is there; the utterance goes on."""
        if chunker := self._expect_open("flush"):
            chunker.flush()
            self.poll(now)

    def stop(self, now: float) -> None:
        """No more text: speak what is there, then finish."""
        if chunker := self._expect_open("stop"):
            chunker.flush()
            self._state = _State.STOPPED
            self.poll(now)

    def reject(self, reason: str) -> None:
        """The client sent something that cannot be understood: that ends its utterance."""
        if self._state is not _State.FAILED:
            self._break_off(reason)

    def disconnect(self) -> None:
        """The client is gone."""
        if self.active:
            self._actions.append(Cancel())
        self._close(_State.FAILED)

    # -- what the engine did ------------------------------------------------------------------------

    def spoke(self, seconds: float, segments: int, now: float) -> None:
        """Speech of that length leaves for the listener; with it ``segments`` came to their end."""
        if self.active:
            self._playout.send(seconds, now)
            self._unspoken -= segments
            self._drained = False
            self.poll(now)

    def ended(self) -> None:
        """The utterance was spoken to its end and its container is complete."""
        self._close(_State.IDLE)
        self._actions.append(Finished())

    def failed(self, cause: EngineError) -> None:
        """The utterance cannot be spoken (further)."""
        if self.active:
            self._break_off(str(cause), cause)

    # -- time ---------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """Give the engine what is due by now."""
        self.due = None
        chunker = self._chunker
        if chunker is None:
            return
        while self._unspoken < self._max_queued:
            # With segments still to be spoken the listener is as good as supplied: there is no hurry yet.
            ahead = self._playout.ahead(now) + (QUEUED_AHEAD if self._unspoken else 0.0)
            if (segment := chunker.take(now, ahead)) is None:
                self.due = chunker.due(now, ahead)
                break
            self._unspoken += 1
            self._actions.append(Say(segment))
        if self._unspoken or self._ended:
            return
        if self._state is _State.STOPPED and not chunker.pending:
            self._ended = True
            self._actions.append(EndSpeech())
        elif not self._drained:
            self._drained = True
            self._actions.append(Drain())

    # -- inside -------------------------------------------------------------------------------------

    def _expect_open(self, event: str) -> Chunker | None:
        """The chunker if ``event`` is legal now; otherwise the client is told, once until its next start."""
        if self._state is _State.OPEN:
            return self._chunker
        if self._state is _State.IDLE:
            self._break_off(f"{event}: no utterance is open; send start first")
        elif self._state is _State.STOPPED:
            self._actions.append(Log(f"{event}: ignored after stop; await finish, then send start"))
        return None

    def _break_off(self, reason: str, cause: EngineError | None = None) -> None:
        if self.active:
            self._actions.append(Cancel())
        self._close(_State.FAILED)
        self._actions.append(Log(reason))
        self._actions.append(Finished(reason, cause))

    def _close(self, state: _State) -> None:
        self._state = state
        self._chunker = None
        self.due = None
