"""One utterance of a client as a state machine: text in, what is to be spoken and told out.

Sans-I/O: what the client does and what the engine did go in with a time, actions come out.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from engine import EngineError, Segment, WordTime
from realtime.chunker import PACES, TOLERANCE, Chunk, Chunker
from realtime.playout import PlayoutClock
from realtime.request import SpeechRequest
from realtime.script import Line, Script


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it was written, ``start`` to ``end`` in seconds of the utterance's audio.

    ``start_char`` and ``end_char`` are where it stands in the text of the utterance.
    """

    text: str
    start: float
    end: float
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class ChunkInfo:
    """Which part of the text a piece of audio belongs to: the ``number``-th chunk, from ``offset`` seconds on."""

    number: int
    text: str
    offset: float


# -- what is to be done -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Open an utterance of the engine and its container stream; if refused, report :meth:`failed`."""

    request: SpeechRequest


@dataclass(frozen=True, slots=True)
class Say:
    """Give a segment to the engine."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class EndSpeech:
    """No segment will follow in this utterance."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The stream falls silent: push out what the encoder holds back; then tell the client of its flushes."""

    flushes: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop the engine's utterance and everything of it that has not left."""


@dataclass(frozen=True, slots=True)
class Played:
    """The listener is known to have this many seconds left: a better deadline for the engine."""

    ahead: float


# -- what the client is told --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """Something that the client should know."""

    message: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """All text up to a flush has left as audio."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The utterance was cancelled: how much the listener heard of it, in seconds and in characters of its text.

    The characters end with the last word that was heard, which is ``last_word``.
    """

    heard_seconds: float
    heard_chars: int
    last_word: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The utterance is over; ``error`` says why it ended badly, ``cause`` what the engine raised, if it did.

    ``forgotten`` says that the client did nothing with it for too long.
    """

    error: str | None = None
    cause: EngineError | None = None
    forgotten: bool = False


Action = Open | Say | EndSpeech | Drain | Cancel | Played | Log | Flushed | Cancelled | Finished

# A line that waits in the engine counts as this many seconds of speech ahead: whole sentences, please.
QUEUED_AHEAD = max(pace.relaxed for pace in PACES.values())
# So many words that were heard, by the clock, are kept: a listener may report that he is not so far.
_KEPT_WORDS = 1000
# Of a word that is being spoken, this share must have been heard for it to count as heard.
HEARD_SHARE = 0.5


class Utterance:
    """Everything between a start and its finish.

    ``max_queued`` lines are given to the engine before their time: enough that it never waits. ``max_pending``
    bounds the characters that wait to be spoken. Actions are appended to ``actions``.
    """

    def __init__(
        self,
        request: SpeechRequest,
        actions: list[Action],
        now: float,
        *,
        max_queued: int,
        max_pending: int,
    ) -> None:
        self.request = request
        self._actions = actions
        self._max_queued = max_queued
        self._max_pending = max_pending
        self._chunker = Chunker(
            PACES[request.latency],
            chunk_length=request.chunk_length,
            min_chunk_length=request.min_chunk_length,
        )
        self._script = Script(
            reads_tags=request.reads_tags,
            normalize=request.normalize,
            language=request.language,
            manner=request.manner,
        )
        self._playout = PlayoutClock()
        self._lines: deque[Line] = deque()  # made and not yet spoken to their end
        self._said = 0  # how many of them the engine has
        self._chunks = 0  # how many chunks have begun to be heard
        self._chunk: Chunk | None = None  # that of the audio that is leaving
        self._chunk_offset = 0.0
        self._flushes: deque[int] = deque()  # positions in the text up to which it was flushed
        self._pushed = 0  # characters of text that have come in
        self._heard: deque[SpokenWord] = deque()  # by now, by the clock: the last ones
        self._long_heard: SpokenWord | None = None  # the last one before these
        self._unheard: deque[SpokenWord] = deque()
        self._latest: SpokenWord | None = None
        self._drained = True
        self._ended = False
        self.stopped = False
        self.over = False
        self.touched = now
        self.due: float | None = None
        actions.append(Open(request))
        actions.extend(Log(note) for note in request.notes)

    @property
    def pending(self) -> int:
        """Characters of text that have not been given to the engine yet."""
        return self._chunker.pending

    @property
    def silent(self) -> bool:
        """Whether nothing is on its way, and no time will bring anything: only the client can."""
        return not self._lines and self._drained and self.due is None

    # -- what the client does -----------------------------------------------------------------------

    def text(self, text: str, now: float, *, last: bool = False) -> None:
        """More text. If it is the ``last`` of it, whole sentences are spoken from the first on."""
        self.touched = now
        if self._chunker.pending + len(text) > self._max_pending:
            self.break_off(f"text: more than {self._max_pending} characters are waiting to be spoken")
            return
        self._pushed += len(text)
        self._chunker.push(text, now)
        if last:
            self._chunker.flush()
            self.stopped = True
        self.poll(now)

    def flush(self, now: float) -> None:
        """Speak all text that is there; the utterance goes on."""
        self.touched = now
        self._chunker.flush()
        self._flushes.append(self._pushed)
        self.poll(now)

    def stop(self, now: float) -> None:
        """No more text: speak what is there, then finish."""
        self._chunker.flush()
        self.stopped = True
        self.poll(now)

    def cancel(self, now: float) -> None:
        """Stop speaking, and say what was heard."""
        self._hear(now)
        word = self._heard[-1] if self._heard else self._long_heard
        heard = Cancelled(self._playout.heard(now), word.end_char if word else 0, word.text if word else "")
        self._actions += [Cancel(), heard]
        self._end()

    def played(self, seconds: float, now: float) -> None:
        """The client reports how much of the audio it has played, in seconds."""
        self.touched = now
        self._playout.report(seconds, now)
        self._actions.append(Played(self._playout.ahead(now)))
        self.poll(now)

    def break_off(self, reason: str, cause: EngineError | None = None, *, forgotten: bool = False) -> None:
        """End the utterance with an error."""
        self._actions += [Cancel(), Log(reason), Finished(reason, cause, forgotten)]
        self._end()

    def disconnect(self) -> None:
        """The client is gone."""
        self._actions.append(Cancel())
        self._end()

    # -- what the engine did ------------------------------------------------------------------------

    def spoke(
        self, seconds: float, words: Sequence[WordTime], now: float, *, last: bool
    ) -> tuple[ChunkInfo, tuple[SpokenWord, ...]]:
        """Speech of one line leaves for the listener, ``last`` if the line ends with it.

        Returns the chunk that it belongs to, and its words as they were written. A word that was written as one
        and is spoken as several ("$5") comes again with each, its end moved on.
        """
        line = self._lines[0]
        if line.chunk is not self._chunk:
            self._chunk, self._chunk_offset = line.chunk, self._playout.sent
            self._chunks += 1
        written = tuple(self._as_written(line, words))
        self._playout.send(seconds, now)
        self._hear(now)
        self._drained = False
        if last:
            self._lines.popleft()
            self._said -= 1
        info = ChunkInfo(self._chunks - 1, line.chunk.text, self._chunk_offset)
        self.poll(now)
        return info, written

    def ended(self) -> None:
        """The utterance was spoken to its end and its container is complete."""
        self._actions += [Flushed()] * self._served_flushes()
        self._actions.append(Finished())
        self._end()

    # -- time ---------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """Give the engine what is due by now: lines of one chunk, for others have to be served between two."""
        self.due = None
        made = False
        while self._said < self._max_queued:
            if self._said == len(self._lines):
                if made and self._chunker.pending:
                    self.due = now + TOLERANCE
                    break
                if not (made := self._next_chunk(now)):
                    break
            self._actions.append(Say(self._lines[self._said].segment))
            self._said += 1
        if self._lines:
            self._actions += [Flushed()] * self._served_flushes()
        elif self.stopped and not self._chunker.pending:
            if not self._ended:
                self._ended = True
                self._actions.append(EndSpeech())
        elif not self._drained:
            self._drained = True
            self._actions.append(Drain(self._served_flushes()))
        else:
            self._actions += [Flushed()] * self._served_flushes()

    # -- inside -------------------------------------------------------------------------------------

    def _next_chunk(self, now: float) -> bool:
        """Make lines of the next chunk, if its time has come."""
        # With lines still to be spoken the listener is as good as supplied: there is no hurry yet.
        ahead = self._playout.ahead(now) + (QUEUED_AHEAD if self._lines else 0.0)
        if (chunk := self._chunker.take(now, ahead)) is None:
            self.due = self._chunker.due(now, ahead)
            return False
        self._lines += self._script.lines(chunk)
        return True

    def _served_flushes(self) -> int:
        """How many flushes have all their text spoken by now. Each is counted once."""
        reached = self._lines[0].chunk.start if self._lines else self._chunker.taken
        served = 0
        while self._flushes and self._flushes[0] <= reached:
            self._flushes.popleft()
            served += 1
        return served

    def _as_written(self, line: Line, words: Sequence[WordTime]) -> list[SpokenWord]:
        """The words of a line as they were written; if several spoken words were one, each extends it."""
        written: list[SpokenWord] = []
        for word in words:
            start, end = line.written(word)
            began = word.start
            if self._latest and (self._latest.start_char, self._latest.end_char) == (start, end):
                began = self._latest.start
                for pile in (written, self._unheard):
                    if pile and pile[-1] is self._latest:
                        pile.pop()
            text = line.chunk.text[start - line.chunk.start : end - line.chunk.start]
            self._latest = SpokenWord(text, began, word.end, start, end)
            written.append(self._latest)
            self._unheard.append(self._latest)
        return written

    def _hear(self, now: float) -> None:
        """Move the words that were heard by now; and back, those that were thought to have been."""
        position = self._playout.heard(now)
        while self._unheard and _is_heard(self._unheard[0], position):
            self._heard.append(self._unheard.popleft())
            if len(self._heard) > _KEPT_WORDS:
                self._long_heard = self._heard.popleft()
        while self._heard and not _is_heard(self._heard[-1], position):
            self._unheard.appendleft(self._heard.pop())

    def _end(self) -> None:
        self.over = True
        self.due = None


def _is_heard(word: SpokenWord, position: float) -> bool:
    """Whether a word counts as heard by somebody who has heard so many seconds."""
    return word.start + HEARD_SHARE * (word.end - word.start) <= position
