"""What is told of one utterance while it is spoken. No I/O, and no clock: times come in."""

import itertools
from collections import deque

import numpy as np

from engine import EngineError, EngineStopped, Overloaded
from engine.numbers import SegmentTiming
from engine.origin import current
from engine.speech import Pcm
from realtime.observer import (
    Admitted,
    Audible,
    Begun,
    Encoded,
    Ended,
    Observer,
    Outcome,
    Refused,
    Said,
    Sent,
    SpeechEvent,
    SpeechId,
    TextCame,
    Underrun,
)
from realtime.playout import PlayoutClock

# As the benchmarks have it: what is heard is 10 ms with an RMS above -40 dB.
AUDIBLE_RMS = 0.01
WINDOW_SECONDS = 0.01
LEAST_UNDERRUN = 0.01
"""Seconds of waiting that no player notices: each has that much in hand."""

_numbers = itertools.count(1)


class OnsetFinder:
    """Finds the first sample that ends 10 ms of audible sound. Before the first sample lies silence."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._window = max(1, round(WINDOW_SECONDS * sample_rate))
        self._before: Pcm = np.zeros(self._window, np.float32)
        self._samples = 0
        self.at: float | None = None
        """Seconds from the first sample on; None before it is found."""

    def push(self, pcm: Pcm) -> None:
        """The next samples; nothing more is looked for once it is found."""
        if self.at is not None or not pcm.size:
            return
        energy = np.cumsum(np.square(np.concatenate([self._before, pcm]), dtype=np.float64))
        loud = np.flatnonzero(
            energy[self._window :] - energy[: -self._window] > self._window * AUDIBLE_RMS**2
        )
        if loud.size:
            self.at = (self._samples + int(loud[0])) / self._rate
        self._samples += pcm.size
        self._before = np.concatenate([self._before, pcm])[-self._window :]


class Watch:
    """Follows one utterance, and tells an observer. Calls come in the order of what happens.

    Each ``now`` is ``time.monotonic``; so is ``text``, when the first text came, if that was before the start.
    """

    def __init__(
        self,
        observer: Observer,
        *,
        context: str,
        model: str,
        paced: bool,
        sample_rate: int,
        now: float,
        text: float | None = None,
    ) -> None:
        self.speech = SpeechId(next(_numbers), context, model, paced, current())
        self.onset = OnsetFinder(sample_rate)  # fed by the thread that encodes
        self._observer = observer
        self._asked = now if text is None else text
        self._came_with_text = text is not None
        self._first_text: float | None = None
        self._latest_text = self._asked
        self._let_speak: float | None = None  # the text that let the first segment be spoken
        self._said: deque[float] = deque()  # of segments that have not been made to their end
        self._silent: deque[tuple[int, float]] = deque()  # segments of which no sound has come, and when said
        self._segments = 0
        self._making = 0  # the segment of which sound is made now
        self._encoded: tuple[int, float] | None = (
            None  # the segment whose first sound was encoded last, and when
        )
        self._first_encoded = 0.0
        self._made = PlayoutClock()  # what a listener has who is sent it as it is made
        self._sent = PlayoutClock()  # ... as it is sent
        self._characters = 0
        self._over = False
        self._leaves = self._audible = False

    # -- what is asked for --------------------------------------------------------------------------

    def admitted(self, now: float) -> None:
        """The engine has let it in."""
        self._tell(Admitted(self.speech, now, self._asked))

    def refused(self, error: EngineError, now: float) -> None:
        """The engine has not; nothing else follows."""
        self._over = True
        match error:
            case Overloaded():
                self._tell(Refused(self.speech, now, "full"))
            case EngineStopped():
                self._tell(Refused(self.speech, now, "stopped"))
            case _:
                self._tell(Refused(self.speech, now, "other"))

    def text(self, now: float) -> None:
        """Text has come."""
        if self._first_text is None:
            self._first_text = now = self._asked if self._came_with_text else now
            self._tell(TextCame(self.speech, now))
        self._latest_text = now

    def said(self, characters: int, now: float) -> None:
        """A segment is handed to the engine."""
        if self._let_speak is None:
            self._let_speak = self._latest_text
        self._tell(Said(self.speech, now, self._segments, characters, self._latest_text))
        self._silent.append((self._segments, now))
        self._said.append(now)
        self._segments += 1
        self._characters += characters

    def played(self, ahead: float, now: float) -> None:
        """The listener is known to have so many seconds left."""
        self._made.dry_at = now + ahead

    # -- what is made of it -------------------------------------------------------------------------

    def begun(self, timing: SegmentTiming) -> None:
        """The engine has the first sound of a segment; of some there is none."""
        while len(self._silent) > 1 and self._silent[1][1] <= timing.said:
            self._silent.popleft()
        if self._silent:
            segment, _ = self._silent.popleft()
            self._tell(
                Begun(self.speech, timing.first_frame, segment, timing.said, timing.prefill, timing.prefilled)
            )

    def made(self, seconds: float, *, last: bool, began: float, now: float) -> None:
        """So much of a segment was encoded, handed over for that at ``began``; ``last`` ends the segment."""
        if seconds and (self._encoded is None or self._encoded[0] != self._making):
            if self._encoded is None:
                self._first_encoded = now
            self._encoded = self._making, now
            self._tell(Encoded(self.speech, now, self._making, began))
        if seconds:
            self._note_wait(now)
            self._made.send(seconds, now)
        if last:
            self._making += 1
            if self._said:
                self._said.popleft()

    def sent(self, now: float) -> None:
        """What was made by now is given to the wire, some of it for the first time or not."""
        if not self._leaves:
            self._leaves = True
            text = self._asked if self._first_text is None else self._first_text
            self._tell(Sent(self.speech, now, self._first_encoded, text))
        if self._audible:
            return
        before = self._sent.sent
        self._sent.send(self._made.sent - before, now)
        if self.onset.at is not None and self.onset.at < self._made.sent:
            self._audible = True
            assert self._sent.dry_at is not None
            heard_at = self._sent.dry_at - (self._made.sent - self.onset.at)
            let_speak = self._asked if self._let_speak is None else self._let_speak
            self._tell(Audible(self.speech, heard_at, let_speak))

    @property
    def audible(self) -> bool:
        """Whether its first sound has left: :meth:`sent` has nothing more to tell."""
        return self._audible

    def ended(self, outcome: Outcome, now: float) -> None:
        """It is over. Idempotent."""
        if self._over:
            return
        self._over = True
        if outcome != "stop":
            self._note_wait(now)
        self._tell(Ended(self.speech, now, outcome, self._made.sent, self._characters))

    # -- inside -------------------------------------------------------------------------------------

    def _note_wait(self, now: float) -> None:
        """If the listener ran dry although the engine had more to say by then, tell so."""
        dry_at = self._made.dry_at
        if dry_at is None or not self._said or self._said[0] > dry_at:
            return
        if (seconds := now - dry_at) >= LEAST_UNDERRUN:
            self._tell(Underrun(self.speech, dry_at, seconds))

    def _tell(self, event: SpeechEvent) -> None:
        self._observer.note(event)
