"""A live stream of audio → turn events and transcripts that grow. Decides; does no I/O."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.speech import Pcm
from realtime.ears.activity import Activity
from realtime.ears.phrases import Phrase, PhraseEvent, Phrases, VoiceStarted, VoiceStopped
from realtime.ears.recogniser import HEARING_RATE, HeardSegment, joined

_FIRST_PARTIAL = 0.6  # seconds of speech; in less there is hardly a word
_PARTIAL_STEP = 0.5
_RARE_STEP = 1.0  # where the final is what counts
# Each partial looks at the whole open phrase again. With steps that grow by a quarter, all of them together look
# at five times the phrase at the most, however long it is.
_PARTIAL_GROWTH = 0.25


@dataclass(frozen=True, slots=True)
class Partial:
    """What the open phrase sounds like by now; may change until its :class:`Final`.

    Without text only for a conversation, which wants to know that there are no words.
    """

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
    """A phrase that is to be recognised; the answer goes to :meth:`Listening.heard`.

    It is ``urgent`` if it is, or may turn out to be, all that is said.
    """

    phrase: Phrase
    final: bool
    urgent: bool


ListeningEvent = VoiceStarted | VoiceStopped | Partial | Final | Finalized


class Listening:
    """One client's stream at :data:`HEARING_RATE`.

    Audio is pushed; a job is taken whenever the recogniser has time for one, one at a time. Every phrase gets one
    :class:`Final`, in order. A phrase is never longer than ``max_seconds``, so no more than that is ever looked
    at again. With ``partials`` there are those, too; if they are ``early``, one is made as soon as the speaker
    pauses, which becomes the final if he does not go on.
    """

    def __init__(
        self,
        *,
        max_seconds: float,
        pause: float,
        partials: bool,
        early: bool = False,
        activity: Activity | None = None,
    ) -> None:
        self._phrases = Phrases(max_seconds=max_seconds, pause=pause, activity=activity)
        self._partials = partials
        self._early = partials and early
        self._queue: deque[Phrase | Final | Finalized] = deque()
        self._seen = 0.0  # seconds of the open phrase that the last partial looked at
        self._looked: Phrase | None = None  # the one that it looked at
        self._partial = ""
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
        return list(self._told(self._phrases.push(pcm))) + self._settled()

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
            self._job = Job(phrase, final=True, urgent=True)
        elif self._partials and (open_ := self._phrases.open()):
            early = self._early and self._phrases.paused and not _same(open_, self._looked)
            if early or self._worth_a_look(open_):
                self._seen = _seconds(open_)
                self._looked = open_
                self._partial = ""
                self._job = Job(open_, final=False, urgent=early)
        return self._job

    def heard(self, segments: Sequence[HeardSegment]) -> list[ListeningEvent]:
        """The recogniser's answer to the job under way."""
        assert self._job is not None
        (phrase, final), self._job = (self._job.phrase, self._job.final), None
        text = joined(segment.text for segment in segments)
        if final:
            return [Final(phrase.start, phrase.end, text), *self._settled()]
        self._partial = text
        # Its phrase may have come to its end meanwhile: then the final says more, and soon.
        open_ = self._phrases.open()
        current = open_ is not None and open_.start == phrase.start
        told: list[ListeningEvent] = []
        if current and (text or self._early):
            told.append(Partial(phrase.start, phrase.end, text))
        return told + self._settled()

    def _worth_a_look(self, open_: Phrase) -> bool:
        """Whether enough has been said since the last partial."""
        if self._early and self._phrases.hesitant:
            return False  # whoever looks now has no time for the pause that may come
        step = _RARE_STEP if self._early else _PARTIAL_STEP
        step = max(step, self._seen * _PARTIAL_GROWTH)
        return _seconds(open_) >= max(_FIRST_PARTIAL, self._seen + step)

    def _told(self, events: Iterable[PhraseEvent]) -> Iterator[ListeningEvent]:
        for event in events:
            if isinstance(event, Phrase):
                if not _same(event, self._looked):
                    self._queue.append(event)
                elif self._job is not None:  # what is being looked at has turned out to be all of it
                    self._job = Job(event, final=True, urgent=True)
                else:
                    self._queue.append(Final(event.start, event.end, self._partial))
                self._seen = 0.0
                self._looked = None
            else:
                yield event

    def _settled(self) -> list[ListeningEvent]:
        """What needs no recogniser at the head of the queue."""
        told: list[ListeningEvent] = []
        while self._job is None and self._queue:
            first = self._queue[0]
            if isinstance(first, Phrase):
                break
            told.append(first)
            self._queue.popleft()
        return told


def _same(phrase: Phrase, looked: Phrase | None) -> bool:
    """Whether the recogniser was given the very same samples."""
    return looked is not None and (phrase.offset, len(phrase.pcm)) == (looked.offset, len(looked.pcm))


def _seconds(phrase: Phrase) -> float:
    return len(phrase.pcm) / HEARING_RATE
