"""The plain data that passes between the engine, its models and the rooms above."""

from dataclasses import dataclass, field
from typing import NewType

import numpy as np
import numpy.typing as npt

from engine.origin import Origin

Pcm = npt.NDArray[np.float32]
"""Mono samples, nominally within [-1, 1], shape ``(n,)``."""

StreamId = NewType("StreamId", int)
"""Names one stream for its whole life. Model state hangs on it, never on a row of a batch."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice that a model can speak with."""

    id: str
    name: str
    description: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording of a voice, mono ``pcm`` at ``sample_rate`` Hz, and the words that are spoken in it."""

    pcm: Pcm
    sample_rate: int
    text: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the rooms above may know of a model.

    ``frame_samples`` at ``sample_rate`` Hz is the step by which every stream advances; the last frame of a
    segment may be shorter. ``max_batch`` is how many streams one step may hold.
    ``loudness`` is what its voices measure by ITU-R BS.1770, in LUFS. ``speeds`` is the range in which the model
    itself speaks well faster or slower than by nature (1); what goes beyond is stretched in time. A model that
    ``reads_tags`` is given ``[tags]`` inside its text; the others get pauses and styles instead. Up to
    ``max_prefills`` streams may get their next segment in one step. ``max_streams`` is how many may speak at a
    time; None has it measured. A model that ``clones`` hears the recordings of all of a stream's voices before it
    speaks, so a stream should have no voice that it does not need; one that does not speaks with its own timbre,
    moved toward the recordings of a voice that it learned. Where speech is made ``elsewhere``, streams compete
    for nothing here: none waits for another to be heard first. ``details`` tell an operator where the model runs
    and what it holds.
    """

    name: str
    sample_rate: int
    frame_samples: int
    max_batch: int
    loudness: float
    voices: tuple[Voice, ...]
    default_voice: str
    languages: tuple[str, ...]
    speeds: tuple[float, float] = (1.0, 1.0)
    reads_tags: bool = False
    max_prefills: int = 1
    max_streams: int | None = None
    clones: bool = False
    elsewhere: bool = False
    details: tuple[str, ...] = ()

    @property
    def frame_seconds(self) -> float:
        """Length of one frame in seconds."""
        return self.frame_samples / self.sample_rate

    @property
    def voice_ids(self) -> tuple[str, ...]:
        """Ids of all voices, in the order in which they are listed."""
        return tuple(voice.id for voice in self.voices)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a generative model draws its tokens; defaults are those of the Fish Audio API."""

    temperature: float = 0.7
    top_p: float = 0.7
    repetition_penalty: float = 1.2
    max_new_tokens: int = 1024
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What holds for a stream from its first word to its last.

    Speaker ``i`` of the text speaks with ``voices[i]``; a speaker beyond the list with the last of it.
    ``paced`` says that somebody listens as it is spoken: such a stream is served by its playout deadline and
    held back when it is far ahead; the others take what is left of the machine. ``origin`` is on whose behalf.
    """

    voices: tuple[str, ...]
    speed: float = 1.0
    sampling: Sampling = field(default_factory=Sampling)
    condition_on_previous: bool = True
    paced: bool = True
    origin: Origin | None = field(default=None, compare=False)

    def voice(self, speaker: int) -> str:
        """The voice id of a speaker number in the text."""
        return self.voices[min(speaker, len(self.voices) - 1)]


@dataclass(frozen=True, slots=True)
class Style:
    """How a stretch of text is to be spoken, beside the voice: factors, but for the level, which is in dB.

    ``range`` is how far the melody moves around its middle.
    """

    whisper: bool = False
    level_db: float = 0.0
    pace: float = 1.0
    pitch: float = 1.0
    range: float = 1.0


PLAIN = Style()
"""The voice as it is."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of text that a model speaks in one go.

    ``open_ended`` says that the sentence goes on in the next segment, so that the voice should not fall.
    ``pause`` is seconds of silence before the text, which may then be empty. ``style`` is for models that do not
    read tags in the text themselves.
    """

    text: str
    speaker: int = 0
    open_ended: bool = False
    style: Style = PLAIN
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class WordTime:
    """When a word is heard: seconds from the first sample of its segment (of its stream, once it has left the
    engine), and where it stands in the segment's text (``text[start_char:end_char]``).
    """

    text: str
    start: float
    end: float
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The next piece of a stream's speech, with the words that begin in it.

    ``last`` marks the end of the segment that was being spoken; such a frame may be short or empty. So may any
    other: a model that still reads its prompt, or collects frames for its codec, has nothing to hand out yet.
    """

    pcm: Pcm
    words: tuple[WordTime, ...] = ()
    last: bool = False
