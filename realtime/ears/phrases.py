"""A stream of audio → phrases that a recogniser can be given, cut where the speaker pauses."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.speech import Pcm
from realtime.ears.activity import FRAME, Activity, voice_activity
from realtime.ears.recogniser import HEARING_RATE, HeardSegment, Recogniser

_FRAME_SECONDS = FRAME / HEARING_RATE
_ONSET_FRAMES, _ONSET_WINDOW = 3, 5  # so many of so many frames have a voice: a click has not
_BEFORE_FRAMES = 10  # the first consonant is softer than what is taken for a voice
_AFTER_FRAMES = 6
_HESITANT_FRAMES = 2
_LONG_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """Somebody began to speak, ``at`` seconds of the stream."""

    at: float


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """The voice ended ``at`` seconds of the stream, a pause ago."""

    at: float


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is to be recognised in one piece: speech from ``start`` to ``end``, in seconds of the stream.

    ``pcm`` is that and a little more on both sides; its first sample is at ``offset`` seconds.
    """

    start: float
    end: float
    offset: float
    pcm: Pcm


PhraseEvent = VoiceStarted | VoiceStopped | Phrase


class Phrases:
    """Cuts one stream at :data:`HEARING_RATE` into phrases; sans I/O.

    A phrase ends with a pause of ``pause`` seconds, but is not shorter than ``min_seconds`` unless the pause is
    long; and when it gets ``max_seconds`` long, it is cut where it is softest in its second half. How the stream
    is cut into pushes has no influence on what comes out.
    """

    def __init__(
        self,
        *,
        max_seconds: float,
        min_seconds: float = 0.0,
        pause: float = 0.5,
        activity: Activity | None = None,
    ) -> None:
        self._activity = activity or voice_activity()
        self._max_frames = int(max_seconds / _FRAME_SECONDS) - _AFTER_FRAMES
        self._min_frames = int(min_seconds / _FRAME_SECONDS)
        self._pause_frames = max(1, round(pause / _FRAME_SECONDS))
        self._long_frames = max(self._pause_frames, round(_LONG_PAUSE_SECONDS / _FRAME_SECONDS))
        self._rest = np.zeros(0, np.float32)
        self._now = 0  # frames taken in
        self._recent: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._frames: list[Pcm] = []  # of the open phrase and the margin before it, or of the silence by now
        self._start: int | None = None  # the first frame of the open phrase
        self._voiced = 0  # the frame after the last one with a voice
        self._speaking = False

    @property
    def seconds(self) -> float:
        """How much was pushed."""
        return (self._now * FRAME + self._rest.size) / HEARING_RATE

    def open(self) -> Phrase | None:
        """The phrase that is not at its end yet, as far as it goes."""
        if self._start is None:
            return None
        return self._phrase(self._start, self._voiced, len(self._frames))

    @property
    def paused(self) -> bool:
        """Whether the open phrase is what it will be if its speaker does not go on."""
        return self._start is not None and self._now - self._voiced >= _AFTER_FRAMES

    @property
    def hesitant(self) -> bool:
        """Whether this may become a pause."""
        return self._start is not None and self._now - self._voiced >= _HESITANT_FRAMES

    def push(self, pcm: Pcm) -> Iterator[PhraseEvent]:
        """What happens in the next samples. To be iterated to its end."""
        pcm = np.concatenate([self._rest, pcm])
        whole = len(pcm) // FRAME * FRAME
        self._rest = pcm[whole:]
        for voice, frame in zip(self._activity(pcm[:whole]), pcm[:whole].reshape(-1, FRAME), strict=True):
            yield from self._frame(frame, voice)

    def flush(self) -> Iterator[PhraseEvent]:
        """End what is open, as if a pause had come. The stream may go on."""
        if self._speaking:
            self._speaking = False
            yield VoiceStopped(self._voiced * _FRAME_SECONDS)
        if self._start is not None:
            yield self._cut(len(self._frames))
        self._recent.clear()

    def _frame(self, frame: Pcm, voice: bool) -> Iterator[PhraseEvent]:
        self._now += 1
        self._frames.append(frame)
        self._recent.append(voice)
        if voice and self._speaking:
            self._voiced = self._now
            if self._start is None:
                self._start = self._now - 1
        elif voice and sum(self._recent) >= _ONSET_FRAMES:
            self._speaking = True
            self._voiced = self._now
            first = self._now - len(self._recent) + list(self._recent).index(True)
            if self._start is None:
                self._start = first
            yield VoiceStarted(first * _FRAME_SECONDS)
        silent = self._now - self._voiced
        if self._speaking and silent >= self._pause_frames:
            self._speaking = False
            self._recent.clear()
            yield VoiceStopped(self._voiced * _FRAME_SECONDS)
        if self._start is None:
            del self._frames[: -_BEFORE_FRAMES - _ONSET_WINDOW]
            return
        enough = self._voiced - self._start >= self._min_frames or silent >= self._long_frames
        if not self._speaking and enough:
            yield self._cut(len(self._frames))
        elif len(self._frames) >= self._max_frames:
            yield self._cut(self._softest())

    def _softest(self) -> int:
        """Where to cut what is too long: after how many frames."""
        half = len(self._frames) // 2
        levels = np.abs(np.stack(self._frames[half:])).mean(axis=1)
        smooth = np.convolve(levels, np.ones(3), "valid")
        return half + int(smooth.argmin()) + 1

    def _cut(self, frames: int) -> Phrase:
        """The open phrase without what comes after so many frames, which begins the next one."""
        assert self._start is not None
        at = self._now - len(self._frames) + frames
        phrase = self._phrase(self._start, min(self._voiced, at), frames)
        if self._voiced > at:
            del self._frames[:frames]
            self._start = at
        else:
            del self._frames[: max(0, frames - _BEFORE_FRAMES)]
            self._start = None
        return phrase

    def _phrase(self, start: int, end: int, frames: int) -> Phrase:
        first = self._now - len(self._frames)
        stop = min(frames, end + _AFTER_FRAMES - first)
        skipped = max(0, start - _BEFORE_FRAMES - first)
        return Phrase(
            start * _FRAME_SECONDS,
            end * _FRAME_SECONDS,
            (first + skipped) * _FRAME_SECONDS,
            np.concatenate(self._frames[skipped:stop]),
        )


def hear(recogniser: Recogniser, phrase: Phrase, language: str | None) -> list[HeardSegment]:
    """What is said in a phrase, in seconds of the stream that it was cut from. Blocks."""
    return [
        HeardSegment(
            max(phrase.start, phrase.offset + segment.start),
            max(phrase.start, min(phrase.end, phrase.offset + segment.end)),
            segment.text,
        )
        for segment in recogniser.transcribe(phrase.pcm, language)
    ]
