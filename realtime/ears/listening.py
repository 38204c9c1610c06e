"""A live stream of audio → turn events and transcripts that grow. Decides; does no I/O."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.speech import Pcm
from realtime.ears.phrases import Phrase, PhraseEvent, Phrases, VoiceStarted, VoiceStopped
from realtime.ears.recogniser import HEARING_RATE, HeardSegment, joined

_FIRST_PARTIAL = 0.6  # seconds of speech; in less there is hardly a word
_PARTIAL_STEP = 0.5
# Each partial looks at the whole open phrase again. With steps that grow by a quarter, all of them together look
# at five times the phrase at the most, however long it is.
_PARTIAL_GROWTH = 0.25


@dataclass(frozen=True, slots=True)
class Partial:
    """What the open phrase sounds like by now; may change until its :class:`Final`."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """What was said from ``start`` to ``end``, in seconds of the stream; the text may be empty."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Finalized:
    """All that was pushed before a :meth:`Listening.finalize` has been told."""


@dataclass(frozen=True, slots=True)
class Job:
    """A phrase that is to be recognised; the answer goes to :meth:`Listening.heard`."""

    phrase: Phrase
    final: bool


ListeningEvent = VoiceStarted | VoiceStopped | Partial | Final | Finalized


class Listening:
    """One client's stream at :data:`HEARING_RATE`.

    Audio is pushed; a job is taken whenever the recogniser has time for one, one at a time. Every phrase gets one
    :class:`Final`, in order. A phrase is never longer than ``max_seconds``, so no more than that is ever looked
    at again. With ``partials`` there are those, too.
    """

    def __init__(self, *, max_seconds: float, pause: float, partials: bool) -> None:
        self._phrases = Phrases(max_seconds=max_seconds, pause=pause)
        self._partials = partials
        self._queue: deque[Phrase | Finalized] = deque()
        self._seen = 0.0  # seconds of the open phrase that the last partial looked at
        self._job: Job | None = None

    @property
    def seconds(self) -> float:
        """How much was pushed."""
        return self._phrases.seconds

    @property
    def waiting_seconds(self) -> float:
        """Speech that is at its end, and not recognised yet."""
        waiting = sum(_seconds(phrase) for phrase in self._queue if isinstance(phrase, Phrase))
        return waiting + (_seconds(self._job.phrase) if self._job else 0.0)

    def push(self, pcm: Pcm) -> list[ListeningEvent]:
        """What can be told of the next samples at once."""
        return list(self._told(self._phrases.push(pcm)))

    def finalize(self) -> list[ListeningEvent]:
        """End what is open, as if a pause had come; :class:`Finalized` follows when all of it has been told."""
        told = list(self._told(self._phrases.flush()))
        self._queue.append(Finalized())
        return told + self._settled()

    def job(self) -> Job | None:
        """The next phrase to recognise, if there is one, and none is under way."""
        if self._job is not None:
            return None
        if self._queue:
            phrase = self._queue.popleft()
            assert isinstance(phrase, Phrase)  # the others leave the queue as soon as they are its first
            self._job = Job(phrase, final=True)
        elif self._partials and (open_ := self._phrases.open()):
            length = _seconds(open_)
            step = max(_PARTIAL_STEP, self._seen * _PARTIAL_GROWTH)
            if length >= max(_FIRST_PARTIAL, self._seen + step):
                self._seen = length
                self._job = Job(open_, final=False)
        return self._job

    def heard(self, segments: Sequence[HeardSegment]) -> list[ListeningEvent]:
        """The recogniser's answer to the job under way."""
        assert self._job is not None
        (phrase, final), self._job = (self._job.phrase, self._job.final), None
        text = joined(segment.text for segment in segments)
        if final:
            return [Final(phrase.start, phrase.end, text), *self._settled()]
        # Its phrase may have come to its end meanwhile: then the final says more, and soon.
        open_ = self._phrases.open()
        current = open_ is not None and open_.start == phrase.start
        told: list[ListeningEvent] = [Partial(phrase.start, phrase.end, text)] if text and current else []
        return told + self._settled()

    def _told(self, events: Iterable[PhraseEvent]) -> Iterator[ListeningEvent]:
        for event in events:
            if isinstance(event, Phrase):
                self._queue.append(event)
                self._seen = 0.0
            else:
                yield event

    def _settled(self) -> list[ListeningEvent]:
        """What needs no recogniser at the head of the queue."""
        told: list[ListeningEvent] = []
        while self._job is None and self._queue and isinstance(self._queue[0], Finalized):
            told.append(self._queue[0])
            self._queue.popleft()
        return told


def _seconds(phrase: Phrase) -> float:
    return len(phrase.pcm) / HEARING_RATE
