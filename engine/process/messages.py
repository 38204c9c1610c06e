"""What an engine and the process of one of its workers say to each other."""

from dataclasses import dataclass

from engine import errors
from engine.errors import SpeechError
from engine.numbers import SegmentTiming, WorkerNumbers
from engine.origin import Origin
from engine.process.wire import Wire
from engine.speech import Frame, ModelInfo, Segment, StreamId, StreamOptions

# To the worker.


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message: which model to make, and the limits of its scheduler.

    A :class:`Beat` is wanted every ``beat`` seconds, and what our loggers log from the level ``ours`` on, those
    of libraries from ``libraries`` on; only with ``texts`` what users say.
    """

    spec: str
    max_streams: int | None
    max_ahead: float
    max_untaken: float
    beat: float
    ours: int
    libraries: int
    texts: bool


@dataclass(frozen=True, slots=True)
class Open:
    """A stream that was let in."""

    stream: StreamId
    options: StreamOptions


@dataclass(frozen=True, slots=True)
class Say:
    """One more segment of a stream."""

    stream: StreamId
    segment: Segment


@dataclass(frozen=True, slots=True)
class Taken:
    """So much of a stream's audio was picked up."""

    stream: StreamId
    seconds: float


@dataclass(frozen=True, slots=True)
class Played:
    """A stream's listener has so much of what was taken left to hear."""

    stream: StreamId
    ahead: float


@dataclass(frozen=True, slots=True)
class Close:
    """A stream is over."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Learn:
    """Learn a voice from recordings: a file of raw float32 for each, its rate in Hz, and what is said in it."""

    lesson: int
    voice: str
    recordings: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """Let go of a voice that was learned."""

    voice: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End after the step under way. Nothing comes after it."""


# From the worker.


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is warm, and so many streams may speak at a time."""

    info: ModelInfo
    max_streams: int


@dataclass(frozen=True, slots=True)
class Unloadable:
    """The model cannot be loaded. ``told`` says that the reason was written for whoever runs the server."""

    reason: str
    told: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A :class:`SpeechError`: the name of its class, its text, and when to try again if it says so."""

    kind: str
    reason: str
    retry_after: float | None = None

    @classmethod
    def of(cls, error: SpeechError) -> "Failure":
        """An error as it is sent; one of a class that only a model knows goes as the class it is made of."""
        known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
        return cls(known.__name__, str(error), getattr(error, "retry_after", None))

    def error(self) -> SpeechError:
        """The error that was sent."""
        kind: type[SpeechError] = getattr(errors, self.kind)
        assert issubclass(kind, SpeechError)
        return kind(self.reason) if self.retry_after is None else kind(self.reason, self.retry_after)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stream in a step: its next frame, or what ended it."""

    stream: StreamId
    frame: Frame | None
    failure: Failure | None = None
    timing: SegmentTiming | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Those of a step."""

    of: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """The end of a lesson."""

    lesson: int
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Beat:
    """For how many seconds the model has been at one step (0 while it waits for work), and what it has done."""

    busy: float
    numbers: WorkerNumbers


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log, and its traceback if it has one."""

    logger: str
    level: int
    text: str
    traceback: str
    origin: Origin | None


TO_WORKER = Wire(Begin, Open, Say, Taken, Played, Close, Learn, Forget, Stop)
FROM_WORKER = Wire(Ready, Unloadable, Outcomes, Learned, Beat, Logged)
