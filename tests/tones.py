"""A speech model for tests of everything around a model: it speaks tones, exactly and in no time."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine import Frame, ModelInfo, Reference, Segment, SpeechError, StreamId, StreamOptions, Voice, WordTime

RATE = 8000
FRAME = 800  # 0.1 s


_TONES = {"low": 250.0, "high": 1000.0}


def frequency(voice: str) -> float:
    """The tone of one of the model's own voices, in Hz."""
    return _TONES[voice]


def recording(hz: float, text: str = "aaaa", seconds: float = 1.0, rate: int = 44_100) -> Reference:
    """A voice from which the model learns a tone."""
    time = np.arange(round(seconds * rate)) / rate
    return Reference((0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32), rate, text)


@dataclass
class ToneModel:
    """Speaks every character as one frame of its voice's tone. Words are timed; state hangs on the stream.

    Text with "unspeakable" in it fails in prefill, with "breaks" in its first frame, "crash" kills the worker,
    and a step with a stream of "boom" fails as a whole. ``gate`` holds up every step while it is cleared, and
    ``blocked`` says that one is being held up; ``log`` tells what was called. It hands out nothing in the first
    ``thinking`` steps of a segment.

    It learns the loudest tone of a voice's first recording while ``lessons`` is set, and nothing from silence;
    with ``clones`` it says that this is cloning. ``learned`` are the tones in Hz.
    """

    max_batch: int = 4
    max_prefills: int = 1
    thinking: int = 0
    clones: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    blocked: threading.Event = field(default_factory=threading.Event)
    lessons: threading.Event = field(default_factory=threading.Event)
    learned: dict[str, float] = field(default_factory=dict)
    log: list[tuple[str, object]] = field(default_factory=list)
    _left: dict[StreamId, tuple[Segment, StreamOptions, int]] = field(default_factory=dict)
    _thinking: dict[StreamId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate.set()
        self.lessons.set()

    @property
    def info(self) -> ModelInfo:
        voices = (Voice("low", "Low", "A low tone"), Voice("high", "High", "A high tone"))
        return ModelInfo(
            "tones",
            RATE,
            FRAME,
            self.max_batch,
            -20.0,
            voices,
            "low",
            ("en",),
            max_prefills=self.max_prefills,
            clones=self.clones,
        )

    def warm(self) -> None:
        self.log.append(("warm", threading.current_thread().name))

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        self.log.append(("prefill", (stream, segment.text)))
        if "unspeakable" in segment.text:
            raise SpeechError(f"cannot speak {segment.text!r}")
        if "crash" in segment.text:
            raise SystemExit("crash")
        assert stream not in self._left, "prefilled before the last frame was stepped"
        self._left[stream] = (segment, options, -round(segment.pause * RATE / FRAME))
        self._thinking[stream] = self.thinking

    def step(self, streams: Sequence[StreamId]) -> Sequence[Frame | SpeechError]:
        if not self.gate.is_set():
            self.blocked.set()
            self.gate.wait()
        self.log.append(("step", tuple(streams)))
        if any("boom" in self._left[stream][0].text for stream in streams):
            raise ValueError("boom")
        return [self._frame(stream) for stream in streams]

    def _frame(self, stream: StreamId) -> Frame | SpeechError:
        if self._thinking[stream]:
            self._thinking[stream] -= 1
            return Frame(np.zeros(0, np.float32))
        segment, options, position = self._left[stream]
        if "breaks" in segment.text:
            return SpeechError(f"{segment.text!r} broke")
        if position < 0:  # the pause before the text
            last = position == -1 and not segment.text
            if last:
                del self._left[stream]
            else:
                self._left[stream] = (segment, options, position + 1)
            return Frame(np.zeros(FRAME, np.float32), (), last)
        time = (np.arange(FRAME) + position * FRAME) / RATE
        pcm = 0.5 * np.sin(2 * np.pi * self._tone(options.voice(segment.speaker)) * time)
        words = []
        start = segment.pause
        if segment.text[position] != " " and (position == 0 or segment.text[position - 1] == " "):
            end = segment.text.find(" ", position)
            end = len(segment.text) if end < 0 else end
            words.append(
                WordTime(segment.text[position:end], start + position / 10, start + end / 10, position, end)
            )
        last = position + 1 == len(segment.text)
        if last:
            del self._left[stream]
        else:
            self._left[stream] = (segment, options, position + 1)
        return Frame(pcm.astype(np.float32), tuple(words), last)

    def release(self, stream: StreamId) -> None:
        self.log.append(("release", stream))
        self._left.pop(stream, None)
        self._thinking.pop(stream, None)

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        self.log.append(("learn", voice))
        self.lessons.wait()
        pcm = references[0].pcm
        if not pcm.any():
            raise SpeechError(f"the recording of {voice!r} is silent")
        self.learned[voice] = float(np.abs(np.fft.rfft(pcm)).argmax() * references[0].sample_rate / len(pcm))

    def forget(self, voice: str) -> None:
        self.log.append(("forget", voice))
        self.learned.pop(voice, None)

    def _tone(self, voice: str) -> float:
        return _TONES.get(voice) or self.learned[voice]

    def close(self) -> None:
        self.log.append(("close", threading.current_thread().name))

    @property
    def held(self) -> set[StreamId]:
        """Streams whose state the model still holds."""
        return set(self._left)
